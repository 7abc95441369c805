"""Mending momentary errors of pose estimators: outliers, and left taken for right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..media.clock import Films
from ..people import Frame, People
from ..skeletons import Skeleton
from .points import rows, sizes

LIMBS = ("shoulder elbow wrist", "hip knee ankle big_toe small_toe heel", "eye ear")
# Joints count as exchanged if the exchange divides their squared distance from the last frame by 4.
CLEARER = 0.25
FAR = 0.04  # body sizes that joints must have jumped
PATIENCE = 0.4  # seconds after which an exchange is believed
NEIGHBOURS = 3  # frames on each side that a point is compared with
SCALE = 1.4826  # of the median absolute deviation to a standard deviation, where errors are normal
LEAST = 0.02  # body sizes: nearer points are no outliers


def outliers(points: Array, weights: Array, sizes: Array, deviations: float) -> NDArray[np.bool_]:
    """Points [W, N, P, 2], weights [W, N, P], body sizes [N] -> [W, N, P] bool: True where a point
    is farther from the median of its neighbours in time than so many deviations (Hampel 1974).
    """
    count = len(points)
    around = np.arange(count)[:, None] + np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
    inside = (around >= 0) & (around < count)
    around = around.clip(0, count - 1)
    seen = (weights > 0)[around] & inside[:, :, None, None]
    near = np.where(seen[..., None], points[around], np.nan)  # [W, w, N, P, 2]
    some = seen.sum(1) >= 3
    near = np.where(some[:, None, ..., None], near, 0.0)
    middle = np.nanmedian(near, axis=1)
    spread = SCALE * np.nanmedian(np.abs(near - middle[:, None]), axis=1)
    limit = deviations * spread + LEAST * sizes[:, None, None]
    return (np.abs(points - middle) > limit).any(-1) & some & (weights > 0)


@lru_cache(maxsize=16)
def _limbs(skeleton: Skeleton) -> NDArray[np.bool_]:
    """[G, K] bool: groups of joints that are exchanged together."""
    sides = np.array([side != "centre" for side in skeleton.sides])
    groups = [
        [joint.partition("_")[2] in limb.split() for joint in skeleton.joints] & sides
        for limb in LIMBS
    ]
    return np.array([group for group in groups if group.any()]).reshape(-1, len(skeleton))


@dataclass(slots=True)
class _Last:
    ids: NDArray[np.int64]
    places: Array  # [N, K, 2]
    since: Array  # [N, G] seconds for which each limb has been exchanged


class Unswapped:
    """Called with each frame, returns its people with left and right limbs put back where the
    estimator exchanged them for less than `PATIENCE`: where the limbs, exchanged, are clearly
    nearer to their place in the last frame.
    """

    def __init__(self) -> None:
        self._last: _Last | None = None
        self._films, self._film = Films(), ""
        self._time = -np.inf

    def __call__(self, frame: Frame) -> People:
        people = frame.people
        limbs = _limbs(people.skeleton)
        another = self._film != (film := self._films(frame.source, frame.index))
        self._film = film
        if people.ids is None or not len(limbs):
            return people
        step = np.inf if another else frame.time - self._time
        self._time = frame.time
        keypoints = people.keypoints.copy()
        since = np.zeros((len(people), len(limbs)))
        last = self._last
        if last and 0 < step <= PATIENCE and last.places.shape[1] == len(people.skeleton):
            row = rows(people.ids, last.ids)
            known = np.flatnonzero(row >= 0)
            mirror = list(people.skeleton.mirror)
            before, now = last.places[row[known]], keypoints[known]
            swapped = now[:, mirror]
            weight = np.minimum(now[..., 2], swapped[..., 2])
            stay, change = (
                (np.square(pose[..., :2] - before).sum(-1) * weight) @ limbs.T
                for pose in (now, swapped)
            )  # [N, G]
            size = sizes(people.boxes[known].reshape(-1, 2, 2))
            far = np.square(FAR * size)[:, None] * (weight @ limbs.T)
            since[known] = last.since[row[known]] + step
            exchange = (stay > far) & (change < CLEARER * stay) & (since[known] <= PATIENCE)
            since[known] = np.where(exchange, since[known], 0.0)
            joints = exchange.astype(float) @ limbs > 0
            keypoints[known] = np.where(joints[..., None], swapped, now)
        self._last = _Last(people.ids, keypoints[..., :2].astype(np.float64), since)
        return replace(people, keypoints=keypoints, turns=None)
