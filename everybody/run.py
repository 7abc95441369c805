"""One run of the main job: any sources in, a folder of results out.

    OUT/frames.jsonl, run.json   the journal, always; other formats are derived from it at the end
    OUT/frames3d.jsonl           the people in space, where they are lifted
    OUT/images, video, crops     what was asked for

Whatever ends a run (the last frame, an error, Ctrl-C, SIGTERM, a full disk), the journal is valid
up to the last finished frame, the other formats are derived from what it holds, and
`existing="resume"` goes on behind it. One run at a time writes into a folder.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from .atomic import refused
from .errors import DataError, EverybodyError, OptionError, OutputError
from .follow import Follow, Following
from .lift.lifter import Lift, Lifting
from .media.names import Names
from .media.read import Selection, read
from .media.sources import flows
from .media.write import Overlays, save_crops
from .messages import Say
from .method import Remarking
from .people import Frame
from .results.formats import FORMATS, write_all
from .results.journal import Existing, Journal
from .results.lines import RUN, Progress, progress, read_run
from .results.lock import Lock
from .results.records import encode
from .results.resume import Known, gaps
from .results.spatial import Journal3D
from .settings import settings
from .skeletons import Skeleton

if TYPE_CHECKING:
    from .estimator import Estimator

Sink = Callable[[Frame], Any]


class Poses(Protocol):
    """What a run needs of an `Estimator`, or of anything else that finds the people of frames."""

    @property
    def skeleton(self) -> Skeleton: ...

    def models(self) -> list[dict[str, str]]: ...

    def frames(
        self, frames: Iterable[Frame], *, live: bool = False
    ) -> Generator[Frame, None, None]: ...


@dataclass(slots=True)
class Summary:
    """What a run did. seconds counts from the first look at the sources to the last frame."""

    frames: int = 0
    people: int = 0
    seconds: float = 0.0
    dropped: int = 0  # frames of live sources that were left out to stay live
    interrupted: bool = False
    finished: bool = False  # the sources were read to their end
    problems: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "people": self.people,
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(self.frames / self.seconds, 2) if self.seconds else None,
            "dropped": self.dropped,
            "interrupted": self.interrupted,
            "problems": self.problems,
            "files": self.files,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What to write, and where: a folder, or a binary stream that takes the journal's lines alone.

    force: resume a run although it had other options.
    """

    out: Path | IO[bytes]
    formats: Sequence[str] = ()
    images: bool = False
    video: bool = False
    crops: bool = False
    existing: Existing = "refuse"
    force: bool = False
    drawing: dict[str, Any] = field(default_factory=dict)  # options of `draw.draw`, and trails

    def __post_init__(self) -> None:
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise OptionError(f"unknown format '{unknown[0]}': known are {', '.join(FORMATS)}")
        files = self.images or self.video or self.crops or set(self.formats) - {"jsonl"}
        if not isinstance(self.out, Path) and (files or self.existing == "resume"):
            raise OptionError(
                "the journal on stdout stands alone: for other results, or to resume, give a folder"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """The listeners of a run: `say` gets what a user may want to know, `warn` what went wrong and
    stopped nothing, `progress` each frame when it is written.
    """

    say: Say = lambda text: None
    warn: Say = lambda text: None
    progress: Callable[[Frame], None] = lambda frame: None


def run(
    sources: Any,
    estimator: Poses,
    outputs: Outputs,
    *,
    select: Selection | None = None,
    max_pixels: int = 200_000_000,
    strict: bool = False,
    follow: Follow | None = None,
    lift: Lift | None = None,
    options: dict[str, Any] | None = None,
    messages: Messages | None = None,
) -> Summary:
    """Estimate every frame of the sources and write the results; returns what was done.

    strict raises the first problem with an input; otherwise the problem is told, run.json and the
    summary note it, and the other inputs go on. follow: give people ids, and so on (`Follow`).
    lift: put them into space, too. options is what run.json should say of how this was called.
    Ctrl-C and SIGTERM end the run early and in order.
    """
    messages, select, summary = messages or Messages(), select or Selection(), Summary()
    with ExitStack() as stack:
        earlier = _earlier(outputs, follow, stack, messages)
        if follow:  # nobody may get an id that is in use
            follow = replace(follow, first=max(follow.first, earlier.held.greatest + 1))
        # To follow people, finding and posing must come apart: it takes an Estimator.
        following = Following(follow, cast("Estimator", estimator)) if follow else None
        lifting = _lifting(lift, estimator) if lift else None
        record = {
            "options": options or {},
            "settings": settings(estimator, select, follow, max_pixels, lift),
            "folder": os.getcwd(),
            "models": [
                m for part in (estimator, following, lifting) if part for m in part.models()
            ],
        }
        sinks = _sinks(outputs, estimator.skeleton, record, summary, earlier, stack, messages.say)
        if lifting:  # first, so that no line of the journal lacks its line in space
            sinks.insert(0, _spatial_sink(outputs, summary, earlier, stack))
        told = _Told(summary, messages, strict)
        begun = time.perf_counter()
        with _interruptible(summary):
            frames = read(
                sources,
                select=select,
                after=earlier.known,
                max_pixels=max_pixels,
                problem=told.problem,
                dropped=told.dropped,
                say=messages.say,
            )
            frames = earlier.known.renamed(frames)
            found = (
                following(frames) if following else estimator.frames(frames, live=flows(sources))
            )
            with closing(found) as estimated:
                for frame in lifting(estimated) if lifting else estimated:
                    _take(frame, sinks, summary, messages)
            _remark(estimator, earlier, told)
            summary.finished = True
        summary.seconds = time.perf_counter() - begun
    return summary


def _lifting(lift: Lift, estimator: Poses) -> Lifting:
    """With the engine and on the device of the estimator, where it is one that has them."""
    from .estimator import Estimator

    engine = estimator.options.engine if isinstance(estimator, Estimator) else None
    return Lifting(lift, engine)


@dataclass(frozen=True, slots=True)
class _Told:
    """Where reading tells what went wrong, and what it left out."""

    summary: Summary
    messages: Messages
    strict: bool

    def problem(self, error: EverybodyError) -> None:
        if self.strict:
            raise error
        self.summary.problems.append(str(error))
        self.messages.warn(str(error))

    def dropped(self, count: int) -> None:
        self.summary.dropped += count


def _remark(estimator: Poses, earlier: _Earlier, told: _Told) -> None:
    """Tell what a user should know at the end."""
    for text, problem in estimator.remarks() if isinstance(estimator, Remarking) else []:
        # What is unused now may have been used before the run was resumed.
        if problem and not earlier.held.frames:
            told.problem(DataError(text))
        else:
            told.messages.say(text)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What the journal that is resumed holds; nothing where none is."""

    lock: Lock | None = None
    held: Progress = field(default_factory=Progress)
    known: Known = field(default_factory=lambda: Known({}, None))


def _earlier(
    outputs: Outputs, follow: Follow | None, stack: ExitStack, messages: Messages
) -> _Earlier:
    """The folder, locked for this run, and what it holds."""
    if not isinstance(outputs.out, Path):
        return _Earlier()
    lock = stack.enter_context(Lock(outputs.out))
    if outputs.existing != "resume":
        return _Earlier(lock)
    held = progress(outputs.out, say=messages.warn)
    for source, index in held.last.items():
        messages.say(f"{source}: going on behind frame {index}")
    if outputs.video:
        for text in gaps(outputs.out / "video", held):
            messages.say(text)
    if follow and held.frames:
        messages.say(
            f"people are followed anew from there: their ids begin at {held.greatest + 1}, and who "
            "was known before has another one"
        )
    folder = read_run(outputs.out / RUN).get("folder")
    return _Earlier(lock, held, Known(held.last, folder))


def _take(frame: Frame, sinks: Sequence[Sink], summary: Summary, messages: Messages) -> None:
    for sink in sinks:
        sink(frame)
    summary.frames += 1
    summary.people += len(frame.people)
    messages.progress(frame)


def _sinks(
    outputs: Outputs,
    skeleton: Skeleton,
    record: dict[str, Any],
    summary: Summary,
    earlier: _Earlier,
    stack: ExitStack,
    say: Say,
) -> list[Sink]:
    """What takes each frame, the journal first; the stack closes all in order: videos, journal,
    derived formats.
    """
    out = outputs.out
    if not isinstance(out, Path):
        return [partial(_print, out)]
    journal = Journal(
        out,
        skeleton,
        record,
        existing=outputs.existing,
        force=outputs.force,
        lock=earlier.lock,
    )
    stack.callback(_derive, outputs, out, summary, say)
    stack.callback(lambda: journal.close(finished=summary.finished))
    stack.callback(lambda: [journal.problem(text) for text in summary.problems])
    summary.files["jsonl"] = str(journal.path)
    sinks: list[Sink] = [journal.write]
    known = list(earlier.known) or None
    for name, wanted in (("images", outputs.images), ("video", outputs.video)):
        if wanted:
            overlays = Overlays(
                out / name, video=name == "video", known=known, say=say, **outputs.drawing
            )
            sinks.append(stack.enter_context(overlays).write)
            summary.files[name] = str(out / name)
    if outputs.crops:
        names = Names()
        for source in known or ():
            names(source)
        sinks.append(lambda frame: save_crops(frame, out / "crops", names))
        summary.files["crops"] = str(out / "crops")
    return sinks


def _spatial_sink(outputs: Outputs, summary: Summary, earlier: _Earlier, stack: ExitStack) -> Sink:
    """What takes the people in space of each frame. Raises OptionError where there is no folder."""
    if not isinstance(outputs.out, Path):
        raise OptionError("people in space need a folder for their journal: give --out FOLDER")
    journal = stack.enter_context(closing(Journal3D(outputs.out, kept=earlier.held.frames)))
    summary.files["jsonl3d"] = str(journal.path)
    return journal.write_frame


def _print(out: IO[bytes], frame: Frame) -> None:
    """One line of the journal on a stream, at once."""
    try:
        out.write(encode(frame, named=True))
        out.flush()
    except BrokenPipeError:  # whoever read it has seen enough
        raise
    except OSError as error:
        raise refused("stdout", error) from error
    except ValueError as error:
        raise OutputError(f"stdout: cannot be written ({error}); give an open stream") from error


def _derive(outputs: Outputs, out: Path, summary: Summary, say: Say) -> None:
    """Write the other formats from the journal."""
    written = write_all(out, outputs.formats, say=say)
    summary.files.update({name: str(path) for name, path in written.items()})


@contextmanager
def _interruptible(summary: Summary) -> Iterator[None]:
    """Ctrl-C, or SIGTERM as batch systems send it, ends what is inside early and in order."""
    here = threading.current_thread() is threading.main_thread()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt) if here else None
    try:
        yield
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)
