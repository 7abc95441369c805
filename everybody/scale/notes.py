"""What a tracker knew of a chunk's frames, beside the people it was given, as one small file.

Trackers of chunks know nobody from before. So their ids are used to find people only, and when the
film is joined, one tracker goes through the notes of all chunks: seams do not exist for it.

Looks are mostly zeros: of each person only the others are kept.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..geometry import Array
from ..results.records import Record
from ..track.tracker import Evidence

CUT = np.full((2, 3), np.nan)  # stands for the motion of the camera where there is none
BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(slots=True)
class Notes:
    """detected, moved: a row for each frame. counts: of each person's numbers that are not zero;
    columns and values: where and what they are. size: of a person's looks.
    """

    detected: list[bool] = field(default_factory=list)
    moved: list[Array] = field(default_factory=list)
    counts: list[Any] = field(default_factory=list)
    columns: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    size: int = 0

    def add(self, evidence: Evidence) -> None:
        assert evidence.looks is not None
        rows, columns = np.nonzero(evidence.looks)
        self.detected.append(evidence.detected)
        self.moved.append(CUT if evidence.moved is None else evidence.moved)
        self.counts.append(np.bincount(rows, minlength=len(evidence.looks)))
        self.columns.append(columns.astype(np.uint16))
        self.values.append(evidence.looks[rows, columns].astype(np.float32))
        self.size = evidence.looks.shape[1]

    def to_bytes(self) -> bytes:
        file = BytesIO()
        kept: dict[str, Any] = {
            "detected": np.array(self.detected, bool),
            "moved": np.array(self.moved, np.float64).reshape(-1, 2, 3),
            "counts": np.concatenate([np.zeros(0, np.int64), *self.counts]),
            "columns": np.concatenate([np.zeros(0, np.uint16), *self.columns]),
            "values": np.concatenate([np.zeros(0, np.float32), *self.values]),
            "size": np.array(self.size),
        }
        np.savez_compressed(file, **kept)
        return file.getvalue()


def check(path: Path, records: list[Record]) -> None:
    """Raises DataError where the notes are broken, or not those of these frames."""
    for _ in evidence(path, records):
        pass


def evidence(path: Path, records: list[Record]) -> Iterator[tuple[Record, Evidence]]:
    """The frames, each with what the tracker knew of it. Raises DataError."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        detected, moved, size = kept["detected"], kept["moved"], int(kept["size"])
        ends = np.concatenate([[0], np.cumsum(kept["counts"])])
        if len(detected) != len(records) or ends[-1] != len(kept["values"]):
            raise DataError(f"{path}: has notes of {len(detected)} frames, not of {len(records)}")
        if len(ends) - 1 != sum(len(record.people) for record in records):
            raise DataError(f"{path}: has notes of {len(ends) - 1} people, not of its table's")
    except BROKEN as error:
        raise DataError(f"{path}: broken notes of a tracker ({error})") from error
    person = 0
    for record, seen, motion in zip(records, detected, moved, strict=True):
        looks = np.zeros((len(record.people), size))
        for row in looks:
            own = slice(ends[person], ends[person + 1])
            row[kept["columns"][own]] = kept["values"][own]
            person += 1
        camera = None if np.isnan(motion).any() else motion
        yield record, Evidence(record.people, bool(seen), looks, camera, record.width)
