"""`Motion`: the joints of one person in space over time, what files of motion are written from and
read into.

The world is that of `Poses3D`: z points up, and a body at rest looks along x with its left side
along y. Files of animation and biomechanics have y up, z forward and x left; `AXES` holds both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..geometry import Array
from ..people import Poses3D
from ..skeletons import Skeleton

# Rows: x, y and z of a file whose y points up (BVH, glTF, TRC, OpenSim), in terms of ours.
AXES: dict[str, Array] = {
    "world": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    "camera": np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]),
}


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """One person over time: joints [T, K, 4]: x, y, z in metres and a score in [0, 1], times [T] in
    seconds, strictly increasing.

    Joints given as [T, K, 3] score 1; a place that is not finite scores 0 and is NaN. `frame` as in
    `Poses3D`. Raises ValueError for shapes that do not fit, and for times that do not rise.
    """

    skeleton: Skeleton
    joints: Array
    times: Array
    id: int = 0
    name: str = ""
    frame: Literal["camera", "world"] = "world"

    def __post_init__(self) -> None:
        joints, times = np.asarray(self.joints, np.float64), np.asarray(self.times, np.float64)
        if joints.ndim == 3 and joints.shape[2] == 3:
            joints = np.concatenate([joints, np.ones_like(joints[..., :1])], 2)
        wanted = (len(times), len(self.skeleton), 4)
        if joints.shape != wanted:
            raise ValueError(f"joints must have shape {list(wanted)}, got {list(joints.shape)}")
        if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
            raise ValueError("times of a motion must be numbers that rise from frame to frame")
        unknown = np.asarray(~np.isfinite(joints).all(2))
        joints = np.where(unknown[..., None], (np.nan, np.nan, np.nan, 0.0), joints)
        object.__setattr__(self, "joints", joints)
        object.__setattr__(self, "times", times)

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        return f"Motion({len(self)} frames × {self.skeleton.name}, id {self.id})"

    @property
    def places(self) -> Array:
        """[T, K, 3] in metres; NaN where a joint is not seen."""
        return np.where(self.joints[..., 3:] > 0, self.joints[..., :3], np.nan)

    @property
    def rate(self) -> float:
        """Frames per second: one over the median step; 30 for a single frame."""
        return 1 / float(np.median(np.diff(self.times))) if len(self) > 1 else 30.0

    def upright(self) -> Array:
        """[T, K, 3] as files have it that count y upward; NaN where a joint is not seen."""
        return self.places @ AXES[self.frame].T


def motions(rows: Iterable[tuple[float, Poses3D]]) -> list[Motion]:
    """Times and the poses seen then -> one motion per id, in the order of their coming.

    People without ids count as one each by their place in the frame. A row whose time does not go
    on is left out.
    """
    found: dict[int, list[tuple[float, Array]]] = {}
    skeletons: dict[int, Poses3D] = {}
    for time, poses in rows:
        ids = range(len(poses)) if poses.ids is None else poses.ids.tolist()
        for number, joints in zip(ids, poses.joints, strict=True):
            track = found.setdefault(number, [])
            skeletons.setdefault(number, poses)
            if not track or time > track[-1][0]:
                track.append((time, joints))
    return [
        Motion(
            skeletons[number].skeleton,
            np.stack([joints for _, joints in track]),
            np.array([time for time, _ in track]),
            id=number,
            frame=skeletons[number].frame,
        )
        for number, track in found.items()
    ]


def even(motion: Motion, *, most: int = 1 << 20) -> Motion:
    """The same motion at even times without gaps, for files and smoothing that have neither: joints
    go straight from where they are seen to where they are seen next, and stay before and after.

    A joint that is never seen stays NaN with score 0; one that is filled in scores 0 but has a
    place. Raises ValueError where that makes more than `most` frames.
    """
    times = motion.times
    if len(times) > 1:
        step = float(np.median(np.diff(times)))
        count = round((times[-1] - times[0]) / step) + 1
        if count > most:
            raise ValueError(f"gaps make {count} frames of {len(times)}")
        times = times[0] + step * np.arange(count)
    joints = np.full((len(times), len(motion.skeleton), 4), np.nan)
    joints[..., 3] = 0
    near = np.searchsorted((motion.times[1:] + motion.times[:-1]) / 2, times)
    exact = np.abs(motion.times[near] - times) < 0.5 / motion.rate if len(motion) else near > 0
    places = motion.places
    for k in range(len(motion.skeleton)):
        seen = np.isfinite(places[:, k]).all(1)
        if not seen.any():
            continue
        for axis in range(3):
            joints[:, k, axis] = np.interp(times, motion.times[seen], places[seen, k, axis])
        joints[:, k, 3] = np.where(exact, motion.joints[near, k, 3], 0)
    return replace(motion, joints=joints, times=times)
