"""A data set's pictures as the squares that shards hold (`shards.py`), with the people on them in
their pixels: crops around one person each, for SPPEs, or whole pictures, letterboxed, for
detectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import geometry
from ..data.dataset import Dataset
from ..errors import InputError
from ..media.images import decode
from ..messages import Say
from ..people import Image
from .shards import Writer
from .slips import check_picture

LEAST = 48.0  # pixels: longer side of a box that teaches something
JOINTS = 4  # labelled, at least
CONTEXT = 1.6  # side of a crop, in longer sides of its box: room for turns, scales and shifts
FILL = 114
SIDE = 416  # of packed pictures
Turns = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]


def pack_crops(
    data: Dataset,
    folder: Path,
    *,
    size: int = 256,
    context: float = CONTEXT,
    least: float = LEAST,
    turns: Turns | None = None,
    say: Say = print,
) -> int:
    """Square crops around each person of the data set into shards: how many. People who teach
    little are left out (`unfit`) and counted, and broken pictures, which are named. turns: crops
    [N, S, S, 3] and boxes [N, 4] in them -> the column of that name.
    """
    categories, kinds = data.kinds()
    writer = Writer(folder, data.skeleton, categories)
    reasons = unfit(data, least)
    if counts := counted(reasons):
        say(f"{data.name}: left out of {len(data.boxes)}: {', '.join(counts)}")
    enough = ~np.any(list(reasons.values()), 0)
    data, kinds = data.select(enough), kinds[enough]
    hidden = hidden_joints(data.keypoints[..., 2])
    for name, image, rows in _pictures(data, say):
        if len(rows) == 0:
            continue
        boxes = data.boxes[rows]
        middle, half = (
            (boxes[:, :2] + boxes[:, 2:]) / 2,
            (boxes[:, 2:] - boxes[:, :2]).max(1)[:, None] / 2,
        )
        squares = np.concatenate([middle - half, middle + half], 1)
        matrices = geometry.crop_matrices(squares, (size, size), context)
        crops = np.stack([warp(image, matrix, size) for matrix in matrices])
        keypoints = in_crops(data.keypoints[rows], matrices)
        columns = {
            "keypoints": keypoints,
            "boxes": geometry.transform(matrices, boxes.reshape(-1, 2, 2))
            .reshape(-1, 4)
            .astype(np.float32),
            "ignored": np.zeros(len(rows), bool),
            "kinds": kinds[rows],
            "hidden": hidden[rows],
            "others": in_crops(nearest(data.keypoints[rows], boxes), matrices),
        }
        if turns is not None:
            columns["turns"] = turns(crops, columns["boxes"])
        for number, crop in enumerate(crops):
            person = slice(number, number + 1)
            writer.add(
                crop,
                f"{name}#{number}",
                **{what: column[person] for what, column in columns.items()},
            )
    writer.flush()
    return writer.pictures


def unfit(data: Dataset, least: float = LEAST) -> dict[str, NDArray[np.bool_]]:
    """Which people [N] are not cut out, by reason."""
    labelled, needed = data.labelled.sum(1), min(JOINTS, len(data.skeleton))
    sides = data.boxes[:, 2:] - data.boxes[:, :2]
    small = (sides.max(1, initial=0) < least) | (sides.min(1, initial=least) <= 0)
    return {
        "in crowds": data.crowd,
        "without key points": labelled < min(1, needed),
        f"with fewer than {needed} key points": labelled < needed,
        "that are neither to find nor false": data.ignored,
        f"with a box below {least:g} pixels": small,
    }


def counted(reasons: Mapping[str, NDArray[np.bool_]]) -> list[str]:
    """How many there are of each reason; who has several is counted for the first."""
    counts, before = [], np.zeros(len(next(iter(reasons.values()))), bool)
    for reason, out in reasons.items():
        if number := int((out & ~before).sum()):
            counts.append(f"{number} {reason}")
        before |= out
    return counts


def in_crops(keypoints: NDArray[Any], matrices: NDArray[Any]) -> NDArray[np.float32]:
    """Labels [N, K, 3] of a picture -> in the pixels of their crops, COCO's flags as weights."""
    moved = geometry.transform(matrices, keypoints).astype(np.float32)
    moved[..., 2] = moved[..., 2].clip(0, 1)
    return moved


def nearest(keypoints: NDArray[Any], boxes: NDArray[Any]) -> NDArray[Any]:
    """The people of a picture [N, K, 3] -> for each the one whose box overlaps its own most; zeros
    where none does.
    """
    if not len(boxes):
        return keypoints
    overlap = geometry.iou(boxes, boxes)
    np.fill_diagonal(overlap, 0)
    return keypoints[overlap.argmax(1)] * (overlap.max(1) > 0)[:, None, None]


