"""The coach on captured exercises: how many repetitions it counts, from where, and when it says so.

    python -m benchmarks.coach [--noise 1] [--seed 0] [--counts] [--exercises OWN.toml]

CMU's sequences 14_06, 14_14 and 14_20 hold nine segments with counted repetitions
(../shared/data/motion3d/exercise). Each is seen by twelve virtual cameras: every 30 degrees around
the person, .6 to 2.6 m high, 3.5 to 5 m away; joints are wrong as our 2D models are wrong
(`train/joint_errors.py`). UpDown is an exercise of one's own, `examples/up_down.toml`. Recognised:
views in which `auto` finds the exercise, of those that everybody knows (left out by --counts).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import DATA, ROOT, head, parsed, parser, row
from everybody.apps.coach import Coach, coach_clip, recognise
from everybody.apps.exercise import Exercise, read_exercises, usual_exercises
from everybody.data.cmu import Capture, read_captures
from everybody.lift.anatomy import coco_of_cmu, head_axes
from everybody.skeletons import COCO17
from everybody.train.virtual_cameras import Shots, as_found

NAMES = {"JumpJack": "jumping_jack", "Squat": "squat", "KneeRaise": "knee_raise",
         "UpDown": "up_down"}  # fmt: skip
HEIGHTS, AWAY = (0.6, 1.2, 1.8, 2.6), (3.5, 4.25, 5.0)  # metres
VIEWS = 12
OWN = ROOT / "examples/up_down.toml"


def coco(capture: Capture, part: slice) -> np.ndarray:
    """[T, 17, 3]: COCO's joints of a part of a sequence, y up."""
    joints, forward = capture.joints[part], capture.forward[part]
    whole = np.concatenate([joints, head_axes(joints, forward)], 1)
    return np.einsum("kj,tjc->tkc", coco_of_cmu(), whole)


def camera(joints: np.ndarray, view: int) -> tuple[np.ndarray, np.ndarray]:
    """Where one of the cameras stands around [T, 17, 3], and its axes [3, 3]: right, down, ahead as
    columns.
    """
    middle = joints.mean((0, 1)) * (1, 0, 1) + (0, 0.9, 0)
    around = 2 * np.pi * view / VIEWS
    away = AWAY[view % len(AWAY)]
    level = HEIGHTS[view % len(HEIGHTS)] - 0.9
    place = middle + np.array([away * np.sin(around), level, away * np.cos(around)])
    ahead = (middle - place) / np.linalg.norm(middle - place)
    right = np.cross(ahead, (0.0, 1.0, 0.0))
    right /= np.linalg.norm(right)
    return place, np.stack([right, np.cross(ahead, right), ahead], 1)


def rays(joints: np.ndarray, view: int) -> np.ndarray:
    """[T, 17, 3] -> [T, 17, 2] as one of the cameras sees them: x right, y down, at length 1."""
    place, axes = camera(joints, view)
    seen = (joints - place) @ axes
    return seen[..., :2] / seen[..., 2:]


def seen(joints: np.ndarray, view: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    """[T, 17, 3]: joints in pixels, and scores, as our 2D models would find them."""
    shots = Shots(noise=noise, lost=False)
    found, scores = as_found(rays(joints, view).astype(np.float32)[None], shots, rng)
    return np.concatenate([1000 * found[0], scores[0, ..., None]], -1)


def recognised(points: np.ndarray, fps: float, known: dict[str, Exercise]) -> str | None:
    coaches = {name: Coach(each, COCO17.joints) for name, each in known.items()}
    for number, pose in enumerate(points):
        for coach in coaches.values():
            coach.see(number / fps, pose)
    for coach in coaches.values():
        coach.finish()
    return recognise(coaches)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--noise", type=float, default=1.0, help="share of views with errors")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--counts", action="store_true", help="do not try to recognise them")
    options.add_argument("--exercises", type=Path, default=OWN)
    chosen = parsed(options)
    known, asked = usual_exercises(), not chosen.counts
    exercises = known | read_exercises(chosen.exercises)
    rng = np.random.default_rng(chosen.seed)
    captures = {c.name: c for c in read_captures(DATA / "motion3d/cmu/cmu24_30fps.npz")}
    reps: dict[str, Any] = json.loads((DATA / "motion3d/exercise/reps.json").read_text())

    print(head("segment", "repetitions", "counted, by view", "recognised"))
    exact, near, views, found = 0, 0, 0, [0, 0]
    for segment in reps["segments"]:
        capture = captures[segment["sequence"]]
        joints = coco(capture, slice(segment["start"], segment["end"]))
        name, counts, told = NAMES[segment["action"]], [], 0
        for view in range(VIEWS):
            points = seen(joints, view, chosen.noise, rng)
            times = np.arange(len(points)) / capture.fps
            counts.append(len(coach_clip(exercises[name], times, points, COCO17.joints)))
            told += asked and name in known and recognised(points, capture.fps, known) == name
        gaps = np.abs(np.array(counts) - segment["reps"])
        exact, near, views = exact + (gaps == 0).sum(), near + (gaps <= 1).sum(), views + VIEWS
        found = [found[0] + told, found[1] + VIEWS * (asked and name in known)]
        counted = " ".join(map(str, counts))
        right = f"{told} of {VIEWS}" if name in known else "one's own"
        right = right if asked else ""
        print(row(f"{capture.name} {name}", segment["reps"], counted, right))
    counted = f"{exact} of {views} exact, {near} within one"
    print(row("all", "", counted, f"{found[0]} of {found[1]}" if asked else ""))


if __name__ == "__main__":
    main()
