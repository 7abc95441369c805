"""Removing duplicates by one measure of likeness: IoU of boxes, or OKS of poses.

Greedy, most confident first: a candidate too similar to one that was kept goes. Soft NMS (Bodla et
al., "Soft-NMS: Improving object detection with one line of code", ICCV 2017) lowers its score
instead; with OKS in the place of IoU it is the usual step behind top-down estimators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array, area, iou, oks
from ..people import People

Places = NDArray[np.intp]
BLOCK = 16  # candidates compared with the others at a time: bounds memory, not the answer


def greedy(similarity: Array, scores: Array, threshold: float) -> Places:
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


def distinct(
    likeness: Callable[[Places, Places], Array], scores: Array, threshold: float
) -> Places:
    """As `greedy`, of likeness(places [R], places [C]) -> [R, C]. Only those that are kept are
    compared with the rest, and never all with all at once.
    """
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        first, order = order[:BLOCK], order[BLOCK:]
        first = first[greedy(likeness(first, first), scores[first], threshold)]
        order = order[(likeness(first, order) <= threshold).all(0)]
        kept.append(first)
    return np.concatenate(kept) if kept else order


def distinct_boxes(boxes: Array, scores: Array, threshold: float) -> Places:
    """[N, 4], [N] -> the places that are kept, most confident first: none overlaps a more confident
    one by more than `threshold` IoU.
    """
    return distinct(lambda some, others: iou(boxes[some], boxes[others]), scores, threshold)


def box_nms(people: People, threshold: float = 0.6) -> People:
    """People whose boxes overlap a more confident one by more than `threshold` IoU removed; most
    confident first.
    """
    return people[distinct_boxes(people.boxes, people.scores, threshold)]


def oks_nms(people: People, threshold: float = 0.9) -> People:
    """People whose pose is more similar than `threshold` OKS to a more confident one removed; most
    confident first.

    The area in the OKS is that of the more confident one's box.
    """
    return people[distinct(_likeness(people), people.scores, threshold)]


def soft_oks_nms(people: People, spread: float = 0.9, least: float = 0.05) -> People:
    """Each person, most confident first, multiplies the scores of the others by exp(-OKS² /
    spread); people who then score less than `least` are removed. The lowered scores are kept.
    """
    likeness = _likeness(people)
    scores = people.scores.astype(np.float64)
    waiting = np.where(np.isnan(scores), -np.inf, scores)
    for _ in range(len(people)):
        first = int(waiting.argmax())
        waiting[first] = -np.inf
        others = np.flatnonzero(waiting > -np.inf)
        alike = likeness(np.array([first]), others)[0]
        waiting[others] *= np.exp(-np.square(alike) / spread)
        scores[others] = waiting[others]
    people = replace(people, scores=scores.astype(np.float32))
    order = np.argsort(-scores, kind="stable")
    return people[order[scores[order] >= least]]


def _likeness(people: People) -> Callable[[Places, Places], Array]:
    """(places [R], places [C]) -> OKS [R, C]."""
    leading = people.skeleton.leading
    keypoints, sigmas = people.keypoints[:, leading], people.skeleton.sigmas[leading]
    areas = area(people.boxes)
    return lambda some, others: oks(keypoints[some], keypoints[others], areas[some], sigmas)
