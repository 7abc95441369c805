"""What person detectors say: boxes and scores of a whole picture, in the layout of each family.

`rtmdet` (Lyu et al. 2022; NMS inside the graph), `yolox` (Ge et al. 2021; a raw grid), `picodet`
(Yu et al. 2021; boxes and scores apart). Detectors are trained on boxes that count from the
picture's corner, so half a pixel goes off every coordinate to obey the coordinate law (`offset`).

Each is a `PictureCodec` with no joints. `found` gives boxes, scores and categories of all that the
network says: no threshold, no NMS. `places` are the categories that are looked for, by their places
in the network's answers; a cell is of the one that scores best. `guess_layout` names the
layout of an unknown file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .grid import Array, check_ports

if TYPE_CHECKING:
    from ..runtime import Port

STRIDES = (8, 16, 32)
PERSON = (0,)  # the place of people, in every published detector that is read here


class Found(NamedTuple):
    """What a detector says of a picture: kinds are places in the codec's `places`."""

    boxes: Array  # [M, 4]
    scores: Array  # [M]
    kinds: NDArray[np.integer]  # [M]


class BoxCodec:
    """What the layouts share."""

    __slots__ = ()
    places: tuple[int, ...]

    def found(self, outputs: Sequence[Array], size: tuple[int, int]) -> list[Found]:
        """The outputs for a batch of inputs of `size` (width, height) -> per picture what is there,
        in input pixels under the coordinate law.
        """
        raise NotImplementedError

    def check(self, ports: Sequence[Port], joints: int = 0) -> None:
        """As `PictureCodec.check`."""
        raise NotImplementedError

    def _of_places(self, scores: Array) -> Array:
        """Scores of all categories [..., C] -> those of `places`. Raises ModelError for a place
        that the network does not have.
        """
        places = list(self.places)
        if max(places) >= scores.shape[-1]:
            raise ModelError(
                f"answers for {scores.shape[-1]} categories, and its row looks for one at place "
                f"{max(places)} (from 0)"
            )
        return scores[..., places]

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """As `PictureCodec.decode`, with no joints: keypoints [M, 0, 3], boxes, scores."""
        return [
            (np.zeros((len(boxes), 0, 3), np.float32), boxes, scores)
            for boxes, scores, _ in self.found(outputs, size)
        ]


@dataclass(frozen=True, slots=True)
class RtmdetBoxes(BoxCodec):
    """RTMDet with NMS in the graph: boxes with scores, and classes."""

    MEANING: ClassVar = "dets [B, N, 5] and labels [B, N]"
    SUPPRESSED: ClassVar = True  # the graph holds the NMS

    places: tuple[int, ...] = PERSON
    offset: float = -0.5  # from the file's coordinates to pixel centres

    def found(self, outputs: Sequence[Array], size: tuple[int, int]) -> list[Found]:
        """[dets [B, N, 5], labels [B, N]]"""
        said = []
        for dets, classes in zip(*outputs, strict=True):
            is_kind = classes[:, None] == np.array(self.places)  # [N, C]
            keep = is_kind.any(1)
            boxes = dets[keep, :4] + self.offset
            said.append(Found(boxes, dets[keep, 4], is_kind[keep].argmax(1)))
        return said

    def check(self, ports: Sequence[Port], joints: int = 0) -> None:
        check_ports(self, self.MEANING, [(None, None, 5), (None, None)], ports)


@dataclass(frozen=True, slots=True)
class YoloxBoxes(BoxCodec):
    """One raw grid: centre offsets and log sizes in strides, objectness, classes; the cells of all
    levels, the finest first.
    """

    MEANING: ClassVar = "one raw grid [B, A, 5 + classes]"
    SUPPRESSED: ClassVar = False

    places: tuple[int, ...] = PERSON
    offset: float = -0.5

    def found(self, outputs: Sequence[Array], size: tuple[int, int]) -> list[Found]:
        """[grid [B, A, 5 + C]]"""
        (grid,) = outputs
        cell, stride = _cells(size)
        centre = (grid[..., :2] + cell) * stride
        half = np.exp(np.minimum(grid[..., 2:4], 20)) * stride / 2
        boxes = np.concatenate([centre - half, centre + half], -1) + self.offset
        scores = grid[..., 4:5] * self._of_places(grid[..., 5:])
        return [_best(b, s) for b, s in zip(boxes, scores, strict=True)]

    def check(self, ports: Sequence[Port], joints: int = 0) -> None:
        check_ports(self, self.MEANING, [(None, None, None)], ports)


@dataclass(frozen=True, slots=True)
class PicodetBoxes(BoxCodec):
    """Boxes and scores apart, one per cell."""

    MEANING: ClassVar = "boxes [B, A, 4] and scores [B, classes, A]"
    SUPPRESSED: ClassVar = False

    places: tuple[int, ...] = PERSON
    offset: float = -0.5

    def found(self, outputs: Sequence[Array], size: tuple[int, int]) -> list[Found]:
        """[boxes [B, A, 4], scores [B, C, A]]"""
        boxes, scores = outputs
        chosen = self._of_places(scores.swapaxes(1, 2))
        return [_best(b + self.offset, s) for b, s in zip(boxes, chosen, strict=True)]

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


def _best(boxes: Array, scores: Array) -> Found:
    """Boxes [A, 4] and scores of each category [A, C] -> each box as of its best category."""
    kinds = scores.argmax(1)
    return Found(boxes, np.take_along_axis(scores, kinds[:, None], 1)[:, 0], kinds)


def _cells(size: tuple[int, int]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Input size (width, height) -> cells [A, 2] (x, y) and their strides [A, 1]."""
    width, height = size
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], 1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells), np.concatenate(strides)
