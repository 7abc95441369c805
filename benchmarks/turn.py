"""What the turn net is worth: AP on true boxes and poses per person, over the numbers of
`everybody.methods.orientation`: how much likelier upright is held to be (PRIOR), what score is sure (SURE), how
unlikely other turns may be to be tried (WORTH); and over how many people of the world stand beside
those of the picture (WORLD).

    python benchmarks/turn.py [turn.onnx] [--data ../shared/data/coco_train] [--pose
    everybody-accurate]

All pictures upright and turned. The default data are no evaluation pictures: choose the numbers on
them.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path

import numpy as np

from everybody.data.read import read
from everybody.data.frames import gathered
from everybody.data.rotate import turned
from everybody.media.images import decode
from everybody.methods import orientation as orient
from everybody.methods.open import load_sppe, load_turn
from everybody.metrics.judge import judge
from everybody.people import People

TURNS = 4
SHARED = Path(__file__).resolve().parents[2] / "shared"
GRID = [
    orient.Search(prior=prior, world=world, worth=worth, sure=sure)
    for prior, world, worth, sure in [
        (0, 1e6, 0, 0),
        *itertools.product((0.6, 0.9), (2, 1e6), (0.5, 0.7, 0.9, 1.2), (0.4, 0.5, 0.6)),
        (0, 2, 99, 9),
    ]
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("net", nargs="?", type=Path)
    parser.add_argument("--data", type=Path, default=SHARED / "data/coco_train")
    parser.add_argument("--pose", default="everybody-accurate")
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    net, truth, sppe = (
        load_turn(given.net),
        read(given.data / "annotations.json"),
        load_sppe(given.pose),
    )
    images = [decode(truth.path(i).read_bytes(), truth.pictures[i].name) for i in range(len(truth))]
    print(
        f"{given.data.name}: {len(truth)} pictures, {(~truth.ignored).sum()} people, true boxes, {given.pose}"
    )
    found: list[list[list[People]]] = [
        [] for _ in GRID
    ]  # per row of the grid and turn, the people of each picture
    tried = np.zeros((len(GRID), TURNS), int)
    for quarter in range(TURNS):
        shown = turned(truth, quarter)
        for people in found:
            people.append([])
        for image, rows in zip(images, shown.rows(), strict=True):
            boxes = shown.boxes[rows[~shown.ignored[rows]]].astype(np.float32)
            count, view = len(boxes), np.ascontiguousarray(np.rot90(image, quarter))
            likely, turns = net([view] * count, boxes), np.tile(np.arange(TURNS), count)
            keypoints = sppe.posed([view] * TURNS * count, boxes.repeat(TURNS, 0), turns).reshape(
                count, TURNS, -1, 3
            )
            for row, search in enumerate(GRID):
                expected = search.expected(likely, np.ones(count), np.zeros(count, np.intp))
                first = search.first(expected)
                looked = first | search.others(
                    expected, orient.confidence(keypoints[first][..., 2])
                )
                chosen = keypoints[np.arange(count), orient.best_turn(keypoints, looked)]
                found[row][-1].append(People(chosen, boxes, chosen[..., 2].mean(1), truth.skeleton))
                tried[row, quarter] += looked.sum()
    print("| AP (poses per person) | 0° | 90° | 180° | 270° |\n" + "| --- " * 5 + "|")
    for row, search in enumerate(GRID):
        cells = []
        for quarter, people in enumerate(found[row]):
            shown = turned(truth, quarter)
            results = gathered(people, shown.pictures, truth.skeleton, name="turn", boxes_from="gt")
            (value,) = (
                figure.value for figure in judge(shown, results, ["AP"]) if figure.name == "AP"
            )
            cells.append(f"{value:.3f} ({tried[row, quarter] / sum(map(len, people)):.2f})")
        print(f"| {search} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
