"""How well feet are put into space that one camera sees, beside toes as deep as their ankles.

    python -m benchmarks.lifted_feet [cmu trial speed] [--every 3] [--noise 0 1]

Of ends of feet, from the ankle, and of the nose, from the upper neck: the mean, the median and the
ninetieth of a hundred of how far they are off, in millimetres, and by how many degrees the angle of
the ankle (knee, ankle, toe) is. "As it usually is": the picture of foot and face is not looked at.

cmu: held-out subjects, at most ten seconds of every third sequence, each before one of the twelve
cameras of `benchmarks.coach`; the height is known. --noise: the share of films with the errors of
our models, else 2D is true; toes are taken to be seen as well as ankles. CMU has no heels, and its
noses are put where `everybody/lift/anatomy.py` has them.

trial: Pose2Sim's balancing trial, one person, each of four videos found and lifted alone by
everybody-accurate, against others' markers, turned as the video's camera is. Their clocks are taken
to be one: the man moves slowly. Heels too.

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
from everybody.lift.anatomy import HEIGHT, h36m_of_cmu, stature
from everybody.lift.cameras import focal
from everybody.lift.further import PARTS as RIGID
from everybody.lift.further import foot_axes, head_axes
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
FLAT, USUAL, LOOKED = "as deep as the joint", "as it usually is", "as it comes out"


@dataclass(frozen=True)
class Errors:
    """Of one way: metres that ends of feet are off, and degrees that ankles are."""

    ends: dict[str, list[float]] = field(default_factory=dict)
    angles: list[float] = field(default_factory=list)

    def add(self, part: str, found: Array, true: Array) -> None:
        """An end of a part from where this hangs [3], found and true; not where that is NaN."""
        if np.isfinite(true).all():
            self.ends.setdefault(part, []).append(float(np.linalg.norm(found - true)))

    def cells(self, part: str) -> list[str]:
        away = 1000 * np.array(self.ends[part])
        figures = (away.mean(), *np.percentile(away, (50, 90)))
        angle = f"{np.mean(self.angles):.1f}°" if part == "big_toe" else "-"
        return [*(f"{figure:.0f} mm" for figure in figures), angle]


def between(one: Array, other: Array) -> float:
    """Degrees between two ways [3]."""
    across = np.linalg.norm(np.cross(one, other))
    return math.degrees(math.atan2(float(across), float(one @ other)))


def ways(film: list[Record], lift: Lift) -> Iterator[tuple[str, Record, Array]]:
    """The name of a way, a frame with somebody, and the joints [29, 3] of the largest person."""
    for record, poses in Lifting(lift).poses(film):
        if len(poses):
            joints = poses.joints[largest(record.people), :, :3].astype(np.float64)
            yield LOOKED, record, joints
            yield USUAL, record, as_usual(joints, lift.height or HEIGHT)
            yield FLAT, record, as_deep(record, joints, lift)


def largest(people: People) -> int:
    return int((people.boxes[:, 2:] - people.boxes[:, :2]).prod(1).argmax())


def as_usual(joints: Array, height: float) -> Array:
    """Joints [29, 3] with feet and nose where they usually are on such a body."""
    out, body = joints.copy(), joints[None, : len(H36M17)]
    axes = [*(foot_axes(body, side)[0] for side in SIDES), head_axes(body)[0]]
    for part, turn in zip(RIGID, axes, strict=True):
        for name, point in part.points.items():
            out[PLACED[name]] = joints[PLACED[part.hangs]] + height * turn @ np.array(point)
    return out


def as_deep(record: Record, joints: Array, lift: Lift) -> Array:
    """Joints [29, 3] with feet and nose as deep as what they hang on."""
    out, keypoints = joints.copy(), record.people.keypoints[largest(record.people)]
    length = focal((record.width, record.height), lift.fov or FOV)
    for end, ankle in HANGING.items():
        away = (keypoints[SEEN[end], :2] - keypoints[SEEN[ankle], :2]) / length
        place = joints[PLACED[ankle]]
        out[PLACED[end]] = place + np.append(away * place[2], 0)
    nose = (
        keypoints[SEEN["nose"], :2] - (np.array([record.width, record.height]) - 1) / 2
    ) / length
    out[PLACED["nose"]] = np.append(nose, 1) * joints[PLACED["upper_neck"], 2]
    return out


def compared(errors: Errors, found: Array, true: Array) -> None:
    """Joints [29, 3], and the truth, NaN where it is not known."""
    both = found, true
    for side in SIDES:
        ankle = PLACED[f"{side}_ankle"]
        shins = [joints[PLACED[f"{side}_knee"]] - joints[ankle] for joints in both]
        for part in ("big_toe", "heel"):
            away = [joints[PLACED[f"{side}_{part}"]] - joints[ankle] for joints in both]
            errors.add(part, *away)
            if part == "big_toe":
                angles = [between(*pair) for pair in zip(shins, away, strict=True)]
                errors.angles.append(abs(angles[0] - angles[1]))
    errors.add("nose", *(joints[PLACED["nose"]] - joints[PLACED["upper_neck"]] for joints in both))


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
            truth, film = filmed(capture, number % VIEWS, noise, rng)
            lift = Lift(height=float(np.median(stature(truth[:, : len(H36M17)]))))
            for way, record, joints in ways(film, lift):
                compared(errors.setdefault(way, Errors()), joints, truth[record.index])
        told(name, errors, ["big_toe", "nose"])


def filmed(
    capture: Capture, view: int, noise: float, rng: np.random.Generator
) -> tuple[Array, list[Record]]:
    """A sequence -> joints [T, 29, 3] as a camera sees them, of which the toes and the nose are
    known beside the 17, and its film.
    """
    seen = coco(capture, slice(0, FRAMES))
    place, axes = camera(seen, view)
    joints = capture.joints[:FRAMES].astype(np.float64)
    at = {name: joints[:, k] for k, name in enumerate(CMU24.joints)}
    toes = np.stack([at[f"{side}_toe"] for side in SIDES], 1)

    truth = np.full((len(joints), len(H36M29), 3), np.nan)
    truth[:, : len(H36M17)] = as_in_gait(np.einsum("kj,tjc->tkc", h36m_of_cmu(), joints) @ axes)
    for side in SIDES:  # what a foot is from its ankle stays when the leg is made shorter
        away = (at[f"{side}_toe"] - at[f"{side}_ankle"]) @ axes
        truth[:, PLACED[f"{side}_big_toe"]] = truth[:, PLACED[f"{side}_ankle"]] + away
    truth[:, PLACED["nose"]] = seen[:, SEEN["nose"]] @ axes

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
    return truth, list(records(keypoints, capture.fps))


def records(keypoints: Array, fps: float) -> Iterator[Record]:
    """Joints [T, 26, 3] in pixels -> one person's film."""
    for index, pose in enumerate(keypoints):
        people = People(
            pose[None].astype(np.float32), np.zeros((1, 4), np.float32), np.ones(1, np.float32),
            HALPE26, np.array([1]),
        )  # fmt: skip
        yield Record("a.mp4", index, index / fps, *SIZE, people)


