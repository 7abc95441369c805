"""Boxes from elsewhere: each whole picture, or a file of detections."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from .. import geometry
from ..errors import DataError
from ..method import BoxFinder, Remark, Stage, enough
from ..people import Frame, People
from ..skeletons import BOX

FARTHEST = 1e7  # pixels from the picture's corner that a box may lie


@dataclass(frozen=True, slots=True)
class WholePicture(BoxFinder):
    """A finder that takes each picture as one box."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (Stage("finding people", self.find, enough(1)),)

    def find(self, frames: list[Frame]) -> list[Frame]:
        boxes = (People.from_boxes(geometry.whole(*frame.size)) for frame in frames)
        return [replace(frame, people=b) for frame, b in zip(frames, boxes, strict=True)]


class GivenBoxes(BoxFinder):
    """A finder that looks boxes up in a COCO detection results file: image_id, bbox (x, y, width,
    height), score.

    A box belongs to the frame whose file name it gives (`file_name`), or whose file name is the
    number `image_id` ("000000000872.jpg" is 872), or, in a video, whose index is `frame` or
    `image_id`. People are category 1; where no box is of category 1 and all are of one other
    category, they are of that one. Raises DataError for a file that holds no such boxes.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self._boxes: dict[Any, list[tuple[list[float], float]]] = defaultdict(list)
        self._used: set[Any] = set()
        self._asked = False
        try:
            entries = read_json(path)
        except DataError as error:
            raise DataError(
                f"{error}; of results of a run in another format, `everybody convert {path} "
                "boxes.json` makes a list of detections"
            ) from error
        if not isinstance(entries, list):
            raise DataError(
                f"{path}: boxes must be a list of COCO detections, found {type(entries).__name__}"
            )
        for number, entry in enumerate(entries):
            try:
                key, box, score, category = _parsed(entry)
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
                raise DataError(
                    f"{path}: detection {number} needs image_id or file_name, and bbox of 4 "
                    f"numbers ({error!r})"
                ) from error
            self._boxes[key, category].append((box, score))
        self._keep_people()

    def _keep_people(self) -> None:
        """Leave only the boxes of people; from here on, the keys are without category."""
        categories = sorted({category for _, category in self._boxes})
        person = categories[0] if len(categories) == 1 else 1
        if categories and person not in categories:
            raise DataError(
                f"{self.path}: its boxes are of categories {', '.join(map(str, categories))}, "
                f"none of category 1 (person): leave only the boxes of people in it"
            )
        people = {key: boxes for (key, c), boxes in self._boxes.items() if c == person}
        self._boxes = people

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (Stage("finding people", self.find, enough(1)),)

    def find(self, frames: list[Frame]) -> list[Frame]:
        self._asked = True
        return [replace(frame, people=self._of(frame)) for frame in frames]

    def _of(self, frame: Frame) -> People:
        name = Path(frame.source)
        number = int(name.stem) if name.stem.isdecimal() else frame.index
        keys = ((name.name, frame.index), name.name, number)
        key = next((key for key in keys if key in self._boxes), None)
        if key is None:
            return People.empty(BOX)
        self._used.add(key)
        boxes, scores = zip(*self._boxes[key], strict=True)
        return People.from_boxes(geometry.xyxy(boxes), np.clip(scores, 0, 1)).by_score()

    def remarks(self) -> list[Remark]:
        """What the file holds for pictures that were not asked about: a problem if frames were
        asked about and it held nothing for any of them.
        """
        unused = [key for key in self._boxes if key not in self._used]
        if not unused or not self._asked:
            return []
        boxes = sum(len(self._boxes[key]) for key in unused)
        named = [key[0] if isinstance(key, tuple) else key for key in unused]
        few = ", ".join(map(str, named[:3])) + ", …" * (len(named) > 3)
        text = (
            f"{self.path}: {boxes} boxes of {len(unused)} pictures belong to none of the "
            f"frames ({few}): boxes name a picture by file_name, or by the number in its name"
        )
        return [Remark(text, problem=not self._used)]


def _parsed(entry: dict[str, Any]) -> tuple[object, list[float], float, int]:
    """A detection -> the key of its picture, box, score, category. Raises KeyError, TypeError,
    ValueError.
    """
    box = [float(value) for value in entry["bbox"]]
    if len(box) != 4 or not (np.isfinite(box).all() and np.abs(box).max() < FARTHEST):
        raise ValueError(f"bbox {entry['bbox']}")
    score = float(entry.get("score", 1.0))
    if not np.isfinite(score):
        raise ValueError(f"score {score}")
    category = int(entry.get("category_id", 1))
    if "file_name" not in entry:
        return int(entry["image_id"]), box, score, category
    name = PurePosixPath(str(entry["file_name"]).replace("\\", "/")).name
    key = (name, int(entry["frame"])) if "frame" in entry else name
    return key, box, score, category


def read_json(path: Path | str) -> Any:
    """The value in a JSON file, with or without a byte order mark. Raises DataError."""
    try:
        return json.loads(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from error
