"""`Show`: what there is to look at, moment by moment, from any results that hold people in space.

All views show metres with z up. What one camera saw (x right, y down, z away) is turned upright: x
stays, z is what was up, y is what was away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ...data.motions import holds_motion, read_motions
from ...errors import DataError
from ...geometry import Array
from ...kinematics import angle_names
from ...lift.body import tree_skeleton
from ...lift.motion import Motion
from ...people import Floats, People
from ...results.journal import read_journal
from ...results.lines import journal_file
from ...results.records import Record
from ...results.spatial import Record3D, read, spatial_file
from ...skeletons import SKELETONS, Skeleton

Mask = NDArray[np.bool_]

# Rows: x, y and z of what is shown.
UPRIGHT = {"world": np.eye(3), "camera": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])}
SPARE = 0.6  # metres of floor around the people
FAR = 3.2  # how many times as far the camera stands as people come
LEAST = 0.2  # score of a joint in 2D to be shown
DARKER = 0.62  # part of a person's colour on light paper


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A frame: places [N, K, 3] in metres, z up, NaN where not seen; ids [N]; its people in 2D and
    the picture's (width, height), where they are known.
    """

    source: str
    index: int
    time: float
    places: Floats
    ids: list[int]
    flat: People | None = None
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Show:
    """Moments in order, of one skeleton."""

    name: str
    skeleton: Skeleton
    moments: Sequence[Moment]

    @property
    def ids(self) -> list[int]:
        return sorted({number for moment in self.moments for number in moment.ids})

    def room(self) -> tuple[Array, float]:
        """The middle of the floor [3] and how far from it people come, in metres: of all but the
        outermost hundredth of the joints.
        """
        points = [moment.places.reshape(-1, 3) for moment in self.moments]
        known = np.concatenate([np.zeros((0, 3)), *points])
        known = known[np.isfinite(known).all(1)]
        if not len(known):
            return np.zeros(3), 1.0
        low, high = np.percentile(known, [1, 99], 0)
        middle = np.array([*(low[:2] + high[:2]) / 2, low[2]])
        return middle, float(max(high - low) / 2 + SPARE)


def spatial_angles(places: Array, skeleton: Skeleton) -> dict[str, Array]:
    """[..., K, 3] -> each angle of `kinematics.ANGLES` in space [...], in degrees, 0 to 180; NaN
    where a joint is not seen.
    """
    out = {}
    for name, (a, vertex, b) in angle_names(skeleton).items():
        one, other = places[..., a, :] - places[..., vertex, :], places[..., b, :]
        other = other - places[..., vertex, :]
        across = np.linalg.norm(np.cross(one, other), axis=-1)
        out[name] = np.degrees(np.arctan2(across, (one * other).sum(-1)))
    return out


def load(path: Path) -> Show:
    """A folder of results or its frames3d.jsonl, people3d.npz, or a file of motion capture. Raises
    DataError.
    """
    if not path.exists():
        raise DataError(f"{path}: does not exist")
    if path.is_dir() and not spatial_file(path).is_file() and (path / "people3d.npz").is_file():
        path = path / "people3d.npz"
    if path.suffix == ".npz":
        return _of_npz(path)
    if holds_motion(path) or path.suffix == ".amc":
        return of_motions(read_motions(path), path.name)
    return of_records(read(path), _beside(path), path.name)


def _beside(path: Path) -> Iterable[Record | None]:
    """The records of the same frames in 2D."""
    file = journal_file(spatial_file(path).parent)
    return read_journal(file) if file.is_file() else ()


def of_records(spatial: Iterable[Record3D], flat: Iterable[Record | None], name: str) -> Show:
    """Line n of one belongs to line n of the other. Raises DataError for several skeletons."""
    moments, skeleton = [], None
    for record, seen in zip(spatial, chain(flat, repeat(None)), strict=False):
        poses = record.poses
        skeleton = skeleton or poses.skeleton
        if poses.skeleton is not skeleton:
            raise DataError(f"{name}: people of {skeleton.name} and of {poses.skeleton.name}")
        places = np.where(poses.joints[..., 3:] > 0, poses.joints[..., :3], np.nan)
        ids = list(range(len(poses))) if poses.ids is None else poses.ids.tolist()
        same = seen is not None and (seen.source, seen.index) == (record.source, record.index)
        moments.append(
            Moment(
                record.source,
                record.index,
                record.time,
                (places @ UPRIGHT[poses.frame].T).astype(np.float32),
                ids,
                seen.people if seen and same else None,
                seen.size if seen and same else (0, 0),
            )
        )
    return Show(name, skeleton or SKELETONS["h36m-17"], moments)


def of_motions(motions: Sequence[Motion], name: str) -> Show:
    """Frames at all times that any of them has. Raises DataError for several skeletons."""
    if not motions:
        return Show(name, SKELETONS["h36m-17"], [])
    skeleton = motions[0].skeleton
    if any(motion.skeleton.joints != skeleton.joints for motion in motions):
        raise DataError(f"{name}: its people have different joints")
    numbers = [motion.id for motion in motions]
    if len(set(numbers)) < len(numbers):
        numbers = list(range(len(motions)))
    rows: dict[float, list[tuple[int, Array]]] = {}
    for number, motion in zip(numbers, motions, strict=True):
        places = motion.places @ UPRIGHT[motion.frame].T
        for time, joints in zip(motion.times.tolist(), places, strict=True):
            rows.setdefault(round(time, 4), []).append((number, joints))
    moments = [
        Moment(name, n, time, np.array([j for _, j in row], np.float32), [i for i, _ in row])
        for n, (time, row) in enumerate(sorted(rows.items()))
    ]
    return Show(name, _with_bones(skeleton), moments)


def _with_bones(skeleton: Skeleton) -> Skeleton:
    """Files of points (TRC, C3D) say no bones: the largest format whose joints are there does."""
    place = {joint: k for k, joint in enumerate(skeleton.joints)}
    whole = [
        known for known in SKELETONS.values() if len(known) and place.keys() >= {*known.joints}
    ]
    if skeleton.limbs or not whole:
        return skeleton
    known = max(whole, key=len)
    bones = [(place[known.joints[a]], place[known.joints[b]]) for a, b in known.limbs]
    return replace(skeleton, limbs=tuple(bones))


def _of_npz(path: Path) -> Show:
    """What `triangulate` and `lift -f npz` write."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}
        joints = tuple(data["joints"].tolist())
        places = data["positions_3d"].astype(np.float64)
        times = data["times" if "times" in data else "time"].astype(np.float64)
        ids = data["ids" if "ids" in data else "id"].astype(np.int64)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"{path}: not people in space as `triangulate` writes ({error})") from None
    if places.shape != (len(ids), len(joints), 3) or times.shape != ids.shape:
        raise DataError(f"{path}: positions_3d, times, ids and joints do not fit together")
    known = (skeleton for skeleton in SKELETONS.values() if skeleton.joints == joints)
    skeleton = next(known, None) or tree_skeleton(path.name, joints)
    # `lift` says the space; `triangulate` knows the world alone.
    frame = "camera" if "camera" in data.get("space", ()) else "world"
    motions = []
    for number in np.unique(ids).tolist():
        rows = np.flatnonzero(ids == number)
        rows = rows[np.unique(times[rows], return_index=True)[1]]
        motions.append(Motion(skeleton, places[rows], times[rows], id=number, frame=frame))
    return of_motions(motions, path.name)
