"""Removing duplicates: of boxes by IoU, of poses by OKS.

Greedy, most confident first: a candidate too similar to one that was kept goes. (The parametric pose NMS of RMPE, Fang
et al. 2017, joins these as one more function from `People` to `People`.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .geometry import Array, area, iou, oks
from .people import People


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


def box_nms(people: People, threshold: float) -> People:
    """People whose boxes overlap a more confident one by more than `threshold` IoU removed; most confident first."""
    return people[greedy(iou(people.boxes, people.boxes), people.scores, threshold)]


def oks_nms(people: People, threshold: float = 0.9) -> People:
    """People whose pose is more similar than `threshold` OKS to a more confident one removed; most confident first.

    The area in the OKS is that of the more confident one's box.
    """
    similarity = oks(people.keypoints, people.keypoints, area(people.boxes), people.skeleton.sigmas)
    return people[greedy(similarity, people.scores, threshold)]
