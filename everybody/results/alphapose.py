"""AlphaPose's results (docs/output.md of AlphaPose): one list, one item per person, which its
users' tools read.

An item has image_id (the name of the picture, or of the video's frame: "12.jpg"), category_id (as
in `coco.py`), keypoints (x, y, score per joint), score, box (x, y, width, height) and, where
people are tracked, idx. Not held: frames without people, times, sizes, and which names are frames
of a video: read back, each is a picture of that name, which is seen when frame 12 is. AlphaPose's
own scores of persons may exceed 1; they are kept, as their order is what counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from ..media.clock import Clock
from ..media.names import Names, numbered
from ..messages import Say
from ..skeletons import Skeleton
from .coco import Categories, Item, parts, read_items
from .jsonlist import write_list
from .records import Results, persons, skeleton_entry

_FRAME = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)  # "12", but not "000012"


def write(results: Results, path: Path, say: Say) -> None:
    """Frames of the first video are called as AlphaPose calls them, those of others with their
    video's name before.
    """

    def items() -> Iterator[dict[str, Any]]:
        names, film, category = Names(), None, Categories()
        for record in results:
            name = names(record.source)
            if not numbered(record.source, record.index):
                name += PurePath(record.source).suffix
            else:
                film = film or record.source
                before = "" if record.source == film else f"{name}_"
                name = f"{before}{record.index}.jpg"
            for person in persons(record):
                yield {
                    "image_id": name,
                    "category_id": category(person.get("category")),
                    **parts(person, box="box", id="idx"),
                    **skeleton_entry(results.skeleton),
                }

    write_list(path, items())


def read(path: Path, skeleton: Skeleton | None, say: Say, fps: float | None = None) -> Results:
    """What has no time follows at `fps` frames per second."""
    return read_items(path, skeleton, say, fps, _timed)


def _timed(item: Item, source: str, clock: Clock) -> float:
    """Frames without people are not there, so that the number in the name tells the time."""
    number = _FRAME.fullmatch(PurePath(source).stem)
    return clock.frame(int(number[0])) if number else clock.picture(source)
