"""Lists of records out of files: read, and checked so that what is wrong is named by file and
record.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ..errors import DataError

Array = NDArray[np.float64]


def load_json(path: Path) -> Any:
    """The content of a JSON file. Raises DataError that names the place where it breaks."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return orjson.loads(text)
    except ValueError:  # among others NaN, which json reads and the readers then name by record
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}): is the file complete?") from None


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Millions of lists are made at once, and none is garbage: Python's collector, which looks
    through all of them over and over, would take twice as long as the work itself.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one list in a file; `where` is their place in the file, which errors name."""

    path: Path
    list: str  # the name of the list
    records: Sequence[dict[str, Any]]
    where: Sequence[int]

    @classmethod
    def of(cls, path: Path, name: str, records: Any) -> Records:
        if not isinstance(records, list) or any(not isinstance(record, dict) for record in records):
            raise DataError(f"{path}: '{name}' must be a list of JSON objects")
        return cls(path, name, records, range(len(records)))

    def __len__(self) -> int:
        return len(self.records)

    def fail(self, row: int, what: str) -> DataError:
        number = self.records[row].get("id")
        return DataError(
            f"{self.path}: {self.list}[{self.where[row]}]{'' if number is None else f' (id {number})'} {what}"
        )

    def keep(self, wanted: Callable[[dict[str, Any]], bool]) -> Records:
        rows = [row for row, record in enumerate(self.records) if wanted(record)]
        return Records(
            self.path, self.list, [self.records[r] for r in rows], [self.where[r] for r in rows]
        )

    def values(self, key: str) -> list[Any]:
        """One value per record. Raises DataError for the first record without."""
        try:
            return [record[key] for record in self.records]
        except KeyError:
            row = next(row for row, record in enumerate(self.records) if key not in record)
            raise self.fail(row, f"has no '{key}'") from None

    def integers(self, key: str, *, unique: bool = False) -> NDArray[np.int64]:
        values = self.values(key)
        array = np.array(values) if values else np.zeros(0, np.int64)
        if array.dtype.kind != "i":
            row = next((row for row, value in enumerate(values) if type(value) is not int), 0)
            raise self.fail(row, f"has {key} {values[row]!r}, expected a whole number")
        if unique and len(set(values)) < len(values):
            seen: set[int] = set()
            row = next(row for row, value in enumerate(values) if value in seen or seen.add(value))
            raise self.fail(row, f"repeats {key} {values[row]}: each must be there once")
        return array.astype(np.int64)

    def numbers(self, rows: Sequence[Any], width: int | None, what: str) -> Array:
        """Rows of `width` numbers (or single numbers) -> [N, width] (or [N]), all finite."""
        shape = (len(rows),) if width is None else (len(rows), width)
        try:
            array = np.array(rows, np.float64).reshape(shape)
        except (ValueError, TypeError):
            raise self.fail(*self._misfit(rows, width, what)) from None
        bad = ~(np.isfinite(array) if width is None else np.isfinite(array).all(1))
        if bad.any():
            raise self.fail(
                int(np.argmax(bad)), f"has a {what} that is not a finite number (NaN or infinite)"
            )
        return array

    def _misfit(self, rows: Sequence[Any], width: int | None, what: str) -> tuple[int, str]:
        for row, value in enumerate(rows):
            try:
                got = np.array(value, np.float64)
            except (ValueError, TypeError):
                return row, f"has a {what} that is not made of numbers"
            if width is None and got.shape != ():
                return row, f"has {got.size} numbers as {what}, expected one"
            if width is not None and got.shape != (width,):
                return row, f"has {got.size} numbers as {what}, expected {width}"
        raise AssertionError("no row misfits")
