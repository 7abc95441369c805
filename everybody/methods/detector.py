"""Picture → person boxes, by any detector whose layout is known (`codecs/boxes.py`).

A detector is a method of the skeleton `BOX`. It can look at overlapping tiles of a picture and at
its quarter turns; boxes of all these views come back to the picture and are suppressed together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import geometry
from ..codecs import PICTURE_CODECS, guess_layout
from ..codecs.boxes import PERSON, BoxCodec, Found
from ..errors import ModelError
from ..geometry import Array
from ..inputs import IMAGENET, Input, letterbox, normalise, stretch
from ..method import BoxFinder, Stage, finding
from ..nms import box_nms
from ..options import Engine, FindOptions
from ..people import Image, People
from ..runtime import Session
from ..weights.locate import opened

TURNS = (0, 1, 3, 2)  # quarter turns in the order in which they are tried: more people lie than
# stand on their heads
NMS = 0.6  # IoU, where neither the user nor a row says otherwise


# What detectors of each layout are fed where no row says otherwise: as their publishers train them.
INPUTS = {
    "rtmdet": Input(
        size=(640, 640),
        channels="bgr",
        mean=(103.53, 116.28, 123.675),
        std=(57.375, 57.12, 58.395),
        fill=114,
    ),
    "yolox": Input(size=(640, 640), channels="bgr", fill=114),
    "picodet": Input(size=(320, 320), resize="stretch", **IMAGENET),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector(BoxFinder):
    """Pictures [H, W, 3] RGB -> the people in each, most confident first, as boxes without joints.

    score, nms (IoU), min_size (pixels, the longer side) and max_people choose among the boxes.
    tiles (columns, rows) also looks at overlapping parts, for small people in large pictures;
    turns (1 to 4) looks at so many quarter turns (see `TURNS`), for people who lie or hang. tight
    spares a network of dynamic size the grey margin. categories: names of the codec's `places`;
    (): people. batches: the network takes several pictures in
    one call. batch: pictures that a stage gathers for one call.
    """

    session: Session
    codec: BoxCodec
    input: Input
    categories: tuple[str, ...] = ()
    score: float = FindOptions().score
    nms: float = NMS
    min_size: float = 0.0
    max_people: int | None = None
    tiles: tuple[int, int] = (1, 1)
    turns: int = 1
    tight: bool = True
    batches: bool = True
    batch: int = 1

    def __post_init__(self) -> None:
        try:
            self.codec.check(self.session.outputs, 0)
        except ModelError as error:
            raise ModelError(f"{self.session.path}: {error}") from error
        shape = self.session.input.shape
        if len(shape) != 4 or shape[1] not in (3, None):
            raise ModelError(
                f"{self.session.path}: a detector takes [B, 3, H, W], "
                f"the file takes {self.session.input}"
            )
        width, height = self.input.size
        if not self._dynamic and (shape[3], shape[2]) != (width, height):
            raise ModelError(
                f"{self.session.path}: takes pictures of {shape[3]}×{shape[2]}, "
                f"not {width}×{height}"
            )

    @property
    def _dynamic(self) -> bool:
        shape = self.session.input.shape
        return shape[2] is None and shape[3] is None

    @property
    def sessions(self) -> Mapping[str, Session]:
        return {"detector": self.session}

    @property
    def stages(self) -> tuple[Stage, ...]:
        return finding(self, self.batch)

    def __call__(self, images: Sequence[Image]) -> list[People]:
        turned = [self.look(images, turns) for turns in TURNS[: self.turns]]
        people = []
        for image, *found in zip(images, *turned, strict=True):
            people.append(self.chosen(self.named(found), image))
        return people

    def named(self, found: Sequence[Found]) -> People:
        """What several looks at a picture have found -> people, with their categories where there
        are any.
        """
        boxes, scores, kinds = (np.concatenate(column) for column in zip(*found, strict=True))
        people = People.from_boxes(boxes, scores)
        if not self.categories:
            return people
        return replace(people, categories=np.array(self.categories)[kinds])

    def look(self, images: Sequence[Image], turns: int) -> list[Found]:
        """All boxes, scores and categories of each picture, in its pixels, found in its copy turned
        by so many quarters and in that copy's tiles.
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
            placed = [_placed(next(raw), tile, view) for tile in tiles]
            boxes, scores, kinds = (np.concatenate(part) for part in zip(*placed, strict=True))
            turn = geometry.turn_matrix(image.shape[1], image.shape[0], turns)
            back = geometry.invert(turn[None])[0]
            found.append(Found(geometry.transform_boxes(back, boxes), scores, kinds))
        return found

    def _raw(self, images: Sequence[Image]) -> list[Found]:
        """All that is above the score in each picture, in its pixels. Pictures
        that become one shape share a call.
        """
        shown = [self._shown(image) for image in images]
        groups = defaultdict(list)
        for place, (canvas, _) in enumerate(shown):
            groups[canvas.shape if self.batches else place].append(place)

        found: list[Any] = [None] * len(images)
        for places in groups.values():
            batch = normalise([shown[place][0] for place in places], self.input)
            for place, (boxes, scores, kinds) in zip(places, self._read(batch), strict=True):
                keep = scores >= self.score
                scaled = (boxes[keep].reshape(-1, 2, 2) + 0.5) / shown[place][1] - 0.5
                found[place] = Found(scaled.reshape(-1, 4), scores[keep].clip(0, 1), kinds[keep])
        return found

    def _read(self, batch: Array) -> list[Found]:
        """What the codec makes of the network's answers. Raises ModelError that names the file."""
        outputs = self.session(batch)
        try:
            return self.codec.found(outputs, batch.shape[3:1:-1])
        except ModelError as error:
            raise ModelError(f"{self.session.path}: {error}") from error

    def _shown(self, image: Image) -> tuple[Image, Array]:
        """The picture as the network sees it, and the factors (x, y) from the one to the other."""
        if self.input.resize == "stretch":
            return stretch(image, self.input.size)
        tight = self.tight and self._dynamic
        return letterbox(image, self.input.size, fill=self.input.fill, tight=tight)

    def chosen(self, people: People, image: Image) -> People:
        """The large and sure enough of all boxes of a picture, each person once."""
        boxes = geometry.clip(people.boxes, image.shape[1], image.shape[0])
        people = replace(people, boxes=boxes)
        sides = people.boxes[:, 2:] - people.boxes[:, :2]
        large = (sides.max(1, initial=0) >= self.min_size) & (sides.min(1, initial=np.inf) > 0)
        return box_nms(people[large & (people.scores >= self.score)], self.nms)[: self.max_people]


