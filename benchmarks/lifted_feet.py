"""How well feet are put into space that one camera sees, beside toes as deep as their ankles.

    python -m benchmarks.lifted_feet [cmu trial speed] [--every 3] [--noise 0 1]

Of the toe, from the ankle: the mean, the median and the ninetieth of a hundred of how far it is
off, in millimetres, and by how many degrees the angle of the ankle (knee, ankle, toe) is.

cmu: held-out subjects, at most ten seconds of every third sequence, each before one of the twelve
cameras of `benchmarks.coach`; the height is known. --noise: the share of films with the errors of
our models, else 2D is true; toes are taken to be seen as well as ankles. CMU has no heels.

trial: Pose2Sim's balancing trial, one person, each of four videos found and lifted alone by
everybody-accurate, against others' markers, turned as the video's camera is. Their clocks are taken
to be one: the man moves slowly. Heels too.

"as feet usually lie": the picture of the feet is not looked at.

speed: milliseconds of one core a frame of one person, of people without feet and with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.coach import VIEWS, camera, coco
from benchmarks.common import DATA, head, parsed, parser, row
from benchmarks.lifting import HELD_OUT, walker
from benchmarks.views import MARKERS, MOTION, TRIAL, trial_cameras, trial_truth
from everybody.data.cmu import Capture, read_captures
from everybody.estimator import Estimator
from everybody.lift.anatomy import h36m_of_cmu, stature
from everybody.lift.cameras import focal
from everybody.lift.knees import as_in_gait
from everybody.lift.lifter import FOV, Lift, Lifting
from everybody.people import People
from everybody.results.records import Record
from everybody.skeletons import CMU24, H36M17, H36M29, HALPE26
from everybody.train.virtual_cameras import Shots, as_found

Array = np.ndarray
SIDES = ("left", "right")
SIZE = (1280, 720)
FRAMES = 300  # of a sequence
SEEN = {name: k for k, name in enumerate(HALPE26.joints)}
PLACED = {name: k for k, name in enumerate(H36M29.joints)}
ANKLES = [SEEN[f"{side}_ankle"] for side in SIDES]
# an end of a foot -> its ankle
HANGING = {name: f"{name.split('_')[0]}_ankle" for name in SEEN if name.endswith(("_toe", "_heel"))}
FEET = [SEEN[name] for name in HANGING]
FLAT, USUAL, LOOKED = "as deep as the ankle", "as feet usually lie", "as it comes out"


@dataclass(frozen=True)
class Errors:
    """Of one way: metres that ends of feet are off, and degrees that ankles are."""

    ends: dict[str, list[float]] = field(default_factory=dict)
    angles: list[float] = field(default_factory=list)

    def add(self, part: str, found: Array, true: Array, shins: tuple[Array, Array]) -> None:
        """An end of a foot from its ankle [3], found and true, and the shins from there."""
        self.ends.setdefault(part, []).append(float(np.linalg.norm(found - true)))
        if part == "big_toe":
            self.angles.append(abs(between(shins[0], found) - between(shins[1], true)))

    def cells(self, part: str) -> list[str]:
        away = 1000 * np.array(self.ends[part])
        figures = (away.mean(), *np.percentile(away, (50, 90)))
        angle = f"{np.mean(self.angles):.1f}°" if part == "big_toe" else "-"
        return [*(f"{figure:.0f} mm" for figure in figures), angle]


def between(one: Array, other: Array) -> float:
    """Degrees between two ways [3]."""
    across = np.linalg.norm(np.cross(one, other))
    return math.degrees(math.atan2(float(across), float(one @ other)))


def ways(film: list[Record], lift: Lift) -> Iterator[tuple[str, list[tuple[Record, Array]]]]:
    """By the name of a way, each frame with somebody, and the joints [29, 3] of the largest."""
    for name, frames in ((LOOKED, film), (USUAL, [unseen(one) for one in film])):
        found = Lifting(lift).poses(frames)
        kept = [
            (record, poses.joints[largest(record.people), :, :3].astype(np.float64))
            for record, poses in found
            if len(poses)
        ]
        yield name, kept
        if name == LOOKED:
            yield FLAT, [(record, as_deep(record, joints, lift)) for record, joints in kept]


def largest(people: People) -> int:
    return int((people.boxes[:, 2:] - people.boxes[:, :2]).prod(1).argmax())


def unseen(record: Record) -> Record:
    """The same with feet of so low scores that they tell nothing."""
    keypoints = record.people.keypoints.copy()
    keypoints[:, FEET, 2] = np.minimum(keypoints[:, FEET, 2], 1e-6)
    return replace(record, people=replace(record.people, keypoints=keypoints))


def as_deep(record: Record, joints: Array, lift: Lift) -> Array:
    """Joints [29, 3] with feet that lie in the plane of the picture."""
    out, keypoints = joints.copy(), record.people.keypoints[largest(record.people)]
    length = focal((record.width, record.height), lift.fov or FOV)
    for end, ankle in HANGING.items():
        away = (keypoints[SEEN[end], :2] - keypoints[SEEN[ankle], :2]) / length
        place = joints[PLACED[ankle]]
        out[PLACED[end]] = place + np.append(away * place[2], 0)
    return out


def told(name: str, errors: dict[str, Errors], parts: Iterable[str]) -> None:
    for part in parts:
        for way in (FLAT, USUAL, LOOKED):
            print(row(name, part, way, *errors[way].cells(part)), flush=True)


# CMU


def cmu(given: Any) -> None:
    captures = read_captures(DATA / "motion3d/cmu/cmu24_30fps.npz")
    held = [one for one in captures if one.subject in HELD_OUT][:: given.every]
    for noise in given.noise:
        name = f"cmu, noise {noise:g}"
        errors: dict[str, Errors] = {}
        rng = np.random.default_rng(0)
        for number, capture in enumerate(held):
            body, toes, film = filmed(capture, number % VIEWS, noise, rng)
            lift = Lift(height=float(np.median(stature(body))))
            for way, frames in ways(film, lift):
                for record, joints in frames:
                    compared(
                        errors.setdefault(way, Errors()),
                        joints,
                        body[record.index],
                        toes[record.index],
                    )
        told(name, errors, ["big_toe"])


def filmed(
    capture: Capture, view: int, noise: float, rng: np.random.Generator
) -> tuple[Array, Array, list[Record]]:
    """A sequence -> bodies [T, 17, 3] and toes [T, 2, 3] as a camera sees them, and its film."""
    seen = coco(capture, slice(0, FRAMES))
    place, axes = camera(seen, view)
    joints = capture.joints[:FRAMES].astype(np.float64)
    toes = joints[:, [CMU24.joints.index(f"{side}_toe") for side in SIDES]]
    body = as_in_gait(np.einsum("kj,tjc->tkc", h36m_of_cmu(), joints) @ axes)
    # what feet are from the ankle stays when legs are made shorter
    moved = body[:, [H36M17.joints.index(f"{side}_ankle") for side in SIDES]]
    ankles = joints[:, [CMU24.joints.index(f"{side}_ankle") for side in SIDES]]
    ends = moved + (toes - ankles) @ axes

    points, toe_points = (
        (part[..., :2] / part[..., 2:]).astype(np.float32)
        for part in ((seen - place) @ axes, (toes - place) @ axes)
    )
    shots = Shots(noise=noise, lost=False)
    found, scores = as_found(points[None], shots, rng)
    # toes are found as ankles that lie there would be
    instead = points.copy()
    instead[:, ANKLES] = toe_points
    toes_found, toe_scores = as_found(instead[None], shots, rng)

    keypoints = np.zeros((len(seen), len(HALPE26), 3))
    keypoints[:, :17, :2], keypoints[:, :17, 2] = found[0], scores[0]
    big = [SEEN[f"{side}_big_toe"] for side in SIDES]
    keypoints[:, big, :2], keypoints[:, big, 2] = toes_found[0][:, ANKLES], toe_scores[0][:, ANKLES]
    keypoints[..., :2] = keypoints[..., :2] * focal(SIZE, FOV) + (np.array(SIZE) - 1) / 2
    return body, ends, list(records(keypoints, capture.fps))


def records(keypoints: Array, fps: float) -> Iterator[Record]:
    """Joints [T, 26, 3] in pixels -> one person's film."""
    for index, pose in enumerate(keypoints):
        people = People(
            pose[None].astype(np.float32), np.zeros((1, 4), np.float32), np.ones(1, np.float32),
            HALPE26, np.array([1]),
        )  # fmt: skip
        yield Record("a.mp4", index, index / fps, *SIZE, people)


