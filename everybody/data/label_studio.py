"""Label Studio's export (its "JSON", not "JSON-MIN"): key points and boxes, in percent of the
picture.

A point belongs to the box that it is nested in (`parentID`), else to the smallest box that holds
it; in a picture without boxes all points are of one body. Labels of boxes are categories, labels of
points are joints. Percent count from the picture's corner, so half a pixel goes off (the coordinate
law).
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from ..errors import DataError
from ..skeletons import Skeleton
from ..typed import Id, decode, read_bytes
from .bodies import Body, Box, assembled
from .dataset import Dataset, Picture

_PREFIX = re.compile(r"[0-9a-f]{8}-", re.ASCII)  # which Label Studio puts before uploaded names


class Value(msgspec.Struct):
    """Where a region is, in percent, and what it is called."""

    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    keypointlabels: list[str] = []
    rectanglelabels: list[str] = []


class Region(msgspec.Struct):
    """An item of a result."""

    type: str = ""
    value: Value = msgspec.field(default_factory=Value)
    id: str = ""
    parentID: str | None = None
    original_width: float = 0
    original_height: float = 0


class Annotation(msgspec.Struct):
    """What one person has labelled in a picture."""

    result: list[Region] = []
    was_cancelled: bool = False


class Labelled(msgspec.Struct):
    """A picture of the export."""

    data: dict[str, Any]
    annotations: list[Annotation] = []
    id: Id = 0


def read_label_studio(
    path: Path,
    *,
    skeleton: Skeleton | None = None,
    category: str | None = None,
    joints: bool = True,
) -> Dataset:
    """The pictures of an export and the bodies on them; of several annotations of a picture, the
    last counts. joints: as in `bodies.assembled`. Raises DataError.
    """
    tasks = decode(read_bytes(path), list[Labelled], path)
    pictures: list[Picture] = []
    bodies: list[Body] = []
    for place, task in enumerate(tasks):
        where = f"{path}: task {task.id}"
        done = [annotation for annotation in task.annotations if not annotation.was_cancelled]
        regions = done[-1].result if done else []
        sized = next((one for one in regions if one.original_width > 0), Region())
        size = round(sized.original_width), round(sized.original_height)
        if regions and min(size) <= 0:
            raise DataError(f"{where}: does not say original_width and original_height")
        pictures.append(Picture(_name(task, path, where), place + 1, *size))
        bodies += _bodies(regions, size, place, where)
    return assembled(
        path,
        pictures,
        bodies,
        skeleton,
        format="Label Studio",
        category=category,
        joints=joints,
    )


def _name(task: Labelled, path: Path, where: str) -> str:
    """The file name of a task's picture, as it lies beside the export."""
    addresses = [value for value in task.data.values() if isinstance(value, str)]
    address = task.data.get("image") or next(iter(addresses), "")
    if not isinstance(address, str) or not address:
        raise DataError(f"{where}: names no picture in its data")
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d", [parts.path])[0]  # /data/local-files/?d=folder/a.jpg
    name = PurePosixPath(unquote(local)).name
    plain = _PREFIX.sub("", name, count=1)
    places = (path.parent / "images", path.parent)
    there = next((one for one in (name, plain) for at in places if (at / one).is_file()), name)
    return there


def _bodies(regions: list[Region], size: tuple[int, int], picture: int, where: str) -> list[Body]:
    """The bodies of one picture."""
    width, height = size

    def placed(x: float, y: float) -> tuple[float, float]:
        return x * width / 100 - 0.5, y * height / 100 - 0.5

    boxed: dict[str, Body] = {}
    for number, region in enumerate(regions):
        value = region.value
        if region.type == "rectanglelabels":
            low = placed(value.x, value.y)
            high = placed(value.x + value.width, value.y + value.height)
            name = next(iter(value.rectanglelabels), "object")
            boxed[region.id or str(number)] = Body(picture, where, name, box=(*low, *high))

    alone = Body(picture, where, "object")
    for region in regions:
        if region.type != "keypointlabels":
            continue
        x, y = placed(region.value.x, region.value.y)
        owner = boxed.get(region.parentID or "") or _holding(list(boxed.values()), x, y)
        if owner is None and boxed:
            raise DataError(
                f"{where}: the point '{region.value.keypointlabels}' lies in no box: draw its "
                "body's box around it, or nest it in one"
            )
        for joint in region.value.keypointlabels[:1]:
            (owner or alone).add(joint, x, y, 2)
    return [*boxed.values(), *([alone] if alone.joints else [])]


def _holding(bodies: list[Body], x: float, y: float) -> Body | None:
    """The body of the smallest box around a point."""

    def area(box: Box) -> float:
        return (box[2] - box[0]) * (box[3] - box[1])

    around = [
        one
        for one in bodies
        if one.box and one.box[0] <= x <= one.box[2] and one.box[1] <= y <= one.box[3]
    ]
    return min(around, key=lambda one: area(one.box or (0, 0, 0, 0)), default=None)
