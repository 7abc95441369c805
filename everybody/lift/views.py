"""People in the views of several cameras -> people in space over time.

On a common clock, frame by frame: whoever is known is found again in each view, who is left over
and seen by two cameras or more is new (`associate`); then, over whole tracks, joints are
triangulated from the cameras that agree (`triangulate`) and refined (`refine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..geometry import Array
from .associate import Rays
from .cameras import Camera
from .crowd import Track, follow
from .motion import Motion
from .pairing import Say, fitting, paired
from .refine import refine
from .synchronise import shifts
from .triangulate import apart, from_slopes
from .view import RULES, Rules, View

__all__ = ["RULES", "Rules", "Scene", "Seen", "View", "paired", "triangulate_views"]


BRIDGED = 0.01  # score of a joint that no two views see at that moment
MOST_FRAMES = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A person in space: motion, and errors [C, T, K]: pixels by which the final joints lie off
    what each camera sees, NaN where that view did not count.
    """

    motion: Motion
    errors: Array


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """People in space; cameras as they were used, seconds by which each one's clock is late, and
    the times [T] of all moments, whether anybody is seen then or not.
    """

    people: list[Seen]
    cameras: list[Camera]
    late: Array = field(default_factory=lambda: np.zeros(0))
    times: Array = field(default_factory=lambda: np.zeros(0))

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
    belong together, of fewer than two, and where all look the same way at people.
    """
    chosen, views = paired(cameras, views, say)
    apart(chosen)
    skeletons = {view.skeleton.name for view in views}
    if len(skeletons) > 1:
        raise DataError(
            f"views of several skeletons ({', '.join(sorted(skeletons))}): expected one"
        )
    chosen = [fitting(camera, view, say) for camera, view in zip(chosen, views, strict=True)]
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
    scene = Scene(people, chosen, late, clock)
    _tell(scene, rays, rules, say)
    return scene


def _tell(scene: Scene, rays: list[list[Rays]], rules: Rules, say: Say) -> None:
    """What views have told nothing, and why. Raises DataError where none could tell depths."""
    names = [camera.name for camera in scene.cameras]
    shown = [any(map(len, moments)) for moments in rays]
    for name, some in zip(names, shown, strict=True):
        if not some:
            say(f"{name}: nobody is seen in it")
    if not scene.people and sum(shown) > 1:
        if (widest := _widest(rays)) < rules.trust.angle:
            raise DataError(
                f"cameras {', '.join(names)} see people from the same side: their rays differ by "
                f"{widest:.2g} degrees at most, and tell no depth below {rules.trust.angle:g}; "
                "place cameras farther apart"
            )
        say(
            "nobody is placed: no two views see one person at one place; are they of the same "
            "moment, and is the calibration of these cameras?"
        )
    for name, some in zip(names, shown, strict=True):
        if some and scene.people and np.isnan(scene.errors()["cameras"][name]):
            say(f"{name}: nothing of it agrees with the others; has it moved, or its clock?")


def _widest(rays: list[list[Rays]]) -> float:
    """Degrees between the mean rays of those two views that differ most, of views of people."""
    ways = []
    for moments in rays:
        if not any(map(len, moments)):
            continue
        directions = np.concatenate([one.directions for one in moments])
        scores = np.concatenate([one.scores for one in moments])[..., None]
        ways.append((directions * (scores > 0)).sum((0, 1)))
    one, other = np.array(ways)[:, None], np.array(ways)[None]
    sine = np.linalg.norm(np.cross(one, other), axis=-1)
    return float(np.degrees(np.arctan2(sine, (one * other).sum(-1))).max())


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
    told = np.isfinite(places.sum(-1))
    score = np.where(used, scores, 0).sum(0) / np.maximum(used.sum(0), 1)
    score = np.where(told, np.maximum(score, BRIDGED), 0)
    joined = np.concatenate([places, score[..., None]], -1)
    some = np.flatnonzero(told.sum(1))
    part = slice(some[0], some[-1] + 1)
    times = clock[first : last + 1][part]
    motion = Motion(views[0].skeleton, joined[part], times, id=number, frame="world")
    return Seen(motion, _errors(cameras, places, slopes, used & told)[:, part])


def _errors(
    cameras: Sequence[Camera], places: Array, slopes: Array, used: NDArray[np.bool_]
) -> Array:
    """[C, T, K] pixels, NaN where not used."""
    out = np.full(used.shape, np.nan)
    for c, camera in enumerate(cameras):
        inside = places @ camera.rotation.T + camera.translation
        with np.errstate(all="ignore"):
            away = np.linalg.norm(inside[..., :2] / inside[..., 2:] - slopes[c], axis=-1)
        out[c] = np.where(used[c], away * camera.focal, np.nan)
    return out
