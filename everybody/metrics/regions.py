"""Regions to ignore: in PoseTrack18 (Andriluka et al. 2018), polygons around unlabelled people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..geometry import Array
from .matching import similarities

LABELLED = 0.1  # OKS from which somebody found stands for a labelled person, wherever the region is


def inside(points: Array, polygon: Array) -> NDArray[np.bool_]:
    """[M, 2], [P, 2] -> [M]: a ray to the right crosses the outline an odd number of times."""
    (x, y), (x0, y0), (x1, y1) = points.T[:, :, None], polygon.T, np.roll(polygon, -1, 0).T
    crosses = (y0 > y) != (y1 > y)
    where = x0 + (y - y0) * np.divide(x1 - x0, y1 - y0, out=np.zeros_like(x0), where=y1 != y0)
    return (crosses & (x < where)).sum(1) % 2 == 1


def outside(results: Dataset, truth: Dataset) -> Dataset:
    """`results` without the people that are neither right nor false: most of their joints lie in a
    region to ignore of their picture, and their OKS with every labelled person is below .1. `notes`
    says how many there are.

    The results are joined to the pictures of the truth and have its skeleton.
    """
    kept = np.ones(len(results.picture), bool)
    for picture, true, found in zip(truth.pictures, truth.rows(), results.rows(), strict=True):
        if not picture.ignore or not len(found):
            continue
        points = results.keypoints[found, :, :2]
        within = np.zeros(points.shape[:2], bool)
        for polygon in picture.ignore:
            within |= inside(points.reshape(-1, 2), polygon).reshape(within.shape)
        near = (
            similarities(truth, results, true[~truth.ignored[true]], found).max(0, initial=0)
            >= LABELLED
        )
        kept[found] = near | (within.mean(1) <= 0.5)
    if kept.all():
        return results
    note = f"{(~kept).sum()} found people in regions to ignore are left out"
    return replace(results.select(kept), notes=(*results.notes, note))
