"""RTMO as a method: one network answers with people (Lu et al. 2024, "RTMO: towards
high-performance one-stage real-time multi-person pose estimation", CVPR).

The network itself: `models.rtmo`. A model is an ONNX file that answers boxes [B, N, 4], scores
[B, N] and joints (x, y, visibility) [B, N, K, 3] of its surest cells, in input pixels under the
coordinate law. Several cells may say the same person; box NMS leaves the surest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..codecs.grid import check_answer, check_ports
from ..errors import ModelError
from ..geometry import Array, iou
from ..inputs import Input
from ..nms import greedy
from ..options import Options
from ..runtime import Port
from .bottomup import BottomUp, open_file

# As published: blue first, 0 to 255, grey around the picture.
INPUT = Input(size=(640, 640), channels="bgr", fill=114)
MEANING = "boxes [B, N, 4], scores [B, N] and joints [B, N, K, 3]"


@dataclass(frozen=True, slots=True)
class CellPoses:
    """The picture codec of RTMO.

    least: score of a cell that counts; nms: IoU of boxes above which two cells say one person (both
    as the authors test).
    """

    least: float = 0.1
    nms: float = 0.65

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """A network's outputs -> per picture (keypoints, boxes, scores) in input pixels."""
        check_answer(self, MEANING, _shapes(None), outputs)
        if not all(np.isfinite(output).all() for output in outputs):
            raise ModelError("RTMO's answer holds NaN or infinity: broken weights?")

        found = []
        for boxes, scores, joints in zip(*outputs, strict=True):
            sure = scores >= self.least
            boxes, scores, joints = boxes[sure], scores[sure], joints[sure]
            keep = greedy(iou(boxes, boxes), scores, self.nms)
            found.append((joints[keep], boxes[keep], scores[keep]))
        return found

    def check(self, ports: Sequence[Port], joints: int) -> None:
        check_ports(self, MEANING, _shapes(joints), ports)


def _shapes(joints: int | None) -> list[tuple[int | None, ...]]:
    return [(None, None, 4), (None, None), (None, None, joints, 3)]


def open_rtmo(options: Options) -> BottomUp:
    """RTMO by the options' pose model (a name, or an ONNX file). Raises ModelError, OptionError."""
    return open_file(options, "rtmo", CellPoses(), INPUT)
