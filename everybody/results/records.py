"""`Record` and `Results`: what a journal holds and every format is written from, and how all of
them round.

Coordinates have two decimals: a hundredth of a pixel is far below what annotators agree on, and
float32 keeps it through any number of conversions. Scores have four: finer than any threshold, and
files are a third of their raw size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..messages import Say as Say
from ..messages import warn as warn
from ..people import Frame, People
from ..skeletons import BOX, SKELETONS, Skeleton

_GRID = np.array([100, 100, 10_000])  # hundredths of a pixel, ten-thousandths of a score


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A Frame without its picture: what the journal holds and every format is written from."""

    source: str
    index: int
    time: float  # seconds
    width: int  # pixels, as height
    height: int
    people: People

    @classmethod
    def of(cls, frame: Frame) -> Record:
        width, height = frame.size
        return cls(frame.source, frame.index, frame.time, width, height, frame.people)


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Records on disk or in memory, of one skeleton; can be walked through any number of times, in
    constant memory.
    """

    skeleton: Skeleton
    records: Callable[[], Iterator[Record]]
    run: dict[str, Any] = field(default_factory=dict)  # run.json, where there is one

    def __iter__(self) -> Iterator[Record]:
        return self.records()

    @classmethod
    def of(cls, records: Sequence[Record], skeleton: Skeleton) -> Results:
        return cls(skeleton, lambda: iter(records))


def plain(record: Record) -> list[dict[str, Any]]:
    """One dictionary per person, as in a line of the journal; DataError where a number is not
    finite.
    """
    people = record.people
    if not all(
        np.isfinite(v).all() for v in (people.keypoints, people.boxes, people.scores, record.time)
    ):
        raise DataError(
            f"frame {record.index} of '{record.source}': a keypoint, box, score or time is NaN or infinite; "
            "no format holds that, what made it is broken"
        )
    rounded = []
    for values, grid in ((people.keypoints, _GRID), (people.boxes, 100), (people.scores, 10_000)):
        # k / 100 is the double nearest to that decimal, so it prints as one; + 0.0 turns -0.0 into
        # 0.0
        rounded.append((np.rint(values.astype(np.float64) * grid) / grid + 0.0).tolist())
    ids = [None] * len(people) if people.ids is None else people.ids.tolist()
    return [
        {"id": i, "score": s, "box": b, "keypoints": k}
        for k, b, s, i in zip(*rounded, ids, strict=True)
    ]


def encode(record: Record | Frame, *, named: bool = False) -> bytes:
    """One line of the journal, newline included. `named` puts the skeleton's name into it, for
    lines that travel without a run.json (standard output, a lone .jsonl). ASCII, so that file names
    that are no UTF-8 survive.
    """
    if isinstance(record, Frame):
        record = Record.of(record)
    head = {"source": record.source, "frame": record.index, "time": round(record.time, 6)}
    size = {"width": record.width, "height": record.height}
    name = {"skeleton": record.people.skeleton.name} if named else {}
    return (
        json.dumps(
            {**head, **size, **name, "people": plain(record)}, separators=(",", ":")
        ).encode()
        + b"\n"
    )


def named(skeleton: Skeleton) -> dict[str, str]:
    """{"skeleton": name} where the number of joints alone would make readers take another
    (`by_count`), else {}.
    """
    first = next(
        (known for known in (BOX, *SKELETONS.values()) if len(known) == len(skeleton)), None
    )
    return {} if skeleton is first else {"skeleton": skeleton.name}


def by_count(joints: int, path: Path | str, name: str | None = None) -> Skeleton:
    """The skeleton of that name or, for files that do not tell theirs, the first known one of that
    many joints; a DataError if there is none.
    """
    for skeleton in (SKELETONS.get(name or ""), BOX, *SKELETONS.values()):
        if skeleton is not None and len(skeleton) == joints:  # an empty skeleton, `BOX`, is false
            return skeleton
    known = sorted({len(skeleton) for skeleton in SKELETONS.values()})
    raise DataError(
        f"{path}: people of {joints} joints, which no known skeleton has ({known}); say which with --skeleton"
    )


def skeleton_of(data: dict[str, Any], path: Path) -> Skeleton:
    """`dataclasses.asdict` of a skeleton, as in run.json -> the known one of that name and joints,
    else one made as the dictionary says; DataError that names `path` if that makes no skeleton.
    """
    try:
        known = SKELETONS.get(data["name"])
        if known and list(known.joints) == list(data["joints"]):
            return known
        limbs = tuple((a, b) for a, b in data["limbs"])
        parts = {key: tuple(data[key]) for key in ("joints", "mirror", "sigmas")}
        return Skeleton(name=data["name"], limbs=limbs, **parts)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: a broken skeleton ({error})") from error
