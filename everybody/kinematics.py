"""How people move: time series per person from results, velocities, and the angles of joints by
name.

Angles are between the two limbs that meet in a joint, in the picture's plane, in degrees: 180 is
straight. They are named after the joint: `left_knee` is hip - knee - ankle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import DataError, OptionError
from .geometry import Array
from .skeletons import Skeleton

if TYPE_CHECKING:
    from .results.records import Record

ANGLES = {
    "elbow": ("shoulder", "elbow", "wrist"),
    "shoulder": ("elbow", "shoulder", "hip"),
    "hip": ("shoulder", "hip", "knee"),
    "knee": ("hip", "knee", "ankle"),
    "ankle": ("knee", "ankle", "big_toe"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One person over time: times [F] in seconds, strictly increasing, and keypoints [F, K, 3] in
    pixels.
    """

    source: str
    id: int
    skeleton: Skeleton
    frames: Array
    times: Array
    keypoints: Array


def paths(records: Iterable[Record], skeleton: Skeleton, *, id: int | None = None) -> list[Path]:
    """Records of tracked people -> a path per source and id, in the order of their appearance; with
    `id`, only that one. Raises DataError where there are no ids, or not this one.
    """
    rows: dict[tuple[str, int], list[tuple[int, float, Array]]] = {}
    known: set[int] = set()
    for record in records:
        if record.people.ids is None:
            continue
        for number, keypoints in zip(
            record.people.ids.tolist(), record.people.keypoints, strict=True
        ):
            known.add(number)
            row = rows.setdefault((record.source, number), []) if id in (None, number) else []
            if not row or record.time > row[-1][1]:
                row.append((record.index, record.time, keypoints))
    if not known:
        raise DataError("the results hold nobody with an id; run with --track")
    if not rows:
        some = ", ".join(map(str, sorted(known)[:20]))
        raise DataError(f"nobody has id {id}; there are {some}{' …' if len(known) > 20 else ''}")
    out = []
    for (source, number), row in rows.items():
        frames, times, keypoints = zip(*row, strict=True)
        points = np.stack(keypoints).astype(np.float64)
        out.append(Path(source, number, skeleton, np.array(frames), np.array(times), points))
    return out


def angle_names(skeleton: Skeleton) -> dict[str, tuple[int, int, int]]:
    """The angles of a skeleton by name: places of the three joints, the vertex in the middle."""
    place = {joint: k for k, joint in enumerate(skeleton.joints)}
    out = {}
    for side in ("left", "right"):
        for name, joints in ANGLES.items():
            sided = [f"{side}_{joint}" for joint in joints]
            if all(joint in place for joint in sided):
                out[f"{side}_{name}"] = (place[sided[0]], place[sided[1]], place[sided[2]])
    return out


def angles(keypoints: Array, skeleton: Skeleton, *, min_score: float = 0.2) -> dict[str, Array]:
    """[..., K, 3] -> each angle [...] in degrees, 0 to 180; NaN where one of its joints scores
    less than `min_score`.
    """
    out = {}
    for name, (a, b, c) in angle_names(skeleton).items():
        first, second = (keypoints[..., end, :2] - keypoints[..., b, :2] for end in (a, c))
        cross = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
        values = np.degrees(np.abs(np.arctan2(cross, (first * second).sum(-1))))
        seen = (keypoints[..., [a, b, c], 2] >= min_score).all(-1)
        out[name] = np.where(seen, values, np.nan)
    return out


def velocities(keypoints: Array, times: Array) -> Array:
    """[F, K, 2+] at times [F] -> [F, K, 2] in pixels per second: the slope of the parabola through
    each sample and its two neighbours, so that uneven times do no harm. 0 for a single frame.
    """
    points = keypoints[..., :2].astype(np.float64)
    if len(times) < 2:
        return np.zeros_like(points)
    return np.gradient(points, times, axis=0, edge_order=2 if len(times) > 2 else 1)


def series(path: Path, name: str) -> tuple[Array, str]:
    """One quantity of a path by name, [F] and its unit: an angle (`left_knee`), a coordinate
    (`left_wrist.x`, `.y`) or a joint's speed (`left_wrist.speed`). Raises OptionError that lists
    what there is.
    """
    joint, _, part = name.partition(".")
    if name in angle_names(path.skeleton):
        return angles(path.keypoints, path.skeleton)[name], "degrees"
    if joint in path.skeleton.joints and part in ("x", "y", "speed"):
        place = path.skeleton.joints.index(joint)
        if part == "speed":
            return np.hypot(*velocities(path.keypoints, path.times)[:, place].T), "pixels/s"
        return path.keypoints[:, place, "xy".index(part)], "pixels"
    known = ", ".join(angle_names(path.skeleton))
    raise OptionError(
        f"unknown quantity '{name}': angles are {known}; "
        f"joints have .x, .y and .speed (left_wrist.speed)"
    )
