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

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from ..errors import SAY_JOINTS_OF_RESULTS, DataError
from ..geometry import Array
from ..people import PERSON, Frame, People
from ..skeletons import BOX, SKELETONS, Skeleton
from ..skeletons import skeleton as known_skeleton
from ..typed import convert

FARTHEST = 1e9  # pixels: what lies farther off is no place
_GRID = np.array([100, 100, 10_000])  # hundredths of a pixel, ten-thousandths of a score


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A Frame without its picture: what the journal holds and every format is written from."""

    source: str
    index: int
    time: float  # seconds
    width: int  # pixels, as height; 0 where a format does not tell
    height: int
    people: People

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

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


def as_people(
    keypoints: ArrayLike,
    boxes: ArrayLike,
    scores: ArrayLike,
    ids: Sequence[int | None] | None,
    skeleton: Skeleton,
    where: Path | str,
    categories: Sequence[str | None] = (),
) -> People:
    """What a reader has found [N, K, 3], [N, 4], [N] -> people. Ids survive if everybody has one.
    categories: what each is, as far as it is said.

    Raises DataError that begins with `where` for numbers that are not finite or far too great, and
    for shapes that do not fit the skeleton.
    """
    given = {"keypoints": keypoints, "boxes": boxes, "scores": scores}
    columns = {
        name: bounded(values, name, where).astype(np.float32) for name, values in given.items()
    }
    count, found = len(columns["scores"]), columns["keypoints"].shape
    if len(found) == 3 and found[1] != len(skeleton):
        raise DataError(
            f"{where}: people of {found[1]} joints, {skeleton.name} has {len(skeleton)}: "
            f"{SAY_JOINTS_OF_RESULTS}"
        )
    if columns["keypoints"].size == count * len(skeleton) * 3:
        columns["keypoints"] = columns["keypoints"].reshape(count, len(skeleton), 3)
    numbers = None
    if ids is not None and None not in ids and len(ids):
        if any(not -(2**63) <= number < 2**63 for number in ids if number is not None):
            raise DataError(f"{where}: an id is too great: expected at most 2^63 - 1")
        numbers = np.array(ids, np.int64)
    try:
        kinds = np.array([kind or PERSON for kind in categories]) if any(categories) else None
        return People(**columns, skeleton=skeleton, ids=numbers, categories=kinds)
    except ValueError as error:
        raise DataError(f"{where}: no people of {skeleton.name} ({error})") from None


def checked(record: Record, where: Path | str) -> Record:
    """The record, if its frame, time and size can be those of a picture. Raises DataError."""
    numbers = (record.index, record.width, record.height)
    if not (min(numbers) >= 0 and max(numbers) < 2**31 and abs(record.time) <= FARTHEST):
        raise DataError(
            f"{where}: frame {record.index} of '{record.source}', time {record.time}, size "
            f"{record.width} × {record.height}: no picture has these"
        )
    return record


def bounded(values: ArrayLike, what: str, where: Path | str) -> Array:
    """The numbers as an array, if all are finite and no farther off than `FARTHEST`. Raises
    DataError.
    """
    try:
        array = np.asarray(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"{where}: the {what} of its people differ in length") from None
    if not (np.abs(array) <= FARTHEST).all():
        raise DataError(f"{where}: {what} hold NaN, infinity or a number beyond {FARTHEST:g}")
    return array


def persons(record: Record, *, exact: bool = False) -> list[dict[str, Any]]:
    """One dictionary per person, as in a line of the journal; exact: not rounded. DataError where a
    number is not finite.
    """
    people = record.people
    if not all(
        np.isfinite(v).all() for v in (people.keypoints, people.boxes, people.scores, record.time)
    ):
        raise DataError(
            f"frame {record.index} of '{record.source}': a keypoint, box, score or time is NaN or "
            "infinite; no format holds that, what made it is broken"
        )
    rounded = []
    for values, grid in ((people.keypoints, _GRID), (people.boxes, 100), (people.scores, 10_000)):
        # k / 100 is the double nearest to that decimal, so it prints as one; + 0.0 makes -0.0 0.0.
        double = values.astype(np.float64)
        rounded.append((double if exact else np.rint(double * grid) / grid + 0.0).tolist())
    ids = [None] * len(people) if people.ids is None else people.ids.tolist()
    rows = [
        {"id": i, "score": s, "box": b, "keypoints": k}
        for k, b, s, i in zip(*rounded, ids, strict=True)
    ]
    if people.categories is None:
        return rows
    named = zip(rows, people.categories.tolist(), strict=True)
    return [row | {"category": category} for row, category in named]


def encode(record: Record | Frame, *, named: bool = False) -> bytes:
    """One line of the journal, newline included. `named` puts the skeleton's name into it, for
    lines that travel without a run.json (standard output, a lone .jsonl). ASCII, so that file names
    that are no UTF-8 survive.
    """
    if isinstance(record, Frame):
        record = Record.of(record)
    line = {
        "source": record.source,
        "frame": record.index,
        "time": round(record.time, 6),
        "width": record.width,
        "height": record.height,
        **({"skeleton": record.people.skeleton.name} if named else {}),
        "people": persons(record),
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def skeleton_entry(skeleton: Skeleton) -> dict[str, str]:
    """{"skeleton": name} where the number of joints alone would make readers take another
    (`by_count`), else {}.
    """
    first = next(
        (known for known in (BOX, *SKELETONS.values()) if len(known) == len(skeleton)), None
    )
    return {} if skeleton is first else {"skeleton": skeleton.name}


def by_name(name: str | None) -> Skeleton | None:
    """The known skeleton that a file names, or the union of several; None if it is not known."""
    return known_skeleton(name) if name and set(name.split("+")) <= set(SKELETONS) else None


def by_count(joints: int, path: Path | str, name: str | None = None) -> Skeleton:
    """The skeleton of that name or, for files that do not tell theirs, the first known one of that
    many joints; a DataError if there is none.
    """
    for skeleton in (by_name(name), BOX, *SKELETONS.values()):
        if skeleton is not None and len(skeleton) == joints:  # an empty skeleton, `BOX`, is false
            return skeleton
    counts = sorted({len(skeleton) for skeleton in SKELETONS.values()})
    raise DataError(
        f"{path}: people of {joints} joints, which no known skeleton has "
        f"({', '.join(map(str, counts))}): {SAY_JOINTS_OF_RESULTS}"
    )


class SkeletonShape(msgspec.Struct):
    """A skeleton as files hold it: `dataclasses.asdict` of one."""

    name: str
    joints: list[str]
    limbs: list[tuple[int, int]]
    mirror: list[int]
    sigmas: list[float]


def skeleton_of(data: Any, path: Path | str) -> Skeleton:
    """`dataclasses.asdict` of a skeleton, as in run.json -> the known one of that name and joints,
    else one made as the dictionary says; DataError that names `path` if that makes no skeleton.
    """
    said = convert(data, SkeletonShape, f"{path}: its skeleton")
    known = SKELETONS.get(said.name)
    if known and list(known.joints) == said.joints:
        return known
    places = range(len(said.joints))
    ends = [end for limb in said.limbs for end in limb]
    if any(place not in places for place in (*said.mirror, *ends)):
        raise DataError(f"{path}: its skeleton has a limb or a mirror entry of no joint")
    try:
        return Skeleton(
            name=said.name,
            joints=tuple(said.joints),
            limbs=tuple(said.limbs),
            mirror=tuple(said.mirror),
            sigmas=tuple(said.sigmas),
        )
    except ValueError as error:
        raise DataError(f"{path}: a broken skeleton ({error})") from None