def hidden_joints(flags: NDArray[Any]) -> NDArray[np.int8]:
    """COCO's flags of a data set [P, K] -> as `Pack.hidden`. Without a single 2 (visible) in the
    set, 1 only means labelled.
    """
    said = np.where(flags == 1, 1, np.where(flags == 2, 0, -1)).astype(np.int8)
    return said if (flags == 2).any() else np.full_like(said, -1)


def pack_pictures(
    data: Dataset, folder: Path, *, size: int = SIDE, grid: int = 1, say: Say = print
) -> int:
    """Whole pictures, letterboxed to the top left of a grey square, with all their people: how many
    squares.

    With a grid of n, n × n pictures share a square (mosaic, Bochkovskiy et al. 2020), each in its
    tile: pictures of one person each teach more per square so.
    """
    categories, kinds = data.kinds()
    writer = Writer(folder, data.skeleton, categories)
    side = size // grid
    tiles: list[tuple[str, Image, Any, Any, Any]] = []  # …, joints, boxes, rows

    def flush() -> None:
        square = np.full((size, size, 3), FILL, np.uint8)
        keypoints, boxes = [], []
        for number, (_, tile, joints, corners, _) in enumerate(tiles):
            x, y = side * (number % grid), side * (number // grid)
            square[y : y + side, x : x + side] = tile
            keypoints.append(joints + np.array([x, y, 0]))
            boxes.append(corners + np.array([x, y, x, y]))
        name = tiles[0][0] + (f"+{len(tiles) - 1}" if grid > 1 else "")
        writer.add(
            square,
            name,
            keypoints=np.concatenate(keypoints).astype(np.float32),
            boxes=np.concatenate(boxes).astype(np.float32),
            ignored=np.concatenate([data.ignored[tile[4]] for tile in tiles]),
            kinds=np.concatenate([kinds[tile[4]] for tile in tiles]),
        )
        tiles.clear()

    for name, image, rows in _pictures(data, say):
        height, width = image.shape[:2]
        scale = min(side / width, side / height, 1.0)  # small pictures are not blown up
        matrix = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
        keypoints = geometry.transform(matrix[None].repeat(len(rows), 0), data.keypoints[rows])
        boxes = geometry.transform(
            matrix[None].repeat(len(rows), 0), data.boxes[rows].reshape(-1, 2, 2)
        )
        tiles.append((name, warp(image, matrix, side), keypoints, boxes.reshape(-1, 4), rows))
        if len(tiles) == grid**2:
            flush()
    if tiles:
        flush()
    writer.flush()
    return writer.pictures


def name_of(path: Path) -> str:
    """What a picture is called in shards: set/file."""
    return f"{path.parent.name}/{path.name}"


def _pictures(data: Dataset, say: Say) -> Iterator[tuple[str, Image, NDArray[np.int64]]]:
    """(set/file, picture, rows of its people); broken pictures are named, skipped and counted, as
    are those of another size than their labels say.
    """
    broken, other = 0, []
    for index, rows in enumerate(data.rows()):
        path = data.path(index)
        try:
            image = decode(path.read_bytes(), str(path))
        except (InputError, OSError) as error:
            broken += 1
            reason = error if isinstance(error, InputError) else f"{path}: {error.strerror}"
            say(f"skipped: {reason}")
            continue
        height, width = image.shape[:2]
        other += [slip] if (slip := check_picture(data, index, width, height)) else []
        yield name_of(path), image, rows
    if broken:
        say(f"{data.name}: {broken} of {len(data)} pictures could not be read and were skipped")
    if other:
        say(
            f"{data.name}: {len(other)} of {len(data)} pictures have another size than when they "
            f"were labelled ({other[0]}): are these the right ones?"
        )


def warp(image: Image, matrix: NDArray[Any], size: int) -> Image:
    """The square that a transform [2, 3] makes of a picture, halved first as often as needed: no
    aliasing.
    """
    matrix = np.array(matrix)
    while np.hypot(*matrix[:, 0]) < 0.5 and min(image.shape[:2]) > 1:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        image = cv2.resize(
            image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
        )  # type: ignore[assignment]
        matrix[:, 2] += matrix[:, :2].sum(1) / 2  # pixel x of the half lies at 2x + 1/2
        matrix[:, :2] *= 2
    fill = (FILL,) * 3
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=fill)  # type: ignore[return-value]
