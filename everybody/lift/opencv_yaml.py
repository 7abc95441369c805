"""The YAML that OpenCV writes, without OpenCV, which ends the whole process at some damaged files.

camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 1., 0., 2., 0., 1., 2., 0., 0., 1. ]
image_width: 1280
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

MATRIX = ("!!opencv-matrix", "!!opencv-nd-matrix")
_KEY = re.compile(r"^([A-Za-z_][\w.-]*)\s*:\s*(.*)$")
_FIELD = re.compile(r"^\s+(rows|cols|sizes|dt|data)\s*:\s*(.*)$")
_ODD = {".nan": "nan", ".inf": "inf", "-.inf": "-inf", "+.inf": "inf"}


def parse(text: str) -> dict[str, NDArray[np.float64] | float | str]:
    """Matrices, lists of numbers, numbers and words by their names; deeper entries are left out.

    Raises DataError that names the line.
    """
    lines = text.splitlines()
    out: dict[str, Any] = {}
    for number, line in enumerate(lines):
        match = _KEY.match(line)
        if match is None:
            continue
        key, value = match[1], match[2].strip()
        where = f"line {number + 1}: {key}"
        if value.startswith(MATRIX):
            out[key] = _matrix(_block(lines, number + 1), where)
        elif value.startswith("["):
            whole = " ".join([value, *_block(lines, number + 1)])
            out[key] = _numbers(whole, where)
        elif value:
            out[key] = _scalar(value)
    return out


def _block(lines: list[str], start: int) -> list[str]:
    """The lines that belong to the entry before them: those that are indented."""
    end = start
    while end < len(lines) and lines[end][:1] in (" ", "\t", ""):
        end += 1
    return lines[start:end]


def _matrix(block: list[str], where: str) -> NDArray[np.float64]:
    fields: dict[str, str] = {}
    last = ""
    for line in block:
        match = _FIELD.match(line)
        if match:
            last = match[1]
            fields[last] = match[2]
        elif last:
            fields[last] += " " + line.strip()
    values = _numbers(fields.get("data", ""), where)
    sizes = fields.get("sizes", f"[ {fields.get('rows', '')}, {fields.get('cols', '')} ]")
    shape = [int(size) for size in re.findall(r"\b\d{1,6}\b", sizes)]
    if "sizes" not in fields and len(shape) != 2:
        raise DataError(f"{where} has no whole numbers of rows and cols")
    if math.prod(shape) != len(values) or not len(values):
        told = " × ".join(map(str, shape))
        raise DataError(f"{where} is said to be {told}, but has {len(values)} numbers")
    return values.reshape(shape)


def _numbers(text: str, where: str) -> NDArray[np.float64]:
    inside, closed, _ = text.strip().removeprefix("[").partition("]")
    if not closed:
        raise DataError(f"{where} has no numbers in [ ]: is the file complete?")
    parts = [part.strip() for part in inside.split(",") if part.strip()]
    try:
        return np.array([float(_ODD.get(part.lower(), part)) for part in parts])
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def _scalar(value: str) -> float | str:
    try:
        return float(_ODD.get(value.lower(), value))
    except ValueError:
        return value.strip("\"'")
