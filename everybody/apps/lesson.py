"""A lesson: an exercise (or all of them, until it is clear which), and each person's coach."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..errors import DataError
from ..people import Frame, People
from ..results.records import Record
from .coach import Coach, Feedback, Repetition, recognise
from .exercise import Exercise

AUTO = "auto"
ONE = 0  # the person of a lesson for whoever is largest
COLUMNS = ("person", "exercise", "number", "start", "turn", "end", "value", "reach", "left",
           "right", "say")  # fmt: skip


class Lesson:
    """Exercises by name (one, or several of which one is recognised), for everyone with an id, or
    for whoever is largest in each frame.
    """

    def __init__(self, exercises: Mapping[str, Exercise], *, everyone: bool = False) -> None:
        self.exercises, self.everyone = exercises, everyone
        self.coaches: dict[int, dict[str, Coach]] = {}

    def see(self, frame: Frame | Record) -> Iterator[tuple[int, str, Feedback]]:
        """A frame -> (person, exercise, feedback) of everyone in it, as far as the exercise is
        known. Raises DataError where everyone is coached and nobody has an id.
        """
        people = frame.people
        if self.everyone and len(people) and people.ids is None:
            raise DataError("nobody has an id: run with --track to coach everyone")
        for person, row in self._rows(people):
            coaches = self.coaches.setdefault(person, self._coaches(people))
            said = {n: c.see(frame.time, people.keypoints[row]) for n, c in coaches.items()}
            chosen = self.exercise(person)
            if chosen is not None:
                yield person, chosen, said[chosen]

    def _rows(self, people: People) -> list[tuple[int, int]]:
        """(person, row) of whoever is coached."""
        if not len(people):
            return []
        if self.everyone and people.ids is not None:
            return [(int(number), row) for row, number in enumerate(people.ids)]
        size = (people.boxes[:, 2:] - people.boxes[:, :2]).prod(1)
        return [(ONE, int(size.argmax()))]

    def _coaches(self, people: People) -> dict[str, Coach]:
        return {n: Coach(e, people.skeleton.joints) for n, e in self.exercises.items()}

    def exercise(self, person: int) -> str | None:
        """What the person does, as far as it is known."""
        coaches = self.coaches[person]
        return next(iter(coaches)) if len(coaches) == 1 else recognise(coaches)

    def finish(self) -> dict[int, tuple[str | None, list[Repetition]]]:
        """Everyone's exercise and repetitions."""
        done = {}
        for person, coaches in self.coaches.items():
            repetitions = {name: coach.finish() for name, coach in coaches.items()}
            chosen = self.exercise(person)
            done[person] = chosen, repetitions[chosen] if chosen else []
        return done


def rows(done: Mapping[int, tuple[str | None, list[Repetition]]]) -> list[dict[str, Any]]:
    """A flat row for each repetition; None for what was not seen."""
    return [
        {
            "person": person,
            "exercise": exercise,
            "number": number,
            **{key: round(getattr(one, key), 3) for key in COLUMNS[3:8]},
            **{side: _known(value) for side, value in one.sides.items()},
            "say": list(one.say),
        }
        for person, (exercise, repetitions) in done.items()
        for number, one in enumerate(repetitions, 1)
    ]


def _known(value: float) -> float | None:
    return round(float(value), 3) if math.isfinite(value) else None


def write_rows(path: Path, found: Iterable[Mapping[str, Any]]) -> None:
    """Repetitions as JSON, or as CSV where the path says so; whole or not at all."""
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        if path.suffix != ".csv":
            json.dump(list(found), file, indent=1)
            return
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in found:
            said = {**row, "say": " ".join(row["say"])}
            writer.writerow([said[column] for column in COLUMNS])


def summary(repetitions: list[Repetition], held: bool) -> dict[str, float]:
    """How many (or how long), and the medians of tempo and reach; how far the sides differ."""
    seconds = [one.seconds for one in repetitions]
    differing = [one.asymmetry for one in repetitions if math.isfinite(one.asymmetry)]
    return {
        "count": float(sum(seconds)) if held else float(len(repetitions)),
        "seconds": float(np.median(seconds)) if seconds else math.nan,
        "reach": float(np.median([one.reach for one in repetitions])) if seconds else math.nan,
        "asymmetry": float(np.median(differing)) if differing else math.nan,
    }
