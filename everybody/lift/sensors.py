"""Other sensors than a camera of colours: depth maps, which lift joints directly, and inertial
measurement units (IMUs) on bones, whose orientations inverse kinematics obeys (von Marcard et al.
2016).

How a sensor lies on its bone, and where its world's north is, nobody measures: both are found from
the video's own solution, as the turns that fit best over the whole track.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from ..errors import DataError
from ..geometry import Array
from ..people import People, Poses3D
from ..typed import read_bytes
from .body import Animation, Body
from .rotations import nearest
from .terms import Turns

# Bone -> the joint that turns it, the first that the body has; {} is the side.
BONES: dict[str, tuple[str, ...]] = {
    "pelvis": ("pelvis",),
    "trunk": ("chest", "spine", "torso"),
    "head": ("upper_neck", "neck", "thorax"),
    **{
        f"{side}_{bone}": (f"{side}_{joint}",)
        for side in ("left", "right")
        for bone, joint in (
            ("upper_arm", "shoulder"),
            ("forearm", "elbow"),
            ("hand", "wrist"),
            ("thigh", "hip"),
            ("shank", "knee"),
            ("foot", "ankle"),
        )
    },
}
COLUMNS = ("time", "bone", "w", "x", "y", "z")


# --- depth


def lift_depth(
    people: People,
    depth: NDArray[Any],
    matrix: Array,
    *,
    radius: int = 3,
    thickness: float = 0.0,
    reach: float = 1.0,
) -> Poses3D:
    """People of a picture, its depth map [H, W] in metres, the camera's matrix [3, 3] -> the same
    people in space, in the camera's axes.

    A joint is as far as the median of the depths within `radius` pixels, of those that lie within
    `reach` metres of the person's; a place without such depth (0, NaN) scores 0. thickness: metres
    from the skin, which the sensor sees, to the joint. Raises DataError for maps that are none.
    """
    if depth.ndim != 2 or not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise DataError(
            f"depth map {list(depth.shape)}, camera matrix {np.asarray(matrix).tolist()}: expected "
            "[H, W] and [3, 3] with focal lengths above 0"
        )
    known = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan)
    joints = np.zeros((len(people), len(people.skeleton), 4), np.float32)
    for n, keypoints in enumerate(people.keypoints):
        samples = [_around(known, point[:2], radius) for point in keypoints]
        found = [
            float(np.median(s))
            for s, p in zip(samples, keypoints, strict=True)
            if len(s) and p[2] > 0
        ]
        if not found:
            continue
        middle = float(np.median(found))
        for k, (point, some) in enumerate(zip(keypoints, samples, strict=True)):
            near = some[np.abs(some - middle) <= reach]
            if len(near) and point[2] > 0:
                far = float(np.median(near)) + thickness
                ray = np.linalg.solve(matrix, [point[0], point[1], 1.0])
                joints[n, k] = (*(ray / ray[2] * far), point[2])
    return Poses3D(joints, people.skeleton, people.ids)


def _around(depth: Array, point: Array, radius: int) -> Array:
    """The known depths about a pixel."""
    if not np.isfinite(point).all():
        return np.zeros(0)
    x, y = (round(float(value)) for value in np.clip(point, -1e6, 1e6))
    rows, columns = (slice(max(v - radius, 0), max(v + radius + 1, 0)) for v in (y, x))
    values = depth[rows, columns].ravel()
    return values[np.isfinite(values)]


# --- inertial sensors


@dataclass(frozen=True, eq=False)
class Imus:
    """Orientations of sensors on B bones: per bone its times [T] in seconds and orientations
    [T, 3, 3] in the sensors' world.
    """

    bones: tuple[str, ...]
    times: tuple[Array, ...]
    orientations: tuple[Array, ...]


def read_imus(path: Path) -> Imus:
    """A CSV with a line per sample: time in seconds, bone, and the quaternion w, x, y, z that turns
    the sensor's axes into the world's. Raises DataError that names the line.
    """
    try:
        rows = list(csv.reader(StringIO(read_bytes(path).decode("utf-8"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not CSV in UTF-8 ({error})") from None
    head = tuple(cell.strip().lower() for cell in rows[0]) if rows else ()
    if sorted(head) != sorted(COLUMNS):
        raise DataError(f"{path}: line 1: expected the columns {', '.join(COLUMNS)}")
    samples: dict[str, list[list[float]]] = {}
    for number, row in enumerate(rows[1:], 2):
        if row:
            bone, values = _sample(path, number, dict(zip(head, row, strict=False)))
            track = samples.setdefault(bone, [])
            if track and values[0] <= track[-1][0]:
                raise DataError(f"{path}: line {number}: the time of '{bone}' does not go on")
            track.append(values)
    if not samples:
        raise DataError(f"{path}: has no samples")
    arrays = {bone: np.array(track) for bone, track in samples.items()}
    return Imus(
        tuple(arrays),
        tuple(values[:, 0] for values in arrays.values()),
        tuple(
            Rotation.from_quat(values[:, [2, 3, 4, 1]]).as_matrix() for values in arrays.values()
        ),
    )


def _sample(path: Path, number: int, cells: dict[str, str]) -> tuple[str, list[float]]:
    bone = cells.get("bone", "").strip()
    if bone not in BONES:
        raise DataError(
            f"{path}: line {number}: unknown bone '{bone[:30]}': known are {', '.join(BONES)}"
        )
    try:
        values = [float(cells[name]) for name in COLUMNS if name != "bone"]
    except (KeyError, ValueError):
        raise DataError(f"{path}: line {number}: expected five numbers and a bone") from None
    if not np.isfinite(values).all() or not 0.5 < np.linalg.norm(values[1:]) < 2:
        raise DataError(f"{path}: line {number}: expected a quaternion of length 1")
    return bone, values


def carried(imus: Imus, body: Body) -> tuple[int, ...]:
    """The joints of a body that turn the sensors' bones. Raises DataError where it lacks one."""
    place = {body.joints[j]: j for j in body.turning}
    out = []
    for bone in imus.bones:
        joint = next((place[name] for name in BONES[bone] if name in place), None)
        if joint is None:
            raise DataError(f"a sensor is on '{bone}', which the body {body.name} does not turn")
        out.append(joint)
    return tuple(out)


