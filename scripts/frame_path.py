"""Through how many files a frame passes: .venv/bin/python scripts/frame_path.py SOURCE [OPTIONS]

Runs `everybody run SOURCE OPTIONS` and notes every function of the package that is given a `Frame`,
a frame's picture or its `People`, alone or first in a list. Prints the files of these functions:
what a reader must open who wants to follow one frame. docs/architecture.md states the figures of

    scripts/frame_path.py examples/class.jpg
    scripts/frame_path.py ../shared/data/video/class.mp4 --track --end 8
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import everybody
from everybody.cli import app
from everybody.people import Frame, People

PACKAGE = Path(everybody.__file__).parent


def holds_frame(value: Any) -> bool:
    """Whether a value is a frame, a picture [H, W, 3] uint8 or people, or a list of such."""
    for _ in range(2):  # a list of tuples at most
        if isinstance(value, list | tuple) and value:
            value = value[0]
    if isinstance(value, np.ndarray):
        return value.dtype == np.uint8 and value.ndim == 3
    return isinstance(value, Frame | People)


@contextlib.contextmanager
def noted() -> Iterator[dict[str, set[str]]]:
    """While it is open, functions that are given a frame are noted: file -> their names."""
    passed: dict[str, set[str]] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(holds_frame(frame.f_locals.get(name)) for name in names):
            file = Path(code.co_filename).relative_to(PACKAGE).as_posix()
            passed.setdefault(file, set()).add(code.co_name)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield passed
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as out, noted() as passed:
        app(["run", *arguments, "--quiet", "--out", f"{out}/out"], standalone_mode=False)
    for file, functions in passed.items():
        print(f"{file:28} {', '.join(sorted(functions))}")
    print(f"{len(passed)} files")


if __name__ == "__main__":
    main(sys.argv[1:])
