"""How people move: time series per person from results, velocities, and the angles of joints by
name.

Angles are between the two limbs that meet in a joint, in the picture's plane, in degrees: 180 is
straight. They are named after the joint: `left_knee` is hip - knee - ankle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .errors import DataError, OptionError
from .geometry import Array
from .media.clock import Films
from .media.names import numbered
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


# Trunk, thigh and shank: their share of body height (Drillis and Contini 1966).
SEGMENTS = {("shoulder", "hip"): 0.288, ("hip", "knee"): 0.245, ("knee", "ankle"): 0.246}


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One person over time: frames [F], times [F] in seconds, strictly increasing, keypoints [F, K,
    3] in pixels, and heights [F] of the pictures in pixels, 0 where they are not known.

    source: the film: a video, or the folder of the pictures.
    """

    source: str
    id: int
    skeleton: Skeleton
    frames: Array
    times: Array
    keypoints: Array
    heights: Array

    def upward(self) -> Array:
        """[F, K, 2]: x, and y counted upward from each picture's lower edge (from the upper one
        where its height is not known).
        """
        x, y = self.keypoints[..., 0], self.keypoints[..., 1]
        base = np.maximum(self.heights - 1, 0)[:, None]
        return np.stack([x, base - y], axis=-1)


class _Row(NamedTuple):
    """A person in one frame."""

    frame: int
    time: float
    keypoints: Array
    height: int


def paths(
    records: Iterable[Record],
    skeleton: Skeleton,
    *,
    id: int | None = None,
    source: str | None = None,
) -> list[Path]:
    """Records of tracked people -> a path per film and id, in the order of their coming; with `id`
    or `source`, of these. A folder's pictures are a film; a source may be called by its file name.

    Raises DataError where nobody has an id, or nobody is as asked for.
    """
    rows: dict[tuple[str, int], list[_Row]] = {}
    place: Counter[str] = Counter()
    for film, record in _films(records):
        frame = place[film] if film != record.source else record.index
        place[film] += 1
        if record.people.ids is None:
            continue
        for number, keypoints in zip(
            record.people.ids.tolist(), record.people.keypoints, strict=True
        ):
            known = rows.setdefault((film, number), [])
            if not known or record.time > known[-1].time:
                known.append(_Row(frame, record.time, keypoints, record.height))

    if not rows:
        raise DataError("the results hold nobody with an id; run with --track")
    chosen = [key for key in rows if _asked(key, id, source)]
    if not chosen:
        raise DataError(_nobody(list(rows), id, source))
    return [_path(key, rows[key], skeleton) for key in chosen]


def _films(records: Iterable[Record]) -> list[tuple[str, Record]]:
    """Each record with the name of its film."""
    every = list(records)
    moving = {record.source for record in every if numbered(record.source, record.index)}
    films = Films()
    return [
        (record.source if record.source in moving else films(record.source, 0), record)
        for record in every
    ]


def _asked(key: tuple[str, int], id: int | None, source: str | None) -> bool:
    film, number = key
    names = (film, PurePath(film).name, PurePath(film).stem)
    return id in (None, number) and (source is None or source in names)


def _nobody(known: list[tuple[str, int]], id: int | None, source: str | None) -> str:
    """That nobody is as asked for, and who there is."""
    who = "nobody" if id is None else f"nobody has id {id}"
    where = "" if source is None else f" in {source}"
    some = ", ".join(f"{number}" for _, number in known[:20]) + " …" * (len(known) > 20)
    films = list(dict.fromkeys(film for film, _ in known))
    several = f" of {', '.join(films[:5])}" if source is not None else ""
    return f"{who}{where}; there are {some}{several}"


def _path(key: tuple[str, int], rows: list[_Row], skeleton: Skeleton) -> Path:
    film, number = key
    frames, times, keypoints, heights = zip(*rows, strict=True)
    points = np.stack(keypoints).astype(np.float64)
    return Path(
        film, number, skeleton, np.array(frames), np.array(times), points, np.array(heights)
    )


def metres_per_pixel(path: Path, height: float, *, min_score: float = 0.2) -> float:
    """The scale at which the person is so many metres tall, from the median length of trunk, thigh
    and shank in frames where all are seen. It is right for people who move across the picture; who
    moves towards the camera changes in size. Raises DataError where they are never seen together.
    """
    joints, total = path.skeleton.joints, np.zeros(len(path.times))
    for ends in SEGMENTS:
        sides = [
            [joints.index(f"{side}_{end}") for end in ends]
            for side in ("left", "right")
            if all(f"{side}_{end}" in joints for end in ends)
        ]
        lengths = np.full((len(sides) or 1, len(path.times)), np.nan)
        for row, (a, b) in enumerate(sides):
            points = path.keypoints[:, [a, b]]
            seen = (points[..., 2] >= min_score).all(1)
            lengths[row, seen] = np.hypot(*(points[seen, 0, :2] - points[seen, 1, :2]).T)
        count = np.isfinite(lengths).sum(0)
        mean = np.nansum(lengths, axis=0) / np.maximum(count, 1)
        total += np.where(count, mean, np.nan)
    whole = total[total > 0]
    if not len(whole):
        raise DataError(
            f"person {path.id}: shoulder, hip, knee and ankle are never seen together, so that "
            "their height tells no scale; say --metres-per-pixel"
        )
    return height * sum(SEGMENTS.values()) / float(np.median(whole))


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
