"""Animals: boxes by species, joints on true boxes and on found ones, on ../shared/data/animals/val.

    python -m benchmarks.animals                                   # the bundled models
    python -m benchmarks.animals --pose mine.onnx --detector mine-boxes.onnx
    python -m benchmarks.animals --data ../shared/data/animals/train --every 6   # to choose by

PCK@0.2 counts a joint as right within a fifth of the longer side of the animal's box. AP is COCO's,
with OKS of the sigmas of `animal-20` and the labels' areas, of all species at once; beside it the
mean over species. Boxes that score at least .02 are judged, each species for itself. Intervals are
95 %, by a bootstrap over pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import DATA, counted, head, parsed, parser, picture, row
from everybody.data.dataset import Dataset
from everybody.data.frames import gathered
from everybody.data.join import joined
from everybody.data.read import read
from everybody.methods.detector import open_detector
from everybody.metrics import bootstrap, boxes, oks
from everybody.metrics.judge import judge
from everybody.metrics.predict import predict
from everybody.options import Engine, FindOptions
from everybody.skeletons import ANIMAL20
from everybody.weights import manifest

SCORE = 0.02  # least score of a box that is judged
Measure = Callable[[np.ndarray], float]  # how often each picture counts [P] -> a figure


def said(measure: Measure, pictures: int, draws: int) -> str:
    """'.512 [.470, .551]'"""
    weights = bootstrap.draws(pictures, draws, np.random.default_rng(0))
    low, high = bootstrap.interval(np.array([measure(line) for line in weights]))
    return f"{measure(np.ones(pictures)):.3f} [{low:.3f}, {high:.3f}]"


def as_one(data: Dataset) -> Dataset:
    """All species as one category."""
    return replace(data, category=np.ones_like(data.category), categories={1: "animal"})


def boxes_found(truth: Dataset, detector: str) -> Dataset:
    """The boxes of a detector on the pictures of the truth."""
    look = open_detector(FindOptions(detector=detector, score=SCORE), Engine(threads=1))
    found = []
    for index in range(len(truth)):
        people = look([picture(truth, index)])[0]
        none = np.zeros((len(people), len(ANIMAL20), 3), np.float32)
        found.append(replace(people, keypoints=none, skeleton=ANIMAL20))
    return joined(gathered(found, truth.pictures, ANIMAL20, name=detector), truth)


def print_boxes(truth: Dataset, found: Dataset, draws: int) -> None:
    print(head("species", "animals", "box AP"))
    each: list[Measure] = []
    for number, name in truth.categories.items():
        wanted = truth.category == number
        matches = boxes.matches(truth.select(wanted), found.select(found.category == number))
        each.append(lambda weights, matches=matches: matches(weights)["AP"])
        print(row(name, int(wanted.sum()), said(each[-1], len(truth), draws)))

    def mean(weights: np.ndarray) -> float:
        return float(np.nanmean([measure(weights) for measure in each]))

    print(row("mean", "", said(mean, len(truth), draws)))
    pooled = boxes.matches(as_one(truth), as_one(found))
    value = said(lambda weights: pooled(weights)["AP"], len(truth), draws)
    print(row("an animal, of any species", int((~truth.ignored).sum()), value))


def joint_measures(truth: Dataset, found: Dataset) -> tuple[Measure, Measure, Measure]:
    """PCK, AP and AP50 of what was found, of all species at once."""
    one, all_found = as_one(truth), as_one(found)
    (pck,) = judge(one, all_found, ["PCKb@0.2"])[:1]
    precision = oks.Matches(oks.evaluation(one, all_found), one)
    return (
        pck.again,
        lambda weights: precision(weights)["AP"],
        lambda weights: precision(weights)["AP50"],
    )


def on_true_boxes(truth: Dataset, pose: str) -> Dataset:
    """The joints of the animals whose boxes are known."""
    return predict(truth, boxes="gt", pose=pose, orientation="upright", threads=1, workers=1)


def print_joints(truth: Dataset, found: Dataset, what: str, draws: int) -> None:
    """PCK and AP of what was found."""
    pck, precision, coarse = joint_measures(truth, found)
    pictures = len(truth)
    cells = [said(pck, pictures, draws), said(precision, pictures, draws)]
    print(row(what, *cells, f"{coarse(np.ones(pictures)):.3f}"))


def print_parts(truth: Dataset, found: Dataset) -> None:
    """PCK by joint and by species, on true boxes."""
    (pck,) = judge(as_one(truth), as_one(found), ["PCKb@0.2"])[:1]
    print("\nBy joint: " + ", ".join(f"{name} {value:.2f}" for name, value in pck.parts.items()))
    said = []
    for number, name in truth.categories.items():
        some = truth.select(truth.category == number)
        (part,) = judge(as_one(some), as_one(found), ["PCKb@0.2"])[:1]
        said.append(f"{name} {part.value:.2f}")
    print("By species: " + ", ".join(said))


def arguments() -> argparse.Namespace:
    command = parser(__doc__)
    pair = manifest.variant("animals")
    add = command.add_argument
    add("--pose", default=pair.pose)
    add("--detector", default=pair.detector)
    add("--data", type=Path, default=DATA / "animals/val")
    add("--every", type=int, default=1, help="each n-th picture only")
    add("--draws", type=int, default=500)
    return parsed(command)


def main() -> None:
    given = arguments()
    truth = read(given.data)
    truth = truth.subset(range(0, len(truth), given.every))
    print(f"{given.data.name}: {counted(truth).replace('people', 'animals')}\n")
    print_boxes(truth, boxes_found(truth, given.detector), given.draws)

    print("\n" + head("boxes", "PCK@0.2", "AP", "AP50"))
    on_truth = on_true_boxes(truth, given.pose)
    print_joints(truth, on_truth, "true", given.draws)
    options = {"pose": given.pose, "orientation": "upright", "threads": 1, "workers": 1}
    detected = predict(truth, detector=given.detector, det_score=SCORE, **options)
    print_joints(truth, joined(detected, truth), "found", given.draws)
    print_parts(truth, on_truth)


if __name__ == "__main__":
    main()
