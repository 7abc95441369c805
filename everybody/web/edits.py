"""Corrections of a job's results: joints moved by hand, ids renamed, merged, split.

They are a list beside the journal, which stays as it was found; undo takes the last one off. Every
format is exported with all of them applied, in their order.

    {"op": "move", "source", "frame", "person", "joint", "x", "y"}
    {"op": "rename", "source", "id", "to", "from", "until"}

`person` counts the people of that frame as the journal has them. A rename holds on frames `from` to
`until`, both included; null: open. To merge two ids is to rename one to the other; to split one is
to rename it from a frame on to an id that nobody has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ..errors import DataError
from ..results.records import Record, Results

Index = Annotated[int, Field(ge=0, lt=2**31)]
Id = Annotated[int, Field(ge=0, lt=2**53)]
Pixels = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Source = Annotated[str, Field(max_length=4096)]


class Move(BaseModel):
    """A joint is at (x, y), in pixels of the picture; its score becomes 1."""

    model_config = ConfigDict(extra="forbid")

    op: Literal["move"]
    source: Source
    frame: Index
    person: Index
    joint: Index
    x: Pixels
    y: Pixels


class Rename(BaseModel):
    """A person has another id, in one source (null: all), on some of its frames."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, serialize_by_alias=True)

    op: Literal["rename"]
    source: Source | None = None
    id: Id
    to: Id
    first: Index | None = Field(default=None, alias="from")
    until: Index | None = None

    def concerns(self, record: Record) -> bool:
        first, last = self.first or 0, 2**31 if self.until is None else self.until
        return self.source in (None, record.source) and first <= record.index <= last


Edit = Annotated[Move | Rename, Field(discriminator="op")]
EDIT: TypeAdapter[Move | Rename] = TypeAdapter(Edit)
EDITS: TypeAdapter[list[Move | Rename]] = TypeAdapter(list[Edit])


def edited(results: Results, edits: Sequence[Move | Rename]) -> Results:
    """Results with all corrections applied; those of people or joints that are not there change
    nothing.
    """
    moves: defaultdict[tuple[str, int], list[Move]] = defaultdict(list)
    renames = [edit for edit in edits if isinstance(edit, Rename)]
    for edit in edits:
        if isinstance(edit, Move):
            moves[edit.source, edit.frame].append(edit)

    def records() -> Iterator[Record]:
        for record in results:
            moved = _moved(record, moves.get((record.source, record.index), ()))
            yield _renamed(moved, renames)

    return replace(results, records=records)


def _moved(record: Record, moves: Sequence[Move]) -> Record:
    if not moves:
        return record
    keypoints = record.people.keypoints.copy()
    for move in moves:
        if move.person < keypoints.shape[0] and move.joint < keypoints.shape[1]:
            keypoints[move.person, move.joint] = move.x, move.y, 1.0
    return replace(record, people=replace(record.people, keypoints=keypoints))


def _renamed(record: Record, renames: Sequence[Rename]) -> Record:
    ids = record.people.ids
    if ids is None or not renames:
        return record
    ids = ids.copy()
    for rename in renames:
        if rename.concerns(record):
            ids[ids == rename.id] = rename.to
    return replace(record, people=replace(record.people, ids=ids))


def check_ids(results: Results) -> None:
    """Raises DataError where two people of one frame have one id, who cannot be one person."""
    for record in results:
        ids = record.people.ids
        if ids is None or len(np.unique(ids)) == len(ids):
            continue
        values, counts = np.unique(ids, return_counts=True)
        raise DataError(
            f"frame {record.index} of '{record.source}' shows two people who would both be "
            f"{values[counts > 1][0]}: they cannot be one person; split one of them first"
        )
