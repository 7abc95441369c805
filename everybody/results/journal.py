"""The journal: `frames.jsonl`, one line per frame as the frames come, and `run.json`, what was run.

Each line is whole and with the operating system before the next frame is taken, so a run that is
killed keeps all frames it has finished, and `existing="resume"` goes on behind them. Every other
format is written from the journal.

    {"source": "a.mp4", "frame": 12, "time": 0.48, "width": 1280, "height": 720,
     "people": [{"id": 7, "score": 0.91, "box": [x0, y0, x1, y1],
                 "keypoints": [[x, y, score], ...]}]}

One writer at a time has the folder (`lock`). run.json tells, beside the options as they were given,
the `settings`: all that the results depend on, by which a run that resumes is compared.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from ..atomic import replacing, writing
from ..errors import OptionError, OutputError
from ..messages import Say, warn
from ..people import Frame
from ..skeletons import Skeleton
from .lines import LINES, RUN, SCHEMA, is_whole, progress, read_journal, read_run
from .lock import Lock
from .records import Record, Results, encode, skeleton_of
from .resume import differences

__all__ = ["Existing", "Journal", "read_journal", "write_journal"]

Existing = Literal["refuse", "resume", "overwrite"]


class Journal:
    """Writes `frames.jsonl` and `run.json` into a folder; a context manager.

    run: what run.json should tell besides (`options`, `settings`, `models` as [{"name", "sha256",
    ...}], ...). existing: what to do where the folder has a journal: "refuse" it (OutputError),
    "resume" it, or "overwrite" it. To resume one that was written with another skeleton, other
    models or other settings is an OptionError that names the difference; force: only the skeleton
    must be the same, and run.json notes what differs. lock: the folder's, if the caller holds it.
    A disk that is full is an OutputError; what was written stays.
    """

    def __init__(
        self,
        directory: Path | str,
        skeleton: Skeleton,
        run: dict[str, Any] | None = None,
        *,
        existing: Existing = "refuse",
        force: bool = False,
        lock: Lock | None = None,
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
        self._own = None if lock else Lock(directory).acquire()
        self._lock = lock or self._own
        try:
            self._open(existing, force)
        except BaseException:
            self._give_back()
            raise

    def _open(self, existing: Existing, force: bool) -> None:
        there = self.path.exists()
        if there and existing == "refuse":
            raise OutputError(
                f"{self.path}: exists; say --resume to go on behind it or --overwrite to start anew"
            )
        resumed = there and existing == "resume"
        if resumed:
            self._adopt(read_run(self.path.with_name(RUN)), force)
        with writing(self.path):
            self._save()
            if resumed:
                _mend(self.path)
            self._file = open(self.path, "ab" if resumed else "wb", buffering=0)  # noqa: SIM115

    def _adopt(self, old: dict[str, Any], force: bool) -> None:
        """Take over what a resumed run has found. Raises OptionError if this one would not find the
        same.
        """
        if not old:
            raise OptionError(
                f"{self.path}: has no {RUN} beside it to tell how to go on; say --overwrite to "
                "start anew"
            )
        theirs = skeleton_of(old["skeleton"], self.path.with_name(RUN))
        if theirs.joints != self.skeleton.joints:
            raise OptionError(
                f"{self.path}: was written with skeleton {theirs.name}, this run has "
                f"{self.skeleton.name}; choose the same model, another folder or --overwrite"
            )
        found = differences(old, self.run)
        if found and not force:
            raise OptionError(
                f"{self.path}: was written with other {found}; give the same, choose another "
                "folder, or say --force to go on all the same"
            )
        held = progress(self.path, say=lambda text: None)
        self.run |= {"frames": held.frames, "people": held.people}
        for key in ("started", "folder"):  # the journal's names are seen from its first folder
            self.run[key] = old.get(key) or self.run.get(key)
        noted = [f"resumed with other {found}"] if found else []
        self.run["problems"] = [*old.get("problems", []), *noted, *self.run["problems"]]

    def write(self, record: Record | Frame) -> None:
        people = record.people
        if len(people) and people.skeleton.joints != self.skeleton.joints:
            raise ValueError(
                f"the journal holds {self.skeleton.name}, the frame {people.skeleton.name}"
            )
        if self._lock and self._lock.lost:
            raise OutputError(
                f"{self.path}: another run writes here since this one stood still; this one ends"
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
        if self._file.closed:
            return
        try:
            self._file.close()
            self.run["finished"] = _now() if finished else None
            self._save()
        finally:
            self._give_back()

    def _give_back(self) -> None:
        if self._own:
            self._own.release()

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


def _version() -> str | None:
    try:
        return version("everybody")
    except PackageNotFoundError:  # a checkout that is not installed
        return None


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


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
        if is_whole(tail):
            file.seek(0, 2)
            file.write(b"\n")
        else:
            file.truncate(size - len(tail))
