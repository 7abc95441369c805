"""The formats that results come in. All are written from the journal and can be read back into one,
so that what two formats can both hold gets from either to the other (`convert`); what a format
cannot hold, its file says at its top.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Protocol

from ..errors import DataError, OptionError, OutputError
from ..media.clock import Clock
from ..media.names import numbered
from ..messages import Say, warn
from ..skeletons import Skeleton
from . import alphapose, coco, openpose, table
from .dialect import as_text
from .journal import read_journal, write_journal
from .jsonlist import read_list
from .lines import LINES
from .records import Record, Results

_NOBODY = re.compile(r'"(bodies|people)"\s*:\s*\[\s*\]')  # a frame of AlphaPose without people
_FLAVOURS = {"bodies": "alphapose-cmu", "people": "alphapose-open"}

__all__ = ["FORMATS", "Format", "convert", "read_results", "tell", "write_all"]


class Reader(Protocol):
    """A path, the skeleton (None: the file tells it), who is told what is left out, and how many
    frames per second follow each other where the file has no times -> results. Raises DataError.
    """

    def __call__(
        self, path: Path, skeleton: Skeleton | None, say: Say, fps: float | None = None, /
    ) -> Results: ...


@dataclass(frozen=True, slots=True)
class Format:
    """target: its name in a folder of results. write(results, path, say): whole or not at all;
    OutputError. stamps: whether it tells the time of each frame.
    """

    target: str
    write: Callable[[Results, Path, Say], None]
    read: Reader
    stamps: bool = True


def _read_journal(
    path: Path, skeleton: Skeleton | None, say: Say, fps: float | None = None
) -> Results:
    return read_journal(path, skeleton, say=say)


def _folder(flavour: openpose.Flavour, target: str) -> Format:
    return Format(target, openpose.writer(flavour), openpose.read, stamps=False)


FORMATS: dict[str, Format] = {
    "jsonl": Format(LINES, write_journal, _read_journal),
    "coco": Format("results.json", coco.write, coco.read),
    "alphapose": Format("alphapose-results.json", alphapose.write, alphapose.read, stamps=False),
    "alphapose-cmu": _folder(openpose.ALPHAPOSE_CMU, "alphapose-cmu"),
    "alphapose-open": _folder(openpose.ALPHAPOSE_OPEN, "alphapose-open"),
    "openpose": _folder(openpose.BODY_25, "openpose"),
    "openpose-18": _folder(openpose.COCO_18, "openpose-18"),
    "csv": Format("results.csv", table.write_csv, table.read_csv),
    "csv-eu": Format("results-eu.csv", table.write_csv_eu, table.read_csv),
    "parquet": Format("results.parquet", table.write_parquet, table.read_parquet),
}


def write_all(directory: Path | str, formats: Iterable[str], *, say: Say = warn) -> dict[str, Path]:
    """Write these formats from the journal in the folder -> where each is. The journal itself is
    there already.
    """
    directory, chosen = Path(directory), {name: _format(name) for name in formats}
    results = read_journal(directory, say=say)
    for name, format in chosen.items():
        if name != "jsonl":
            format.write(results, directory / format.target, say)
    return {name: directory / format.target for name, format in chosen.items()}


def read_results(
    path: Path | str,
    skeleton: Skeleton | None = None,
    *,
    fps: float | None = None,
    say: Say = warn,
) -> Results:
    """Results in any format, told by their content; `skeleton` where the file cannot tell it.
    Raises DataError.

    fps: frames per second of what does not say when its frames are seen: frames of OpenPose and
    AlphaPose, and pictures of a folder, which are a film (`media.clock`). None: 25, and pictures
    keep the times that a file says as far as these go up.
    """
    path, format = Path(path), FORMATS[tell(path)]
    with _readable(path):
        results = format.read(path, skeleton, say, fps)

    def records() -> Iterator[Record]:
        with _readable(path):
            yield from _clocked(results, fps) if format.stamps else results

    return replace(results, records=records)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What the system refuses becomes a DataError that names the results."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _clocked(results: Results, fps: float | None) -> Iterator[Record]:
    """The same records, pictures at `fps` frames per second: what a file says of them was counted,
    too, since no picture has a stamp. None: only those whose times do not go on.
    """
    clock, last = Clock(fps), {}
    for record in results:
        if numbered(record.source, record.index):
            yield record
            continue
        film, counted = PurePath(record.source).parent, clock.picture(record.source)
        goes_on = record.time > last.get(film, -1.0)
        last[film] = record.time if fps is None and goes_on else counted
        yield replace(record, time=last[film])


def convert(
    source: Path | str,
    target: Path | str,
    to: str | None = None,
    *,
    skeleton: Skeleton | None = None,
    fps: float | None = None,
    overwrite: bool = False,
    say: Say = warn,
) -> int:
    """Results in one format -> another; returns how many frames there were.

    to: the format; by default told by the target's name: .csv, .parquet, .jsonl, .json (coco, or
    alphapose where the name says so), a folder called after a format of folders (openpose), any
    other folder a journal. fps: as in `read_results`.
    """
    source, target = Path(source), Path(target)
    results = read_results(source, skeleton, fps=fps, say=say)
    format = _format(to or _by_name(target))
    occupied = any(target.iterdir()) if target.is_dir() else target.exists()
    if occupied and (not overwrite or target.resolve() == source.resolve()):
        raise OutputError(f"{target}: exists; choose another name or say --overwrite")
    format.write(results, target, say)
    return sum(1 for _ in results)


def tell(path: Path | str) -> str:
    """The name of the format that a file or folder of results is in, by its content. Raises
    DataError.
    """
    path = Path(path)
    try:
        found = _tell_folder(path) if path.is_dir() else _tell_file(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); expected results"
        ) from error
    if found is None:
        raise DataError(f"{path}: not results in a known format; known are {', '.join(FORMATS)}")
    return found


def _tell_folder(path: Path) -> str | None:
    if (path / LINES).exists():
        return "jsonl"
    files, nobody = sorted(path.iterdir()), None
    if not files:
        raise DataError(f"{path}: an empty folder holds no results: name the folder of a run")
    for file in files:
        if file.name.endswith("_keypoints.json"):
            return "openpose"
        if file.suffix != ".json" or not file.is_file():
            continue
        text = as_text(file.read_bytes())
        if '"joints"' in text:
            return "alphapose-cmu"
        if '"pose_keypoints_2d"' in text:
            return "alphapose-open"
        empty = _NOBODY.search(text)
        nobody = nobody or (_FLAVOURS[empty[1]] if empty else None)
    return nobody


def _tell_file(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(b"PAR1"):
        return "parquet"
    head = as_text(start).lstrip()
    if head.startswith("["):
        first = next(read_list(path, dict[str, Any]), {})
        return "alphapose" if "box" in first or isinstance(first.get("image_id"), str) else "coco"
    line = head.splitlines()[0] if head else ""
    if head.startswith("{"):
        return "jsonl" if '"source"' in line and '"frame"' in line else None
    return "csv" if "frame" in line and "joint" in line else None


def _by_name(target: Path) -> str:
    known = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl"}
    if target.suffix == ".json":
        return "alphapose" if "alphapose" in target.stem.lower() else "coco"
    return known.get(target.suffix.lower()) or (target.name if target.name in FORMATS else "jsonl")


def _format(name: str) -> Format:
    try:
        return FORMATS[name]
    except KeyError:
        raise OptionError(f"unknown format '{name}': known are {', '.join(FORMATS)}") from None