def open_detector(find: FindOptions | None = None, engine: Engine | None = None) -> Detector:
    """The detector that the options name (none: the manifest's default).

    A given size replaces the row's where the network is dynamic. Raises ModelError, OptionError.
    """
    find, engine = find or FindOptions(), engine or Engine()
    session, row = opened(find.detector, "detector", engine)
    layout = row.layout if row else _layout(session)
    spec = row.input if row else INPUTS[layout]
    fixed = session.input.shape[3:1:-1]
    if row is None and None not in fixed:
        spec = replace(spec, size=fixed)
    if find.size:
        spec = replace(spec, size=find.size)
    named = row.categories if row else {}
    nms = find.nms if find.nms is not None else row.nms if row else NMS
    return Detector(
        session=session,
        codec=PICTURE_CODECS[layout](places=tuple(named.values()) or PERSON),
        input=spec,
        categories=tuple(named),
        score=find.score,
        nms=nms,
        min_size=find.min_size,
        max_people=find.max_people,
        tiles=find.tiles,
        turns=find.turns or 1,
        batches=takes_batches(session, layout),
        batch=find.batch or (1 if engine.on_cpu else 8),
    )


def _layout(session: Session) -> str:
    """The layout of a file that nothing describes. Raises ModelError."""
    try:
        return guess_layout(session.outputs)
    except ModelError as error:
        raise ModelError(f"{session.path}: {error}") from error


def takes_batches(session: Session, layout: str) -> bool:
    """Whether a network takes several pictures in one call. Files whose graph holds the NMS promise
    any batch, and many fail beyond one: these are tried.
    """
    if session.input.shape[0] is not None:
        return False
    if not PICTURE_CODECS[layout].SUPPRESSED:
        return True
    _, _, height, width = session.input.shape
    try:
        session(np.zeros((2, 3, height or 64, width or 64), np.float32))
    except ModelError:
        return False
    return True


def _tiles(
    width: int, height: int, tiles: tuple[int, int], overlap: float = 0.25
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


def _placed(found: Found, tile: tuple[int, int, int, int], image: Image) -> Found:
    """What is in a tile, in the picture's pixels, without those that the tile's own edge cuts: a
    neighbour, or the view of the whole, sees them whole.
    """
    x0, y0, x1, y1 = tile
    height, width = image.shape[:2]
    boxes, scores, kinds = found
    if (x1 - x0, y1 - y0) == (width, height):
        return found
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
    return Found(boxes[~cut] + np.array([x0, y0, x0, y0]), scores[~cut], kinds[~cut])