def compared(errors: Errors, found: Array, body: Array, toes: Array) -> None:
    """Joints [29, 3], and the truth [17, 3] with toes [2, 3]."""
    for side, toe in zip(SIDES, toes, strict=True):
        knee, ankle = (H36M17.joints.index(f"{side}_{name}") for name in ("knee", "ankle"))
        shins = found[knee] - found[ankle], body[knee] - body[ankle]
        end = found[PLACED[f"{side}_big_toe"]]
        errors.add("big_toe", end - found[ankle], toe - body[ankle], shins)


# Markers


def trial(given: Any) -> None:
    truth, errors = trial_truth(), dict[str, Errors]()
    estimator = Estimator(skeleton="halpe-26", threads=1, workers=1)
    for number, camera_ in enumerate(trial_cameras(), 1):
        video = MOTION / f"pose2sim/S00_P00_SingleParticipant/{TRIAL}/videos/cam0{number}.mp4"
        film = [Record.of(frame) for frame in estimator.stream(str(video), track=True)]
        longer = max(film[0].width, film[0].height)
        fov = math.degrees(2 * math.atan(longer / 2 / camera_.matrix[0, 0]))
        for way, frames in ways(film, Lift(fov=fov)):
            for record, joints in frames:
                if record.index < len(truth):
                    markers = truth[record.index] @ camera_.rotation.T
                    measured(errors.setdefault(way, Errors()), joints, markers)
    told("trial", errors, ["big_toe", "heel"])


