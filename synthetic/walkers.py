"""Synthetic truth for trackers: skeletons that walk across a picture, meet, hide one another, come
and go.

The place of each person is known exactly. What a detector and a pose estimator would give is made
from it with noise, misses, false people and occlusion. People who are hidden in a frame are no part
of its truth, because nobody could see them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from everybody.people import People
from everybody.skeletons import COCO17

# x, y of COCO's joints of a standing person: feet at (0, 0), one high, y downwards.
STANDING = np.array(
    [
        (0, -0.93), (-0.02, -0.95), (0.02, -0.95), (-0.05, -0.94), (0.05, -0.94), (-0.11, -0.82),
        (0.11, -0.82), (-0.14, -0.64), (0.14, -0.64), (-0.14, -0.48), (0.14, -0.48), (-0.08, -0.5),
        (0.08, -0.5), (-0.08, -0.27), (0.08, -0.27), (-0.08, -0.04), (0.08, -0.04),
    ]
)  # fmt: skip
SWING = np.array([0, 0, 0, 0, 0, 0, 0, -0.05, 0.05, -0.1, 0.1, 0, 0, 0.05, -0.05, 0.11, -0.11])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """What happens. Lengths are in pixels, times in seconds, noise in OKS sigmas of each joint."""

    people: int = 8
    seconds: float = 20.0
    rate: float = 30.0
    occlusion: float = 0.5  # how long the farther of two who meet is hidden
    turning: float = 0.0  # share of the hidden who turn back meanwhile
    exchanged: float = 0.0  # share of the hidden in whose place somebody new comes out
    noise: float = 0.4
    missing: float = 0.02
    false: float = 0.1  # false people per frame
    shake: float = 0.0  # standard deviation of the camera's jump from frame to frame
    stay: bool = False  # nobody comes or goes: all turn at the edges
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One frame: true people with ids, found people without, the true id of each found one [N]
    (0: a false person), and the camera's shift [2].
    """

    time: float
    true: People
    found: People
    who: np.ndarray
    camera: np.ndarray


def walkers(scenery: Scenery, size: tuple[int, int] = (1280, 720)) -> list[Moment]:
    """The whole film, a moment per frame."""
    rng = np.random.default_rng(scenery.seed)
    width, height = size
    count, frames = scenery.people, round(scenery.seconds * scenery.rate)
    times = np.arange(frames) / scenery.rate
    depth = rng.permutation(np.linspace(0.7, 1.25, count))
    tall, feet = 320 * depth, height * (0.35 + 0.5 * depth)

    ways = _walk(scenery, times, depth, width, rng)
    camera = _shaken(scenery, frames, width, rng)
    legs = np.sin(times[:, None] * 2 * np.pi * (0.8 + ways.pace) + ways.phase)

    out = []
    for frame, time in enumerate(times):
        swing = np.stack([SWING * legs[frame][:, None], np.zeros((count, 17))], -1)
        pose = (STANDING[None] + swing) * tall[:, None, None]
        ground = np.stack([ways.places[frame], feet], 1)[:, None]
        points = pose + ground + camera[frame]
        true = _people(points, np.full((count, 17), 1.0), np.ones(count), ways.names[frame])
        true = true[ways.shown[frame]]
        out.append(Moment(float(time), true, *_found(true, scenery, rng, size), camera[frame]))
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Ways:
    """Where everybody is in each frame: x [F, N], id [F, N], visible [F, N]; and each person's
    phase [N] and pace [N] of the legs.
    """

    places: np.ndarray
    names: np.ndarray
    shown: np.ndarray
    phase: np.ndarray
    pace: np.ndarray


