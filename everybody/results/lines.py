"""Reading a journal: its lines one by one, what a kill has left of the last one, and run.json."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..errors import DataError
from ..messages import Say, warn
from ..people import People
from ..skeletons import BOX, Skeleton
from ..typed import convert, decode, read_bytes
from .records import Record, Results, SkeletonShape, as_people, by_count, checked, skeleton_of

SCHEMA = 1
LINES, RUN = "frames.jsonl", "run.json"

_START = re.compile(rb'\{"source":("(?:[^"\\]|\\.)*"),"frame":(\d+),')
# Within a text of JSON each quote has a backslash before it, so no file name looks like this.
_PERSON = re.compile(rb'[\[,]\{"id":(\d+|null),"score":')


class PersonShape(msgspec.Struct):
    """A person of a line."""

    score: float
    box: tuple[float, float, float, float]
    keypoints: list[tuple[float, float, float]]
    id: int | None = None
    category: str | None = None


class Line(msgspec.Struct):
    """A line: one frame."""

    source: str
    frame: int
    time: float
    width: int
    height: int
    people: list[PersonShape]
    skeleton: str | None = None


class ModelShape(msgspec.Struct):
    """What run.json says of a model."""

    name: str | None = None
    sha256: str | None = None


class RunShape(msgspec.Struct):
    """What is read of run.json; the rest is for people."""

    schema: int
    skeleton: SkeletonShape
    models: list[ModelShape] = []
    options: dict[str, Any] = {}
    settings: dict[str, Any] | None = None
    folder: str | None = None
    started: str | None = None
    problems: list[str] = []


@dataclass(slots=True)
class Progress:
    """What a journal holds: of each source, in the order of their coming, the index of the last
    frame and how many there are; all frames and people; and the greatest id.
    """

    last: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    people: int = 0
    greatest: int = 0


def journal_file(path: Path | str) -> Path:
    """A journal's folder or its frames.jsonl -> the latter."""
    path = Path(path)
    return path / LINES if path.is_dir() else path


def progress(path: Path | str, *, say: Say = warn) -> Progress:
    """What a journal holds; nothing where there is none. Does not parse people: a million frames
    take seconds.
    """
    path, found = journal_file(path), Progress()
    if not path.is_file():
        return found
    for at, line in lines(path, say):
        start = _START.match(line)
        if start:
            source, index = json.loads(start[1]), int(start[2])
            ids = _PERSON.findall(line)
            numbers = [int(number) for number in ids if number != b"null"]
        else:
            parsed = parse(line, at)
            source, index, ids = parsed.source, parsed.frame, parsed.people
            numbers = [person.id for person in parsed.people if person.id is not None]
        found.last[source] = index
        found.counts[source] += 1
        found.frames += 1
        found.people += len(ids)
        found.greatest = max(found.greatest, *numbers, 0)
    return found


def read_journal(path: Path | str, skeleton: Skeleton | None = None, *, say: Say = warn) -> Results:
    """A journal (its folder or its frames.jsonl) -> Results. A line that a kill has torn off at the
    end is dropped, and said; any other that cannot be read is a DataError with its number.

    Without a run.json the skeleton is the one named in the lines, else the first known one of that
    many joints.
    """
    path = journal_file(path)
    if not path.is_file():
        raise DataError(f"{path}: no journal there; expected a folder with {LINES}, or that file")
    run = read_run(path.with_name(RUN)) if path.name == LINES else {}
    if skeleton is None:
        skeleton = skeleton_of(run["skeleton"], path.with_name(RUN)) if run else _told(path)
    chosen = skeleton

    def records() -> Iterator[Record]:
        for at, line in lines(path, say):
            yield _record(parse(line, at), chosen, at)

    return Results(chosen, records, run)


def read_run(path: Path) -> dict[str, Any]:
    """run.json, checked; empty where there is none."""
    if not path.is_file():
        return {}
    data = read_bytes(path)
    run = decode(data, dict[str, Any], path)
    schema = run.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise DataError(
            f"{path}: schema {schema}, this version reads up to {SCHEMA}; update everybody"
        )
    convert(run, RunShape, path)
    return run


def lines(path: Path, say: Say) -> Iterator[tuple[str, bytes]]:
    """(place, line) of every whole line; the last one may lack its newline if nothing else is
    missing.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            at = f"{path}, line {number}"
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.endswith(b"\n") and not is_whole(line):
                say(f"{at}: cut off, as a killed run leaves it; dropped")
                return
            yield at, line


def is_whole(line: bytes) -> bool:
    """Whether it is an object in JSON."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def parse(line: bytes, at: str) -> Line:
    """Raises DataError that says where (`at`)."""
    try:
        return _DECODER.decode(line)
    except msgspec.MsgspecError:
        pass
    except RecursionError:
        raise DataError(f"{at}: is nested too deeply to be a line of a journal") from None
    # Half a character stands for a byte of a file name that is no UTF-8: only json reads it.
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{at}: not JSON ({error}); the file was changed or its disk is failing"
        ) from None
    return convert(value, Line, at)


_DECODER = msgspec.json.Decoder(Line)


def _told(path: Path) -> Skeleton:
    """The skeleton of a journal without run.json, from its first line that has people."""
    for at, line in lines(path, lambda text: None):
        parsed = parse(line, at)
        if parsed.people:
            return by_count(len(parsed.people[0].keypoints), at, parsed.skeleton)
    return BOX


def _record(line: Line, skeleton: Skeleton, at: str) -> Record:
    found = line.people
    people = People.empty(skeleton)
    if found:
        people = as_people(
            [person.keypoints for person in found],
            [person.box for person in found],
            [person.score for person in found],
            [person.id for person in found],
            skeleton,
            at,
            [person.category for person in found],
        )
    return checked(Record(line.source, line.frame, line.time, line.width, line.height, people), at)
