"""The journal: `frames.jsonl`, one line per frame as the frames come, and `run.json`, what was run.

Each line is whole and with the operating system before the next frame is taken, so a run that is
killed keeps all frames it has finished, and `existing="resume"` goes on behind them. Every other
format is written from the journal.

    {"source": "a.mp4", "frame": 12, "time": 0.48, "width": 1280, "height": 720,
     "people": [{"id": 7, "score": 0.91, "box": [x0, y0, x1, y1], "keypoints": [[x, y, score], ...]}]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from ..atomic import replacing, writing
from ..errors import DataError, OptionError, OutputError
from ..people import Frame, People
from ..skeletons import BOX, Skeleton
from .records import Record, Results, Say, by_count, encode, skeleton_of, warn

SCHEMA = 1
LINES, RUN = "frames.jsonl", "run.json"

_ID = re.compile(rb'[\[,]\{"id":(\d+),"score":')
_START = re.compile(rb'\{"source":("(?:[^"\\]|\\.)*"),"frame":(\d+),')


class Journal:
    """Writes `frames.jsonl` and `run.json` into a folder; a context manager.

    run: what run.json should tell besides (`options`, `models` as [{"name", "sha256", ...}], ...).
    existing: what to do where the folder has a journal: "refuse" it (OutputError), "resume" it
    (OptionError if it was written with another skeleton or other models), or "overwrite" it. A disk
    that is full is an OutputError; what was written stays.
    """

    def __init__(
        self,
        directory: Path | str,
        skeleton: Skeleton,
        run: dict[str, Any] | None = None,
        *,
        existing: Literal["refuse", "resume", "overwrite"] = "refuse",
    ) -> None:
        self.path = Path(directory) / LINES
        self.skeleton = skeleton
        self.run: dict[str, Any] = {
            "everybody": _version(),
            "schema": SCHEMA,
            "started": _now(),
            "finished": None,
            "frames": 0,
            "people": 0,
            "problems": [],
            "models": [],
            "options": {},
            **(run or {}),
            "skeleton": asdict(skeleton),
        }
        resumed = self.path.exists() and existing == "resume"
        if self.path.exists() and existing == "refuse":
            raise OutputError(
                f"{self.path}: exists; say --resume to go on behind it or --overwrite to start anew"
            )
        if resumed:
            self._adopt(_read_run(self.path.with_name(RUN)))
        with writing(self.path):
            self._save()
            if resumed:
                _mend(self.path)
            self._file = open(self.path, "ab" if resumed else "wb", buffering=0)  # noqa: SIM115

    def _adopt(self, old: dict[str, Any]) -> None:
        """Take over what a resumed run has found; OptionError if this one would not find the same."""
        if not old:
            raise OptionError(
                f"{self.path}: has no {RUN} beside it to tell how to go on; say --overwrite to start anew"
            )
        theirs, ours = (skeleton_of(run["skeleton"], self.path).joints for run in (old, self.run))
        if theirs != ours:
            raise OptionError(
                f"{self.path}: was written with skeleton {old['skeleton']['name']}, this run has {self.skeleton.name}; "
                "choose the same model, another folder or --overwrite"
            )
        theirs, ours = (
            [(m.get("name"), m.get("sha256")) for m in run.get("models", [])]
            for run in (old, self.run)
        )
        if theirs != ours:
            names = [
                ", ".join(str(name) for name, _ in models) or "none" for models in (theirs, ours)
            ]
            raise OptionError(
                f"{self.path}: was written with other models ({names[0]}; this run has {names[1]}); "
                "choose the same ones, another folder or --overwrite"
            )
        for key in ("started", "frames", "people"):
            self.run[key] = old.get(key, self.run[key])
        self.run["problems"] = [*old.get("problems", []), *self.run["problems"]]

    def write(self, record: Record | Frame) -> None:
        people = record.people
        if len(people) and people.skeleton.joints != self.skeleton.joints:
            raise ValueError(
                f"the journal holds {self.skeleton.name}, the frame {people.skeleton.name}"
            )
        line = memoryview(encode(record))
        with writing(self.path):
            while line:
                line = line[self._file.write(line) :]
        self.run["frames"] += 1
        self.run["people"] += len(people)

    def problem(self, text: str) -> None:
        """To be told in run.json: something went wrong that did not stop the run."""
        self.run["problems"].append(text)

    def close(self, *, finished: bool = True) -> None:
        """Complete run.json; one that is not finished can be resumed. Closing twice is closing
        once.
        """
        if not self._file.closed:
            self._file.close()
            self.run["finished"] = _now() if finished else None
            self._save()

    def _save(self) -> None:
        with replacing(self.path.with_name(RUN)) as part:
            rows = (
                f"{json.dumps(key)}: {json.dumps(value, default=str)}"
                for key, value in self.run.items()
            )
            part.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(finished=kind is None)


def read_journal(path: Path | str, skeleton: Skeleton | None = None, *, say: Say = warn) -> Results:
    """A journal (its folder or its frames.jsonl) -> Results. A line that a kill has torn off at the
    end is dropped, and said; any other that cannot be read is a DataError with its number.

    Without a run.json the skeleton is the one named in the lines, else the first known one of that
    many joints.
    """
    path = Path(path)
    path = path / LINES if path.is_dir() else path
    if not path.is_file():
        raise DataError(f"{path}: no journal there; expected a folder with {LINES}, or that file")
    run = _read_run(path.with_name(RUN)) if path.name == LINES else {}
    if skeleton is None:
        skeleton = skeleton_of(run["skeleton"], path) if run else _tell(path)
    chosen = skeleton
    return Results(
        chosen, lambda: (_record(line, chosen, at) for at, line in _parsed(path, say)), run
    )


def write_journal(results: Results, path: Path, say: Say = warn) -> None:
    """Results -> a journal, over an older one: a folder (frames.jsonl and run.json), or where the
    path ends in .jsonl that file alone, whose lines then name their skeleton.
    """
    if path.suffix == ".jsonl":
        with replacing(path) as part, part.open("wb") as file:
            for record in results:
                file.write(encode(record, named=True))
        return
    with Journal(path, results.skeleton, results.run, existing="overwrite") as journal:
        journal.run.update(frames=0, people=0)
        for record in results:
            journal.write(record)


def last_frames(path: Path | str, *, say: Say = warn) -> dict[str, int]:
    """A journal -> the index of the last frame it holds of each source, in the order of their
    coming; empty where there is no journal. Does not parse people: a million frames take seconds.
    """
    path = Path(path)
    path = path / LINES if path.is_dir() else path
    last: dict[str, int] = {}
    if path.is_file():
        for at, line in _lines(path, say):
            start = _START.match(line)
            if start:
                source, index = json.loads(start[1]), int(start[2])
            else:
                source, index = (_parse(line, at)[key] for key in ("source", "frame"))
            last[source] = index
    return last


def last_id(path: Path | str) -> int:
    """A journal -> the greatest id it holds; 0 where there is none. Does not parse people."""
    path = Path(path)
    path = path / LINES if path.is_dir() else path
    last = 0
    if path.is_file():
        for _, line in _lines(path, lambda text: None):
            last = max(last, *(int(number) for number in _ID.findall(line)), 0)
    return last


def _version() -> str | None:
    try:
        return version("everybody")
    except PackageNotFoundError:  # a checkout that is not installed
        return None


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _read_run(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        run = json.loads(path.read_bytes())
        if run["schema"] > SCHEMA:
            raise DataError(
                f"{path}: schema {run['schema']}, this version reads up to {SCHEMA}; update everybody"
            )
        run["skeleton"]["joints"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not the run.json of a journal ({error})") from error
    return run


def _tell(path: Path) -> Skeleton:
    """The skeleton of a journal without run.json, from its first line that has people."""
    for at, line in _parsed(path, lambda text: None):
        if line.get("people"):
            try:
                return by_count(len(line["people"][0]["keypoints"]), path, line.get("skeleton"))
            except (KeyError, TypeError, IndexError) as error:
                raise DataError(f"{at}: not a line of a journal ({error!r})") from error
    return BOX


def _lines(path: Path, say: Say) -> Iterator[tuple[str, bytes]]:
    """(place, line) of every whole line; the last one may lack its newline if nothing else is
    missing.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            at = f"{path}, line {number}"
            if not line.endswith(b"\n") and not _whole(line):
                say(f"{at}: cut off, as a killed run leaves it; dropped")
                return
            yield at, line