def measured(errors: Errors, found: Array, markers: Array) -> None:
    """Joints [29, 3], and markers [21, 3] in the same axes."""
    true = dict(zip(MARKERS, markers, strict=True))
    for side in SIDES:
        knee, ankle = (f"{side}_{name}" for name in ("knee", "ankle"))
        shins = found[PLACED[knee]] - found[PLACED[ankle]], true[knee] - true[ankle]
        for part in ("big_toe", "heel"):
            end = f"{side}_{part}"
            way = found[PLACED[end]] - found[PLACED[ankle]]
            errors.add(part, way, true[end] - true[ankle], shins)


def speed(given: Any) -> None:
    bare = list(walker(600))
    for name, film in (("17 joints", bare), ("29 joints", [shod(record) for record in bare])):
        for how, lift in (("13 frames ahead", Lift()), ("live", Lift(ahead=0))):
            lifting, begun = Lifting(lift), time.process_time()
            for _ in lifting.poses(film):
                pass
            spent = time.process_time() - begun
            print(row("speed", name, how, f"{1000 * spent / len(film):.2f} ms"), flush=True)


def shod(record: Record) -> Record:
    """With a face, feet and all that Halpe-26 has, somewhere."""
    people = record.people.to(HALPE26)
    keypoints = people.keypoints.copy()
    keypoints[:, FEET] = keypoints[:, [SEEN[ankle] for ankle in HANGING.values()]] + (0, 15, 0)
    return replace(record, people=replace(people, keypoints=keypoints))


PARTS: dict[str, Callable[[Any], None]] = {"cmu": cmu, "trial": trial, "speed": speed}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("parts", nargs="*", default=[], choices=[*PARTS, []])
    command.add_argument("--every", type=int, default=3, help="sequences of CMU")
    command.add_argument("--noise", type=float, nargs="*", default=[0.0, 1.0])
    given = parsed(command)
    print(head("", "from the ankle", "", "mean", "median", "90 %", "ankle's angle"))
    for part in given.parts or PARTS:
        PARTS[part](given)


if __name__ == "__main__":
    main()
