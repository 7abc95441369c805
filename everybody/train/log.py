"""log.csv of a run: a row per step that was told, of loss or of scores."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..atomic import replacing


def write(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """All rows, anew. Raises OutputError."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(out / "log.csv") as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def read(out: Path) -> list[dict[str, Any]]:
    """log.csv as rows of numbers; [] if there is none."""
    path = out / "log.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = [
            {name: float(text) for name, text in row.items() if text}
            for row in csv.DictReader(file)
        ]
    return [row | {"step": int(row["step"])} for row in rows]
