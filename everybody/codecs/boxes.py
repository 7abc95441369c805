"""What person detectors say: boxes and scores of a whole picture, in the layout of each family.

`rtmdet` (Lyu et al. 2022; NMS inside the graph), `yolox` (Ge et al. 2021; a raw grid), `picodet`
(Yu et al. 2021; boxes and scores apart). Detectors are trained on boxes that count from the
picture's corner, so half a pixel goes off every coordinate to obey the coordinate law (`offset`).

Each is a `PictureCodec` with no joints. `decode` gives keypoints [M, 0, 3], boxes and scores of all
that the network says: no threshold, no NMS. `guess_layout` names the layout of an unknown file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .grid import Array, check_ports

if TYPE_CHECKING:
    from ..runtime import Port

STRIDES = (8, 16, 32)
Found = tuple[Array, Array, Array]  # keypoints [M, 0, 3], boxes [M, 4], scores [M]


@dataclass(frozen=True, slots=True)
class RtmdetBoxes:
    """RTMDet with NMS in the graph: boxes with scores, and classes."""

    MEANING: ClassVar = "dets [B, N, 5] and labels [B, N]"
    SUPPRESSED: ClassVar = True  # the graph holds the NMS

    person: int = 0  # the class of people
    offset: float = -0.5  # from the file's coordinates to pixel centres

    def decode(self, outputs: Sequence[Array], size: tuple[int, int]) -> list[Found]:
        """[dets [B, N, 5], labels [B, N]] -> per picture (keypoints, boxes, scores)."""
        dets, classes = outputs
        return [
            _found(d[keep, :4] + self.offset, d[keep, 4])
            for d, keep in zip(dets, classes == self.person, strict=True)
        ]

    def check(self, ports: Sequence[Port], joints: int = 0) -> None:
        check_ports(self, self.MEANING, [(None, None, 5), (None, None)], ports)


@dataclass(frozen=True, slots=True)
class YoloxBoxes:
    """One raw grid: centre offsets and log sizes in strides, objectness, classes; the cells of all
    levels, the finest first.
    """

    MEANING: ClassVar = "one raw grid [B, A, 5 + classes]"
    SUPPRESSED: ClassVar = False

    person: int = 0
    offset: float = -0.5

    def decode(self, outputs: Sequence[Array], size: tuple[int, int]) -> list[Found]:
        """[grid [B, A, 5 + C]] -> per picture (keypoints, boxes, scores)."""
        (grid,) = outputs
        cell, stride = _cells(size)
        centre = (grid[..., :2] + cell) * stride
        half = np.exp(np.minimum(grid[..., 2:4], 20)) * stride / 2
        boxes = np.concatenate([centre - half, centre + half], -1) + self.offset
        scores = grid[..., 4] * grid[..., 5 + self.person]
        return [_found(b, s) for b, s in zip(boxes, scores, strict=True)]

    def check(self, ports: Sequence[Port], joints: int = 0) -> None:
        check_ports(self, self.MEANING, [(None, None, None)], ports)


@dataclass(frozen=True, slots=True)
class PicodetBoxes:
    """Boxes and scores apart, one per cell."""

    MEANING: ClassVar = "boxes [B, A, 4] and scores [B, classes, A]"
    SUPPRESSED: ClassVar = False

    person: int = 0
    offset: float = -0.5

    def decode(self, outputs: Sequence[Array], size: tuple[int, int]) -> list[Found]:
        """[boxes [B, A, 4], scores [B, C, A]] -> per picture (keypoints, boxes, scores)."""
        boxes, scores = outputs
        return [
            _found(b + self.offset, s) for b, s in zip(boxes, scores[:, self.person], strict=True)
        ]

    def check(self, ports: Sequence[Port], joints: int = 0) -> None:
        check_ports(self, self.MEANING, [(None, None, 4), (None, None, None)], ports)


PICTURE_CODECS: dict[str, type[RtmdetBoxes | YoloxBoxes | PicodetBoxes]] = {
    "rtmdet": RtmdetBoxes,
    "yolox": YoloxBoxes,
    "picodet": PicodetBoxes,
}


def guess_layout(ports: Sequence[Port]) -> str:
    """The first layout that the outputs of a file fit. Raises ModelError that names what was found
    and what is known; the caller puts the file's path in front.
    """
    for name, layout in PICTURE_CODECS.items():
        try:
            layout().check(ports)
        except ModelError:
            continue
        return name
    found = ", ".join(map(str, ports))
    known = "; ".join(f"{name}: {layout.MEANING}" for name, layout in PICTURE_CODECS.items())
    raise ModelError(
        f"not a detector that everybody can read: its outputs are {found}; known are {known}"
    )


def _found(boxes: Array, scores: Array) -> Found:
    return np.zeros((len(boxes), 0, 3), np.float32), boxes, scores


def _cells(size: tuple[int, int]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Input size (width, height) -> cells [A, 2] (x, y) and their strides [A, 1]."""
    width, height = size
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], 1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells), np.concatenate(strides)
