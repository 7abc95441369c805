"""Picture → person boxes: the detector's input, its output layouts, and boxes from elsewhere.

Layouts: `rtmdet` (Lyu et al. 2022; NMS inside the graph), `yolox` (Ge et al. 2021; raw grid),
`picodet` (Yu et al. 2021; boxes and scores apart). Detectors are trained on boxes that count from
the picture's corner, so half a pixel goes off every coordinate to obey the coordinate law.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import geometry
from ..errors import ModelError, OptionError
from ..geometry import Array
from ..inputs import Input, letterbox, normalise, stretch
from ..nms import box_nms
from ..people import Floats, Image, People
from ..runtime import Session

TURNS = (
    0,
    1,
    3,
    2,
)  # quarter turns that are looked at, in this order: more people lie than stand on their heads
Tiles = tuple[int, int]


def decode_rtmdet(
    outputs: Sequence[Array], size: tuple[int, int], person: int
) -> list[tuple[Array, Array]]:
    """[dets [B, N, 5], labels [B, N]] -> per picture (boxes [N, 4] in input pixels, scores [N])."""
    dets, labels = outputs
    return [(d[keep, :4], d[keep, 4]) for d, keep in zip(dets, labels == person, strict=True)]


def decode_yolox(
    outputs: Sequence[Array], size: tuple[int, int], person: int
) -> list[tuple[Array, Array]]:
    """[grid [B, A, 5 + C]]: centre offsets and log sizes in strides, objectness, classes -> boxes
    and scores.
    """
    (grid,) = outputs
    width, height = size
    cells, strides = [], []
    for stride in (8, 16, 32):
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], 1))
        strides.append(np.full((x.size, 1), stride))
    cell, stride = np.concatenate(cells), np.concatenate(strides)
    centre = (grid[..., :2] + cell) * stride
    half = np.exp(np.minimum(grid[..., 2:4], 20)) * stride / 2
    boxes = np.concatenate([centre - half, centre + half], -1)
    return list(zip(boxes, grid[..., 4] * grid[..., 5 + person], strict=True))


def decode_picodet(
    outputs: Sequence[Array], size: tuple[int, int], person: int
) -> list[tuple[Array, Array]]:
    """[boxes [B, A, 4], scores [B, C, A]] -> boxes and scores."""
    boxes, scores = outputs
    return list(zip(boxes, scores[:, person], strict=True))


@dataclass(frozen=True, slots=True)
class Layout:
    """How one family of detectors answers: its decoder and the shapes (None: any size) that prove
    it is that family.
    """

    decode: Callable[[Sequence[Array], tuple[int, int], int], list[tuple[Array, Array]]]
    expects: str
    ranks: tuple[int, ...]
    last: tuple[int | None, ...]  # size of each output's last axis, where it is fixed


LAYOUTS = {
    "rtmdet": Layout(decode_rtmdet, "dets [B, N, 5] and labels [B, N]", (3, 2), (5, None)),
    "yolox": Layout(decode_yolox, "one raw grid [B, A, 5 + classes]", (3,), (None,)),
    "picodet": Layout(
        decode_picodet, "boxes [B, A, 4] and scores [B, classes, A]", (3, 3), (4, None)
    ),
}


def fits(layout: Layout, session: Session) -> bool:
    """Whether a network's outputs have the layout's shapes, as far as the file says."""
    shapes = [port.shape for port in session.outputs]
    return tuple(map(len, shapes)) == layout.ranks and all(
        wanted is None or shape[-1] is None or shape[-1] == wanted
        for shape, wanted in zip(shapes, layout.last, strict=True)
    )


def guess_layout(session: Session) -> str:
    """The layout that fits an ONNX file of unknown origin. Raises ModelError that names what was
    found and expected.
    """
    for name, layout in LAYOUTS.items():
        if fits(layout, session):
            return name
    found = ", ".join(map(str, session.outputs))
    expected = "; ".join(f"{name}: {layout.expects}" for name, layout in LAYOUTS.items())
    raise ModelError(
        f"{session.path}: not a detector that everybody can read: its outputs are {found}; known are {expected}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Pictures [H, W, 3] RGB -> the people in each, most confident first, as boxes without joints.

    score, nms (IoU), min_size (pixels, the longer side) and max_people choose among the boxes.
    tiles (columns, rows) looks at overlapping parts as well as at the whole, for small people in
    large pictures; turns (1 to 4) in so many quarter turns (see `TURNS`), for people who lie or
    hang. tight spares a network of dynamic size the grey margin.
    """

    session: Session
    layout: str
    input: Input
    score: float = 0.3
    nms: float = 0.6
    min_size: float = 0.0
    max_people: int | None = None
    tiles: Tiles = (1, 1)
    turns: int = 1
    tight: bool = True
    person: int = 0
    _batches: bool = field(init=False)
    _dynamic: bool = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.turns <= len(TURNS):
            raise OptionError(
                f"a detector looks at 1 to {len(TURNS)} quarter turns of a picture, not at {self.turns}"
            )
        layout = LAYOUTS[self.layout]
        if not fits(layout, self.session):
            found = ", ".join(map(str, self.session.outputs))
            raise ModelError(
                f"{self.session.path}: layout '{self.layout}' means {layout.expects}, the file gives {found}"
            )
        shape = self.session.input.shape
        if len(shape) != 4 or shape[1] not in (3, None):
            raise ModelError(
                f"{self.session.path}: a detector takes [B, 3, H, W], the file takes {self.session.input}"
            )
        object.__setattr__(self, "_batches", shape[0] is None)
        object.__setattr__(self, "_dynamic", shape[2] is None and shape[3] is None)
        width, height = self.input.size
        if not self._dynamic and (shape[3], shape[2]) != (width, height):
            raise ModelError(
                f"{self.session.path}: takes pictures of {shape[3]}×{shape[2]}, not {width}×{height}"
            )

    def __call__(self, images: Sequence[Image]) -> list[People]:
        turned = [self.look(images, turns) for turns in TURNS[: self.turns]]
        people = []
        for image, *found in zip(images, *turned, strict=True):
            boxes, scores = zip(*found, strict=True)
            people.append(
                self.chosen(People.from_boxes(np.concatenate(boxes), np.concatenate(scores)), image)
            )
        return people

    def look(self, images: Sequence[Image], turns: int) -> list[tuple[Array, Array]]:
        """All boxes and scores per picture, in its pixels, as found in its turned copy and that
        one's tiles.
        """
        views: list[Image] = [np.rot90(image, turns) for image in images]
        columns, rows = self.tiles
        split = (rows, columns) if turns % 2 else (columns, rows)
        tiled = [_tiles(view.shape[1], view.shape[0], split) for view in views]
        parts = [
            view[y0:y1, x0:x1]
            for view, tiles in zip(views, tiled, strict=True)
            for x0, y0, x1, y1 in tiles
        ]
        raw = iter(self._raw(parts))
        found = []
        for image, view, tiles in zip(images, views, tiled, strict=True):
            boxes, scores = zip(*(_placed(*next(raw), tile, view) for tile in tiles), strict=True)
            back = geometry.invert(
                geometry.turn_matrix(image.shape[1], image.shape[0], turns)[None]
            )[0]
            found.append(
                (geometry.transform_boxes(back, np.concatenate(boxes)), np.concatenate(scores))
            )
        return found

    def _raw(self, images: Sequence[Image]) -> list[tuple[Array, Array]]:
        """All boxes above the score, and their scores, per picture, in its pixels. Pictures that
        become one shape share a call.
        """
        canvases = []
        for image in images:
            if self.input.resize == "stretch":
                canvases.append(stretch(image, self.input.size))
            else:
                tight = self.tight and self._dynamic
                canvases.append(
                    letterbox(image, self.input.size, fill=self.input.fill, tight=tight)
                )
        groups = defaultdict(list)
        for place, (canvas, _) in enumerate(canvases):
            groups[canvas.shape if self._batches else place].append(place)
        found: list[Any] = [None] * len(images)
        for places in groups.values():
            batch = normalise([canvases[place][0] for place in places], self.input)
            for place, (boxes, scores) in zip(places, self._decoded(batch), strict=True):
                keep = scores >= self.score
                scaled = boxes[keep].reshape(-1, 2, 2) / canvases[place][1] - 0.5
                found[place] = scaled.reshape(-1, 4), scores[keep].clip(0, 1)
        return found

    def _decoded(self, batch: Floats) -> list[tuple[Array, Array]]:
        """Boxes in input pixels and scores, per picture of a batch."""
        decode, size = LAYOUTS[self.layout].decode, (batch.shape[3], batch.shape[2])
        if len(batch) > 1:
            try:
                return decode(self.session(batch), size, self.person)
            except ModelError:  # files whose graph holds the NMS promise any batch and fail beyond one: believe them once
                object.__setattr__(self, "_batches", False)
        return [
            found
            for picture in batch
            for found in decode(self.session(picture[None]), size, self.person)
        ]

    def chosen(self, people: People, image: Image) -> People:
        """Of all that was found in a picture, those who are large and sure enough, each once."""
        people = replace(people, boxes=geometry.clip(people.boxes, image.shape[1], image.shape[0]))
        sides = people.boxes[:, 2:] - people.boxes[:, :2]
        large = (sides.max(1, initial=0) >= self.min_size) & (sides.min(1, initial=np.inf) > 0)
        return box_nms(people[large & (people.scores >= self.score)], self.nms)[: self.max_people]


