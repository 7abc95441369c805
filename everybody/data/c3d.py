"""C3D, the binary format of motion laboratories (c3d.org, user guide).

Read here and not by ezc3d, which writes ours: broken files make it take memory that is not its own.
Every place that the file names is looked at before it is read.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..lift.body import tree_skeleton
from ..lift.motion import AXES, Motion
from ..typed import read_bytes
from .joint_names import our_names
from .trc import UNITS

Array = NDArray[np.floating[Any]]

BLOCK = 512  # bytes
KEY = 0x50
INTEL, MIPS = 84, 86
_KINDS = {-1: "S1", 1: "i1", 2: "i2", 4: "f4"}
MARKERS = 10_000
FARTHEST = 1e6  # metres


Parameters = dict[tuple[str, str], Any]  # group and name -> numbers, or lists of words


class _Head(NamedTuple):
    markers: int
    analog: int  # numbers beside the markers in a frame
    first: int
    last: int
    begins: int  # byte of the first frame
    real: bool  # numbers, or whole numbers to be scaled
    order: str


def read_c3d(path: Path) -> list[Motion]:
    """A file -> its markers in metres, z up: one motion, or one per subject where markers are
    called subject:marker. Raises DataError that names the byte.
    """
    data = read_bytes(path)
    head, parameters = check(path, data)
    labels = [word.strip() for word in _words(parameters, "LABELS")][: head.markers]
    unit = (_words(parameters, "UNITS") or ["mm"])[0].strip()
    up = (_words(parameters, "Y_SCREEN") or ["+Z"])[0].strip()
    rate, scale = (_number(parameters, name) for name in ("RATE", "SCALE"))
    if unit.lower() not in UNITS or not 0 < rate < 1e6:
        raise DataError(f"{path}: unit '{unit[:20]}', {rate:g} frames per second: no C3D says so")
    if len(labels) != head.markers or not labels:
        raise DataError(f"{path}: has {head.markers} markers and {len(labels)} names")
    points = _points(data, head, 1.0 if head.real else scale)
    places = points[..., :3] * UNITS[unit.lower()]
    places = np.where(points[..., 3:] < 0, np.nan, places)  # a residual below 0: not seen
    if (np.abs(places) > FARTHEST).any():
        raise DataError(f"{path}: has a marker beyond ±{FARTHEST:g} metres")
    if up.strip("+-").upper() == "Y":
        places = places @ AXES["world"]
    times = (max(head.first, 1) - 1 + np.arange(len(places))) / rate
    return _motions(path, labels, places, times)


def _points(data: bytes, head: _Head, scale: float) -> Array:
    """[T, K, 4]: places and residuals."""
    kind = np.dtype(f"{head.order}f4" if head.real else f"{head.order}i2")
    frames, width = head.last - head.first + 1, 4 * head.markers + head.analog
    values = np.frombuffer(data, kind, frames * width, head.begins).reshape(frames, width)
    points = values[:, : 4 * head.markers].reshape(frames, head.markers, 4).astype(np.float64)
    points[..., :3] *= scale
    return points


def _words(parameters: Parameters, name: str) -> list[str]:
    value = parameters.get(("POINT", name))
    return value if isinstance(value, list) else []


def _number(parameters: Parameters, name: str) -> float:
    value = parameters.get(("POINT", name))
    return float(value[0]) if isinstance(value, np.ndarray) and len(value) else float("nan")


def _motions(path: Path, labels: list[str], places: Array, times: Array) -> list[Motion]:
    subjects = [label.rpartition(":")[0] for label in labels]
    out = []
    for number, subject in enumerate(dict.fromkeys(subjects)):
        some = [k for k, of in enumerate(subjects) if of == subject]
        skeleton = tree_skeleton(path.stem, our_names([labels[k] for k in some]))
        out.append(Motion(skeleton, places[:, some], times, number, subject or path.stem))
    return out


def check(path: Path, data: bytes) -> tuple[_Head, Parameters]:
    """Raises DataError where heading, parameters and data do not lie where they say."""
    if len(data) < BLOCK or data[1] != KEY:
        raise DataError(f"{path}: byte 1: expected 0x50, the mark of a C3D")
    start = (data[0] - 1) * BLOCK
    if data[0] < 2 or start + 4 > len(data):
        raise DataError(f"{path}: byte 0: says that parameters are in block {data[0]}: not there")
    processor = data[start + 3]
    if processor not in (INTEL, MIPS):
        raise DataError(
            f"{path}: byte {start + 3}: processor {processor}: expected 84 (Intel) or 86 (MIPS)"
        )
    order = ">" if processor == MIPS else "<"
    markers, analog, first, last = struct.unpack_from(f"{order}4H", data, 2)
    scale, begins = struct.unpack_from(f"{order}fH", data, 12)
    head = _Head(markers, analog, first, last, (begins - 1) * BLOCK, scale < 0, order)
    if markers > MARKERS or last < first:
        raise DataError(f"{path}: byte 2: {markers} markers, frames {first} to {last}: cannot be")
    size = (last - first + 1) * (4 * markers + analog) * (4 if head.real else 2)
    if begins < 3 or head.begins + size > len(data):
        raise DataError(
            f"{path}: byte {len(data)}: ends here, and {last - first + 1} frames of {markers} "
            f"markers from byte {head.begins} need {size} more: is it complete?"
        )
    return head, _walk(path, data, start, order)


def _walk(path: Path, data: bytes, start: int, order: str) -> Parameters:
    """Groups and parameters; each says where the next one is."""
    at = start + 4
    groups: dict[int, str] = {}
    found: list[tuple[int, str, Any]] = []
    while at + 2 <= len(data):
        length, group = struct.unpack_from("2b", data, at)
        if length == 0 or group == 0:
            break
        link = at + 2 + abs(length)
        if link + 2 > len(data):
            raise DataError(f"{path}: byte {at}: a parameter's name ends after the file")
        name = data[at + 2 : link].decode("latin-1").strip().upper()
        (skip,) = struct.unpack_from(f"{order}H", data, link)
        if group < 0:
            groups[-group] = name
        else:
            found.append((group, name, _parameter(path, data, link, order)))
        if skip == 0:
            break
        at = link + skip
    return {(groups.get(group, ""), name): value for group, name, value in found}


def _parameter(path: Path, data: bytes, link: int, order: str) -> Any:
    """A parameter's numbers [N], or its words."""
    if link + 4 > len(data):
        raise DataError(f"{path}: byte {link}: a parameter ends after the file")
    kind, dimensions = struct.unpack_from("bB", data, link + 2)
    if kind not in _KINDS or dimensions > 7 or link + 4 + dimensions > len(data):
        raise DataError(
            f"{path}: byte {link + 2}: a parameter of type {kind}, {dimensions} dimensions"
        )
    shape = list(data[link + 4 : link + 4 + dimensions])
    count, begins = math.prod(shape), link + 4 + dimensions
    if begins + count * abs(kind) > len(data):
        raise DataError(f"{path}: byte {link}: a parameter of {count} values has no room for them")
    if kind > 0:
        return np.frombuffer(data, np.dtype(f"{order}{_KINDS[kind]}"), count, begins)
    width = shape[0] if shape else 1
    text = data[begins : begins + count].decode("latin-1")
    return [text[n : n + width] for n in range(0, count, max(width, 1))]
