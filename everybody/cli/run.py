"""`everybody run`: the main job. Pictures and video in, every body out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import EverybodyError, OptionError
from ..messages import clean
from ..options import Options
from .flags import Choosing, Finding, InSpace, Posing, Running, Telling, Tracking, Writing
from .groups import Flags, grouped

if TYPE_CHECKING:
    from ..media.read import Selection
    from ..people import Frame
    from ..run import Summary

SOURCES = (
    "Pictures, videos, folders, globs, text files that list paths, a camera's number, URLs, "
    "or - for stdin."
)


@grouped
def run(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=SOURCES)],
    writing: Writing,
    choosing: Choosing,
    finding: Finding,
    posing: Posing,
    tracking: Tracking,
    space: InSpace,
    running: Running,
    telling: Telling,
    flags: Flags,
) -> None:
    """Find every body in pictures and videos.

    Writes OUT/frames.jsonl, a line per frame as it comes, and OUT/run.json; other formats and
    drawings as asked for. Exit code 1 if any input could not be read. --debug shows tracebacks.
    """
    from .. import run as job
    from ..estimator import Estimator
    from ..nms import pose_nms

    if writing.out == "-" and telling.as_json:
        raise OptionError("--out - and --json both write to stdout: choose one")
    outputs, lifted = writing.outputs(), space.options(live=False) is not None
    follow = tracking.follow(sources, lifted=lifted)
    select = choosing.selection()
    total = _count(sources, select)
    estimator = Estimator(
        Options(
            method=finding.method,
            model=finding.model,
            find=finding.options(),
            pose=posing.options(),
            engine=running.options(),
            workers=1 if total == 1 else 0,
        )
    )
    flags["pose_nms"] = str(pose_nms(posing.pose_nms))  # with its parameters: defaults may change
    with _shown(total, quiet=telling.quiet) as messages:
        summary = job.run(
            sources,
            estimator,
            outputs,
            select=select,
            max_pixels=choosing.max_pixels,
            strict=telling.strict,
            follow=follow,
            lift=space.options(live=follow is not None and follow.live),
            options=flags,
            messages=messages,
        )
    _conclude(summary, messages, writing.out, as_json=telling.as_json)


def _count(sources: list[str], select: Selection) -> int | None:
    """How many frames there will be, where that is known."""
    from ..media.read import count, expand

    try:
        return count(expand(sources, trusted=select.trusted), select)
    except EverybodyError:  # reading will tell which input it is, and go on with the others
        return None


@contextmanager
def _shown(total: int | None, *, quiet: bool) -> Iterator[Any]:
    """What a run says, on stderr: words, and a bar where it is a terminal."""
    from ..run import Messages

    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def show(text: str) -> None:
        with suppress(OSError):  # a run goes on where stderr is full
            console.print(clean(text), markup=False)

    def warn(text: str) -> None:
        show(f"everybody: {text}")

    def say(text: str) -> None:
        if not quiet:
            show(text)

    if quiet or not console.is_terminal:
        yield Messages(say=say, warn=warn)
        return
    columns = (
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TextColumn("{task.fields[rate]} frames/s"),
        TextColumn("{task.fields[people]} people"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total, rate="", people=0)

        def progress(frame: Frame) -> None:
            people = bar.tasks[0].fields["people"] + len(frame.people)
            speed = bar.tasks[0].speed
            bar.update(task, advance=1, people=people, rate=f"{speed:.1f}" if speed else "")

        yield Messages(say=say, warn=warn, progress=progress)


def _conclude(summary: Summary, messages: Any, out: str, *, as_json: bool) -> None:
    """Say what was done. Raises typer.Exit with the exit code if it was not all."""
    if as_json:
        print(json.dumps(summary.to_dict()))
    rate = summary.frames / summary.seconds if summary.seconds else 0
    where = "" if out == "-" else f" -> {out}"
    frames = "1 frame" if summary.frames == 1 else f"{summary.frames} frames"
    people = f"{summary.people} {'person' if summary.people == 1 else 'people'}"
    messages.say(f"{frames}, {people}, {rate:.1f} frames/s{where}")
    if summary.dropped:
        messages.say(f"{summary.dropped} frames of live sources were left out to stay live")
    if summary.interrupted:
        behind = "" if out == "-" else ", --resume goes on behind it"
        messages.warn(f"interrupted; what was done is kept{behind}")
        raise typer.Exit(130)
    if summary.problems:
        raise typer.Exit(1)
