"""A second look at the picture turned, where somebody in it seems to lie, hang or dive.

Detectors are trained on people who stand, and see others faintly or not at all; in the picture
turned so that these stand they see them well. Looking in all four turns takes four times as long,
and finds things that are nobody. But the faint boxes are enough for the small net that knows how
people are turned (`orient`): where it says that one of them is, the picture is looked at in that
turn, too.

The numbers were chosen on coco_train and its turned copies and on people of lspet/train who do not
stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..geometry import Array
from ..people import Image, People
from .detector import TURNS, Detector
from .orientation import GUIDED, UNKNOWN, TurnNet

FAINT = 0.15  # score of a box that is worth asking about
MOST = 12  # boxes of a picture that are asked about, the surest
TURNED = 0.65  # probability of a turn that is worth looking at


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain:
    """Pictures [H, W, 3] RGB -> the people in each, most confident first, as boxes without joints,
    who know their `turns` as far as the net was asked.
    """

    detector: Detector
    turn_net: TurnNet
    _faint: Detector = field(init=False)

    def __post_init__(self) -> None:
        faint = replace(self.detector, score=min(self.detector.score, FAINT), max_people=None)
        object.__setattr__(self, "_faint", faint)

    def __call__(self, images: Sequence[Image]) -> list[People]:
        if not images:
            return []
        found = self._faint(images)
        picture = np.repeat(np.arange(len(images)), [len(people) for people in found])
        place = np.concatenate(
            [np.arange(len(people)) for people in found]
        )  # the surest come first
        boxes, scores = (
            np.concatenate([getattr(people, name) for people in found])
            for name in ("boxes", "scores")
        )
        asked = np.flatnonzero((scores >= FAINT) & (place < MOST))
        likely = np.full((len(boxes), 4), UNKNOWN, np.float32)
        likely[asked] = self.turn_net([images[n] for n in picture[asked].tolist()], boxes[asked])
        turned = GUIDED.expected(likely[asked], scores[asked], picture[asked]) >= TURNED
        found = [replace(people, turns=likely[picture == n]) for n, people in enumerate(found)]
        more: list[list[tuple[Array, Array]]] = [[] for _ in images]
        for turn in TURNS[1:]:
            wanted = np.unique(picture[asked][turned[:, turn]]).tolist()
            for n, seen in zip(
                wanted, self._faint.look([images[n] for n in wanted], turn), strict=True
            ):
                more[n].append(seen)
        return [self._joined(*parts) for parts in zip(images, found, more, strict=True)]

    def _joined(self, image: Image, people: People, more: list[tuple[Array, Array]]) -> People:
        if not more:
            return people[people.scores >= self.detector.score][: self.detector.max_people]
        boxes, scores = (
            np.concatenate(column)
            for column in zip((people.boxes, people.scores), *more, strict=True)
        )
        turns = np.full((len(boxes), 4), UNKNOWN, np.float32)
        turns[: len(people)] = people.turns
        return self.detector.chosen(replace(People.from_boxes(boxes, scores), turns=turns), image)
