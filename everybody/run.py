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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from .errors import DataError, EverybodyError
from .follow import Follow, Following
from .lift.lifter import Lift, Lifting, flat
from .media.read import Selection, read
from .media.sources import flows
from .messages import Say
from .method import Remarking
from .people import Frame
from .results.outputs import Earlier, Outputs, Sink, Summary, Writing, opened
from .settings import settings
from .skeletons import Skeleton

if TYPE_CHECKING:
    from .estimator import Estimator

__all__ = ["Messages", "Outputs", "Poses", "Summary", "run"]


class Poses(Protocol):
    """What a run needs of an `Estimator`, or of anything else that finds the people of frames."""

    @property
    def skeleton(self) -> Skeleton: ...

    def models(self) -> list[dict[str, str]]: ...

    def frames(
        self, frames: Iterable[Frame], *, live: bool = False
    ) -> Generator[Frame, None, None]: ...


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
        earlier = opened(outputs, stack, say=messages.say, warn=messages.warn)
        follow = _going_on(follow, earlier, messages.say) if follow else None
        # To follow people, finding and posing must come apart: it takes an Estimator.
        following = Following(follow, cast("Estimator", estimator)) if follow else None
        lifting = _lifting(lift, estimator, messages.say) if lift else None
        record = {
            "options": options or {},
            "settings": settings(estimator, select, follow, max_pixels, lift),
            "folder": os.getcwd(),
            "models": [
                m for part in (estimator, following, lifting) if part for m in part.models()
            ],
        }
        writing = Writing(outputs, earlier, summary, stack, messages.say)
        sinks = writing.sinks(estimator.skeleton, record)
        if lifting:  # first, so that no line of the journal lacks its line in space
            sinks.insert(0, writing.spatial())
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
            if following:
                found = following(frames)
            else:
                found = estimator.frames(frames, live=flows(sources))
            with closing(found) as estimated:
                for frame in lifting(estimated) if lifting else estimated:
                    _take(frame, sinks, summary, messages)
            _remark(estimator, earlier, told)
            summary.finished = True
        summary.seconds = time.perf_counter() - begun
    return summary


def _going_on(follow: Follow, earlier: Earlier, say: Say) -> Follow:
    """With ids behind those of the journal, because nobody may get an id that is in use."""
    first = earlier.held.greatest + 1
    if earlier.held.frames:
        say(
            f"people are followed anew from there: their ids begin at {first}, and who was known "
            "before has another one"
        )
    return replace(follow, first=max(follow.first, first))


def _lifting(lift: Lift, estimator: Poses, say: Say) -> Lifting:
    """With the engine and on the device of the estimator, where it is one that has them. What
    joints are left out is said.
    """
    from .estimator import Estimator

    if left_out := flat(estimator.skeleton):
        say(left_out)

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


def _remark(estimator: Poses, earlier: Earlier, told: _Told) -> None:
    """Tell what a user should know at the end."""
    for text, problem in estimator.remarks() if isinstance(estimator, Remarking) else []:
        # What is unused now may have been used before the run was resumed.
        if problem and not earlier.held.frames:
            told.problem(DataError(text))
        else:
            told.messages.say(text)


def _take(frame: Frame, sinks: Sequence[Sink], summary: Summary, messages: Messages) -> None:
    for sink in sinks:
        sink(frame)
    summary.frames += 1
    summary.people += len(frame.people)
    messages.progress(frame)


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
