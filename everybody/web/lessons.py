"""The coach over the results of a job: one person of one source, corrections applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..apps.exercise import Exercise, exercise, usual_exercises
from ..apps.lesson import AUTO, Lesson, rows, summary
from ..errors import DataError, OptionError
from ..people import Frame
from ..results.records import Record, Results


def told() -> list[dict[str, Any]]:
    """The exercises, as the page offers them. unit: of an exercise's signal."""
    return [
        {
            "name": one.name,
            "title": one.title,
            "view": one.view,
            "hold": one.hold,
            "unit": "degrees" if one.signal.degrees else one.signal.unit,
        }
        for one in usual_exercises().values()
    ]


def chosen(name: str) -> dict[str, Exercise]:
    """One exercise, or all with AUTO. Raises OptionError that lists the known."""
    known = usual_exercises()
    return known if name == AUTO else {name: exercise(name, known)}


def coached(results: Results, source: str, name: str, person: int | None) -> dict[str, Any]:
    """What a coach has seen: {"exercise", "count", "repetitions"}. The count is in seconds where
    the exercise is held. person: an id; None: whoever is largest in each frame. Raises OptionError
    for an unknown exercise or person, and DataError where the joints of the exercise are not there.
    """
    lesson = Lesson(_measurable(chosen(name), results))
    seen = False
    for record in _of_person(results, source, person):
        seen = seen or len(record.people) > 0
        for _ in lesson.see(record):
            pass
    if person is not None and not seen:
        raise OptionError(f"nobody in '{source}' has the id {person}")
    done = lesson.finish()
    found, repetitions = next(iter(done.values()), (None, []))
    held = found is not None and lesson.exercises[found].hold
    return {
        "exercise": found,
        "count": round(summary(repetitions, held)["count"], 1),
        "repetitions": [{**row, "person": person} for row in rows(done)],
    }


def _measurable(exercises: Mapping[str, Exercise], results: Results) -> dict[str, Exercise]:
    """The exercises whose signal these results have the joints for. Raises DataError for none."""
    joints = results.skeleton.joints
    found = {name: one for name, one in exercises.items() if one.signal.within(joints)}
    if not found:
        names = ", ".join(exercises) if len(exercises) == 1 else "every exercise"
        raise DataError(
            f"people of the skeleton {results.skeleton.name} lack the joints that {names} is "
            "measured by: run a model of whole bodies, as fast"
        )
    return found


def _of_person(results: Results, source: str, person: int | None) -> Iterator[Record]:
    """The records of one source, with nobody else in them."""
    for record in results:
        if record.source != source:
            continue
        ids = record.people.ids
        if person is None:
            yield record
        elif ids is not None:
            yield replace(record, people=record.people[ids == person])


def feedback(lesson: Lesson, frame: Frame) -> dict[str, Any] | None:
    """What the coach says to whoever is largest in a frame; None while the exercise is unknown."""
    for _, name, said in lesson.see(frame):
        return {"exercise": name, "count": round(said.count, 1), "say": list(said.say)}
    return None
