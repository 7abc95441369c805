"""Synthetic truth for trackers: skeletons that walk across a picture, meet, hide one another, come
and go.

Everybody's place is known exactly; what a detector and a pose estimator would give is made from it
with noise, misses, false people and occlusion. Hidden people are not part of the truth of that
frame: nobody could see them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from everybody.people import People
from everybody.skeletons import COCO17

# x, y of the COCO joints of somebody standing, feet at (0, 0), one high; y downwards
STANDING = np.array(
    [
        (0, -0.93),
        (-0.02, -0.95),
        (0.02, -0.95),
        (-0.05, -0.94),
        (0.05, -0.94),
        (-0.11, -0.82),
        (0.11, -0.82),
        (-0.14, -0.64),
        (0.14, -0.64),
        (-0.14, -0.48),
        (0.14, -0.48),
        (-0.08, -0.5),
        (0.08, -0.5),
        (-0.08, -0.27),
        (0.08, -0.27),
        (-0.08, -0.04),
        (0.08, -0.04),
    ]
)
SWING = np.array([0, 0, 0, 0, 0, 0, 0, -0.05, 0.05, -0.1, 0.1, 0, 0, 0.05, -0.05, 0.11, -0.11])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """What happens. Lengths in pixels, times in seconds; noise in OKS sigmas of each joint."""

    people: int = 8
    seconds: float = 20.0
    rate: float = 30.0
    occlusion: float = 0.5  # how long the farther of two who meet is hidden
    turning: float = 0.0  # share of those hidden who turn back while they are
    exchanged: float = (
        0.0  # share of those hidden who stay away, while somebody new comes out in their place
    )
    noise: float = 0.4
    missing: float = 0.02
    false: float = 0.1  # false people per frame
    shake: float = 0.0  # standard deviation of the camera's jump from frame to frame
    stay: bool = False  # nobody comes or goes: all turn at the edges
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One frame: true people with ids, found people without, who (true id, 0 for false people) each
    found one is, and the camera's shift [2].
    """

    time: float
    true: People
    found: People
    who: np.ndarray
    camera: np.ndarray


def walkers(scenery: Scenery, size: tuple[int, int] = (1280, 720)) -> list[Moment]:
    """The whole film."""
    rng = np.random.default_rng(scenery.seed)
    width, height = size
    count, frames = scenery.people, round(scenery.seconds * scenery.rate)
    times = np.arange(frames) / scenery.rate
    depth = rng.permutation(np.linspace(0.7, 1.25, count))
    names, stranger = np.arange(1, count + 1), count + 1
    known = np.zeros((frames, count), np.int64)
    tall, feet = 320 * depth, height * (0.35 + 0.5 * depth)
    start = rng.uniform(0.05, 0.95, count) if scenery.stay else rng.uniform(-1.0, 2.0, count)
    direction = np.where(start < 0, 1, np.where(start > 1, -1, rng.choice([-1, 1], count)))
    x, speed = start * width, tall * rng.uniform(0.3, 0.7, count) * direction
    phase, pace = rng.uniform(0, 6, count), rng.uniform(0.2, 0.5, count)
    hidden_until = np.full(count, -1.0)
    shown, places = np.ones((frames, count), bool), np.zeros((frames, count))
    for frame, time in enumerate(times):
        before = x.copy()
        x = x + speed * (1 + 0.4 * np.sin(pace * time * 6 + phase)) / scenery.rate
        edge = (x < 0.04 * width) | (x > 0.96 * width)
        if scenery.stay:
            speed = np.where(edge, np.abs(speed) * np.where(x < width / 2, 1, -1), speed)
        # who meets: the farther one is hidden from half the occlusion before until half after
        ahead = x + speed * scenery.occlusion / 2
        was = before + speed * scenery.occlusion / 2
        for a in range(count):
            for b in range(count):
                if (
                    depth[a] < depth[b]
                    and (ahead[a] - ahead[b]) * (was[a] - was[b]) <= 0
                    and time > 0
                ):
                    if hidden_until[a] < time and rng.random() < scenery.turning:
                        speed[a] = -speed[a]
                    if (
                        hidden_until[a] < time
                        and scenery.exchanged
                        and rng.random() < scenery.exchanged
                    ):
                        names[a], stranger = stranger, stranger + 1
                    hidden_until[a] = max(hidden_until[a], time + scenery.occlusion)
        shown[frame] = hidden_until < time if scenery.occlusion else True
        places[frame], known[frame] = x, names
    if not scenery.stay:  # those who have left stay out
        inside = (places > 0) & (places < width)
        shown &= inside
    camera = (
        np.cumsum(rng.normal(0, scenery.shake, (frames, 2)), axis=0)
        if scenery.shake
        else np.zeros((frames, 2))
    )
    camera *= np.exp(-np.abs(camera) / width)
    legs = np.sin(times[:, None] * 2 * np.pi * (0.8 + pace) + phase)
    out = []
    for frame, time in enumerate(times):
        pose = STANDING[None] + np.stack([SWING * legs[frame][:, None], np.zeros((count, 17))], -1)
        points = (
            pose * tall[:, None, None] + np.stack([places[frame], feet], 1)[:, None] + camera[frame]
        )
        true = _people(points, np.full((count, 17), 1.0), np.ones(count), known[frame])
        true = true[shown[frame]]
        out.append(Moment(float(time), true, *_found(true, scenery, rng, size), camera[frame]))
    return out


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
