"""A second look at people who overlap, told by the first which of them is meant: bottom-up
conditioned top-down (BUCTD, Zhou et al. 2023, arXiv 2306.07879).

A box that holds two people does not say which one it is of, and the network answers with the
clearer one, or with joints of both. After pose NMS every person has a rough pose. People whose box
overlaps another one's are looked at once more by a network that gets, beside the crop, this pose
and the one of the person who overlaps most (`codecs/condition.py`). The others cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import geometry
from ..codecs.condition import COLOURS, channels, condition
from ..codecs.heatmap import Heatmap
from ..errors import ModelError, OptionError
from ..geometry import Array
from ..inputs import crop, normalise
from ..method import Poser
from ..people import Frame, Image, People
from ..runtime import Session
from .orientation import trunks
from .sppe import LookingAgain, Sppe

OVERLAP = 0.1  # IoU of two boxes from which their people are looked at again


class ToldSppe(Sppe):
    """An SPPE whose crops come with the rough poses of who is meant and of who is beside. Asked
    without (`posed`), it gets an empty condition and answers as any SPPE.
    """

    @staticmethod
    def fits(session: Session) -> bool:
        """Whether a file takes more channels than a picture has."""
        shape = session.input.shape
        return len(shape) == 4 and (shape[1] or 0) > COLOURS and shape[3] != COLOURS

    @property
    def _channels(self) -> int:
        if not isinstance(self.codec, Heatmap):
            raise ModelError(f"{self.session.path}: a condition is drawn on a grid of heatmaps")
        return COLOURS + channels(len(self.skeleton), self.codec.stride)

    def _fed(self, crops: Sequence[Image]) -> Array:
        shown = normalise(crops, self.input)
        blank = (len(shown), self._channels - COLOURS, *shown.shape[2:])
        return np.concatenate([shown, np.zeros(blank, shown.dtype)], 1)

    def told(
        self, pictures: Sequence[Image], boxes: Array, turns: Array, own: Array, other: Array
    ) -> Array:
        """Pictures, boxes [N, 4], quarter turns [N], rough poses [N, K, 3] and those beside them
        [N, K, 3] of N people, in picture pixels -> keypoints [N, K, 3] in picture pixels.
        """
        assert isinstance(self.codec, Heatmap)
        matrices = self.look(pictures, boxes, turns, self.input.size)
        own, other = (geometry.transform(matrices, poses) for poses in (own, other))
        found = []
        for start in range(0, len(boxes), self.batch or len(boxes)):
            rows = slice(start, start + (self.batch or len(boxes)))
            pairs = zip(pictures[rows], matrices[rows], strict=True)
            shown = normalise([crop(image, m, self.input) for image, m in pairs], self.input)
            maps = condition(self.codec, own[rows], other[rows]).astype(shown.dtype)
            found.append(self._decoded(self.session(np.concatenate([shown, maps], 1))))
        return geometry.transform(geometry.invert(matrices), np.concatenate(found))


@dataclass(frozen=True, slots=True)
class Conditioned(LookingAgain):
    """A `Poser`: what `poser` found; people who overlap by more than `overlap` (IoU) are looked at
    again by `stage`. Scores of people stay those of the first look.
    """

    stage: ToldSppe
    overlap: float = OVERLAP

    @property
    def sessions(self) -> Mapping[str, Session]:
        return {**self.poser.sessions, "condition": self.stage.session}

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        posed = self.poser(frames)
        beside = [neighbours(frame.people.boxes, self.overlap) for frame in posed]
        rows = [np.flatnonzero(others >= 0) for others in beside]
        if not sum(map(len, rows)):
            return posed
        looked = [(f, f.people[r], f.people[o[r]])
                  for f, r, o in zip(posed, rows, beside, strict=True)]  # fmt: skip
        found = self.stage.told(
            [frame.image for frame, own, _ in looked for _ in own],
            np.concatenate([own.boxes for _, own, _ in looked]),
            np.concatenate([np.nan_to_num(trunks(own)).round() for _, own, _ in looked]),
            np.concatenate([own.keypoints for _, own, _ in looked]),
            np.concatenate([other.keypoints for _, _, other in looked]),
        )
        parts = np.split(found, np.cumsum([len(r) for r in rows])[:-1])
        return [
            replace(frame, people=with_poses(frame.people, some, part))
            for frame, some, part in zip(posed, rows, parts, strict=True)
        ]


def neighbours(boxes: Array, overlap: float) -> NDArray[np.intp]:
    """Boxes [N, 4] of one picture -> [N]: the one that overlaps each most, -1 where none does by
    more than `overlap` (IoU).
    """
    if len(boxes) < 2:
        return np.full(len(boxes), -1)
    shared = geometry.iou(boxes, boxes)
    np.fill_diagonal(shared, 0)
    return np.where(shared.max(1) > overlap, shared.argmax(1), -1)


def with_poses(people: People, rows: NDArray[np.intp], poses: Array) -> People:
    """The people, those of these rows [M] with these keypoints [M, K, 3]."""
    keypoints = people.keypoints.copy()
    keypoints[rows] = poses
    return replace(people, keypoints=keypoints)


def conditioned(poser: Poser, stage: Sppe, model: str | Path) -> Conditioned:
    """A poser and the network that looks again. Raises OptionError for one without conditions."""
    if not isinstance(stage, ToldSppe):
        raise OptionError(
            f"--condition {model}: takes no rough poses: give a network of "
            "`everybody train conditioned-128`"
        )
    return Conditioned(poser, stage)
