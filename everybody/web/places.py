"""Names that strangers choose, as places on this disk: none leaves the folder it belongs to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from ..media import images
from ..media.content import SUFFIXES, head, sniff

_DEEPEST = 8  # folders within folders
_LONGEST = 120  # bytes of one part of a name
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\\ud800-\udfff]')


def safe_name(name: str) -> PurePosixPath:
    """What an upload calls a file -> a relative path without "..", hidden parts or characters that
    file systems forbid. Raises InputError where nothing is left.
    """
    parts = [_safe_part(part) for part in name.replace("\\", "/").split("/")]
    parts = [part for part in parts if part]
    if not parts or len(parts) > _DEEPEST:
        raise InputError(
            f"'{name[:200]}': cannot be the name of a file here; expected up to {_DEEPEST} parts, "
            "as in folder/picture.jpg"
        )
    return PurePosixPath(*parts)


def _safe_part(part: str) -> str:
    part = _FORBIDDEN.sub("_", part).strip(" ").lstrip(".").rstrip(". ")
    stem, dot, suffix = part.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, suffix = part, ""
    kept = stem.encode()[:_LONGEST].decode(errors="ignore")
    return f"{kept}.{suffix}" if suffix and kept else kept


def inside(folder: Path, name: str) -> Path:
    """A name within a folder -> its path, links followed. Raises InputError where it leads outside
    or nowhere.
    """
    missing = InputError(f"'{name[:200]}': is not in the served folder")
    try:
        place = Path(os.path.realpath(folder / name))
        home = Path(os.path.realpath(folder))
        if "\x00" in name or not place.is_relative_to(home) or not place.exists():
            raise missing
    except (OSError, ValueError):
        raise missing from None
    return place


def files_of(folder: Path, names: list[str], *, hidden: Path, most: int) -> list[str]:
    """Files and folders within a folder -> its pictures and videos, as paths relative to it, those
    of folders by their suffix. hidden: a folder within it that is left out. Raises InputError.
    """
    found: dict[str, None] = {}
    home, kept = Path(os.path.realpath(folder)), Path(os.path.realpath(hidden))
    for name in names:
        place = inside(folder, name)
        for path in [place] if place.is_file() else _media_of(place):
            real = Path(os.path.realpath(path))
            if real.is_relative_to(home) and not real.is_relative_to(kept) and real.is_file():
                found[real.relative_to(home).as_posix()] = None
            if len(found) > most:
                raise InputError(f"'{name}': holds more than {most} pictures and videos")
    if not found:
        raise InputError("holds no picture and no video: expected at least one")
    return list(found)


def _media_of(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(place) / name


def kind_of(path: Path) -> str:
    """ "picture", "video" (also of pictures that move) or "other", by the file's first bytes."""
    start = head(str(path))
    kind = sniff(start, path.name)
    if kind == "picture":
        return "picture" if images.moving(str(path), start) == 1 else "video"
    return "video" if kind == "video" else "other"


def listing(folder: Path, name: str, *, hidden: Path) -> list[dict[str, Any]]:
    """What a folder within the served one holds: folders, pictures and videos."""
    place = inside(folder, name)
    if not place.is_dir():
        raise InputError(f"'{name[:200]}': is not a folder")
    home = Path(os.path.realpath(folder))
    rows = []
    for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
        real = Path(os.path.realpath(entry.path))
        if entry.name.startswith(".") or not real.is_relative_to(home) or real == hidden:
            continue
        suffix = real.suffix.lower()
        if not real.is_dir() and suffix not in SUFFIXES:
            continue
        still = "picture" if suffix in images.SUFFIXES else "video"
        rows.append(
            {
                "name": entry.name,
                "path": real.relative_to(home).as_posix(),
                "kind": "folder" if real.is_dir() else still,
                "bytes": None if real.is_dir() else real.stat().st_size,
            }
        )
    return rows


def used(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # gone since it was listed
                continue
    return total
