"""Our own results, frames.jsonl, as a data set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from ..media.journal import read_journal
from ..people import Skeleton
from .dataset import Dataset, Picture


def read_own(path: Path, *, skeleton: Skeleton | None = None) -> Dataset:
    """frames.jsonl, or the folder that it and run.json are in. A frame of a video is the picture 'name#index'."""
    journal = read_journal(path, skeleton)
    records = list(journal)
    frames = Counter(record.source for record in records)
    names = [r.source if frames[r.source] == 1 and r.index == 0 else f"{r.source}#{r.index}" for r in records]
    people = [record.people for record in records]
    joints = len(journal.skeleton)
    tracks = [np.full(len(p), -1) if p.ids is None else p.ids for p in people]
    return Dataset(
        skeleton=journal.skeleton,
        pictures=tuple(
            Picture(n, i, r.width, r.height) for i, (n, r) in enumerate(zip(names, records, strict=True), 1)
        ),
        picture=np.repeat(np.arange(len(records)), [len(p) for p in people]),
        keypoints=np.concatenate(
            [np.zeros((0, joints, 3)), *(p.keypoints for p in people if len(p))], dtype=np.float64
        ),
        boxes=np.concatenate([np.zeros((0, 4)), *(p.boxes for p in people)], dtype=np.float64),
        scores=np.concatenate([np.zeros(0), *(p.scores for p in people)], dtype=np.float64),
        tracks=np.concatenate([np.zeros(0, np.int64), *tracks]),
        ignored=np.zeros(sum(map(len, people)), bool),
        name=path.name,
        format="frames.jsonl",
    )
