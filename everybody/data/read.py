"""Any data set from any file, told by its content, never by its name."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..people import Skeleton
from .coco import read_coco, read_coco_results
from .dataset import Dataset
from .records import load_json


def read(path: str | Path, *, skeleton: Skeleton | None = None) -> Dataset:
    """The data set in a file or folder. `skeleton` overrides what the file says or says not.

    Raises DataError for a file that is none of the known forms, or is broken.
    """
    path = Path(path)
    content = load_json(path)
    if isinstance(content, dict) and "images" in content and "annotations" in content:
        return read_coco(path, content, skeleton=skeleton)
    raise DataError(f"{path}: not a known data set")


def read_results(path: str | Path, truth: Dataset, *, skeleton: Skeleton | None = None) -> Dataset:
    """What a method found on the pictures of `truth`, from COCO's result list or our own frames.jsonl."""
    path = Path(path)
    return read_coco_results(path, skeleton=skeleton or truth.skeleton).join(truth)
