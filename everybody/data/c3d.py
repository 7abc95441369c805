"""C3D, the binary format of motion laboratories (c3d.org), by ezc3d (Michaud and Begon 2021; extra
`c3d`).

Its heading is looked at first, so that a broken file is told by the byte where it breaks.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..lift.body import tree_skeleton
from ..lift.motion import AXES, Motion
from ..typed import read_bytes
from .joint_names import our_names
from .trc import UNITS

Array = NDArray[np.float64]

BLOCK = 512  # bytes
KEY = 0x50
INTEL, DEC, MIPS = 84, 85, 86
MARKERS, FRAMES = 10_000, 10_000_000
FARTHEST = 1e6  # metres


def read_c3d(path: Path) -> list[Motion]:
    """A file -> its markers in metres, z up: one motion, or one per subject where markers are
    called subject:marker. Raises DataError that names the byte.
    """
    check(path, read_bytes(path))
    try:
        import ezc3d
    except ImportError:
        raise DataError(f"{path}: C3D needs ezc3d: pip install 'everybody[c3d]'") from None
    try:
        content: Any = ezc3d.c3d(str(path))
        points, parameters = np.asarray(content["data"]["points"]), content["parameters"]["POINT"]
        labels = [str(label) for label in parameters["LABELS"]["value"]][: points.shape[1]]
        unit = (list(parameters.get("UNITS", {}).get("value", [])) or ["mm"])[0]
        up = (list(parameters.get("Y_SCREEN", {}).get("value", [])) or ["+Z"])[0]
        rate = float(content["header"]["points"]["frame_rate"])
        first = int(content["header"]["points"]["first_frame"])
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        MemoryError,
    ) as error:
        raise DataError(f"{path}: is a broken C3D ({str(error)[:80]}): is it complete?") from None
    if unit.lower() not in UNITS or not 0 < rate < 1e6:
        raise DataError(f"{path}: unit '{unit[:20]}', {rate:g} frames per second: no C3D says so")
    if len(labels) != points.shape[1] or not labels:
        raise DataError(f"{path}: has {points.shape[1]} markers and {len(labels)} names")
    places = points[:3].transpose(2, 1, 0) * UNITS[unit.lower()]
    if (np.abs(places) > FARTHEST).any():
        raise DataError(f"{path}: has a marker beyond ±{FARTHEST:g} metres")
    if up.strip("+-").upper() == "Y":
        places = places @ AXES["world"]
    return _motions(path, labels, places, (first + np.arange(len(places))) / rate)


def _motions(path: Path, labels: list[str], places: Array, times: Array) -> list[Motion]:
    subjects = [label.rpartition(":")[0] for label in labels]
    out = []
    for number, subject in enumerate(dict.fromkeys(subjects)):
        some = [k for k, of in enumerate(subjects) if of == subject]
        skeleton = tree_skeleton(path.stem, our_names([labels[k] for k in some]))
        out.append(Motion(skeleton, places[:, some], times, number, subject or path.stem))
    return out


def check(path: Path, data: bytes) -> None:
    """Raises DataError where heading, parameters and data do not lie where they say."""
    if len(data) < BLOCK or data[1] != KEY:
        raise DataError(f"{path}: byte 1: expected 0x50, the mark of a C3D")
    start = (data[0] - 1) * BLOCK
    if data[0] < 2 or start + 4 > len(data):
        raise DataError(f"{path}: byte 0: says that parameters are in block {data[0]}: not there")
    processor = data[start + 3]
    if processor not in (INTEL, DEC, MIPS):
        raise DataError(f"{path}: byte {start + 3}: processor {processor}: expected 84, 85 or 86")
    order = ">" if processor == MIPS else "<"
    markers, _, first, last = struct.unpack_from(f"{order}4H", data, 2)
    begins, _ = struct.unpack_from(f"{order}2H", data, 16)
    if markers > MARKERS or (last < first and last):
        raise DataError(f"{path}: byte 2: {markers} markers, frames {first} to {last}: cannot be")
    if not 2 < begins <= len(data) // BLOCK + 1:
        raise DataError(f"{path}: byte 16: says that data begin in block {begins}: not there")
    _walk(path, data, start, (begins - 1) * BLOCK, order)


def _walk(path: Path, data: bytes, start: int, end: int, order: str) -> None:
    """Looks that groups and parameters hang together: each says where the next one is."""
    at = start + 4
    while True:
        if at + 2 > min(end, len(data)):
            raise DataError(f"{path}: byte {at}: parameters do not end where the data begin")
        length = abs(struct.unpack_from("b", data, at)[0])
        group = struct.unpack_from("b", data, at + 1)[0]
        if length == 0 or group == 0:
            return
        link = at + 2 + length
        if link + 2 > len(data):
            raise DataError(f"{path}: byte {at}: a parameter's name ends after the file")
        (skip,) = struct.unpack_from(f"{order}H", data, link)
        if group > 0:
            _parameter(path, data, link, skip, order)
        if skip == 0:
            return
        at = link + skip


def _parameter(path: Path, data: bytes, link: int, skip: int, order: str) -> None:
    """Looks that a parameter's values are as many as its dimensions say."""
    if link + 4 > len(data):
        raise DataError(f"{path}: byte {link}: a parameter ends after the file")
    kind, dimensions = struct.unpack_from("bB", data, link + 2)
    if kind not in (-1, 1, 2, 4) or dimensions > 7 or link + 4 + dimensions > len(data):
        raise DataError(
            f"{path}: byte {link + 2}: a parameter of type {kind}, {dimensions} dimensions"
        )
    count = int(np.prod(list(data[link + 4 : link + 4 + dimensions]), dtype=np.int64))
    size = 4 + dimensions + count * abs(kind)
    if link + size > len(data) or (skip and skip < size - 2):
        raise DataError(f"{path}: byte {link}: a parameter of {count} values has no room for them")
