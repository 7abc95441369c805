"""Animals: boxes by species, joints on true boxes and on found ones, on ../shared/data/animals/val.

    python -m benchmarks.animals                                   # the bundled models
    python -m benchmarks.animals --pose mine.onnx --detector mine-boxes.onnx
    python -m benchmarks.animals --data ../shared/data/animals/train --every 6   # to choose by

PCK@0.2 counts a joint as right within a fifth of the longer side of the animal's box. AP is COCO's,
with OKS of the sigmas of `animal-20` and the labels' areas. Boxes that score at least .02 are
judged. All figures are those of `everybody eval` (`metrics/compare.py`): of each species, their
mean, and all as one. Intervals are 95 %, by a bootstrap over pictures. The boxes of the detector
alone are judged, too; those of "found" are ranked by the animals' joints as well.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import DATA, counted, head, parsed, parser, picture, row
from everybody.data.dataset import Dataset
from everybody.data.frames import gathered
from everybody.data.join import joined
from everybody.data.read import read
from everybody.methods.detector import open_detector
from everybody.metrics.compare import judge_all
from everybody.metrics.predict import predict
from everybody.metrics.tables import Verdict, verdicts
from everybody.options import Engine, FindOptions
from everybody.skeletons import ANIMAL20
from everybody.weights import manifest

SCORE = 0.02  # least score of a box that is judged


def boxes_found(truth: Dataset, detector: str) -> Dataset:
    """The boxes of a detector on the pictures of the truth."""
    look = open_detector(FindOptions(detector=detector, score=SCORE), Engine(threads=1))
    found = []
    for index in range(len(truth)):
        people = look([picture(truth, index)])[0]
        none = np.zeros((len(people), len(ANIMAL20), 3), np.float32)
        found.append(replace(people, keypoints=none, skeleton=ANIMAL20))
    return joined(gathered(found, truth.pictures, ANIMAL20, name=detector), truth)


def on_true_boxes(truth: Dataset, pose: str) -> Dataset:
    """The joints of the animals whose boxes are known."""
    return predict(truth, boxes="gt", pose=pose, orientation="upright", threads=1, workers=1)


def judged(truth: Dataset, found: Dataset, measures: Sequence[str], draws: int = 0) -> Verdict:
    """As `everybody eval --bootstrap` judges."""
    (one,) = judge_all([found], truth, measures)
    return verdicts([(one.about, one.figures)], repeats=draws)[0]


def by_species(verdict: Verdict) -> None:
    """A table: species, how many there are, each measure with its interval."""
    measures = verdict.measures_by_category
    print(head("species", "animals", *measures))
    for name, figures in verdict.by_category.items():
        cells = [said(verdict, figures[measure].name) for measure in measures]
        print(row(name, verdict.about.categories.get(name, ""), *cells))


def said(verdict: Verdict, name: str) -> str:
    """'.512 [.470, .551]'"""
    value = next(figure.value for figure in verdict.figures if figure.name == name)
    low, high = verdict.intervals.get(name, (math.nan, math.nan))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


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
    print(f"{given.data.name}: {counted(truth).replace('people', 'animals')}")
    print(f"\nBoxes of {given.detector} alone:\n")
    by_species(judged(truth, boxes_found(truth, given.detector), ["BoxAP"], given.draws))

    on_truth = on_true_boxes(truth, given.pose)
    options = {"pose": given.pose, "orientation": "upright", "threads": 1, "workers": 1}
    found = predict(truth, detector=given.detector, det_score=SCORE, **options)
    joints = ["PCKb@0.2", "AP"]
    for boxes, results in (("true", on_truth), ("found", found)):
        measures = joints if boxes == "true" else [*joints, "BoxAP"]
        verdict = judged(truth, results, measures, given.draws)
        print(f"\nJoints of {given.pose} on {boxes} boxes:\n")
        by_species(verdict)
        pck = next(figure for figure in verdict.figures if figure.parts)
        print("\nBy joint: " + ", ".join(f"{name} {v:.2f}" for name, v in pck.parts.items()))


if __name__ == "__main__":
    main()
