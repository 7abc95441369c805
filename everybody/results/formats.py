"""The formats that results come in. All are written from the journal and can be read back into one,
so that what two formats can both hold gets from either to the other (`convert`); what a format
cannot hold, its file says at its top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, OptionError, OutputError
from ..skeletons import Skeleton
from . import alphapose, coco, openpose, table
from .journal import LINES, read_journal, write_journal
from .jsonlist import read_list
from .records import Results, Say, warn

__all__ = ["FORMATS", "Format", "convert", "read_results", "tell", "write_all"]


@dataclass(frozen=True, slots=True)
class Format:
    """target: its name in a folder of results. write(results, path, say): whole or not at all;
    OutputError. read(path, skeleton or None to tell it from the file, say): DataError.
    """

    target: str
    write: Callable[[Results, Path, Say], None]
    read: Callable[[Path, Skeleton | None, Say], Results]


def _read_journal(path: Path, skeleton: Skeleton | None, say: Say) -> Results:
    return read_journal(path, skeleton, say=say)


FORMATS: dict[str, Format] = {
    "jsonl": Format(LINES, write_journal, _read_journal),
    "coco": Format("results.json", coco.write, coco.read),
    "alphapose": Format("alphapose-results.json", alphapose.write, alphapose.read),
    "alphapose-cmu": Format(
        "alphapose-cmu", openpose.writer(openpose.ALPHAPOSE_CMU), openpose.read
    ),
    "alphapose-open": Format(
        "alphapose-open", openpose.writer(openpose.ALPHAPOSE_OPEN), openpose.read
    ),
    "openpose": Format("openpose", openpose.writer(openpose.BODY_25), openpose.read),
    "openpose-18": Format("openpose-18", openpose.writer(openpose.COCO_18), openpose.read),
    "csv": Format("results.csv", table.write_csv, table.read_csv),
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


def read_results(path: Path | str, skeleton: Skeleton | None = None, *, say: Say = warn) -> Results:
    """Results in any format, told by their content; `skeleton` where the file cannot tell it.
    Raises DataError.
    """
    return FORMATS[tell(path)].read(Path(path), skeleton, say)


def convert(
    source: Path | str,
    target: Path | str,
    to: str | None = None,
    *,
    skeleton: Skeleton | None = None,
    overwrite: bool = False,
    say: Say = warn,
) -> int:
    """Results in one format -> another; returns how many frames there were.

    to: the format; by default told by the target's name: .csv, .parquet, .jsonl, .json (coco, or
    alphapose where the name says so), a folder called after a format of folders (openpose), any
    other folder a journal.
    """
    source, target = Path(source), Path(target)
    results = read_results(source, skeleton, say=say)
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
    for file in path.iterdir():
        if file.name.endswith("_keypoints.json"):
            return "openpose"
        if file.suffix == ".json" and '"joints"' in file.read_text(errors="replace"):
            return "alphapose-cmu"
        if file.suffix == ".json" and '"pose_keypoints_2d"' in file.read_text(errors="replace"):
            return "alphapose-open"
    return None


def _tell_file(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"["):
        first = next(read_list(path), {})
        return "alphapose" if "box" in first or isinstance(first.get("image_id"), str) else "coco"
    line = head.splitlines()[0] if head else b""
    if head.startswith(b"{"):
        return "jsonl" if b'"source"' in line and b'"frame"' in line else None
    return "csv" if b"frame" in line and b"joint" in line else None


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
