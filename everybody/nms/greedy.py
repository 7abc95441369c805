"""Removing duplicates by one measure of likeness: IoU of boxes, or OKS of poses.

Greedy, most confident first: a candidate too similar to one that was kept goes. Soft NMS (Bodla et
al., "Soft-NMS: Improving object detection with one line of code", ICCV 2017) lowers its score
instead; with OKS in the place of IoU it is the usual step behind top-down estimators.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array, area, iou, oks
from ..people import People


def greedy(similarity: Array, scores: Array, threshold: float) -> NDArray[np.intp]:
    """[N, N], [N] -> the places that are kept, most confident first; ties keep the earlier one."""
    order = np.argsort(-scores, kind="stable")
    alive = np.ones(len(scores), bool)
    kept = []
    for candidate in order:
        if alive[candidate]:
            kept.append(candidate)
            alive &= similarity[candidate] <= threshold
            alive[candidate] = False
    return np.array(kept, np.intp)


def box_nms(people: People, threshold: float = 0.6) -> People:
    """People whose boxes overlap a more confident one by more than `threshold` IoU removed; most
    confident first.

    As `greedy`, but quicker for a detector's hundreds of boxes, of which few are kept: only those
    are compared with the others.
    """
    order = np.argsort(-people.scores, kind="stable")
    boxes, kept = people.boxes[order], []
    while len(order):
        kept.append(order[0])
        apart = iou(boxes[:1], boxes)[0] <= threshold
        apart[0] = False
        order, boxes = order[apart], boxes[apart]
    return people[np.array(kept, np.intp)]


def oks_nms(people: People, threshold: float = 0.9) -> People:
    """People whose pose is more similar than `threshold` OKS to a more confident one removed; most
    confident first.

    The area in the OKS is that of the more confident one's box.
    """
    return people[greedy(_likeness(people), people.scores, threshold)]


def soft_oks_nms(people: People, spread: float = 0.9, least: float = 0.05) -> People:
    """Each person, most confident first, multiplies the scores of the others by exp(-OKS² /
    spread); people who then score less than `least` are removed. The lowered scores are kept.
    """
    decay = np.exp(-np.square(_likeness(people)) / spread)
    scores = people.scores.astype(np.float64)
    waiting = np.where(np.isnan(scores), -np.inf, scores)
    for _ in range(len(people)):
        first = int(waiting.argmax())
        waiting[first] = -np.inf
        others = waiting > -np.inf
        waiting[others] *= decay[first, others]
        scores[others] = waiting[others]
    people = replace(people, scores=scores.astype(np.float32))
    order = np.argsort(-scores, kind="stable")
    return people[order[scores[order] >= least]]


def _likeness(people: People) -> Array:
    leading = people.skeleton.leading
    keypoints, sigmas = people.keypoints[:, leading], people.skeleton.sigmas[leading]
    return oks(keypoints, keypoints, area(people.boxes), sigmas)