# Markers


def trial(given: Any) -> None:
    truth, errors = marked(trial_truth()), dict[str, Errors]()
    estimator = Estimator(skeleton="halpe-26", threads=1, workers=1)
    for number, camera_ in enumerate(trial_cameras(), 1):
        video = MOTION / f"pose2sim/S00_P00_SingleParticipant/{TRIAL}/videos/cam0{number}.mp4"
        film = [Record.of(frame) for frame in estimator.stream(str(video), track=True)]
        longer = max(film[0].width, film[0].height)
        fov = math.degrees(2 * math.atan(longer / 2 / camera_.matrix[0, 0]))
        for way, record, joints in ways(film, Lift(fov=fov)):
            if record.index < len(truth):
                markers = truth[record.index] @ camera_.rotation.T
                compared(errors.setdefault(way, Errors()), joints, markers)
    told("trial", errors, ["big_toe", "heel"])


def marked(markers: Array) -> Array:
    """Markers [T, 21, 3] -> joints [T, 29, 3], NaN where there is no marker."""
    out = np.full((len(markers), len(H36M29), 3), np.nan)
    for name, k in zip(MARKERS, range(len(MARKERS)), strict=True):
        if name in PLACED:
            out[:, PLACED[name]] = markers[:, k]
    return out


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
