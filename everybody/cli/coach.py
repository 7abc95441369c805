"""`everybody coach`: repetitions of an exercise, counted and judged, live or in results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import OptionError, OutputError
from .options import FPS, Complaints, complain, frames_per_second

if TYPE_CHECKING:
    from ..apps.exercise import Exercise
    from ..apps.lesson import Lesson
    from ..people import Frame
    from ..results.records import Record

WHICH = "An exercise (--list shows them), or auto: find out which one it is."
SOURCE = "A video, a camera's number, or results of a run."
OWN = "A TOML file of your own exercises, besides the known ones."


def coach(
    exercise: Annotated[str | None, typer.Argument(help=WHICH)] = None,
    source: Annotated[str | None, typer.Argument(help=SOURCE)] = None,
    own: Annotated[Path | None, typer.Option("--exercises", help=OWN)] = None,
    everyone: Annotated[
        bool, typer.Option("--everyone", help="Coach each id; default: whoever is largest.")
    ] = False,
    model: Annotated[str, typer.Option(help="fast or accurate.")] = "fast",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Repetitions as JSON or CSV.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help=FPS)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the summary.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    known: Annotated[bool, typer.Option("--list", help="List the exercises.")] = False,
) -> None:
    """Count repetitions, measure them, and say what to do better."""
    from ..apps.exercise import exercise as named
    from ..apps.exercise import read_exercises, usual_exercises
    from ..apps.lesson import AUTO, Lesson, rows, write_rows

    exercises = usual_exercises() | (read_exercises(own) if own else {})
    if known:
        for each in exercises.values():
            typer.echo(f"{each.name:16} {each.title}, seen from: {each.view}")
        return
    if exercise is None or source is None:
        raise OptionError("say which EXERCISE (or auto) and which SOURCE; --list lists exercises")
    if out is not None and out.exists() and not overwrite:
        raise OutputError(f"{out}: exists; choose another name or say --overwrite")
    chosen = exercises if exercise == AUTO else {exercise: named(exercise, exercises)}
    lesson = Lesson(chosen, everyone=everyone)
    complaints = Complaints()
    _follow(lesson, _frames(source, model, everyone, frames_per_second(fps), complaints), quiet)
    if not lesson.coaches:
        complaints.conclude()
    done = lesson.finish()
    if out is not None:
        write_rows(out, rows(done))
    _sum_up(lesson, exercises)
    complaints.conclude()


def _frames(
    source: str, model: str, everyone: bool, fps: float | None, complaints: Complaints
) -> Iterable[Frame] | Iterable[Record]:
    """Frames of results, or of a film as its people are found."""
    from ..estimator import Estimator
    from ..results.formats import read_results

    path = Path(source)
    if path.is_dir() or path.suffix in (".json", ".jsonl", ".csv", ".parquet"):
        return read_results(path, fps=fps, say=complain)
    estimator = Estimator(model=model)
    return estimator.stream(source, problem=complaints, track=everyone)


def _follow(lesson: Lesson, frames: Iterable[Frame] | Iterable[Record], quiet: bool) -> None:
    """Says each repetition when it ends, and advice when it changes."""
    last: dict[int, tuple[str, ...]] = {}
    for frame in frames:
        for person, _, feedback in lesson.see(frame):
            news = feedback.say if feedback.say != last.get(person, ()) else ()
            last[person] = feedback.say
            if quiet or not (feedback.ended or news):
                continue
            who = f"person {person}: " if lesson.everyone else ""
            count = f"{feedback.count:g}" if feedback.ended else ""
            typer.echo(f"{feedback.time:7.2f} s  {who}{count:3} {' '.join(feedback.say)}".rstrip())


def _sum_up(lesson: Lesson, exercises: dict[str, Exercise]) -> None:
    from ..apps.lesson import summary

    if not lesson.coaches:
        typer.echo("nobody was seen")
    for person, (name, repetitions) in lesson.finish().items():
        who = f"person {person}: " if lesson.everyone else ""
        if name is None:
            typer.echo(f"{who}no exercise was recognised")
            continue
        each = exercises[name]
        found = summary(repetitions, each.hold)
        unit = " degrees" if each.signal.degrees else f" {each.signal.unit} lengths"
        count = f"{found['count']:.1f} s" if each.hold else f"{found['count']:.0f} repetitions"
        tempo = f", {found['seconds']:.1f} s each, reach {found['reach']:.2f}{unit}"
        typer.echo(f"{who}{each.title}: {count}{tempo if repetitions else ''}")
