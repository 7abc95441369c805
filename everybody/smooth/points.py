"""People as points to be smoothed: the corners of the box and the joints; and the rows of one
frame's people in another frame.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..people import People


def points(people: People) -> tuple[Array, Array]:
    """[N, P, 2] pixels, P = 2 + K, and their weights [N, P]: 1 for a box, the score for a joint, 0
    where a coordinate is not finite.
    """
    corners = people.boxes.reshape(-1, 2, 2)
    places = np.concatenate([corners, people.keypoints[..., :2]], axis=1).astype(np.float64)
    weights = np.ones(places.shape[:2])
    weights[:, 2:] = people.keypoints[..., 2].clip(0, 1)
    broken = np.logical_not(np.isfinite(places).all(axis=2))
    if broken.any():
        weights[broken], places[broken] = 0.0, 0.0
    return places, weights


def moved(people: People, places: Array) -> People:
    """The same people with these points [N, P, 2]."""
    keypoints = people.keypoints.copy()
    keypoints[..., :2] = places[:, 2:]
    return replace(people, keypoints=keypoints, boxes=places[:, :2].reshape(-1, 4))


def sizes(places: Array) -> Array:
    """[N, P, 2] -> [N]: the square root of the box's area, at least a pixel."""
    return np.sqrt(np.maximum((places[:, 1] - places[:, 0]).clip(0).prod(-1), 1.0))


def rows(ids: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.intp]:
    """[N], [M] ids -> [N]: the place of each among the others, -1 where it is not there."""
    if len(ids) == len(among) and (ids == among).all():
        return np.arange(len(ids))
    if not len(among):
        return np.full(len(ids), -1)
    order = np.argsort(among)
    place = np.searchsorted(among, ids, sorter=order).clip(max=len(among) - 1)
    return np.where(among[order[place]] == ids, order[place], -1)
