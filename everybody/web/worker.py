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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..draw import draw
from ..errors import EverybodyError
from ..estimator import Estimator
from ..media.read import Item, read
from ..media.write import save_image
from ..people import Frame
from ..results.journal import read_journal
from ..run import Messages, Outputs, run
from .derived import edits_of, newest
from .edits import edited
from .films import found, write_film
from .options import JobOptions
from .uses import animate, augment

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
    frames = read(Item(name, "file", name), select=options.selection())
    drawn = (
        replace(frame, image=draw(frame.image, record.people))
        for frame, record in found(frames, records)
    )
    write_film(drawn, target, name, _done)


def _playable(order: dict[str, Any]) -> None:
    """One source as every browser shows it: H.264 in MP4, or JPEG."""
    name, target = order["source"], Path(order["target"])
    unselected = JobOptions().selection()
    write_film(read(Item(name, "file", name), select=unselected), target, name, _done)


def _augmented(order: dict[str, Any]) -> None:
    augment(order, _done)


def _done(count: int) -> None:
    _tell({"done": count})


TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "run": _run,
    "overlay": _overlay,
    "playable": _playable,
    "animation": animate,
    "augmented": _augmented,
}
