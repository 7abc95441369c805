"""Which edges of a video's pictures are not shown: `clap` of MP4 and MOV, PixelCrop of Matroska.

The decoder hands out whole pictures; containers say how much of them is to be seen (ISO/IEC
14496-12, 12.1.4; RFC 9559, 5.1.4.1.28). FFmpeg's libraries read both and PyAV passes neither on, so
the few numbers are read here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

_DEEPEST = 1_000  # elements looked at in one level, however many a broken file claims
_SEGMENT, _CLUSTER, _TRACKS, _TRACK = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
_VIDEO, _CROPS = 0xE0, {0x54CC: "left", 0x54BB: "top", 0x54DD: "right", 0x54AA: "bottom"}
_ENTRY = 78  # bytes of a visual sample entry before the boxes in it


# What reading a file that is cut short or makes no sense raises.
_BROKEN = (OSError, ValueError, LookupError, ArithmeticError, StopIteration, struct.error)


class Edges(NamedTuple):
    """Columns and rows that are not shown, at each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


WHOLE = Edges()


def edges(file: Any, format: str, place: int, size: tuple[int, int]) -> Edges:
    """What is not shown of the pictures (width, height) of the video track at that place.

    file: as FFmpeg was given it; addresses and what cannot seek are not looked at. A binary file is
    left where it was.
    """
    of = _mp4 if "mp4" in format else _matroska if "matroska" in format else None
    if of is None:
        return WHOLE
    with suppress(*_BROKEN):
        if hasattr(file, "seek"):
            before = file.tell()
            try:
                return _sane(of(file, place, size), size)
            finally:
                file.seek(before)
        if isinstance(file, str) and file.startswith("file:"):
            with open(file.removeprefix("file:"), "rb") as opened:
                return _sane(of(opened, place, size), size)
    return WHOLE


def _sane(found: Edges, size: tuple[int, int]) -> Edges:
    """The same, or none where they are below 0 or leave nothing."""
    left, top, right, bottom = found
    leaves = left + right < size[0] and top + bottom < size[1]
    return found if min(found) >= 0 and leaves else WHOLE


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two places: kind, and where the inside begins and ends."""
    for _ in range(_DEEPEST):
        if start + 8 > end:
            return
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        size = size or end - start
        if size < head:
            return
        yield kind, start + head, min(start + size, end)
        start += size


def _inside(file: BinaryIO, start: int, end: int, *kinds: bytes) -> tuple[int, int]:
    """Where the first box of each kind within the one before begins and ends; KeyError if none."""
    for kind in kinds:
        start, end = {k: (a, b) for k, a, b in reversed(list(_boxes(file, start, end)))}[kind]
    return start, end


def _mp4(file: BinaryIO, place: int, size: tuple[int, int]) -> Edges:
    start, end = _inside(file, 0, file.seek(0, os.SEEK_END), b"moov")
    videos = []
    for kind, a, b in list(_boxes(file, start, end)):
        if kind == b"trak":
            file.seek(_inside(file, a, b, b"mdia", b"hdlr")[0] + 8)
            if file.read(4) == b"vide":
                videos.append((a, b))
    a, b = _inside(file, *videos[place], b"mdia", b"minf", b"stbl", b"stsd")
    _, a, b = next(_boxes(file, a + 8, b))
    file.seek(_inside(file, a + _ENTRY, b, b"clap")[0])
    wide, w, high, h, across, x, down, y = struct.unpack(">IIIIiIiI", file.read(32))
    left = (size[0] - wide / w) / 2 + across / x
    top = (size[1] - high / h) / 2 + down / y
    right, bottom = size[0] - wide / w - left, size[1] - high / h - top
    return Edges(*(round(edge) for edge in (left, top, right, bottom)))


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The EBML elements between two places: id, and where the inside begins and ends."""
    for _ in range(_DEEPEST):
        if start >= end:
            return
        file.seek(start)
        identity, _ = _number(file, marked=True)
        size, unknown = _number(file, marked=False)
        inside = file.tell()
        yield identity, inside, end if unknown else min(inside + size, end)
        start = end if unknown else inside + size


def _number(file: BinaryIO, *, marked: bool) -> tuple[int, bool]:
    """A number of as many bytes as its first one says, and whether all its bits are set; `marked`
    keeps the bit that says so, as ids do.
    """
    first = file.read(1)[0]
    length = 9 - first.bit_length()
    if length > 8:
        raise ValueError("no EBML")
    value = int.from_bytes(bytes([first]) + file.read(length - 1), "big")
    bare = value & ((1 << 7 * length) - 1)
    return (value if marked else bare), bare == (1 << 7 * length) - 1


def _matroska(file: BinaryIO, place: int, size: tuple[int, int]) -> Edges:
    end = file.seek(0, os.SEEK_END)
    segment = next((a, b) for kind, a, b in _elements(file, 0, end) if kind == _SEGMENT)
    videos = []
    for kind, a, b in _elements(file, *segment):
        if kind == _CLUSTER:
            break
        for track, c, d in _elements(file, a, b) if kind == _TRACKS else ():
            for part, e, f in _elements(file, c, d) if track == _TRACK else ():
                if part == _VIDEO:
                    videos.append((e, f))
    found = {}
    for kind, a, b in _elements(file, *videos[place]):
        if kind in _CROPS:
            file.seek(a)
            found[_CROPS[kind]] = int.from_bytes(file.read(min(b - a, 8)), "big")
    return Edges(**found)
