"""Our own results, frames.jsonl, as a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..people import People
from ..results.journal import read_journal
from ..skeletons import Skeleton
from .dataset import Dataset, Picture


def read_own(path: Path, *, skeleton: Skeleton | None = None) -> Dataset:
    """frames.jsonl, or the folder that it and run.json are in. A frame of a video is the picture
    'name#index'.
    """
    journal = read_journal(path, skeleton)
    records = list(journal)
    frames = Counter(record.source for record in records)
    names = [
        r.source if frames[r.source] == 1 and r.index == 0 else f"{r.source}#{r.index}"
        for r in records
    ]
    pictures = [
        Picture(n, i, r.width, r.height)
        for i, (n, r) in enumerate(zip(names, records, strict=True), 1)
    ]
    options = journal.run.get("options") or {}
    known = (
        "whole picture"
        if options.get("whole")
        else options.get("boxes") or "detected"
        if options
        else ""
    )
    folder = path if path.is_dir() else path.parent
    name = f"{folder.name}/{path.name}" if path.is_file() and folder.name else path.name
    return gathered(
        [record.people for record in records],
        pictures,
        journal.skeleton,
        name=name,
        boxes_from=str(known),
    )


def gathered(
    people: Sequence[People],
    pictures: Sequence[Picture],
    skeleton: Skeleton,
    *,
    name: str,
    boxes_from: str = "",
) -> Dataset:
    """The people found on each picture, as a data set of results."""
    tracks = [np.full(len(some), -1) if some.ids is None else some.ids for some in people]
    nobody = np.zeros((0, len(skeleton), 3))
    return Dataset(
        skeleton=skeleton,
        pictures=tuple(pictures),
        picture=np.repeat(np.arange(len(people)), [len(some) for some in people]),
        keypoints=np.concatenate(
            [nobody, *(some.keypoints for some in people if len(some))], dtype=np.float64
        ),
        boxes=np.concatenate(
            [np.zeros((0, 4)), *(some.boxes for some in people)], dtype=np.float64
        ),
        scores=np.concatenate([np.zeros(0), *(some.scores for some in people)], dtype=np.float64),
        tracks=np.concatenate([np.zeros(0, np.int64), *tracks]),
        ignored=np.zeros(sum(map(len, people)), bool),
        name=name,
        format="frames.jsonl",
        boxes_from=boxes_from,
    )