def imu_term(imus: Imus, animation: Animation, *, error: float = 0.05) -> Turns:
    """What inverse kinematics is to obey: sensors of a usual error in radians, laid on the bones as
    they fit an animation that the video alone gave. Moments without samples near do not count.
    """
    joints = carried(imus, animation.body)
    goals, weights = _at(imus, animation.times)
    measured = animation.orientations[:, list(joints)]
    north, mounts = align(goals, measured, weights)
    goals = north @ goals @ mounts
    return Turns(joints, goals, weights / error)


def _at(imus: Imus, times: Array) -> tuple[Array, Array]:
    """Orientations [T, B, 3, 3] at times, turned evenly between samples, and whether they are known
    [T, B]: not before the first sample nor after the last, nor half a second from one.
    """
    goals = np.eye(3)[None, None].repeat(len(times), 0).repeat(len(imus.bones), 1)
    known = np.zeros((len(times), len(imus.bones)))
    for b, (own, turns) in enumerate(zip(imus.times, imus.orientations, strict=True)):
        inside = (times >= own[0] - 1e-9) & (times <= own[-1] + 1e-9)
        after = np.searchsorted(own, times).clip(0, len(own) - 1)
        before = (after - 1).clip(0)
        inside &= np.minimum(np.abs(own[after] - times), np.abs(own[before] - times)) < 0.5
        if len(own) > 1 and inside.any():
            turned = Slerp(own, Rotation.from_matrix(turns))(times[inside].clip(own[0], own[-1]))
            goals[inside, b] = turned.as_matrix()
        elif inside.any():
            goals[inside, b] = turns[0]
        known[:, b] = inside
    return goals, known


def align(sensors: Array, bones: Array, weights: Array, *, rounds: int = 30) -> tuple[Array, Array]:
    """Sensors and bones [T, B, 3, 3] -> north [3, 3] and mounts [B, 3, 3], so that north @ sensor @
    mount is the bone as well as can be: each in turn the best for the other, from eight norths
    about the vertical. Sensors know what is up.
    """
    scale = weights[..., None, None]
    best: tuple[float, Array, Array] | None = None
    for yaw in np.arange(8) * np.pi / 4:
        north = Rotation.from_rotvec([0, 0, yaw]).as_matrix()
        mounts = np.eye(3)[None].repeat(sensors.shape[1], 0)
        for _ in range(rounds):
            mounts = nearest(
                (np.swapaxes(north @ sensors, 2, 3) @ bones * scale).sum(0) + 1e-9 * mounts
            )
            spread = (bones @ np.swapaxes(sensors @ mounts, 2, 3) * scale).sum((0, 1))
            turn = np.arctan2(spread[1, 0] - spread[0, 1], spread[0, 0] + spread[1, 1])
            north = Rotation.from_rotvec([0, 0, turn]).as_matrix()
        fit = float((north @ sensors @ mounts * bones * scale).sum())
        if best is None or fit > best[0]:
            best = (fit, north, mounts)
    assert best is not None
    return best[1], best[2]


def synthetic_imus(
    animation: Animation,
    bones: Sequence[str],
    random: np.random.Generator,
    *,
    error: float = 0.05,
) -> Imus:
    """Sensors as they would say an animation's bones: each laid on its bone anyhow, all with one
    north of their own, and a constant and a changing error of so many radians together.
    """
    imus = Imus(tuple(bones), (animation.times,) * len(bones), ())
    joints = carried(imus, animation.body)
    north = Rotation.from_rotvec([0, 0, random.uniform(-np.pi, np.pi)]).as_matrix()
    out = []
    for joint in joints:
        mount = Rotation.random(rng=random).as_matrix()
        shake = random.normal(size=(len(animation), 3)) * error / np.sqrt(3)
        noise = Rotation.from_rotvec(shake).as_matrix()
        out.append(north.T @ noise @ animation.orientations[:, joint] @ mount.T)
    return replace(imus, orientations=tuple(out))
