"""Lists of records out of files: columns of numbers, checked so that errors name file and record.

What a record must hold, and of which types, is declared by each format as a `msgspec.Struct`
(`everybody.typed`); here is what types do not say: how many numbers, finite, each id once.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..typed import Id

Array = NDArray[np.float64]

FARTHEST = 1e9  # pixels: what lies farther off is no place, and its square overflows
GREATEST = 2**53  # of ids: numbers up to here are exact wherever they go


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Switch Python's garbage collector off for a while.

    Readers make millions of lists, and none of them is garbage: the collector, which looks through
    all of them over and over, would take twice as long as the work itself.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def whole(value: Id) -> int | None:
    """An id as a whole number: 7, 7.0 and "7" are 7. None if it is no such number."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < GREATEST else None
    if isinstance(value, str):
        value = int(value) if len(value) < 17 and value.isascii() and value.isdigit() else GREATEST
    return value if abs(value) < GREATEST else None


def identity(value: Id) -> int | str:
    """An id that is the same however it is written: 1, 1.0 and "1" are 1; all else is text."""
    number = whole(value)
    return str(value) if number is None else number


def identities(values: Sequence[Any]) -> Sequence[Any]:
    """`identity` of each; None stays None. Mostly all are whole numbers: that takes no time."""
    if set(map(type, values)) <= {int} and max(map(abs, values), default=0) < GREATEST:
        return values
    known = {value: None if value is None else identity(value) for value in set(values)}
    return [known[value] for value in values]


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one list in a file. `where` is their place in that list, which errors name."""

    path: Path
    list: str  # the name of the list
    records: Sequence[Any]
    where: Sequence[int]

    @classmethod
    def of(cls, path: Path, name: str, records: Sequence[Any]) -> Records:
        return cls(path, name, records, range(len(records)))

    def __len__(self) -> int:
        return len(self.records)

    def fail(self, row: int, what: str) -> DataError:
        """An error about one record. `what` goes on after its name: "has …", "is …"."""
        number = getattr(self.records[row], "id", None)
        named = "" if number is None else f" (id {number})"
        return DataError(f"{self.path}: {self.list}[{self.where[row]}]{named} {what}")

    def keep(self, wanted: Sequence[bool]) -> Records:
        """Some of the records; they keep their places in the file."""
        rows = [row for row, kept in enumerate(wanted) if kept]
        return Records(
            self.path, self.list, [self.records[r] for r in rows], [self.where[r] for r in rows]
        )

    def values(self, key: str) -> list[Any]:
        """One field of every record."""
        return list(map(attrgetter(key), self.records))

    def identifiers(self, key: str) -> NDArray[np.int64] | None:
        """Ids as whole numbers [N] (`whole`); None if one of them is not. Raises DataError for an
        id that is there twice.
        """
        keys = identities(self.values(key))
        if len(set(keys)) < len(keys):
            seen: set[Any] = set()
            for row, value in enumerate(keys):
                if value in seen:
                    raise self.fail(row, f"repeats {key} {value}: each must be there once")
                seen.add(value)
        return np.array(keys, np.int64) if set(map(type, keys)) <= {int} else None

    def integers(self, key: str, *, default: int) -> NDArray[np.int64]:
        """A field of whole numbers, however they are written [N]; `default` where there is none."""
        given = self.values(key)
        numbers = [default if value is None else value for value in identities(given)]
        for row, value in enumerate(numbers):
            if not isinstance(value, int):
                raise self.fail(row, f"has {key} {given[row]!r}, expected a whole number")
        return np.array(numbers, np.int64)

    def numbers(
        self,
        rows: Sequence[Any],
        width: int | None,
        what: str,
        *,
        limit: float = FARTHEST,
        advice: str = "",
    ) -> Array:
        """Rows of `width` numbers (None: single numbers) -> [N, width] (or [N]).

        Raises DataError for the first row with more or fewer numbers (which ends in the advice), or
        with one that is not finite or beyond ±`limit`.
        """
        if width is None:
            array = np.array(rows, np.float64).reshape(len(rows))
        else:
            lengths = list(map(len, rows))
            if set(lengths) - {width}:
                row = next(row for row, length in enumerate(lengths) if length != width)
                end = f"{width}: {advice}" if advice else f"{width}"
                raise self.fail(row, f"has {lengths[row]} numbers as {what}, expected {end}")
            array = np.array(rows, np.float64).reshape(len(rows), width)

        good = np.abs(array) <= limit
        if not good.all():
            row = int(np.argmin(good if width is None else good.all(1)))
            finite = np.isfinite(array[row]).all()
            raise self.fail(
                row,
                f"has a {what} beyond ±{limit:g}"
                if finite
                else f"has a {what} that is not a finite number (NaN or infinite)",
            )
        return array
