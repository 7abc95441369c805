"""TRC: the markers of OpenSim and Motion Analysis over time, y up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..lift.body import tree_skeleton
from ..lift.motion import AXES, Motion
from .joint_names import our_names
from .text import is_number, lines_of

Array = NDArray[np.float64]

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
FARTHEST = 1e6  # metres


def read_trc(path: Path) -> Motion:
    """A file -> its markers in metres, z up; empty cells and nan are not seen. Raises DataError
    that names the line.
    """
    lines = lines_of(path)
    if not lines or not lines[0].startswith("PathFileType"):
        raise DataError(f"{path}: line 1: expected PathFileType: is it a TRC?")
    if len(lines) < 5:
        raise DataError(f"{path}: ends after line {len(lines)}: expected five lines of heading")
    head = dict(zip(lines[1].split(), lines[2].split(), strict=False))
    unit = head.get("Units", "").lower()
    if unit not in UNITS:
        raise DataError(f"{path}: line 3: Units '{unit[:20]}': expected one of {', '.join(UNITS)}")
    names = [name.strip() for name in lines[3].split("\t")[2:] if name.strip()]
    if not names:
        raise DataError(f"{path}: line 4: expected Frame#, Time and names of markers, with tabs")

    rows = [(n, line) for n, line in enumerate(lines[5:], 6) if line.strip()]
    times = np.empty(len(rows))
    points = np.empty((len(rows), 3 * len(names)))
    for row, (number, line) in enumerate(rows):
        times[row], points[row] = _row(path, number, line, 3 * len(names))
    said = head.get("NumFrames", "")
    if said.isascii() and said.isdigit() and int(said) != len(rows):
        raise DataError(
            f"{path}: line {rows[-1][0] if rows else 5}: has {len(rows)} frames, and NumFrames "
            f"says {said}: is the file complete?"
        )
    late = np.flatnonzero(~(np.diff(times) > 0))
    if len(late):
        raise DataError(f"{path}: line {rows[late[0] + 1][0]}: its time does not go on")
    skeleton = tree_skeleton(path.stem, our_names(names))
    places = points.reshape(len(rows), -1, 3) * UNITS[unit]
    return Motion(skeleton, places @ AXES["world"], times, name=path.stem)


def _row(path: Path, number: int, line: str, count: int) -> tuple[float, list[float]]:
    """The time and the numbers of a line; cells that are missing at its end are empty."""
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) == 1:
        cells = line.split()
    while cells and not cells[-1] and len(cells) > 2 + count:
        cells.pop()
    if not 2 <= len(cells) <= 2 + count:
        raise DataError(
            f"{path}: line {number}: expected {2 + count} cells with tabs between, got {len(cells)}"
        )
    try:
        time, *values = (float(cell) if cell else np.nan for cell in cells[1:])
    except ValueError:
        bad = next(cell for cell in cells[1:] if cell and not is_number(cell))
        raise DataError(f"{path}: line {number}: expected a number, got '{bad[:40]}'") from None
    if not abs(time) < FARTHEST or any(abs(value) > FARTHEST * 1000 for value in values):
        raise DataError(f"{path}: line {number}: a time or place beyond all measure")
    return time, values + [np.nan] * (count - len(values))
