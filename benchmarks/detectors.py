"""Person detectors side by side: box AP on ../shared/data/coco_val, upright and turned by quarters;
false people on pictures without anybody; time.

    python -m benchmarks.detectors                           # every detector at hand, its own size
    python -m benchmarks.detectors rtmdet-nano-person ours.onnx --size 416 --size 320
    python -m benchmarks.detectors ours.onnx --turns 0,90 \\
        --data ../shared/data/coco_train                     # to choose by

Boxes that score at least .05 are judged; pictures turn counter-clockwise and their true boxes with
them, exactly. Intervals are 95 %, by a bootstrap over pictures; differences are to the first row,
on the same draws. Pictures without people: ../shared/data/photos/neg_*, those that `everybody pack
--hold-out 0.3` leaves out (neg_ade20k whole), counted at the default threshold. Milliseconds are
medians over the first pictures, all rows by turns on each picture; preprocessing and suppression of
duplicates included.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import (
    COCO_VAL,
    DATA,
    by_turns,
    counted,
    head,
    interval,
    medians,
    parsed,
    parser,
    picture,
    rotated,
    row,
)
from everybody.data.dataset import Dataset
from everybody.data.frames import gathered
from everybody.data.read import read
from everybody.data.rotate import turned
from everybody.media.images import SUFFIXES, decode
from everybody.methods.detector import open_detector
from everybody.methods.orientation import LookAgain, open_turn_net
from everybody.metrics import bootstrap, boxes
from everybody.options import Engine, FindOptions
from everybody.people import Image, People
from everybody.skeletons import COCO17
from everybody.train.shards import held_back
from everybody.train.squares import name_of
from everybody.weights import fetch, manifest

JUDGED, DEFAULT = 0.05, 0.3  # least scores: to be judged by AP, and of `everybody run`
HELD_OUT = 0.3
Finder = Callable[[Sequence[Image]], list[People]]
TRAINED_ON = ("neg_voc_animals", "neg_voc_vehicles")  # of these, what was held out counts
TIMED = 40  # pictures


def finder(model: str, size: int, again: bool, engine: Engine, score: float) -> Finder:
    """A detector by name or path; again: it looks again where people seem to lie."""
    find = FindOptions(detector=model, score=score, size=(size, size) if size else None)
    plain = open_detector(find, engine)
    return LookAgain(detector=plain, net=open_turn_net(engine=engine)) if again else plain


def found(look: Finder, truth: Dataset, images: Sequence[Image], quarters: int) -> Dataset:
    """The boxes on pictures turned by so many quarters, in the turned pictures' coordinates."""
    people = []
    for image in images:
        some = look([rotated(image, quarters)])[0]
        none = np.zeros((len(some), 17, 3), np.float32)
        people.append(People(none, some.boxes, some.scores, COCO17))
    return gathered(people, truth.pictures, COCO17, name="found")


def false_people(look: Finder, pictures: Sequence[Path]) -> float:
    """How many people per picture without any."""
    images = (decode(path.read_bytes(), path.name) for path in pictures)
    return float(np.mean([len(look([image])[0]) for image in images]))


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


def times(finders: Mapping[str, Finder], images: Sequence[Image]) -> dict[str, float]:
    """Median milliseconds per picture, the detectors by turns."""
    spent: dict[str, list[float]] = {name: [] for name in finders}
    for image in [images[0], *images]:  # the first time warms up
        calls = {name: partial(look, [image]) for name, look in finders.items()}
        for name, taken in by_turns(calls, 1).items():
            spent[name] += taken
    return medians({name: taken[1:] for name, taken in spent.items()})


def settings(given: argparse.Namespace) -> dict[str, Callable[[float], Finder]]:
    """Name of each row -> what makes its detector of a least score."""
    rows, default = manifest.load()
    here = [name for name, row in rows.items() if row.task == "detector" and fetch.find(row)]
    models = given.models or sorted(here, key=lambda name: name != default["detector"])
    engine = Engine(device="cpu", engine=given.engine, threads=given.threads)

    out = {}
    for size in given.size or [0]:
        for model in models:
            for again in (False, True) if given.again else (False,):
                name = [Path(model).stem, *[str(size)] * bool(size), *["again"] * again]
                out[" ".join(name)] = partial(finder, model, size, again, engine)
    return out


def print_times(given: argparse.Namespace, usual: dict[str, Finder], images: list[Image]) -> None:
    count = len(images[:TIMED])
    print(f"{given.engine}, {given.threads} threads; ms per picture, median of {count}")
    print(head("detector", "ms", "ratio"))
    spent = times(usual, images[:TIMED])
    first = next(iter(spent.values()))
    for name, value in spent.items():
        print(row(name, f"{value:.1f}", f"{value / first:.2f}"))


def print_precision(
    given: argparse.Namespace, truth: Dataset, judged: dict[str, Finder], images: list[Image]
) -> None:
    print(f"\n{given.data.name}: {counted(truth)}; box AP of boxes that score ≥ {JUDGED}")
    print(head("turned", "detector", "AP", "AP50", "difference"))
    weights = bootstrap.draws(len(truth), given.draws, np.random.default_rng(0))
    for turn in map(int, given.turns.split(",")):
        shown = turned(truth, turn // 90)
        first: tuple[float, np.ndarray] | None = None
        for name, look in judged.items():
            matches = boxes.matches(shown, found(look, shown, images, turn // 90))
            whole = dict(matches(np.ones(len(truth))))
            drawn = np.array([matches(line)["AP"] for line in weights])
            low, high = bootstrap.interval(drawn)
            said = "–"
            if first is None:
                first = whole["AP"], drawn
            else:
                known = bootstrap.difference(first[1], drawn, whole["AP"] - first[0])
                said = f"{interval(known)}, p {known.p:.3f}"
            value = f"{whole['AP']:.3f} [{low:.3f}, {high:.3f}]"
            print(row(f"{turn}°", name, value, f"{whole['AP50']:.3f}", said), flush=True)


def print_false_people(usual: dict[str, Finder]) -> None:
    sets = empty_pictures(DATA / "photos")
    print(f"\nFalse people per picture without people, score ≥ {DEFAULT}")
    print(head("detector", *(f"{name} ({len(paths)})" for name, paths in sets.items())))
    for name, look in usual.items():
        print(
            row(name, *(f"{false_people(look, paths):.3f}" for paths in sets.values())), flush=True
        )


def main() -> None:
    command = parser(__doc__)
    add = command.add_argument
    add("models", nargs="*", help="names or ONNX files; others are compared to the first")
    add("--size", type=int, action="append", help="side of the input; several; 0: the model's own")
    add("--again", action="store_true", help="each also looking again in turns")
    add("--data", type=Path, default=COCO_VAL)
    add("--turns", default="0,90,180,270")
    add("--engine", default="onnxruntime")
    add("--threads", type=int, default=2)
    add("--draws", type=int, default=500)
    add("--only-time", action="store_true")
    given = parsed(command)

    made = settings(given)
    judged = {name: make(JUDGED) for name, make in made.items()}
    usual = {name: make(DEFAULT) for name, make in made.items()}
    truth = read(given.data / "annotations.json")
    images = [picture(truth, index) for index in range(len(truth))]

    print_times(given, usual, images)
    if not given.only_time:
        print_precision(given, truth, judged, images)
        print_false_people(usual)


if __name__ == "__main__":
    main()
