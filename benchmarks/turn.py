"""What the turn net is worth: AP on true boxes and poses per person, over the numbers of
`everybody.methods.orientation.Search`: how much likelier upright is held to be (prior), what score
is sure (sure), how unlikely other turns may be to be tried (worth), and how many people of the
world stand beside those of the picture (world).

    python -m benchmarks.turn [turn.onnx] [--data ../shared/data/coco_train] \\
        [--pose everybody-accurate]

All pictures upright and turned. The default data are no evaluation pictures: choose the numbers on
them.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from benchmarks.common import COCO_TRAIN, counted, head, parsed, parser, picture, rotated, row
from everybody.data.frames import gathered
from everybody.data.read import read
from everybody.data.rotate import turned
from everybody.methods import orientation as orient
from everybody.methods.topdown import open_sppe
from everybody.metrics.judge import judge
from everybody.options import PoseOptions
from everybody.people import People

TURNS = 4
GRID = [
    orient.Search(prior=prior, world=world, worth=worth, sure=sure)
    for prior, world, worth, sure in [
        (0, 1e6, 0, 0),
        *itertools.product((0.6, 0.9), (2, 1e6), (0.5, 0.7, 0.9, 1.2), (0.4, 0.5, 0.6)),
        (0, 2, 99, 9),
    ]
]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("net", nargs="?", type=Path)
    command.add_argument("--data", type=Path, default=COCO_TRAIN)
    command.add_argument("--pose", default="everybody-accurate")
    given = parsed(command)
    truth = read(given.data / "annotations.json")
    net, sppe = orient.open_turn_net(given.net), open_sppe(PoseOptions(model=given.pose))
    images = [picture(truth, index) for index in range(len(truth))]
    print(f"{given.data.name}: {counted(truth)}, true boxes, {given.pose}")

    # Per row of the grid and turn, the people of each picture.
    found: list[list[list[People]]] = [[] for _ in GRID]
    tried = np.zeros((len(GRID), TURNS), int)
    for quarter in range(TURNS):
        shown = turned(truth, quarter)
        for people in found:
            people.append([])
        for image, rows in zip(images, shown.rows(), strict=True):
            boxes = shown.boxes[rows[~shown.ignored[rows]]].astype(np.float32)
            count, view = len(boxes), rotated(image, quarter)
            likely, turns = net([view] * count, boxes), np.tile(np.arange(TURNS), count)
            keypoints = sppe.posed([view] * TURNS * count, boxes.repeat(TURNS, 0), turns).reshape(
                count, TURNS, -1, 3
            )
            for number, search in enumerate(GRID):
                expected = search.expected(likely, np.ones(count), np.zeros(count, np.intp))
                first = search.first(expected)
                looked = first | search.others(
                    expected, orient.confidence(keypoints[first][..., 2])
                )
                chosen = keypoints[np.arange(count), orient.best_turn(keypoints, looked)]
                found[number][-1].append(
                    People(chosen, boxes, chosen[..., 2].mean(1), truth.skeleton)
                )
                tried[number, quarter] += looked.sum()
    print(head("AP (poses per person)", "0°", "90°", "180°", "270°"))
    for number, search in enumerate(GRID):
        cells = []
        for quarter, people in enumerate(found[number]):
            shown = turned(truth, quarter)
            results = gathered(people, shown.pictures, truth.skeleton, name="turn", boxes_from="gt")
            (value,) = (
                figure.value for figure in judge(shown, results, ["AP"]) if figure.name == "AP"
            )
            each = tried[number, quarter] / sum(map(len, people))
            cells.append(f"{value:.3f} ({each:.2f})")
        print(row(search, *cells), flush=True)


if __name__ == "__main__":
    main()
