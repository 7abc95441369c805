"""Found people assigned to true ones, for measures that were made for one person per picture.

oks:   per picture, the assignment of found to true people with the greatest sum of OKS (Kuhn 1955)
box:   the same with the intersection over union of their boxes
order: the first found is the first true one, and so on: for results made on true boxes, in order
Pairs of similarity 0 are not matched. Scores play no part, and found people beyond the true ones
cost nothing: AP punishes them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..data.dataset import Dataset
from ..errors import OptionError
from ..geometry import iou, oks

Rows = NDArray[np.int64]
By = Literal["oks", "box", "order"]


def match(truth: Dataset, results: Dataset, by: By = "oks") -> Rows:
    """The row of the found person for each true one [N], -1 where there is none. People to ignore
    are not matched.
    """
    if by not in ("oks", "box", "order"):
        raise OptionError(f"unknown matching '{by}': known are oks, box, order")
    out = np.full(len(truth.picture), -1)
    for true, found in zip(truth.rows(), results.rows(), strict=True):
        true = true[~truth.ignored[true]]
        if not len(true) or not len(found):
            continue
        if by == "order":
            count = min(len(true), len(found))
            out[true[:count]] = found[:count]
            continue
        similarity = similarities(truth, results, true, found, by)
        a, b = linear_sum_assignment(similarity, maximize=True)
        kept = similarity[a, b] > 0
        out[true[a[kept]]] = found[b[kept]]
    return out


def similarities(
    truth: Dataset, results: Dataset, true: Rows, found: Rows, by: By = "oks"
) -> NDArray[np.floating]:
    """[T, F]: OKS, or the intersection over union of boxes, of some true and some found people."""
    if by == "box":
        return iou(truth.boxes[true], results.boxes[found])
    keypoints = truth.keypoints[true]
    return oks(
        keypoints,
        results.keypoints[found],
        truth.areas[true],
        truth.skeleton.sigmas,
        (keypoints[..., 2] > 0).astype(float),
    )
