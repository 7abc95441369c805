"""People said by cells, each whole: boxes, scores and joints of the surest cells of a one-stage
network (as RTMO's, Lu et al. 2024), in input pixels under the coordinate law. Several cells may say
the same person; box NMS leaves the surest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from ..geometry import Array
from ..nms import distinct_boxes
from .grid import check_answer, check_ports

if TYPE_CHECKING:
    from ..runtime import Port

MEANING = "boxes [B, N, 4], scores [B, N] and joints [B, N, K, 3]"


@dataclass(frozen=True, slots=True)
class CellPoses:
    """The picture codec of RTMO.

    least: score of a cell that counts; nms: IoU of boxes above which two cells say one person (both
    as the authors test). most: the surest cells are compared; people: the surest of these are
    answered. Both bound time and memory, here and in the pose NMS that follows.
    """

    least: float = 0.1
    nms: float = 0.65
    most: int = 3000
    people: int = 1000

    def encode(self, keypoints: Array, boxes: Array, scores: Array) -> tuple[Array, Array, Array]:
        """People of a picture [N, K, 3], their boxes [N, 4] and scores [N] -> what a perfect
        network says, the surest first.
        """
        order = np.argsort(-scores, kind="stable")
        return boxes[None, order], scores[None, order], keypoints[None, order]

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """A network's outputs -> per picture (keypoints, boxes, scores) in input pixels."""
        check_answer(self, MEANING, _shapes(None), outputs)
        check_answer(self, MEANING, _shapes(None, outputs[0].shape[1]), outputs)
        if not all(np.isfinite(output).all() for output in outputs):
            raise ModelError("RTMO's answer holds NaN or infinity: broken weights?")

        found = []
        for boxes, scores, joints in zip(*outputs, strict=True):
            sure = np.argsort(-scores, kind="stable")[
                : min(self.most, (scores >= self.least).sum())
            ]
            boxes, scores, joints = boxes[sure], scores[sure], joints[sure]
            keep = distinct_boxes(boxes, scores, self.nms)[: self.people]
            found.append((joints[keep], boxes[keep], scores[keep]))
        return found

    def check(self, ports: Sequence[Port], joints: int) -> None:
        check_ports(self, MEANING, _shapes(joints), ports)


def _shapes(joints: int | None, count: int | None = None) -> list[tuple[int | None, ...]]:
    return [(None, count, 4), (None, count), (None, count, joints, 3)]
