"""What is remembered of a person who is lifted: where the joints were, how long the bones are, how
far away the body was.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from ..geometry import Array
from ..skeletons import COCO17, H36M17
from .anatomy import PROPORTIONS, bones, stature
from .floor import Planted

RATE = 30.0  # frames a second of a clip, whatever the source has
BRIDGED = 0.25  # seconds between two frames that are joined by a line
KEPT = 1.0  # seconds of joints that are remembered
EARLIER = 15.0  # frames that the mean proportions of people count as
STEADY = 0.3  # seconds in which a depth that changed is followed by two thirds


class Track:
    """One person: joints over the last second, and what all frames so far tell of the body."""

    def __init__(self) -> None:
        self.times: deque[float] = deque()
        self.points: deque[Array] = deque()
        self._bones = EARLIER * np.log(PROPORTIONS)
        self._weight = EARLIER
        self._depth, self._time = math.nan, -math.inf
        self.last = -math.inf  # time of the newest frame
        self.feet = Planted()

    def add(self, time: float, points: Array) -> None:
        """Rays and scores [K, 3] of a frame later than all before."""
        if self.times and time <= self.times[-1]:
            time = self.times[-1] + 1 / RATE
        self.times.append(time)
        self.points.append(points)
        self.last = time

    def forget(self, before: float) -> None:
        """Frames that no clip needs any more."""
        while self.times and self.times[0] < before:
            self.times.popleft()
            self.points.popleft()

    def clip(self, at: float, before: int, after: int) -> Array:
        """Rays and scores [before + 1 + after, K, 3] at steps of 1 / RATE around a time: between
        frames by a line, zeros where there is no frame near.
        """
        wanted = at + np.arange(-before, after + 1) / RATE
        return sampled(np.array(self.times), np.stack(self.points), wanted)

    def steadied(self, pose: Array, trust: float) -> Array:
        """A pose [17, 3] in heights of the body -> the same directions, with the mean bones of all
        frames so far. trust: weight of this frame, 0 to 1.
        """
        lengths = np.maximum(bones(pose), 1e-3)[1:]
        both = np.log(np.concatenate([[1.0], lengths]))
        both = (both + both[list(H36M17.mirror)]) / 2
        self._bones = self._bones + trust * both
        self._weight += trust
        return rebuilt(pose, np.exp(self._bones / self._weight))

    def near(self, root: Array, time: float) -> Array:
        """The root [3] on the same ray, at a depth that does not jump."""
        step = time - self._time
        self._time = time
        if not 0 < step <= KEPT or math.isnan(self._depth):
            self._depth = math.log(root[2])
            return root
        share = 1 - math.exp(-step / STEADY)
        self._depth += share * (math.log(root[2]) - self._depth)
        return root * (math.exp(self._depth) / root[2])


def sampled(times: Array, points: Array, wanted: Array) -> Array:
    """Joints [T, K, 3] at times [T] -> [F, K, 3] at others."""
    after = np.searchsorted(times, wanted - 1e-4)  # a millisecond of jitter is no gap
    after = np.minimum(after, len(times) - 1)
    before = np.maximum(after - 1, 0)
    exact = np.abs(times[after] - wanted) < 2e-3
    before = np.where(exact, after, before)

    gap = times[after] - times[before]
    inside = (times[before] <= wanted + 2e-3) & (times[after] >= wanted - 2e-3)
    known = inside & (gap <= BRIDGED)
    share = np.where(gap > 0, (wanted - times[before]) / np.where(gap > 0, gap, 1), 0)
    share = np.clip(share, 0, 1)[:, None, None]
    mixed = (1 - share) * points[before] + share * points[after]
    return np.where(known[:, None, None], mixed, 0).astype(np.float32)


def rebuilt(pose: Array, lengths: Array) -> Array:
    """A pose [17, 3] with bones of other lengths [17], as tall as a body of height 1."""
    out = np.zeros_like(pose)
    for k, parent in enumerate(H36M17.parents):
        if parent >= 0:
            bone = pose[k] - pose[parent]
            out[k] = out[parent] + bone * (lengths[k] / max(float(np.linalg.norm(bone)), 1e-6))
    return out / max(float(stature(out)), 1e-6)


_FACE = [COCO17.joints.index(name) for name in ("nose", "left_ear", "right_ear")]


def scores(points: Array) -> Array:
    """Scores of COCO's joints [..., 17] -> of H36M17's [..., 17]: where one is between others, the
    worse of them; the head's are those of the face.
    """
    place = {name: points[..., k] for k, name in enumerate(COCO17.joints)}
    hips = np.minimum(place["left_hip"], place["right_hip"])
    shoulders = np.minimum(place["left_shoulder"], place["right_shoulder"])
    face = points[..., _FACE].max(-1)
    between = {
        "pelvis": hips,
        "spine": np.minimum(hips, shoulders),
        "thorax": shoulders,
        "upper_neck": np.maximum(face, 0.5 * shoulders),
        "head_top": face,
    }
    return np.stack([between.get(name, place.get(name)) for name in H36M17.joints], -1)  # type: ignore[arg-type]
