"""What `--orientation any` and `--det-turns` give and cost: AP on ../shared/data/coco_val as it is
and turned by 90, 180 and 270 degrees, on true and on detected boxes, and the time of an upright
picture.

    python -m benchmarks.orientation [--pose NAME ...] [--det-turns N ...] [--det-score S]
    python -m benchmarks.orientation --cost [--limit N]   # of the bundled models' default, in time

Times are of finding and pose, without reading; the two orientations take turns picture by picture.
The paired difference is of the upright pictures, with its 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import (
    COCO_VAL,
    DETECTOR,
    by_turns,
    counted,
    gap,
    head,
    milliseconds,
    parsed,
    parser,
    row,
    turned_frames,
)
from everybody.data.dataset import Dataset
from everybody.data.frames import gathered
from everybody.data.read import read
from everybody.estimator import Estimator
from everybody.methods.detector import open_detector
from everybody.metrics.figure import Figure
from everybody.metrics.judge import judge
from everybody.options import ORIENTATIONS, FindOptions
from everybody.people import Frame, People

DRAWS = 500


class Setting(NamedTuple):
    """pose: a model's name; turns: the detector's, or 0 where boxes are true; orientation."""

    pose: str
    turns: int
    orientation: str


@dataclass
class Row:
    """One setting: AP per turn of the pictures, and milliseconds per upright picture."""

    figures: list[Figure] = field(default_factory=list)
    milliseconds: float = 0.0


def found(frames: list[Frame], turns: int, score: float) -> tuple[list[Frame], float]:
    """The frames with detected people, and milliseconds per picture."""
    detector = open_detector(FindOptions(detector=DETECTOR, turns=turns, score=score))
    detector([frames[0].image])  # warm
    people: list[People] = []

    def work() -> None:
        people.extend(detector([frame.image])[0] for frame in frames)

    spent = milliseconds(work) / len(frames)
    return [replace(frame, people=some) for frame, some in zip(frames, people, strict=True)], spent


def posed(
    frames: list[Frame], truth: Dataset, estimators: dict[str, Estimator]
) -> dict[str, tuple[Figure, float]]:
    """AP and milliseconds per picture of each estimator."""
    people: dict[str, list[People]] = {name: [] for name in estimators}
    spent = dict.fromkeys(estimators, 0.0)

    def work(name: str, frame: Frame) -> None:
        people[name].append(estimators[name].pose([frame])[0].people)

    for frame in frames:
        for name, times in by_turns({n: partial(work, n, frame) for n in estimators}, 1).items():
            spent[name] += times[0]

    out = {}
    for name, some in people.items():
        results = gathered(some, truth.pictures, estimators[name].skeleton, name="")
        out[name] = judge(truth, results, ["AP"])[0], spent[name] / len(frames)
    return out


def cost(truth: Dataset) -> None:
    """Milliseconds per picture of each bundled model: upright only, any in one look, and the
    default. One thread, the least of three for each picture, the three by turns.
    """
    ways: dict[str, dict[str, Any]] = {
        "upright": {"orientation": "upright"},
        "any, --det-turns 1": {"det_turns": 1},
        "the default": {},
    }
    _, frames = turned_frames(truth, 0)
    print(f"{counted(truth)}; ms per picture (ratio)\n{head('model', *ways)}")
    for model in ("accurate", "fast"):
        made = {name: Estimator(model=model, threads=1, **way) for name, way in ways.items()}
        spent = np.full((len(frames), len(ways)), np.inf)
        for _ in range(3):
            for place, frame in enumerate(frames):
                calls = {name: partial(one, [frame]) for name, one in made.items()}
                times = np.ravel(list(by_turns(calls, 1).values()))
                spent[place] = np.minimum(spent[place], times)
        means = spent.mean(0)
        print(row(model, *(f"{mean:.1f} ({mean / means[0]:.2f})" for mean in means)), flush=True)


def estimator(pose: str, orientation: str, *, detected: bool) -> Estimator:
    """An estimator of the poses in given boxes."""
    return Estimator(
        pose=pose,
        whole=True,
        orientation=orientation,
        pose_nms="oks" if detected else "none",
        workers=1,
    )


def measured(given: argparse.Namespace, truth: Dataset) -> dict[Setting, Row]:
    """All settings, on pictures in all turns."""
    sources = [0, *given.det_turns]  # 0: true boxes
    rows = {Setting(p, s, o): Row() for p in given.pose for s in sources for o in ORIENTATIONS}
    for turns in given.turns:
        labels, frames = turned_frames(truth, turns)
        for source in sources:
            some, spent = found(frames, source, given.det_score) if source else (frames, 0.0)
            for pose in given.pose:
                made = {o: estimator(pose, o, detected=bool(source)) for o in ORIENTATIONS}
                for orientation, (figure, each) in posed(some, labels, made).items():
                    one = rows[Setting(pose, source, orientation)]
                    one.figures.append(figure)
                    one.milliseconds = spent + each if turns == 0 else one.milliseconds
                    told = 90 * turns, source, pose, orientation, f"{figure.value:.3f}"
                    print(*told, file=sys.stderr, flush=True)
    return rows


def report(given: argparse.Namespace, truth: Dataset, rows: dict[Setting, Row]) -> None:
    print(f"{given.data}: {counted(truth)}; AP by turn of the pictures, ms per upright picture")
    angles = "".join(f"{90 * turn:5}°" for turn in given.turns)
    print(f"{'pose':18} {'boxes':26} {'orientation':12}{angles}     ms  time")
    for (pose, source, orientation), one in rows.items():
        first = rows[Setting(pose, min(source, 1) and given.det_turns[0], ORIENTATIONS[0])]
        boxes = f"detected, turns {source}, {given.det_score:g}" if source else "true"
        values = "".join(f"{figure.value:6.3f}" for figure in one.figures)
        ratio = one.milliseconds / first.milliseconds if first.milliseconds else float("nan")
        times = f"{one.milliseconds:6.1f} {ratio:5.2f}"
        print(f"{pose:18} {boxes:26} {orientation:12}{values} {times}")

    for pose in given.pose:
        pair = [rows[Setting(pose, 0, orientation)].figures[0] for orientation in ORIENTATIONS]
        more = gap(*pair, len(truth), DRAWS)
        print(f"{pose}, true boxes, {90 * given.turns[0]}°: any - upright {more}")


def main() -> None:
    command = parser(__doc__)
    add = command.add_argument
    add("--pose", nargs="+", default=["tinypose-256x192", "tinypose-128x96"])
    add("--det-turns", nargs="*", type=int, default=[1, 3, 4], help="none: true boxes only")
    add("--det-score", type=float, default=0.3)
    add("--turns", nargs="+", type=int, default=[0, 1, 2, 3], help="quarters, of the pictures")
    add("--data", type=Path, default=COCO_VAL / "annotations.json")
    add("--cost", action="store_true", help="only the time of the bundled models")
    add("--limit", type=int, default=0, help="the first so many pictures")
    given = parsed(command)

    truth = read(given.data)
    if given.limit:
        truth = truth.subset(range(given.limit))
    if given.cost:
        cost(truth)
    else:
        report(given, truth, measured(given, truth))


if __name__ == "__main__":
    main()
