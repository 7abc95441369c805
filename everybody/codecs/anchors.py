"""What MediaPipe's person detector says: boxes and alignment points of anchors (SSD, Liu et al.
2016; BlazeFace, Bazarevsky et al. 2019; BlazePose, Bazarevsky et al. 2020).

Every cell of a level has so many anchors of one size, all at its middle. An anchor answers logits
of a person, the box (its middle's way from the anchor, width, height) and each point's way from the
anchor, in pixels of the input. Numbers of the layout: 224 pixels, strides 8, 16 and three times 32,
two anchors a level and cell, as the published file has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import expit

from .grid import Array, check_answer, check_ports

if TYPE_CHECKING:
    from ..runtime import Port

MOST = 100.0  # logits beyond this are cut, as the published decoding does


@dataclass(frozen=True, slots=True)
class AnchorPoints:
    """[regressors [B, A, 4 + 2 P], classificators [B, A, 1]]: P points of each person."""

    MEANING: ClassVar = "boxes and points [B, A, 12] and scores [B, A, 1]"
    SUPPRESSED: ClassVar = False

    points: int = 4
    strides: tuple[int, ...] = (8, 16, 32, 32, 32)
    each: int = 2  # anchors of a cell, of each stride named
    offset: float = -0.5  # from the file's coordinates to pixel centres

    def anchors(self, size: tuple[int, int]) -> Array:
        """Input (width, height) -> [A, 2]: x, y of each anchor in pixels from the input's edge,
        level by level; strides that are the same are one level.
        """
        levels = []
        for stride in dict.fromkeys(self.strides):
            across, down = (-(-side // stride) for side in size)
            y, x = np.mgrid[:down, :across]
            middles = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) * (
                size[0] / across,
                size[1] / down,
            )
            levels.append(np.repeat(middles, self.each * self.strides.count(stride), 0))
        return np.concatenate(levels)

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """Per picture keypoints [A, P, 3], boxes [A, 4] and scores [A], in input pixels. Raises
        ModelError.
        """
        anchors = self.anchors(size)
        wide = 4 + 2 * self.points
        shapes = [(None, len(anchors), wide), (None, len(anchors), 1)]
        check_answer(self, self.MEANING, shapes, outputs)
        found = []
        for values, logits in zip(*outputs, strict=True):
            scores = expit(np.clip(logits[:, 0], -MOST, MOST))
            middle, half = values[:, :2] + anchors, values[:, 2:4] / 2
            boxes = np.concatenate([middle - half, middle + half], 1) + self.offset
            places = values[:, 4:].reshape(len(values), -1, 2) + anchors[:, None] + self.offset
            sure = np.broadcast_to(scores[:, None, None], (*places.shape[:2], 1))
            found.append((np.concatenate([places, sure], -1), boxes, scores))
        return found

    def check(self, ports: Sequence[Port], joints: int = 4) -> None:
        wide = 4 + 2 * self.points
        check_ports(self, self.MEANING, [(None, None, wide), (None, None, 1)], ports)
