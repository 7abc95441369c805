"""The colours of people's clothes as unit vectors, which need no network.

Each is the square root of a CIELAB histogram of the torso, so that the cosine of two is their
Bhattacharyya coefficient (Comaniciu et al. 2003 follow objects by it). Samples that a nearer person
may cover are left out.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..people import Image, People
from ..skeletons import Skeleton

TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
GRID = 10  # samples across and down
MARGIN = 0.1  # share of the torso that is left out at each edge: arms or background may be there
LEVELS = (6, 9, 9)  # of L, a and b
SPREAD = 14.0  # units (of 255) of a and b in one level; colours far from grey share the last one
ENOUGH = 0.25  # share of the samples that must be seen
FAINT = 0.2  # least score of joints that place the torso; else it is in the middle of the box


def colours(image: Image, people: People) -> Array:
    """Picture [H, W, 3] RGB -> [N, D] unit vectors; zeros for people whose torso is outside or
    covered.
    """
    if not len(people):
        return np.zeros((0, int(np.prod(LEVELS))))
    places = _torsos(people)
    height, width = image.shape[:2]
    edge = (places >= 0).all(-1) & (places < (width, height)).all(-1)
    shown = edge & ~_covered(places, people)
    shown &= shown.mean(1, keepdims=True) >= ENOUGH
    x, y = np.moveaxis(np.where(shown[..., None], places, 0).astype(int), -1, 0)

    lab = cv2.cvtColor(image[y, x].reshape(1, -1, 3), cv2.COLOR_RGB2LAB)
    light, a, b = np.moveaxis(lab.reshape(*x.shape, 3).astype(np.float64), -1, 0)
    levels = np.array(LEVELS)
    scaled = [light / 255 * (levels[0] - 1), (a - 128) / SPREAD + 4, (b - 128) / SPREAD + 4]
    cells = np.stack(scaled, -1)
    return _roots(cells.clip(0, levels - 1), shown)


def _torsos(people: People) -> Array:
    """[N, S, 2]: the places of each person's samples in the picture."""
    skeleton: Skeleton = people.skeleton
    boxes = people.boxes.astype(np.float64)
    size = boxes[:, 2:] - boxes[:, :2]
    # Corners are upper, upper, lower, lower; left and right do not matter.
    middle = np.array([[0.3, 0.2], [0.7, 0.2], [0.3, 0.5], [0.7, 0.5]])
    corners = boxes[:, None, :2] + middle * size[:, None]
    if all(joint in skeleton.joints for joint in TORSO):
        places = [skeleton.joints.index(joint) for joint in TORSO]
        joints = people.keypoints[:, places].astype(np.float64)
        sure, finite = joints[..., 2:] >= FAINT, np.isfinite(joints)
        seen = sure.all((1, 2), keepdims=True) & finite.all((1, 2), keepdims=True)
        corners = np.where(seen, joints[..., :2], corners)
    steps = MARGIN + (np.arange(GRID) + 0.5) / GRID * (1 - 2 * MARGIN)
    across, down = (axis.ravel() for axis in np.meshgrid(steps, steps))
    weights = np.stack(
        [(1 - across) * (1 - down), across * (1 - down), (1 - across) * down, across * down]
    )
    places = np.einsum("nkc,ks->nsc", corners, weights)
    return np.where(np.isfinite(places), np.rint(places), -1.0)


def _covered(places: Array, people: People) -> NDArray[np.bool_]:
    """[N, S] bool: inside the box of a person lower in the picture, who is likely nearer.
    Boxes that score less do not count: they may be the same person, found twice.
    """
    boxes, scores = people.boxes, people.scores
    x, y = places[:, None, :, 0], places[:, None, :, 1]
    low, high = boxes[None, :, None, :2], boxes[None, :, None, 2:]
    inside = (x >= low[..., 0]) & (x <= high[..., 0]) & (y >= low[..., 1]) & (y <= high[..., 1])
    nearer = (boxes[:, 3] > boxes[:, None, 3]) & (scores >= scores[:, None])
    return np.logical_or.reduce(inside & nearer[..., None], axis=1)


def _roots(cells: Array, shown: NDArray[np.bool_]) -> Array:
    """Places of samples in the histogram [N, S, 3] -> its square roots [N, D]. The eight cells
    around a sample share it.
    """
    count, bins = len(cells), int(np.prod(LEVELS))
    low = np.minimum(np.floor(cells).astype(int), np.array(LEVELS) - 2)
    part = cells - low
    histogram = np.zeros(count * bins)
    rows = np.arange(count)[:, None] * bins
    for corner in np.ndindex(2, 2, 2):
        share = np.where(corner, part, 1 - part).prod(-1) * shown
        at = rows + np.ravel_multi_index(tuple(np.moveaxis(low + corner, -1, 0)), LEVELS)
        histogram += np.bincount(at.ravel(), share.ravel(), count * bins)
    histogram = histogram.reshape(count, bins)
    return np.sqrt(histogram / np.maximum(histogram.sum(1, keepdims=True), 1e-9))
