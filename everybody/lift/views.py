"""People in the views of several cameras -> people in space over time.

On a common clock, frame by frame: whoever is known is found again in each view, who is left over
and seen by two cameras or more is new (`associate`); then, over whole tracks, joints are
triangulated from the cameras that agree (`triangulate`) and refined (`refine`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..errors import DataError, OptionError
from ..people import People
from ..skeletons import Skeleton
from .associate import NEARNESS, Group, Nearness, Rays, assigned, consistent, grouped
from .cameras import Camera
from .motion import Motion
from .refine import SMOOTHNESS, Smoothness, refine
from .synchronise import shifts
from .triangulate import TRUST, Trust, apart, from_slopes

Array = NDArray[np.floating[Any]]
Say = Callable[[str], None]

BRIDGED = 0.01  # score of a joint that no two views see at that moment
CROPPED = 0.02  # share by which a picture may differ from the calibrated one and still be the same
MOST_FRAMES = 1 << 22


class Pictured(Protocol):
    """A frame or its record."""

    @property
    def time(self) -> float: ...
    @property
    def people(self) -> People: ...


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What one camera saw: times [T] in seconds, keypoints [N, K, 3] of each time, in pixels of
    pictures of this (width, height), or None where that is not known.
    """

    name: str
    skeleton: Skeleton
    times: Array
    people: list[Array]
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        times = np.asarray(self.times, np.float64)
        if len(times) != len(self.people) or not (np.diff(times) > 0).all():
            raise DataError(f"{self.name}: expected a rising time for each frame")
        object.__setattr__(self, "times", times)

    @classmethod
    def of(cls, name: str, records: Iterable[Pictured], skeleton: Skeleton) -> View:
        """Frames or records of one film; those whose time does not go on are left out."""
        times, people, size = [], [], None
        for record in records:
            if times and record.time <= times[-1]:
                continue
            times.append(record.time)
            people.append(record.people.keypoints.astype(np.float64))
            width, height = getattr(record, "size", None) or (record.width, record.height)
            size = size or ((width, height) if width > 0 < height else None)
        return cls(name, skeleton, np.array(times), people, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All that triangulating people depends on. shown: seconds for which a person must be seen by
    two cameras to count. lost: seconds after which somebody is forgotten. synchronise: seconds that
    clocks may be apart; 0: they are right.
    """

    trust: Trust = TRUST
    nearness: Nearness = NEARNESS
    smoothness: Smoothness = SMOOTHNESS
    shown: float = 0.2
    lost: float = 1.0
    synchronise: float = 0.0

    def __post_init__(self) -> None:
        if not (self.shown >= 0 and self.lost >= 0 and 0 <= self.synchronise < 3600):
            raise OptionError("rules of views: expected shown, lost and synchronise from 0 up")


RULES = Rules()


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A person in space: motion, and errors [C, T, K]: pixels by which the final joints lie off
    what each camera sees, NaN where that view did not count.
    """

    motion: Motion
    errors: Array


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """People in space; cameras as they were used, and seconds by which each one's clock is late."""

    people: list[Seen]
    cameras: list[Camera]
    late: Array = field(default_factory=lambda: np.zeros(0))

    @property
    def motions(self) -> list[Motion]:
        return [seen.motion for seen in self.people]

    def errors(self) -> dict[str, dict[str, float]]:
        """Median pixels by which joints lie off, by camera and by joint."""
        if not self.people:
            return {"cameras": {}, "joints": {}}
        joints = self.people[0].motion.skeleton.joints
        every = np.concatenate([seen.errors for seen in self.people], 1)
        return {
            "cameras": _medians([c.name for c in self.cameras], every),
            "joints": _medians(joints, np.moveaxis(every, 2, 0)),
        }


def _medians(names: Sequence[str], rows: Array) -> dict[str, float]:
    known = [row[np.isfinite(row)] for row in rows]
    pairs = zip(names, known, strict=True)
    return {name: float(np.median(row)) if len(row) else float("nan") for name, row in pairs}


def triangulate_views(
    cameras: Sequence[Camera],
    views: Sequence[View],
    rules: Rules = RULES,
    *,
    say: Say = lambda text: None,
) -> Scene:
    """Views of one scene -> its people in space; each view is of the camera of its name (`paired`).

    `say` hears of what is odd but stops nothing. Raises DataError where views and cameras do not
    belong together, or of fewer than two.
    """
    chosen, views = paired(cameras, views, say)
    apart(chosen)
    skeletons = {view.skeleton.name for view in views}
    if len(skeletons) > 1:
        raise DataError(
            f"views of several skeletons ({', '.join(sorted(skeletons))}): expected one"
        )
    chosen = [_fitting(camera, view, say) for camera, view in zip(chosen, views, strict=True)]
    rays = [_rays(camera, view, rules) for camera, view in zip(chosen, views, strict=True)]

    late = np.zeros(len(views))
    if rules.synchronise:
        late = _clocks(rays, views, rules, say)
    step, clock, frames = _common(views, late, say)
    moments = [
        [rows[f] if f >= 0 else None for rows, f in zip(rays, now, strict=True)]
        for now in frames.T.tolist()
    ]
    tracks = follow(moments, chosen, views[0].skeleton, rules, step)
    people = []
    for number, track in enumerate(tracks, 1):
        seen = _person(number, track, chosen, views, frames, clock, step, rules)
        if seen is not None:
            people.append(seen)
    return Scene(people, chosen, late)


# --- cameras and views


def paired(
    cameras: Sequence[Camera], views: Sequence[View], say: Say = lambda text: None
) -> tuple[list[Camera], list[View]]:
    """The camera of each view: of the same name (cam_01 is cam01), else of a name within it
    (cam01 is trial3_cam01_hd), else by order where there are as many of both.
    """
    names = [_plain(camera.name) for camera in cameras]
    places = []
    for view in views:
        plain = _plain(view.name)
        found = [n for n, name in enumerate(names) if name == plain]
        if not found:
            inside = [n for n, name in enumerate(names) if name and name in plain]
            longest = max((len(names[n]) for n in inside), default=0)
            found = [n for n in inside if len(names[n]) == longest]
        places.append(found[0] if len(found) == 1 else -1)
    known = ", ".join(camera.name for camera in cameras)
    if -1 in places or len(set(places)) < len(places):
        if len(cameras) != len(views) or any(place >= 0 for place in places):
            lost = views[places.index(-1)].name if -1 in places else "two views"
            raise DataError(
                f"{lost}: no camera of the calibration is called so; known are {known}: name each "
                "video or folder like its camera"
            )
        places = list(range(len(views)))
        pairs = zip(views, cameras, strict=True)
        told = ", ".join(f"{view.name} is {camera.name}" for view, camera in pairs)
        say(f"views and cameras have no names in common and are taken in order: {told}")
    unused = [camera.name for n, camera in enumerate(cameras) if n not in places]
    if unused:
        say(f"no view of {', '.join(unused[:8])}{' …' * (len(unused) > 8)}: goes without")
    return [cameras[place] for place in places], list(views)


def _plain(name: str) -> str:
    """cam_01 -> cam1: letters and numbers, without zeros that only pad."""
    out, digits = [], ""
    for sign in [*name.lower(), ""]:
        if sign.isdigit():
            digits += sign
            continue
        if digits:
            out.append(digits.lstrip("0") or "0")
            digits = ""
        out.append(sign if sign.isalnum() else "")
    return "".join(out)


def _fitting(camera: Camera, view: View, say: Say) -> Camera:
    """The camera for pictures of the view's size, where that differs from the calibrated one."""
    if camera.size is None or view.size is None or camera.size == view.size:
        return camera
    (width, height), (wide, high) = camera.size, view.size
    said = f"{view.name}: pictures are {wide} × {high}, calibrated were {width} × {height}"
    across, down = wide / width, high / height
    if abs(across - 1) < CROPPED and abs(down - 1) < CROPPED:
        say(f"{said}: taken as the same, cut at the right and below")
        return camera
    if abs(across / down - 1) < CROPPED:
        say(f"{said}: taken as the same, made {'smaller' if across < 1 else 'larger'}")
        return camera.of_size(view.size)
    raise DataError(f"{said}: these are turned or cut; calibrate with the pictures you use")


# --- time


def _rays(camera: Camera, view: View, rules: Rules) -> list[Rays]:
    """One per frame."""
    counts = [len(people) for people in view.people]
    joints = np.concatenate([*view.people, np.zeros((0, len(view.skeleton), 3))])
    directions = camera.directions(joints[..., :2])
    scores = np.where(np.isfinite(directions).all(-1), np.nan_to_num(joints[..., 2]), 0)
    scores = np.where(scores >= rules.trust.score, scores, 0)
    ends = np.cumsum(counts)[:-1] if counts else []
    parts = zip(np.split(np.nan_to_num(directions), ends), np.split(scores, ends), strict=True)
    return [Rays(camera.centre, *part) for part in parts]


def _steps(views: Sequence[View]) -> float:
    """Seconds between frames of the fastest camera."""
    steps = [float(np.median(np.diff(view.times))) for view in views if len(view.times) > 1]
    return min(steps, default=1 / 30)


def _common(views: Sequence[View], late: Array, say: Say) -> tuple[float, Array, NDArray[np.intp]]:
    """Seconds of a step, times [T], and [C, T]: the frame of each view that is nearest, or -1."""
    step = _steps(views)
    spans = [
        (view.times[0] - by, view.times[-1] - by) if len(view.times) else (np.inf, -np.inf)
        for view, by in zip(views, late, strict=True)
    ]
    first, last = min(s for s, _ in spans), max(e for _, e in spans)
    if not last >= first:
        return step, np.zeros(0), np.zeros((len(views), 0), np.intp)
    if (last - first) / step > MOST_FRAMES:
        raise DataError(f"views span {last - first:.0f} s at steps of {step:g} s: too long")
    lengths = [end - start for start, end in spans]
    if max(lengths) - min(lengths) > 1.5 * step:
        told = ", ".join(f"{v.name} {max(x, 0):.2f} s" for v, x in zip(views, lengths, strict=True))
        say(f"views differ in length: {told}; where only one sees anything, nobody is found")
    clock = first + step * np.arange(round((last - first) / step) + 1)
    frames = np.full((len(views), len(clock)), -1, np.intp)
    for v, (view, by) in enumerate(zip(views, late, strict=True)):
        times = view.times - by
        if not len(times):
            continue
        near = np.searchsorted((times[1:] + times[:-1]) / 2, clock)
        own = float(np.median(np.diff(times))) if len(times) > 1 else step
        frames[v] = np.where(np.abs(times[near] - clock) <= 0.51 * max(own, step), near, -1)
    return step, clock, frames


def _clocks(rays: list[list[Rays]], views: Sequence[View], rules: Rules, say: Say) -> Array:
    """Seconds [C] by which each view is late."""
    step, _, frames = _common(views, np.zeros(len(views)), lambda text: None)
    k = len(views[0].skeleton)
    films = []
    for rows, places in zip(rays, frames, strict=True):
        nobody = Rays(np.zeros(3), np.zeros((0, k, 3)), np.zeros((0, k)))
        films.append([rows[f] if f >= 0 else nobody for f in places])
    late, _ = shifts(films, max(2, round(rules.synchronise / step)), rules.nearness)
    told = ", ".join(
        f"{view.name} {by * step:+.3f} s" for view, by in zip(views, late, strict=True)
    )
    say(f"clocks by motion: {told}")
    return late * step


# --- people over time


@dataclass(slots=True)
class Track:
    """Somebody: by frame of the clock, which person of which view."""

    groups: dict[int, Group]
    pose: Array  # [K, 3], the last place of each joint
    last: int = 0


def follow(
    moments: Sequence[Sequence[Rays | None]],
    cameras: Sequence[Camera],
    skeleton: Skeleton,
    rules: Rules,
    step: float,
) -> list[Track]:
    """Views of each moment (None: that camera has no picture then) -> who is seen where."""
    nobody = Rays(np.zeros(3), np.zeros((0, len(skeleton), 3)), np.zeros((0, len(skeleton))))
    tracks: list[Track] = []
    for now, given in enumerate(moments):
        views = [view or nobody for view in given]
        live = [t for t in tracks if (now - t.last) * step <= rules.lost]
        known = np.array([t.pose for t in live]).reshape(len(live), len(skeleton), 3)
        groups, left = assigned(known, views, rules.nearness)
        groups = [consistent(group, views, rules.nearness) for group in groups]
        for track, group in zip(live, groups, strict=True):
            _take(track, group, now, views, cameras, rules)

        rest = [
            Rays(view.centre, view.directions[some], view.scores[some])
            for view, some in zip(views, left, strict=True)
        ]
        fresh = []
        for group in grouped(rest, rules.nearness):
            if len(group) > 1:
                whole = {v: int(left[v][n]) for v, n in group.items()}
                track = Track({}, np.full((len(skeleton), 3), np.nan), now)
                _take(track, whole, now, views, cameras, rules)
                if np.isfinite(track.pose).all(1).sum() >= rules.nearness.joints:
                    fresh.append(track)
        tracks += _renewed([t for t in live if now not in t.groups], fresh, rules)
    needed = max(1.0, rules.shown / step)
    seen = {id(t): sum(len(group) > 1 for group in t.groups.values()) for t in tracks}
    return [track for track in tracks if seen[id(track)] >= needed]


def _take(
    track: Track,
    group: Group,
    now: int,
    views: Sequence[Rays],
    cameras: Sequence[Camera],
    rules: Rules,
) -> None:
    """A moment more of somebody, and where their joints are now, if two cameras tell."""
    if not group:
        return
    track.groups[now] = group
    if len(group) < 2:
        return
    some = sorted(group)
    chosen = [cameras[v] for v in some]
    directions = np.stack([views[v].directions[group[v]] for v in some])
    scores = np.stack([views[v].scores[group[v]] for v in some])
    slopes = np.stack([_slopes(c, d) for c, d in zip(chosen, directions, strict=True)])
    found = from_slopes(chosen, slopes, scores, rules.trust)
    known = np.isfinite(found.points).all(1)
    if known.any():
        track.pose = np.where(known[:, None], found.points, track.pose)
        track.last = now


def _slopes(camera: Camera, directions: Array) -> Array:
    """Rays of the world [K, 3] -> slopes in the camera's axes [K, 2]."""
    inside = directions @ camera.rotation.T
    return inside[:, :2] / np.where(inside[:, 2:] > 0, inside[:, 2:], 1.0)


def _renewed(lost: Sequence[Track], fresh: list[Track], rules: Rules) -> list[Track]:
    """New people who are none of those lost lately; who is goes on as that."""
    if not lost or not fresh:
        return fresh
    away = np.array([[_between(old.pose, new.pose) for new in fresh] for old in lost])
    most = 2 * rules.nearness.moved
    rows, columns = linear_sum_assignment(np.minimum(away, 2 * most))
    again = set()
    for row, column in zip(rows, columns, strict=True):
        if away[row, column] < most:
            old, new = lost[row], fresh[column]
            old.groups |= new.groups
            old.pose, old.last = new.pose, new.last
            again.add(column)
    return [track for n, track in enumerate(fresh) if n not in again]


def _between(a: Array, b: Array) -> float:
    """Metres between two poses, the median over joints that both have."""
    away = np.linalg.norm(a - b, axis=1)
    away = away[np.isfinite(away)]
    return float(np.median(away)) if len(away) else np.inf


def _person(
    number: int,
    track: Track,
    cameras: Sequence[Camera],
    views: Sequence[View],
    frames: NDArray[np.intp],
    clock: Array,
    step: float,
    rules: Rules,
) -> Seen | None:
    """A track -> joints in space, from its first to its last moment; None if no joint is told."""
    first, last = min(track.groups), max(track.groups)
    joints = len(views[0].skeleton)
    seen = np.zeros((len(cameras), last - first + 1, joints, 3))
    for now, group in track.groups.items():
        for v, n in group.items():
            seen[v, now - first] = views[v].people[frames[v, now]][n]
    slopes = np.stack([c.slopes(p[..., :2]) for c, p in zip(cameras, seen, strict=True)])
    scores = np.where(np.isfinite(slopes).all(-1), np.nan_to_num(seen[..., 2]), 0)
    scores = np.where(scores >= rules.trust.score, scores, 0)
    slopes = np.nan_to_num(slopes)

    flat = slopes.reshape(len(cameras), -1, 2), scores.reshape(len(cameras), -1)
    raw = from_slopes(cameras, *flat, rules.trust)
    points, used = raw.points.reshape(-1, joints, 3), raw.used.reshape(scores.shape)
    # A lone view tells nothing of the depth, but a moving joint is carried along its ray.
    alone = (scores > 0) & ~np.isfinite(points).all(-1)
    weights = np.where(used | (alone & ((scores > 0).sum(0) == 1)), scores, 0)
    if not np.isfinite(points).any():
        return None
    places = refine(cameras, points, slopes, weights, step, rules.smoothness)
    told = np.isfinite(places).all(-1)
    score = np.where(used, scores, 0).sum(0) / np.maximum(used.sum(0), 1)
    score = np.where(told, np.maximum(score, BRIDGED), 0)
    errors = _errors(cameras, places, slopes, used & told)
    motion = Motion(
        views[0].skeleton,
        np.concatenate([places, score[..., None]], -1),
        clock[first : last + 1],
        id=number,
        frame="world",
    )
    return Seen(motion, errors)


def _errors(cameras: Sequence[Camera], places: Array, slopes: Array, used: Array) -> Array:
    """[C, T, K] pixels, NaN where not used."""
    out = np.full(used.shape, np.nan)
    for c, camera in enumerate(cameras):
        inside = places @ camera.rotation.T + camera.translation
        with np.errstate(all="ignore"):
            away = np.linalg.norm(inside[..., :2] / inside[..., 2:] - slopes[c], axis=-1)
        out[c] = np.where(used[c], away * camera.focal, np.nan)
    return out
