"""Motion capture out of any file, told by its content: BVH, ASF with AMC, TRC, C3D."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import DataError
from ..lift.motion import Motion
from ..typed import without_mark
from .asf import read_amc
from .bvh import read_bvh
from .c3d import KEY, read_c3d
from .trc import read_trc

HEAD = 4096  # bytes that tell what a file is


def motion_kind(path: Path) -> str | None:
    """bvh, amc, trc or c3d; None where a file is none of them. Raises DataError where it cannot be
    read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if len(head) > 1 and head[1] == KEY and head[0] < 32 and path.suffix.lower() == ".c3d":
        return "c3d"
    text = without_mark(head).lstrip()
    if text[:9].upper() == b"HIERARCHY":
        return "bvh"
    if text.startswith(b"PathFileType"):
        return "trc"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if path.suffix.lower() == ".amc" or any(
        line.upper() == b":FULLY-SPECIFIED" for line in lines[:20]
    ):
        return "amc"
    return path.suffix.lower()[1:] if path.suffix.lower() in (".bvh", ".trc", ".c3d") else None


def holds_motion(path: Path) -> bool:
    """Whether a file is one of motion capture."""
    return path.is_file() and motion_kind(path) is not None


def read_motions(path: Path | str) -> list[Motion]:
    """The people in a file of motion capture, in metres, z up. Raises DataError."""
    path = Path(path)
    kind = motion_kind(path)
    if kind is None:
        raise DataError(f"{path}: no motion capture that is known: {', '.join(_READERS)}")
    return _READERS[kind](path)


_READERS: dict[str, Callable[[Path], list[Motion]]] = {
    "bvh": lambda path: [read_bvh(path).motion()],
    "amc": lambda path: [read_amc(path).motion()],
    "trc": lambda path: [read_trc(path)],
    "c3d": read_c3d,
}
