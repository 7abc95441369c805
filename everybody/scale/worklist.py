"""All chunks of a run as one array, so that a million of them take 49 MB, which all workers of a
node share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..media.demux import Key
from .chunks import Part
from .job import Planned

ROW = np.dtype(
    [
        ("first", np.int64),
        ("last", np.int64),
        ("seek", np.int64),
        ("stamp", np.int64),
        ("time", np.float64),
        ("lead", np.float64),
        ("whole", np.bool_),
    ]
)


@dataclass(frozen=True, slots=True)
class Worklist:
    """films: in order, without their parts. starts [F + 1]: the row of each film's first chunk, and
    the end. rows [C] of `ROW`: all parts, film by film.
    """

    films: list[Planned]
    starts: NDArray[np.int64]
    rows: NDArray[Any]

    @classmethod
    def of(cls, plan: Iterable[Planned]) -> Worklist:
        """The films are taken one by one, so that their parts need not all be there at once."""
        films: list[Planned] = []
        rows = [np.empty(0, ROW)]
        for planned in plan:
            films.append(replace(planned, parts=()))
            rows.append(np.array([_row(part) for part in planned.parts], ROW))
        starts = np.cumsum([len(some) for some in rows])
        return cls(films, starts, np.concatenate(rows))

    def __len__(self) -> int:
        """How many chunks there are."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Planned]:
        return map(self.planned, range(len(self.films)))

    def film(self, row: int) -> int:
        """The film of a chunk."""
        return int(np.searchsorted(self.starts, row, "right")) - 1

    def place(self, row: int) -> int:
        """The place of a chunk in its film."""
        return row - int(self.starts[self.film(row)])

    def part(self, row: int) -> Part:
        first, last, index, stamp, time, lead, whole = self.rows[row].item()
        return Part(first, last, Key(index, stamp, time), lead, whole)

    def planned(self, film: int) -> Planned:
        """A film with its parts."""
        parts = map(self.part, range(int(self.starts[film]), int(self.starts[film + 1])))
        return replace(self.films[film], parts=tuple(parts))


def _row(part: Part) -> tuple[Any, ...]:
    seek = part.seek
    return part.first, part.last, seek.index, seek.stamp, seek.time, part.lead, part.whole
