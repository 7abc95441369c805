"""AlphaPose's results (docs/output.md of AlphaPose): one list, one item per person, which its
users' tools read.

An item has image_id (the name of the picture, or of the video's frame: "12.jpg"), category_id 1,
keypoints (x, y, score per joint), score, box (x, y, width, height) and, where people are tracked,
idx. Not held: frames without people, times, sizes, and which names are frames of a video: read
back, each is a picture of that name. AlphaPose's own scores of persons may exceed 1; they are kept,
as their order is what counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from ..media.names import Names, numbered
from .coco import parts, read
from .jsonlist import Item, write_list
from .records import Results, Say, named, plain

__all__ = ["read", "write"]


def write(results: Results, path: Path, say: Say) -> None:
    """Frames of the first video are called as AlphaPose calls them, those of others with their
    video's name before.
    """

    def items() -> Iterator[Item]:
        names, video = Names(), None
        for record in results:
            name = names(record.source)
            if not numbered(record.source, record.index):
                name += PurePath(record.source).suffix
            else:
                video = video or record.source
                name = (
                    f"{record.index}.jpg"
                    if record.source == video
                    else f"{name}_{record.index}.jpg"
                )
            for person in plain(record):
                yield {
                    "image_id": name,
                    "category_id": 1,
                    **parts(person, box="box", id="idx"),
                    **named(results.skeleton),
                }

    write_list(path, items())
