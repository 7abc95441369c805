"""Person detectors side by side: box AP on ../shared/data/coco_val, upright and turned by quarters;
people whom they see where nobody is; and their time.

    python benchmarks/detectors.py                                   # every detector at hand, at its own size
    python benchmarks/detectors.py rtmdet-nano-person ours.onnx --size 416 --size 320
    python benchmarks/detectors.py ours.onnx --data ../shared/data/coco_train --turns 0,90   # to choose by

Boxes that score at least .05 are judged; pictures turn counter-clockwise and their true boxes with
them, exactly. Intervals are 95 %, by a bootstrap over pictures; differences are to the first row,
on the same draws. Pictures without people: ../shared/data/photos/neg_*, those that `everybody pack
--hold-out 0.3` leaves out (neg_ade20k whole), counted at the default threshold. Milliseconds are
medians over the first pictures, of one row after the other on each picture, so that what else runs
on the machine slows all alike; preprocessing and suppression of duplicates included.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from everybody.data.dataset import Dataset
from everybody.data.read import read
from everybody.data.frames import gathered
from everybody.data.rotate import turned
from everybody.media.images import SUFFIXES, decode
from everybody.methods.again import LookAgain
from everybody.methods.open import Engine, load_detector, load_turn
from everybody.metrics import bootstrap, boxes
from everybody.people import Image, People
from everybody.skeletons import COCO17
from everybody.train.shards import held_back, name_of
from everybody.weights import fetch, manifest

SHARED = Path(__file__).resolve().parents[2] / "shared"
JUDGED, DEFAULT = 0.05, 0.3  # least scores: to be judged by AP, and of `everybody run`
HELD_OUT = 0.3
Finder = Callable[[Sequence[Image]], list[People]]
TRAINED_ON = ("neg_voc_animals", "neg_voc_vehicles")  # of these, what was held out counts
TIMED = 40  # pictures


def finder(model: str, size: int, again: bool, engine: Engine, score: float) -> Finder:
    """By name or path; again: that looks again where people seem to lie."""
    plain = load_detector(model, score=score, engine=engine, size=(size, size) if size else None)
    return LookAgain(detector=plain, turn_net=load_turn(engine=engine)) if again else plain


def found(look: Finder, truth: Dataset, images: Sequence[Image], quarters: int) -> Dataset:
    """The boxes on pictures turned by so many quarters, told by the turned pictures."""
    people = []
    for image in images:
        some = look([np.ascontiguousarray(np.rot90(image, quarters))])[0]
        people.append(
            People(np.zeros((len(some), 17, 3), np.float32), some.boxes, some.scores, COCO17)
        )
    return gathered(people, truth.pictures, COCO17, name="found")


def false_people(look: Finder, pictures: Sequence[Path]) -> float:
    """How many people per picture without any."""
    return float(
        np.mean([len(look([decode(path.read_bytes(), path.name)])[0]) for path in pictures])
    )


def empty_pictures(folder: Path) -> dict[str, list[Path]]:
    """Pictures without people that nothing was trained on, by set."""
    out = {}
    for part in sorted(folder.glob("neg_*")):
        paths = sorted(path for path in part.iterdir() if path.suffix.lower() in SUFFIXES)
        kept = (
            held_back([name_of(path) for path in paths], HELD_OUT)
            if part.name in TRAINED_ON
            else [True] * len(paths)
        )
        out[part.name] = [path for path, keep in zip(paths, kept, strict=True) if keep]
    return out


def milliseconds(finders: Sequence[Finder], images: Sequence[Image]) -> list[float]:
    """Median per picture, the detectors taking turns."""
    spent: list[list[float]] = [[] for _ in finders]
    for look in finders:
        look([images[0]])
    for image in images:
        for look, times in zip(finders, spent, strict=True):
            begun = time.perf_counter()
            look([image])
            times.append(1e3 * (time.perf_counter() - begun))
    return [float(np.median(times)) for times in spent]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", nargs="*", help="names or ONNX files; the first is what others are compared to"
    )
    parser.add_argument(
        "--size", type=int, action="append", help="side of the input; several; 0: the model's own"
    )
    parser.add_argument(
        "--again", action="store_true", help="each also looking again in turns (`everybody.methods.again`)"
    )
    parser.add_argument("--data", type=Path, default=SHARED / "data/coco_val")
    parser.add_argument("--turns", default="0,90,180,270")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--only-time", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    rows, default = manifest.load()
    here = [name for name, row in rows.items() if row.task == "detector" and fetch.find(row)]
    models = given.models or sorted(here, key=lambda name: name != default["detector"])
    engine = Engine(device="cpu", engine=given.engine, threads=given.threads)
    ways = [False, True] if given.again else [False]
    settings = [
        (model, size, again) for size in given.size or [0] for model in models for again in ways
    ]
    names = [
        " ".join([Path(m).stem, *[str(size)] * bool(size), *["again"] * again])
        for m, size, again in settings
    ]
    finders, usual = (
        [finder(*setting, engine, score) for setting in settings] for score in (JUDGED, DEFAULT)
    )
    turns = [int(turn) for turn in given.turns.split(",")]

    truth = read(given.data / "annotations.json")
    images = [decode(truth.path(i).read_bytes(), truth.pictures[i].name) for i in range(len(truth))]
    times = milliseconds(usual, images[:TIMED])
    print(
        f"{given.engine}, {given.threads} threads; ms per picture, median of {len(images[:TIMED])}"
    )
    print("| detector | ms | ratio |\n| --- | --- | --- |")
    for name, spent in zip(names, times, strict=True):
        print(f"| {name} | {spent:.1f} | {spent / times[0]:.2f} |")
    if given.only_time:
        return

    people = int((~truth.ignored).sum())
    print(
        f"\n{given.data.name}: {len(truth)} pictures, {people} people; box AP of boxes that score ≥ {JUDGED}"
    )
    print("| turned | detector | AP | AP50 | difference |\n| --- | --- | --- | --- | --- |")
    weights = bootstrap.draws(len(truth), given.draws, np.random.default_rng(0))
    for turn in turns:
        shown = turned(truth, turn // 90)
        first: tuple[float, np.ndarray] | None = None
        for name, look in zip(names, finders, strict=True):
            matches = boxes.matches(shown, found(look, shown, images, turn // 90))
            whole = dict(matches(np.ones(len(truth))))
            drawn = np.array([matches(row)["AP"] for row in weights])
            low, high = bootstrap.interval(drawn)
            said = "–"
            if first is None:
                first = whole["AP"], drawn
            else:
                gap = bootstrap.difference(first[1], drawn, whole["AP"] - first[0])
                said = f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}], p {gap.p:.3f}"
            cells = f"{whole['AP']:.3f} [{low:.3f}, {high:.3f}] | {whole['AP50']:.3f} | {said}"
            print(f"| {turn}° | {name} | {cells} |", flush=True)

    sets = empty_pictures(SHARED / "data/photos")
    print(f"\nFalse people per picture without people, score ≥ {DEFAULT}")
    print(f"| detector | {' | '.join(f'{name} ({len(paths)})' for name, paths in sets.items())} |")
    print("| --- " * (1 + len(sets)) + "|")
    for name, look in zip(names, usual, strict=True):
        cells = " | ".join(f"{false_people(look, paths):.3f}" for paths in sets.values())
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
