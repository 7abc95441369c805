"""COCO keypoint results (https://cocodataset.org/#format-results): a list, one item per person, for
COCO's evaluators.

An item has image_id, category_id 1, keypoints (x, y, score per joint), score and bbox (x, y, width,
height from the picture's corner). So that nothing gets lost, ours also have file_name, source,
frame, time, width, height and, where people are tracked, id. Frames without people have no items:
this format cannot hold them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ..errors import DataError
from ..geometry import box_around, xywh, xyxy
from ..people import People
from ..skeletons import Skeleton
from .jsonlist import Item, by_picture, write_list
from .records import Record, Results, Say, by_count, named, plain

_NUMBER = re.compile(r"(?:COCO_[a-z]+\d{4}_)?(\d{1,15})")


def number(source: str) -> int | None:
    """The number that a file name is ("000000000872.jpg" -> 872, "COCO_val2014_000000000042.jpg" ->
    42), or None.
    """
    match = _NUMBER.fullmatch(PurePath(source).stem)
    return int(match[1]) if match else None


def write(results: Results, path: Path, say: Say) -> None:
    """image_id is the number in the file name where all names are numbers and no two the same, else
    the place of the frame in the order of all, from 0; which one, is said.
    """
    by_name = _numbers_tell(results)
    say(
        f"{path}: image_id is "
        + ("the number in the file name" if by_name else "the place of the frame, from 0")
    )

    def items() -> Iterator[Item]:
        for place, record in enumerate(results):
            frame = {"source": record.source, "frame": record.index, "time": round(record.time, 6)}
            size = {"width": record.width, "height": record.height}
            for person in plain(record):
                yield {
                    "image_id": number(record.source) if by_name else place,
                    "category_id": 1,
                    **parts(person, box="bbox", id="id"),
                    "file_name": PurePath(record.source).name,
                    **frame,
                    **size,
                    **named(results.skeleton),
                }

    write_list(path, items())


def _numbers_tell(results: Results) -> bool:
    seen: set[int] = set()
    for record in results:
        found = number(record.source)
        if found is None or found in seen:
            return False
        seen.add(found)
    return True


def parts(person: dict[str, Any], *, box: str, id: str) -> Item:
    """A person of the journal -> what items of COCO and AlphaPose share, but for two names:
    keypoints in a row, score, box as x, y, width, height, and the id where there is one.
    """
    return {
        "keypoints": [value for joint in person["keypoints"] for value in joint],
        "score": person["score"],
        box: np.round(xywh(np.array(person["box"])), 2).tolist(),
        **({} if person["id"] is None else {id: person["id"]}),
    }


def read(path: Path, skeleton: Skeleton | None, say: Say) -> Results:
    """Ours, anybody's, and AlphaPose's. Without file_name a picture is called as COCO calls the one
    of that image_id; without boxes people get the ones around their joints; categories other than 1
    are left out.
    """
    first, walk = by_picture(
        path, lambda item: (item["image_id"], item.get("source"), item.get("frame"))
    )
    if skeleton is None:
        joints = len(first.get("keypoints", ())) // 3 if first else 17
        skeleton = by_count(joints, path, first.get("skeleton") if first else None)

    def records() -> Iterator[Record]:
        for items in walk():
            image, head = items[0]["image_id"], items[0]
            name = head.get("file_name") or (
                f"{image:012d}.jpg" if isinstance(image, int) else str(image)
            )
            try:
                people = _people(
                    [item for item in items if item.get("category_id", 1) == 1], skeleton
                )
            except (KeyError, ValueError, TypeError) as error:
                raise DataError(
                    f"{path}: image_id {image}: not people of {skeleton.name} ({error})"
                ) from error
            source, index, time = (
                head.get("source", name),
                head.get("frame", 0),
                head.get("time", 0.0),
            )
            yield Record(source, index, time, head.get("width", 0), head.get("height", 0), people)

    return Results(skeleton, records)


def _people(items: list[Item], skeleton: Skeleton) -> People:
    if not items:
        return People.empty(skeleton)
    keypoints = np.array([item.get("keypoints", ()) for item in items], np.float32)
    keypoints = keypoints.reshape(len(items), keypoints.shape[1] // 3, 3)
    boxes: list[Any] = [item.get("bbox") or item.get("box") for item in items]
    ids: list[Any] = [item.get("id", item.get("idx")) for item in items]
    return People(
        keypoints,
        box_around(keypoints) if None in boxes else xyxy(boxes),
        np.array([item["score"] for item in items], np.float32),
        skeleton,
        None
        if None in ids
        else np.array([np.ravel(i)[0] for i in ids], np.int64),  # AlphaPose's may be [[0.0], [0.0]]
    )
