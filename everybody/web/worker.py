"""The process that does one piece of work of a job, so that whatever happens to it, or whatever it
decodes, happens to it alone.

Started by `process.py` with one line of JSON on stdin, {"task", "folder", "root", ...}; it tells
how far it is by lines of JSON on stdout. It ends when its stdin is closed: a server that was killed
leaves no worker behind, and the journal is valid up to the last frame.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..atomic import replacing
from ..draw import draw
from ..errors import EverybodyError, InputError
from ..estimator import Estimator
from ..media.encode import VideoWriter
from ..media.read import Item, read
from ..media.write import save_image
from ..people import Frame
from ..results.journal import read_journal
from ..results.records import Record
from ..run import Messages, Outputs, run
from .derived import edits_of, newest, seekable
from .edits import edited
from .options import JobOptions

SHOWN = 640  # pixels of the longer side of the newest drawn frame
EVERY = 0.5  # seconds between two of them
TOLD = 0.2  # seconds between two lines of progress


def main() -> None:
    """Read the order, do it, say how it ended."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_server, daemon=True).start()
    _bound_memory(order["memory"])
    os.chdir(order["root"])  # so that journals call their sources by names within the folder
    try:
        _tell(TASKS[order["task"]](order) or {})
    except EverybodyError as error:
        _tell({"error": str(error)})
        sys.exit(1)
    except MemoryError:
        _tell({"error": f"needs more memory than the {order['memory'] // 2**20} MB it may use"})
        sys.exit(1)


def _end_with_server() -> None:
    with suppress(OSError, ValueError):
        sys.stdin.read()
    os._exit(3)


def _bound_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none
        return
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _tell(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _run(order: dict[str, Any]) -> dict[str, Any]:
    """The job itself: a run into FOLDER/out that goes on where an earlier one ended."""
    options, folder = JobOptions(**order["options"]), Path(order["folder"])
    sources = [Item(name, "file", name) for name in order["sources"]]
    _tell({"total": _count(sources, options)})
    said: list[str] = []
    summary = run(
        sources,
        Estimator(options.estimator()),
        Outputs(out=folder / "out", existing="resume"),
        select=options.selection(),
        follow=options.follow(),
        lift=options.in_space(),
        options=options.given(),
        messages=Messages(warn=said.append, progress=_Progress(folder, order["done"])),
    )
    return {"finished": summary.finished, "problems": summary.problems, "frames": summary.frames}


def _count(sources: list[Item], options: JobOptions) -> int | None:
    from ..media.read import count

    try:
        return count(sources, options.selection())
    except EverybodyError:  # reading tells which input it is
        return None


class _Progress:
    """Tells of each frame, now and then, and shows the newest one drawn."""

    def __init__(self, folder: Path, done: list[int]) -> None:
        self._folder, (self._frames, self._people) = folder, done
        self._told = self._drawn = 0.0

    def __call__(self, frame: Frame) -> None:
        self._frames += 1
        self._people += len(frame.people)
        now = time.monotonic()
        if now - self._drawn > EVERY:
            self._drawn = now
            _show(frame, self._folder)
        if now - self._told > TOLD:
            self._told = now
            _tell({"done": self._frames, "people": self._people})


def _show(frame: Frame, folder: Path) -> None:
    scale = min(1.0, SHOWN / max(frame.size))
    size = tuple(max(1, round(side * scale)) for side in frame.size)
    image = cv2.resize(frame.draw(), size, interpolation=cv2.INTER_AREA)
    save_image(newest(folder), np.asarray(image, np.uint8))


def _overlay(order: dict[str, Any]) -> None:
    """One source with its people drawn on it, corrections included: an MP4, or a JPEG."""
    options, name, target = JobOptions(**order["options"]), order["source"], Path(order["target"])
    folder = Path(order["folder"])
    records = (
        record
        for record in edited(read_journal(folder / "out"), edits_of(folder))
        if record.source == name
    )
    drawn = _drawn(read(Item(name, "file", name), select=options.selection()), records)
    _film(drawn, target, name)


def _drawn(frames: Iterator[Frame], records: Iterator[Record]) -> Iterator[Frame]:
    """The frames that the journal holds, drawn; both come in order."""
    record = next(records, None)
    for frame in frames:
        if record is None:
            return
        if frame.index == record.index:
            picture = draw(frame.image, record.people)
            yield Frame(picture, frame.index, frame.time, frame.source)
            record = next(records, None)


def _playable(order: dict[str, Any]) -> None:
    """One source as every browser shows it: H.264 in MP4, or JPEG."""
    name, target = order["source"], Path(order["target"])
    unselected = JobOptions().selection()
    _film(read(Item(name, "file", name), select=unselected), target, name)


def _film(frames: Iterator[Frame], target: Path, source: str) -> None:
    """Frames -> a picture or a video, by the target's suffix; whole or not there."""
    with replacing(target) as part:
        written = _pictured if target.suffix == ".jpg" else _filmed
        if not written(frames, part, source):
            raise InputError(f"{source}: holds no frame to show")


def _pictured(frames: Iterator[Frame], part: Path, source: str) -> int:
    for frame in frames:
        save_image(part.with_suffix(".jpg"), frame.image)
        part.with_suffix(".jpg").replace(part)
        return 1
    return 0


def _filmed(frames: Iterator[Frame], part: Path, source: str) -> int:
    whole, count = part.with_suffix(".mp4"), 0
    try:
        with VideoWriter(whole, audio=source, say=lambda text: None) as writer:
            for frame in frames:
                writer.write(frame.image, frame.time)
                count += 1
                if count % 25 == 0:
                    _tell({"done": count})
        if count:
            seekable(whole, part)
    finally:
        whole.unlink(missing_ok=True)
    return count


TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "run": _run,
    "overlay": _overlay,
    "playable": _playable,
}
