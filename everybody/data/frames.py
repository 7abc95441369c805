"""Results of a run, frames.jsonl or another of its formats, as a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..people import People
from ..results.formats import read_results
from ..skeletons import Skeleton
from .dataset import Dataset, Picture


def read_frames(path: Path, *, skeleton: Skeleton | None = None) -> Dataset:
    """frames.jsonl, or the folder with it and run.json; or another format that `convert` reads. A
    frame of a video is the picture 'name#index'.
    """
    notes: list[str] = []
    journal = read_results(path, skeleton, say=notes.append)
    records = list(journal)
    frames = Counter(record.source for record in records)
    names = [
        record.source
        if frames[record.source] == 1 and record.index == 0
        else f"{record.source}#{record.index}"
        for record in records
    ]
    pictures = [
        Picture(name, number, record.width, record.height, time=record.time)
        for number, (name, record) in enumerate(zip(names, records, strict=True), 1)
    ]
    folder = path if path.is_dir() else path.parent
    name = f"{folder.name}/{path.name}" if path.is_file() and folder.name else path.name
    found = gathered(
        [record.people for record in records],
        pictures,
        journal.skeleton,
        name=name,
        boxes_from=_boxes_from(journal.run.get("options")),
    )
    return replace(found, notes=tuple(notes))


def _boxes_from(options: Any) -> str:
    """Where run.json says that the boxes of people came from, "" if it does not."""
    if not isinstance(options, dict) or not options:
        return ""
    if options.get("whole"):
        return "whole picture"
    return str(options.get("boxes") or "detected")


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
    called = np.concatenate([np.zeros(0, str), *(some.called for some in people)])
    names, category = np.unique(called, return_inverse=True)
    named = any(some.categories is not None for some in people)
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
        category=category + 1 if named else None,  # type: ignore[arg-type]  # None: not said
        categories=dict(enumerate(names.tolist(), 1)) if named else {},
        ignored=np.zeros(sum(map(len, people)), bool),
        name=name,
        format="frames.jsonl",
        boxes_from=boxes_from,
    )
