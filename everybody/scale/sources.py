"""What is to be done: folders, globs, lists and files on any file system -> films.

A film is what its frames are joined into one folder of results: a video, or the pictures of one
folder. A list is a .parquet or .csv with a column `source`, `path` or `url`, or a .txt with a line
each.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import PurePosixPath
from typing import Any

import pyarrow.parquet
from fsspec import AbstractFileSystem

from ..errors import EverybodyError, InputError
from ..media import images
from ..media.content import SUFFIXES
from ..media.folders import natural
from ..messages import Say
from .store import address, get, is_local, located, patiently, telling

COLUMNS = ("source", "path", "url")
LISTS = (".parquet", ".csv", ".txt")
_PICTURES = {*images.SUFFIXES} - {".gif", ".webp"}  # what moves is read as a video is


@dataclass(frozen=True, slots=True)
class Film:
    """name: of the video, or the folder of the pictures. sources: the files, one of a video."""

    name: str
    sources: tuple[str, ...]
    pictures: bool = False


def films(
    sources: Iterable[str], say: Say, problem: Callable[[EverybodyError], None]
) -> list[Film]:
    """What the sources name, in order, each file once. Nothing is opened but lists.

    What is named twice is said, what is not there goes to `problem`. Raises EverybodyError where
    nothing is left: what is wrong with the only source, if there is one.
    """
    names: dict[str, None] = {}
    wrong: list[EverybodyError] = []
    twice = 0
    for source in sources:
        try:
            for name in expanded(source):
                twice += name in names
                names[name] = None
        except EverybodyError as error:
            wrong.append(error)
    if not names and len(wrong) == 1:
        raise wrong[0]
    for error in wrong:
        problem(error)
    if twice:
        say(f"{twice} sources are named more than once and are done once")
    if not names:
        raise InputError(
            "no sources: expected at least one video, picture, folder, glob or list of them"
        )
    return _grouped(names)


def _grouped(names: Iterable[str]) -> list[Film]:
    """Videos alone, pictures by their folder, in the order in which each is first named."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for name in names:
        picture = PurePosixPath(name).suffix.lower() in _PICTURES
        groups.setdefault((os.path.dirname(name) or ".", True) if picture else (name, False), [])
        groups[(os.path.dirname(name) or ".", True) if picture else (name, False)].append(name)
    return [Film(name, tuple(found), pictures) for (name, pictures), found in groups.items()]


def expanded(source: str) -> Iterator[str]:
    """The files that one source names. Raises InputError."""
    listed = source.startswith("@")
    fs, path = located(source.removeprefix("@"))
    name = source.removeprefix("@") if is_local(fs) else address(fs, path)
    with telling(name):
        if listed or PurePosixPath(path).suffix.lower() in LISTS:
            yield from _listed(fs, path, name)
        elif any(sign in path for sign in "*?["):
            matching = list(patiently(lambda: fs.glob(path)))
            yield from _kept(fs, matching, f"{name}: no picture or video matches")
        elif patiently(lambda: fs.isdir(path)):
            entries = patiently(lambda: fs.ls(path, detail=True))
            files = (entry["name"] for entry in entries if entry["type"] == "file")
            none = f"{name}: holds no pictures or videos; subfolders need /**"
            yield from _kept(fs, files, none)
        else:
            yield name


def _kept(fs: AbstractFileSystem, paths: Iterable[Any], none: str) -> list[str]:
    """The pictures and videos among files, in natural order; those that are hidden aside. none:
    what is said where there are none.
    """
    kept = [
        path
        for path in sorted(map(str, paths), key=natural)
        if PurePosixPath(path).suffix.lower() in SUFFIXES
        and not PurePosixPath(path).name.startswith(".")
    ]
    if not kept:
        raise InputError(none)
    return [address(fs, path) for path in kept]


def _listed(fs: AbstractFileSystem, path: str, name: str) -> list[str]:
    """The sources that a list names; relative paths are seen from where it lies."""
    data = get(fs, path)
    if data is None:
        raise InputError(f"{name}: no such list")
    read = {".parquet": _of_parquet, ".csv": _of_csv}.get(PurePosixPath(path).suffix.lower())
    lines = read(data, name) if read else data.decode("utf-8-sig", "surrogateescape").splitlines()
    stripped = [line.strip() for line in lines if line and line.strip()]
    kept = [line for line in stripped if not line.startswith("#")]
    if not kept:
        raise InputError(f"{name}: lists no sources; expected one path or address a line")
    folder = os.path.dirname(name)
    return [line if "://" in line else os.path.join(folder, line) for line in kept]


def _of_parquet(data: bytes, name: str) -> list[str]:
    try:
        table = pyarrow.parquet.read_table(BytesIO(data))
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a Parquet table ({str(error).splitlines()[0]})") from error
    return [str(value) for value in table[_column(table.column_names, name)].to_pylist() if value]


def _of_csv(data: bytes, name: str) -> list[str]:
    rows = csv.DictReader(StringIO(data.decode("utf-8-sig", "surrogateescape")))
    column = _column(list(rows.fieldnames or []), name)
    return [row[column] for row in rows if row[column]]


def _column(names: list[str], name: str) -> str:
    known = [column for column in COLUMNS if column in names]
    if not known:
        raise InputError(
            f"{name}: has the columns {', '.join(names) or 'none'}; one of them must be called "
            f"{', '.join(COLUMNS)}"
        )
    return known[0]