def _tiles(
    width: int, height: int, tiles: Tiles, overlap: float = 0.25
) -> list[tuple[int, int, int, int]]:
    """The whole picture and, if asked for more than one, (x0, y0, x1, y1) of overlapping tiles, in
    whole pixels.
    """
    whole = [(0, 0, width, height)]
    if tiles == (1, 1):
        return whole

    def spans(length: int, count: int) -> list[tuple[int, int]]:
        size = min(length, round(length / (count - (count - 1) * overlap)))
        starts = np.linspace(0, length - size, count).round().astype(int)
        return [(int(start), int(start) + size) for start in starts]

    return whole + [
        (x0, y0, x1, y1) for y0, y1 in spans(height, tiles[1]) for x0, x1 in spans(width, tiles[0])
    ]


def _placed(
    boxes: Array, scores: Array, tile: tuple[int, int, int, int], image: Image
) -> tuple[Array, Array]:
    """Boxes of a tile in the picture's pixels, without those that the tile's own edge cuts: a
    neighbour, or the view of the whole, sees them whole.
    """
    x0, y0, x1, y1 = tile
    height, width = image.shape[:2]
    if (x1 - x0, y1 - y0) == (width, height):
        return boxes, scores
    margin = 2.0
    cut = np.zeros(len(boxes), bool)
    for edge, column, inner in (
        (-0.5, 0, x0 > 0),
        (-0.5, 1, y0 > 0),
        (x1 - x0 - 0.5, 2, x1 < width),
        (y1 - y0 - 0.5, 3, y1 < height),
    ):
        if inner:
            cut |= np.abs(boxes[:, column] - edge) < margin
    return boxes[~cut] + np.array([x0, y0, x0, y0]), scores[~cut]
