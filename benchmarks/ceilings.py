"""What could a network or a detector learn from looking more often, or from better boxes?

    python -m benchmarks.ceilings [--data ../shared/data/coco_train] [--model everybody-accurate]

Three changes of the pipeline's parts that cost too much or know the truth, before anything is
trained for them: what they bring at most is what a network that learns from them could.

looks: each person is looked at several times, in the box and in boxes beside it, each also in the
mirror, and a joint is the mean of what was found, weighted by how sure each look was. This teacher
is what a network distilled from its own ensemble would imitate (data distillation, Radosavovic et
al. 2018).
boxes by IoU: a person's score is multiplied with the true IoU of the box with the nearest labelled
one, which is what an IoU head of the detector is asked for (IoU-Net, Jiang et al. 2018).
true boxes: each box that has a labelled person to itself (IoU above .5) is replaced by that
person's before anybody is posed; scores stay.

Boxes are detected, the 20 surest of a picture, pictures upright; intervals are 95 %, by a bootstrap
over pictures, paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.common import COCO_TRAIN, counted, gap, head, parsed, parser, picture, row
from everybody.data.dataset import Dataset
from everybody.data.frames import gathered
from everybody.data.read import read
from everybody.geometry import iou
from everybody.methods.detector import open_detector
from everybody.methods.orientation import AnyTurn, LookAgain, Turnable, TurnNet, open_turn_net
from everybody.methods.topdown import open_sppe
from everybody.metrics.judge import judge
from everybody.nms import PoseNms
from everybody.options import Engine, FindOptions, PoseOptions
from everybody.people import Frame, Image, People
from everybody.runtime import Session
from everybody.skeletons import COCO17, Skeleton

DET_SCORE, MOST = 0.05, 20  # of a picture's boxes, the surest: COCO's AP reads so many
SAME = 0.5  # IoU
# By how much the other boxes lie beside the first, in its sides, and how much larger they are.
BESIDE = ((0, 0, 1), (-0.04, 0, 1), (0.04, 0, 1), (0, -0.04, 1), (0, 0.04, 1), (0, 0, 1.12))


@dataclass(frozen=True)
class Often:
    """A poser that looks at every person in several boxes."""

    poser: Turnable
    beside: Sequence[tuple[float, float, float]] = BESIDE

    @property
    def skeleton(self) -> Skeleton:
        return self.poser.skeleton

    @property
    def sessions(self) -> Mapping[str, Session]:
        return self.poser.sessions

    def posed(self, pictures: Sequence[Image], boxes: np.ndarray, turns: ArrayLike) -> np.ndarray:
        looks = np.stack(
            [self.poser.posed(pictures, moved(boxes, *how), turns) for how in self.beside]
        )
        sure = looks[..., 2:] + 1e-6
        places = (looks[..., :2] * sure).sum(0) / sure.sum(0)
        return np.concatenate([places, looks[..., 2:].mean(0)], 2)


def moved(boxes: np.ndarray, right: float, down: float, larger: float) -> np.ndarray:
    """Boxes [N, 4], moved and scaled by shares of their sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    middles = (boxes[:, 2:] + boxes[:, :2]) / 2 + sides * (right, down)
    return np.concatenate([middles - sides * larger / 2, middles + sides * larger / 2], 1)


def nearest(boxes: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [N, 4], the surest first, labelled ones [M, 4] -> the IoU of each with the nearest
    labelled one [N], and the labelled one that each has to itself [N] (-1: none).
    """
    overlap = iou(boxes, true) if len(true) else np.zeros((len(boxes), 1))
    own = np.full(len(boxes), -1)
    free = overlap.copy()
    for box in range(len(boxes)):
        if free[box].max() > SAME:
            own[box] = free[box].argmax()
            free[:, own[box]] = 0
    return overlap.max(1, initial=0), own


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--data", type=Path, default=COCO_TRAIN)
    command.add_argument("--model", default="everybody-accurate")
    given = parsed(command)
    truth = read(given.data)
    engine = Engine(threads=1)
    net = open_turn_net(engine=engine)
    finder = LookAgain(detector=open_detector(FindOptions(score=DET_SCORE), engine), net=net)
    plain = open_sppe(PoseOptions(model=given.model), engine)
    mirror = replace(plain, flip_test=True)
    looks: dict[str, Turnable] = {
        "as it is": plain,
        "and its mirror image": mirror,
        f"{len(BESIDE)} boxes, and their mirror images": Often(mirror),
    }
    found: dict[str, list[People]] = {name: [] for name in looks}
    found |= {"boxes by IoU": [], "true boxes": []}
    for index, rows in enumerate(truth.rows()):
        image = picture(truth, index)
        true = truth.boxes[rows[~truth.ignored[rows]]]
        people = finder([image])[0][:MOST]
        for name, poser in looks.items():
            found[name].append(posed(poser, net, image, people))
        first = found["as it is"][-1]
        near, own = nearest(people.boxes, true)
        found["boxes by IoU"].append(replace(first, scores=(first.scores * near).astype("f4")))
        boxes = people.boxes.copy()
        boxes[own >= 0] = true[own[own >= 0]]
        found["true boxes"].append(posed(plain, net, image, replace(people, boxes=boxes)))
    print(f"{given.data.name}: {counted(truth)}, {given.model}, detected boxes")
    report(truth, found)


def posed(poser: Turnable, net: TurnNet, image: Image, people: People) -> People:
    """The people of a picture, as a poser sees them, the same people in the same order."""
    return AnyTurn(poser=poser, net=net)([Frame(image, people=people)])[0].people


def report(truth: Dataset, found: Mapping[str, Sequence[People]]) -> None:
    """AP of each, and its gain over the first."""
    suppress, first = PoseNms(), None
    print(head("", "AP", "difference"))
    for name, groups in found.items():
        kept = gathered([suppress(people) for people in groups], truth.pictures, COCO17, name=name)
        figure = judge(truth, kept, ["AP"])[0]
        first = first or figure
        said = "–" if figure is first else gap(first, figure, len(truth), 1000)
        print(row(name, f"{figure.value:.3f}", said), flush=True)


if __name__ == "__main__":
    main()
