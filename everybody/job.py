"""One run of the main job: any sources in, a folder of results out.

    OUT/frames.jsonl, run.json   the journal, always; every other format is derived from it at the end
    OUT/images, video, crops     what was asked for

Whatever ends a run (the last frame, an error, Ctrl-C, SIGTERM, a full disk), the journal is valid up to the last
finished frame, the other formats are derived from what it holds, and `existing="resume"` goes on behind it.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from .errors import EverybodyError, OptionError
from .media.formats import FORMATS, write_all
from .media.journal import Journal, last_frames
from .media.names import Names
from .media.read import Selection, read
from .media.records import encode
from .media.write import Overlays, save_crops
from .people import Frame
from .pipeline import Estimator

Sink = Callable[[Frame], Any]


@dataclass(slots=True)
class Summary:
    """What a run did. seconds counts from the first look at the sources to the last frame."""

    frames: int = 0
    people: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    problems: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "frames": self.frames, "people": self.people, "seconds": round(self.seconds, 3),
            "frames_per_second": round(self.frames / self.seconds, 2) if self.seconds else None,
            "interrupted": self.interrupted, "problems": self.problems, "files": self.files,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What to write, and where: a folder, or a binary stream that takes the journal's lines alone."""

    out: Path | IO[bytes]
    formats: Sequence[str] = ()
    images: bool = False
    video: bool = False
    crops: bool = False
    existing: Literal["refuse", "resume", "overwrite"] = "refuse"
    drawing: dict[str, Any] = field(default_factory=dict)  # options of `media.draw.draw`

    def __post_init__(self) -> None:
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise OptionError(f"unknown format '{unknown[0]}': known are {', '.join(FORMATS)}")
        files = self.images or self.video or self.crops or set(self.formats) - {"jsonl"}
        if not isinstance(self.out, Path) and (files or self.existing == "resume"):
            raise OptionError("the journal on stdout stands alone: for other results, or to resume, give a folder")


def run(
    sources: Any,
    estimator: Estimator,
    results: Results,
    *,
    select: Selection | None = None,
    max_pixels: int = 200_000_000,
    strict: bool = False,
    options: dict[str, Any] | None = None,
    say: Callable[[str], None] = lambda text: None,
    warn: Callable[[str], None] = lambda text: None,
    progress: Callable[[Frame], None] = lambda frame: None,
) -> Summary:
    """Estimate every frame of the sources and write the results; returns what was done.

    strict raises the first problem with an input; otherwise `warn` is told, it is noted in run.json and the summary, and
    the other inputs go on. options is what run.json should say of how this was called. say is told what a user may want
    to know, progress each frame when it is written. Ctrl-C and SIGTERM end the run early and in order.
    """
    summary = Summary()
    done: dict[str, int] = {}
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if isinstance(results.out, Path):
            if results.existing == "resume":
                done = last_frames(results.out, say=say)
                for source, index in done.items():
                    say(f"{source}: going on behind frame {index}")
            run_record = {"options": options or {}, "models": estimator.models()}
            journal = Journal(results.out, estimator.skeleton, run_record, existing=results.existing)
            stack.push(journal)
            sinks += _sinks(results, results.out, journal, stack, list(done), say)
            note = journal.problem
        else:
            stream = results.out
            sinks.append(lambda frame: (stream.write(encode(frame, named=True)), stream.flush()))
            note = summary.problems.append

        def problem(error: EverybodyError) -> None:
            if strict:
                raise error
            if note is not summary.problems.append:
                note(str(error))
            summary.problems.append(str(error))
            warn(str(error))

        begun = time.perf_counter()
        try:
            with _terminable():
                frames = read(sources, select=select or Selection(), after=done, max_pixels=max_pixels, problem=problem)
                for frame in estimator.frames(frames):
                    for sink in sinks:
                        sink(frame)
                    summary.frames += 1
                    summary.people += len(frame.people)
                    progress(frame)
        except KeyboardInterrupt:
            summary.interrupted = True
        finally:
            summary.seconds = time.perf_counter() - begun
            if isinstance(results.out, Path):
                stack.callback(_derive, results, results.out, summary, say)
    return summary