def _parsed(path: Path, say: Say) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((at, _parse(line, at)) for at, line in _lines(path, say))


def _parse(line: bytes, at: str) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError as error:
        raise DataError(
            f"{at}: not JSON ({error}); the file was changed or its disk is failing"
        ) from error
    if not isinstance(parsed, dict) or "source" not in parsed or "frame" not in parsed:
        raise DataError(
            f"{at}: not a line of a journal; expected an object with source, frame, people"
        )
    return parsed


def _record(line: dict[str, Any], skeleton: Skeleton, at: str) -> Record:
    try:
        people = People.from_dicts(line["people"], skeleton)
        return Record(
            line["source"], line["frame"], line["time"], line["width"], line["height"], people
        )
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{at}: not a frame with people of {skeleton.name} ({error})") from error


def _whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _mend(path: Path) -> None:
    """Cut off what a kill has left of a last line (or end a whole one), so that the next line
    starts on its own.
    """
    with path.open("r+b") as file:
        size, tail = file.seek(0, 2), b""
        while b"\n" not in tail and len(tail) < size:
            length = min(size, max(65536, 2 * len(tail)))
            file.seek(size - length)
            tail = file.read(length)
        tail = tail[tail.rfind(b"\n") + 1 :]
        if _whole(tail):
            file.seek(0, 2)
            file.write(b"\n")
        else:
            file.truncate(size - len(tail))
