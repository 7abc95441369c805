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
LARGEST = 1 << 30  # bytes of one array, unpacked: MPII's 30,000 people have some 20 MB
MOST = 32  # dimensions, as numpy allows

_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = range(6, 16)  # double, single and the integers; not cells, structs, text
_COMPLEX = 0x0800


class _Broken(ValueError):
    """What is written in the file cannot be."""


def read_mat(path: Path, data: bytes) -> dict[str, NDArray[np.float64]]:
    """The real numeric arrays of a file by name; cells, structures and text are passed over.

    Raises DataError where the file is cut short or says what cannot be.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise DataError(f"{path}: is no .mat of level 5: save it with -v7")
    out: dict[str, NDArray[np.float64]] = {}
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


def _matrix(content: bytes, order: str) -> tuple[str, NDArray[np.float64] | None]:
    """Name and values; None where it is no array of real numbers."""
    elements = _elements(content, order)
    parts = [part for _, part in zip(range(4), elements, strict=False)]
    if len(parts) < 3:
        raise _Broken("an array without flags, dimensions or name")
    (_, flags), (_, sides), (_, name), *rest = parts
    first = np.frombuffer(flags[:4], f"{order}u4")
    if not len(first):
        raise _Broken("an array without flags")
    called = name.decode("latin-1")
    if int(first[0]) & 0xFF not in _NUMERIC_CLASSES or int(first[0]) & _COMPLEX:
        return called, None

    shape = np.frombuffer(sides[: len(sides) // 4 * 4], f"{order}i4").tolist()
    count = math.prod(shape)
    if not 2 <= len(shape) <= MOST or min(shape) < 0:
        raise _Broken(f"'{called}' has the shape {shape[:MOST]}")
    if not rest and count:
        raise _Broken(f"'{called}' has no numbers")
    kind, values = rest[0] if rest else (9, b"")
    if kind not in _NUMBERS:
        raise _Broken(f"'{called}' is of a type numbered {kind}")
    dtype = np.dtype(order + _NUMBERS[kind])
    if count * dtype.itemsize != len(values):
        raise _Broken(f"'{called}' has {len(values)} bytes for {shape} numbers of {dtype.itemsize}")
    return called, np.frombuffer(values, dtype).astype(np.float64).reshape(shape, order="F")