def _walk(
    scenery: Scenery, times: np.ndarray, depth: np.ndarray, width: int, rng: np.random.Generator
) -> _Ways:
    """Everybody walks to and fro; who meets somebody nearer is hidden for a while."""
    count, frames = len(depth), len(times)
    start = rng.uniform(0.05, 0.95, count) if scenery.stay else rng.uniform(-1.0, 2.0, count)
    direction = np.where(start < 0, 1, np.where(start > 1, -1, rng.choice([-1, 1], count)))
    x, speed = start * width, 320 * depth * rng.uniform(0.3, 0.7, count) * direction
    phase, pace = rng.uniform(0, 6, count), rng.uniform(0.2, 0.5, count)

    names, stranger = np.arange(1, count + 1), count + 1
    hidden_until = np.full(count, -1.0)
    places, known = np.zeros((frames, count)), np.zeros((frames, count), np.int64)
    shown = np.ones((frames, count), bool)

    for frame, time in enumerate(times):
        before = x.copy()
        x = x + speed * (1 + 0.4 * np.sin(pace * time * 6 + phase)) / scenery.rate
        edge = (x < 0.04 * width) | (x > 0.96 * width)
        if scenery.stay:
            speed = np.where(edge, np.abs(speed) * np.where(x < width / 2, 1, -1), speed)

        for a in _meeting(before, x, speed, depth, scenery) if time > 0 else ():
            if hidden_until[a] < time and rng.random() < scenery.turning:
                speed[a] = -speed[a]
            new = hidden_until[a] < time and scenery.exchanged
            if new and rng.random() < scenery.exchanged:
                names[a], stranger = stranger, stranger + 1
            hidden_until[a] = max(hidden_until[a], time + scenery.occlusion)

        shown[frame] = hidden_until < time if scenery.occlusion else True
        places[frame], known[frame] = x, names

    if not scenery.stay:  # who has left stays away
        shown &= (places > 0) & (places < width)
    return _Ways(places, known, shown, phase, pace)


def _meeting(
    before: np.ndarray, now: np.ndarray, speed: np.ndarray, depth: np.ndarray, scenery: Scenery
) -> Iterator[int]:
    """The farther one of every two whose ways cross half an occlusion from now: that person is
    hidden from half the occlusion before they meet until half of it after.
    """
    ahead, was = (x + speed * scenery.occlusion / 2 for x in (now, before))
    for a in range(len(depth)):
        for b in range(len(depth)):
            crossing = (ahead[a] - ahead[b]) * (was[a] - was[b]) <= 0
            if depth[a] < depth[b] and crossing:
                yield a


def _shaken(scenery: Scenery, frames: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """The camera's shift in each frame [F, 2]: a random walk that stays near its beginning."""
    if not scenery.shake:
        return np.zeros((frames, 2))
    camera = np.cumsum(rng.normal(0, scenery.shake, (frames, 2)), axis=0)
    return camera * np.exp(-np.abs(camera) / width)


def _people(
    points: np.ndarray, scores: np.ndarray, certainty: np.ndarray, ids: np.ndarray | None
) -> People:
    low, high = points.min(1), points.max(1)
    margin = 0.05 * (high - low)
    boxes = np.concatenate([low - margin, high + margin], 1)
    return People(np.concatenate([points, scores[..., None]], -1), boxes, certainty, COCO17, ids)


def _found(
    true: People, scenery: Scenery, rng: np.random.Generator, size: tuple[int, int]
) -> tuple[People, np.ndarray]:
    assert true.ids is not None
    keep = rng.random(len(true)) >= scenery.missing
    true, ids = true[keep], true.ids[keep]
    length = np.sqrt(np.prod(true.boxes[:, 2:] - true.boxes[:, :2], axis=1))
    sigmas = np.array(COCO17.sigmas)
    spread = scenery.noise * sigmas[None, :, None] * length[:, None, None]
    points = true.keypoints[..., :2] + rng.normal(size=(len(true), 17, 2)) * spread
    found = _people(
        points, rng.uniform(0.6, 0.95, (len(true), 17)), rng.uniform(0.55, 0.9, len(true)), None
    )
    jitter = rng.normal(size=(len(true), 4)) * (0.02 * length[:, None])
    found = replace(found, boxes=found.boxes + jitter)
    wrong = rng.poisson(scenery.false)
    if wrong:
        middle = rng.uniform((0, 0), size, (wrong, 2))
        points = (
            STANDING * rng.uniform(60, 300, (wrong, 1, 1)) * rng.uniform(0.5, 1.5, (wrong, 17, 2))
        )
        false = _people(
            points + middle[:, None],
            rng.uniform(0.05, 0.5, (wrong, 17)),
            rng.uniform(0.1, 0.45, wrong),
            None,
        )
        found = People(
            np.concatenate([found.keypoints, false.keypoints]),
            np.concatenate([found.boxes, false.boxes]),
            np.concatenate([found.scores, false.scores]),
            COCO17,
        )
    who = np.concatenate([ids, np.zeros(wrong, np.int64)])
    order = rng.permutation(len(found))
    return found[order], who[order]
