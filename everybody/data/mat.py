"""Arrays of numbers out of a .mat file, level 5 (MATLAB's "MAT-File Format", level 5 MAT-files).

scipy.io reads these files too, but trusts the sizes that are written in them: a damaged file can
end the process. Here each size is compared with what is there before anything is taken.

    file      128 bytes of header, then elements
    element   type, size (4 bytes each; short ones pack both and 4 bytes of data into 8 bytes), data
    miMATRIX  flags (class), dimensions, name, real part, [imaginary part]: elements again
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

HEADER = 128
LARGEST = 1 << 26  # bytes of one array, unpacked: MPII's 30,000 people have some 20 MB
MOST = 32  # dimensions, as numpy allows
DEEPEST = 20  # cells within cells

Array = NDArray[np.float64]

_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {*_NUMBERS, _MATRIX, _COMPRESSED, 16, 17, 18}  # and text in UTF-8, -16, -32
_CLASSES, _CELL = range(1, 18), 1
_NUMERIC_CLASSES = range(6, 16)  # double, single and the integers; not cells, structures, text
_COMPLEX = 0x0800


class _Broken(ValueError):
    """What is written in the file cannot be."""


def read_mat(path: Path, data: bytes) -> dict[str, Array]:
    """The real numeric arrays of a file by name; cells, structures and text are passed over.

    Raises DataError where the file is cut short or says what cannot be.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise DataError(f"{path}: is no .mat of level 5: save it with -v7")
    out: dict[str, Array] = {}
    try:
        for kind, content in _elements(data[HEADER:], order):
            if kind == _COMPRESSED:
                kind, content = next(_elements(_unpacked(content), order), (0, b""))
            if kind == _MATRIX and content:
                name, values = _matrix(content, order)
                if values is not None:
                    out[name] = values
    except (_Broken, zlib.error) as error:
        raise DataError(f"{path}: is a broken .mat ({error}): is the file complete?") from None
    return out


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(type, content) of the elements that follow each other; each starts at a multiple of 8 bytes,
    but for compressed ones.
    """
    byte_order = "little" if order == "<" else "big"
    place = 0
    while place + 8 <= len(data):
        kind = int.from_bytes(data[place : place + 4], byte_order)
        size = int.from_bytes(data[place + 4 : place + 8], byte_order)
        if kind >> 16:  # a short one: its size stands in the upper half
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
            end = place + 8
            if size > 4:
                raise _Broken(f"a short element of {size} bytes")
        else:
            start = place + 8
            end = start + size if kind == _COMPRESSED else start + size + -size % 8
        if kind not in _TYPES:
            raise _Broken(f"an element of a type numbered {kind}")
        if start + size > len(data):
            raise _Broken(f"{size} bytes announced, {len(data) - start} there")
        yield kind, data[start : start + size]
        place = end


def _unpacked(content: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(content, LARGEST)
    if unpacker.unconsumed_tail:
        raise _Broken(f"an array of more than {LARGEST} bytes")
    if not unpacker.eof:
        raise _Broken("compressed data end early")
    return data


def _matrix(content: bytes, order: str, depth: int = 0) -> tuple[str, Array | None]:
    """Name and values; None where it is no array of real numbers. The members of cells are checked
    too, because damage there is damage to the file.
    """
    elements = list(_elements(content, order))
    if len(elements) < 3 or len(elements[0][1]) < 4 or depth > DEEPEST:
        raise _Broken("an array without flags, dimensions or name, or nested too deeply")
    (_, flags), (_, sides), (_, name), *rest = elements
    flag = int(np.frombuffer(flags[:4], f"{order}u4")[0])
    called, kind = name.decode("latin-1"), flag & 0xFF
    shape = np.frombuffer(sides[: len(sides) // 4 * 4], f"{order}i4").tolist()
    if not 2 <= len(shape) <= MOST or min(shape) < 0 or kind not in _CLASSES:
        raise _Broken(f"'{called}' is of class {kind} and shape {shape[:MOST]}")

    count = math.prod(shape)
    if kind == _CELL:
        if len(rest) != count or any(part != _MATRIX for part, _ in rest):
            raise _Broken(f"'{called}' has {len(rest)} members for the shape {shape}")
        for _, member in rest:
            if member:
                _matrix(member, order, depth + 1)
    if kind not in _NUMERIC_CLASSES or flag & _COMPLEX:
        return called, None
    return called, _numbers(called, shape, rest, order) if count else np.zeros(shape)


def _numbers(called: str, shape: list[int], parts: list[tuple[int, bytes]], order: str) -> Array:
    kind, values = parts[0] if parts else (9, b"")
    if kind not in _NUMBERS:
        raise _Broken(f"'{called}' holds a type numbered {kind}")
    dtype = np.dtype(order + _NUMBERS[kind])
    if math.prod(shape) * dtype.itemsize != len(values):
        raise _Broken(f"'{called}' has {len(values)} bytes for {shape} numbers of {dtype.itemsize}")
    return np.frombuffer(values, dtype).astype(np.float64).reshape(shape, order="F")
