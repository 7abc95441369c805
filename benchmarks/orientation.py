"""What `--orientation any` and `--det-turns` give and cost: AP on ../shared/data/coco_val as it is
and turned by 90, 180 and 270 degrees, on true and on detected boxes, and the time of an upright
picture.

    python benchmarks/orientation.py [--pose NAME ...] [--det-turns N ...] [--det-score S]
    python benchmarks/orientation.py --cost [--limit N]   # of the bundled models' default, in time

Times are of finding and pose, without reading; the two orientations take turns picture by picture,
so that what else runs on the machine slows both. The paired difference is of the upright pictures,
with its 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from everybody import geometry
from everybody.data.dataset import Dataset
from everybody.data.read import read
from everybody.data.frames import gathered
from everybody.estimator import Estimator
from everybody.media.images import decode
from everybody.methods.open import load_detector
from everybody.methods.orientation import ORIENTATIONS
from everybody.metrics import bootstrap
from everybody.metrics.judge import Figure, judge
from everybody.people import Frame, People

SHARED = Path(__file__).resolve().parents[2] / "shared"
DRAWS = 500


@dataclass
class Row:
    """One setting: AP per turn of the pictures, and milliseconds per upright picture."""

    figures: list[Figure] = field(default_factory=list)
    milliseconds: float = 0.0


def turned(truth: Dataset, turns: int) -> tuple[Dataset, list[Frame]]:
    """Every picture turned as np.rot90 does, with its true people, and the truth turned with it."""
    keypoints, boxes, frames = truth.keypoints.copy(), truth.boxes.copy(), []
    for i, rows in enumerate(truth.rows()):
        image = decode(truth.path(i).read_bytes(), str(truth.path(i)))
        matrix = geometry.turn_matrix(image.shape[1], image.shape[0], turns)
        keypoints[rows] = geometry.transform(
            np.broadcast_to(matrix, (len(rows), 2, 3)), keypoints[rows]
        )
        boxes[rows] = geometry.transform_boxes(matrix, boxes[rows])
        people = People.from_boxes(boxes[rows[~truth.ignored[rows]]])
        frames.append(
            Frame(
                np.ascontiguousarray(np.rot90(image, turns)),
                source=str(truth.path(i)),
                people=people,
            )
        )
    return replace(truth, keypoints=keypoints, boxes=boxes), frames


def clock() -> float:
    return 1e3 * time.perf_counter()


def found(frames: list[Frame], turns: int, score: float) -> tuple[list[Frame], float]:
    """The frames with detected people, and milliseconds per picture."""
    detector = load_detector("rtmdet-nano-person", turns=turns, score=score)
    detector([frames[0].image])  # warm
    begun = clock()
    people = [detector([frame.image])[0] for frame in frames]
    spent = (clock() - begun) / len(frames)
    return [replace(frame, people=some) for frame, some in zip(frames, people, strict=True)], spent


def posed(
    frames: list[Frame], truth: Dataset, estimators: list[Estimator]
) -> list[tuple[Figure, float]]:
    """AP and milliseconds per picture of each estimator."""
    people: list[list[People]] = [[] for _ in estimators]
    spent = [0.0] * len(estimators)
    for frame in frames:
        for i, estimator in enumerate(estimators):
            begun = clock()
            people[i].append(estimator.pose([frame])[0].people)
            spent[i] += clock() - begun
    results = [gathered(some, truth.pictures, estimators[0].skeleton, name="") for some in people]
    return [
        (judge(truth, r, ["AP"])[0], s / len(frames)) for r, s in zip(results, spent, strict=True)
    ]


def gap(first: Figure, second: Figure, pictures: int) -> str:
    """By how much the second is better, and the interval of that."""
    weights = bootstrap.draws(pictures, DRAWS, np.random.default_rng(0))
    samples = bootstrap.sample([first, second], weights)
    known = bootstrap.difference(samples[0], samples[1], second.value - first.value)
    return f"{known.value:+.3f} [{known.low:+.3f}, {known.high:+.3f}]"


def cost(truth: Dataset) -> None:
    """Milliseconds per picture of each bundled model: upright only, any in one look, and the
    default. One thread, the least of three for each picture, the three by turns.
    """
    ways = {
        "upright": {"orientation": "upright"},
        "any, --det-turns 1": {"det_turns": 1},
        "the default": {},
    }
    _, frames = turned(truth, 0)
    print(
        f"{len(truth)} pictures; ms per picture (ratio)\n| model | {' | '.join(ways)} |"
        + "\n| --- "
        + "| --- " * 3
        + "|"
    )
    for model in ("accurate", "fast"):
        estimators = [Estimator(model=model, threads=1, **options) for options in ways.values()]  # type: ignore[arg-type]
        spent = np.full((len(frames), len(ways)), np.inf)
        for _ in range(3):
            for place, frame in enumerate(frames):
                for way, estimator in enumerate(estimators):
                    begun = time.perf_counter()
                    estimator([frame])
                    spent[place, way] = min(spent[place, way], 1e3 * (time.perf_counter() - begun))
        means = spent.mean(0)
        print(
            f"| {model} | {' | '.join(f'{mean:.1f} ({mean / means[0]:.2f})' for mean in means)} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pose", nargs="+", default=["tinypose-256x192", "tinypose-128x96"])
    parser.add_argument(
        "--det-turns", nargs="*", type=int, default=[1, 3, 4], help="none: true boxes only"
    )
    parser.add_argument("--det-score", type=float, default=0.3)
    parser.add_argument(
        "--turns", nargs="+", type=int, default=[0, 1, 2, 3], help="of the pictures"
    )
    parser.add_argument("--data", type=Path, default=SHARED / "data/coco_val/annotations.json")
    parser.add_argument("--cost", action="store_true", help="only the time of the bundled models")
    parser.add_argument("--limit", type=int, default=0, help="the first so many pictures")
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))

    truth = read(given.data)
    if given.limit:
        truth = truth.subset(range(given.limit))
    if given.cost:
        return cost(truth)
    sources = [0, *given.det_turns]  # 0: true boxes
    rows = {(p, s, o): Row() for p in given.pose for s in sources for o in ORIENTATIONS}
    for turns in given.turns:
        labels, frames = turned(truth, turns)
        for source in sources:
            some, spent = found(frames, source, given.det_score) if source else (frames, 0.0)
            for pose in given.pose:
                estimators = [
                    Estimator(
                        pose=pose,
                        whole=True,
                        orientation=o,
                        pose_nms="oks" if source else "none",
                        workers=1,
                    )
                    for o in ORIENTATIONS
                ]
                for orientation, (figure, each) in zip(
                    ORIENTATIONS, posed(some, labels, estimators), strict=True
                ):
                    row = rows[pose, source, orientation]
                    row.figures.append(figure)
                    print(
                        90 * turns,
                        source,
                        pose,
                        orientation,
                        f"{figure.value:.3f}",
                        file=sys.stderr,
                        flush=True,
                    )
                    if turns == 0:
                        row.milliseconds = spent + each
    people = int((~truth.ignored).sum())
    print(
        f"{given.data}: {len(truth)} pictures, {people} people; AP by turn of the pictures, ms per upright picture"
    )
    print(
        f"{'pose':18} {'boxes':26} {'orientation':12}"
        + "".join(f"{90 * t:5}°" for t in given.turns)
        + "     ms  time"
    )
    for (pose, source, orientation), row in rows.items():
        first = rows[pose, min(source, 1) and given.det_turns[0], ORIENTATIONS[0]]
        boxes = f"detected, turns {source}, {given.det_score:g}" if source else "true"
        values = "".join(f"{figure.value:6.3f}" for figure in row.figures)
        ratio = row.milliseconds / first.milliseconds if first.milliseconds else float("nan")
        print(f"{pose:18} {boxes:26} {orientation:12}{values} {row.milliseconds:6.1f} {ratio:5.2f}")
    for pose in given.pose:
        first, second = (rows[pose, 0, orientation].figures[0] for orientation in ORIENTATIONS)
        print(
            f"{pose}, true boxes, {90 * given.turns[0]}°: any - upright {gap(first, second, len(truth))}"
        )


if __name__ == "__main__":
    main()
