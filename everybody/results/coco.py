"""COCO keypoint results (https://cocodataset.org/#format-results): a list, one item per person, for
COCO's evaluators.

An item has image_id, category_id, keypoints (x, y, score per joint), score and bbox (x, y, width,
height from the picture's corner). The category is 1, a person's, unless something says otherwise:
animals have the number that COCO gives their species, and its name beside it as category. So that
nothing gets lost, ours also have file_name, source, frame, time, width, height and, where people
are tracked, id. Frames without people have no items: this format cannot hold them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np

from ..errors import SAY_JOINTS_OF_RESULTS, DataError
from ..geometry import box_around, xywh, xyxy
from ..media.clock import Clock
from ..messages import Say
from ..people import PERSON, People
from ..skeletons import Skeleton
from ..typed import Id
from .jsonlist import by_picture, write_list
from .records import Record, Results, as_people, bounded, by_count, checked, persons, skeleton_entry

# COCO's own numbers of what has joints somewhere; others are counted from `OTHERS`, by name.
CATEGORIES = {
    "person": 1, "bird": 16, "cat": 17, "dog": 18, "horse": 19, "sheep": 20, "cow": 21,
    "elephant": 22, "bear": 23, "zebra": 24, "giraffe": 25,
}  # fmt: skip
OTHERS = 1001
_NUMBER = re.compile(r"(?:COCO_[a-z]+\d{4}_)?(\d{1,15})", re.ASCII)


class Item(msgspec.Struct, kw_only=True):
    """A person of a list of results: COCO's fields, AlphaPose's (box, idx), and ours."""

    image_id: Id
    keypoints: list[float]
    score: float
    category_id: Id = 1
    bbox: list[float] | None = None
    box: list[float] | None = None
    id: Any = None
    idx: Any = None
    file_name: str | None = None
    source: str | None = None
    frame: int = 0
    time: float | None = None
    width: int = 0
    height: int = 0
    skeleton: str | None = None
    category: str | None = None


Timed = Callable[[Item, str, Clock], float]  # when it is seen


def number(source: str) -> int | None:
    """The number that a file name is ("000000000872.jpg" -> 872, "COCO_val2014_000000000042.jpg" ->
    42), or None.
    """
    match = _NUMBER.fullmatch(PurePath(source).stem)
    return int(match[1]) if match else None


class Categories:
    """COCO's number of a category by its name; names that COCO does not have are counted from
    `OTHERS` as they come.
    """

    def __init__(self) -> None:
        self._numbers = dict(CATEGORIES)

    def __call__(self, name: str | None) -> int:
        new = OTHERS + len(self._numbers) - len(CATEGORIES)
        return self._numbers.setdefault(name or PERSON, new)


def write(results: Results, path: Path, say: Say) -> None:
    """image_id is the number in the file name where all names are numbers and no two the same, else
    the place of the frame in the order of all, from 0; which one, is said.
    """
    by_name, category = _numbers_tell(results), Categories()
    told = "the number in the file name" if by_name else "the place of the frame, from 0"
    say(f"{path}: image_id is {told}")

    def items() -> Iterator[dict[str, Any]]:
        for place, record in enumerate(results):
            for person in persons(record):
                yield {
                    "image_id": number(record.source) if by_name else place,
                    "category_id": category(person.get("category")),
                    **parts(person, box="bbox", id="id"),
                    "file_name": PurePath(record.source).name,
                    "source": record.source,
                    "frame": record.index,
                    "time": round(record.time, 6),
                    "width": record.width,
                    "height": record.height,
                    **skeleton_entry(results.skeleton),
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


def parts(person: dict[str, Any], *, box: str, id: str) -> dict[str, Any]:
    """A person of the journal -> what items of COCO and AlphaPose share, but for two names:
    keypoints in a row, score, box as x, y, width, height, and the id where there is one.
    """
    return {
        "keypoints": [value for joint in person["keypoints"] for value in joint],
        "score": person["score"],
        box: np.round(xywh(np.array(person["box"])), 2).tolist(),
        **({} if person["id"] is None else {id: person["id"]}),
        **({"category": person["category"]} if "category" in person else {}),
    }


def picture_name(item: Item) -> str:
    """What the picture of an item is called: as COCO calls that image_id, unless it has a name."""
    if item.file_name or isinstance(item.image_id, str):
        return item.file_name or str(item.image_id)
    image = _number_of(item.image_id)
    return f"{image:012d}.jpg" if isinstance(image, int) else f"{image}.jpg"


def _timed(item: Item, source: str, clock: Clock) -> float:
    return clock.frame(item.frame) if item.frame else clock.picture(source)


def read(path: Path, skeleton: Skeleton | None, say: Say, fps: float | None = None) -> Results:
    """Ours and anybody's. Without file_name a picture is called as COCO calls the one of that
    image_id; without boxes people get the ones around their joints; categories other than 1 that
    have no name are left out. What has no time follows at `fps` frames per second.
    """
    return read_items(path, skeleton, say, fps, _timed)


def read_items(
    path: Path,
    skeleton: Skeleton | None,
    say: Say,
    fps: float | None,
    timed: Timed,
) -> Results:
    """A list of results; `timed` says when a picture without a time is seen."""
    first, walk = by_picture(path, Item, lambda item: (item.image_id, item.source, item.frame))
    if skeleton is None:
        joints = len(first.keypoints) // 3 if first else 17
        skeleton = by_count(joints, path, first.skeleton if first else None)

    def records() -> Iterator[Record]:
        clock = Clock(fps)
        left_out = 0
        for items in walk():
            head = items[0]
            source = head.source or picture_name(head)
            time = timed(head, source, clock) if head.time is None else head.time
            people = [one for one in items if one.category or _number_of(one.category_id) == 1]
            left_out += len(items) - len(people)
            found = _people(people, skeleton, f"{path}: image_id {head.image_id}")
            yield checked(Record(source, head.frame, time, head.width, head.height, found), path)
        if left_out:
            say(f"{path}: {left_out} items of categories other than 1 (person) are left out")

    return Results(skeleton, records)


def _people(items: list[Item], skeleton: Skeleton, where: str) -> People:
    if not items:
        return People.empty(skeleton)
    for item in items:
        if len(item.keypoints) != 3 * len(skeleton):
            raise DataError(
                f"{where}: {len(item.keypoints)} numbers as keypoints, people of {skeleton.name} "
                f"have {3 * len(skeleton)} (x, y and score of each joint): {SAY_JOINTS_OF_RESULTS}"
            )
    keypoints = bounded([item.keypoints for item in items], "keypoints", where)
    keypoints = keypoints.reshape(len(items), len(skeleton), 3)
    boxes = [item.bbox or item.box for item in items]
    some = [box for box in boxes if box is not None]
    if any(len(box) != 4 for box in some):
        raise DataError(f"{where}: a box is not 4 numbers: x, y, width, height")
    return as_people(
        keypoints,
        xyxy(bounded(some, "boxes", where)) if len(some) == len(boxes) else box_around(keypoints),
        [item.score for item in items],
        [track_id(item.idx if item.id is None else item.id, where) for item in items],
        skeleton,
        where,
        [item.category for item in items],
    )


def track_id(value: Any, where: str) -> int | None:
    """A person's id, which AlphaPose writes as 4.0 or [[4.0], [4.0]]. Raises DataError."""
    while isinstance(value, list) and value:
        value = value[0]
    if value is None or value == []:
        return None
    number = _number_of(value) if isinstance(value, (int, float, str)) else None
    if not isinstance(number, int) or isinstance(value, bool):
        raise DataError(f"{where}: the id {value!r:.40} is no whole number")
    return number


def _number_of(value: Id) -> Id:
    """7, 7.0 and "7" are 7; all else stays as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
        return int(value)
    return value
