"""Exercises as data: what is measured, between which values a repetition goes, and what is said of
its form.

A measure is a number about one pose, in the picture or in space: an angle at a joint, how far one
joint lies above, beside or from another (in lengths of the person's trunk, leg or arm), or how far
a line leans from the vertical. Lengths of the person make measures the same near and far, and
lengths that were seen over a while make them nearly the same from all sides.

    [squat]
    signal = { above = ["hip", "ankle"], unit = "leg" }     # what a repetition moves
    rest = 0.85                                             # there and back:
    work = 0.65                                             #   rest -> work -> rest
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, unknown
from ..geometry import Array
from ..typed import convert, read_bytes

HERE = Path(__file__).parent
SIDES = ("left", "right")
UNITS = {  # a person's lengths: each a chain of joints, both sides averaged where there are two
    "trunk": ("shoulder", "hip"),
    "leg": ("hip", "knee", "ankle"),
    "arm": ("shoulder", "elbow", "wrist"),
    "shank": ("knee", "ankle"),
}
MIDDLE = {  # lengths measured between the middles of both sides, not along each
    "trunk"
}
# Joints that a measure may name without a side. `of` says what becomes of two sides.
PAIRED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "big_toe")
SINGLE = ("nose", "neck", "pelvis", "head_top")
OF = ("mean", "least", "most", "left", "right")
VIEWS = ("any", "side", "front")
WHENS = ("work", "always", "rest")
SEEN = 0.3  # minimum score of a joint that is measured
FAINT = 0.1  # the same of one that a length is taken from where it was never seen


@dataclass(frozen=True, slots=True)
class Body:
    """A pose to be measured: joints by name [D] (D = 2 or 3), those that are seen; which way is up;
    and the person's lengths.
    """

    joints: Mapping[str, Array]
    up: Array
    lengths: Mapping[str, float]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        points: Array,
        up: Sequence[float],
        lengths: Mapping[str, float],
        least: float = SEEN,
    ) -> Body:
        """points [K, D + 1], the last of each its score: those of at least `least` count."""
        seen = np.isfinite(points).all(1) & (points[:, -1] >= least)
        joints = {name: points[k, :-1] for k, name in enumerate(names) if seen[k]}
        return cls(joints, np.asarray(up, np.float64), lengths)

    def middle(self, joint: str) -> Array | None:
        """A joint, or the middle of a pair; None where it is not seen."""
        if joint in self.joints:
            return self.joints[joint]
        pair = [self.joints.get(f"{side}_{joint}") for side in SIDES]
        if pair[0] is None or pair[1] is None:
            return None
        return (pair[0] + pair[1]) / 2

    def chain(self, unit: str) -> float:
        """The length of a unit as it is seen now; NaN where it is not."""
        parts = UNITS[unit]
        if unit in MIDDLE:
            ends = [self.middle(part) for part in parts]
            return _length(ends)
        sides = [_length([self.joints.get(f"{side}_{part}") for part in parts]) for side in SIDES]
        known = [length for length in sides if math.isfinite(length)]
        return max(known) if known else math.nan


def _length(points: Sequence[Array | None]) -> float:
    if any(point is None for point in points):
        return math.nan
    line = np.diff(np.stack(points), axis=0)  # type: ignore[arg-type]
    return float(np.linalg.norm(line, axis=1).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One of angle, above, apart, ahead and lean; `of` says what becomes of left and right.

    angle: at the second of three joints, 0 to 180 degrees. above, apart, ahead: from the second
    joint to the first, upward, in any direction, or the way the person looks; in `unit`. lean: of
    the line from the second joint to the first from the vertical, 0 to 180 degrees.
    """

    angle: tuple[str, str, str] | None = None
    above: tuple[str, str] | None = None
    apart: tuple[str, str] | None = None
    ahead: tuple[str, str] | None = None
    lean: tuple[str, str] | None = None
    unit: str = "trunk"
    of: str = "mean"

    def __post_init__(self) -> None:
        said = [name for name in KINDS if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(
                f"a measure is one of {', '.join(KINDS)}; found {' and '.join(said) or 'none'}"
            )
        for joint in getattr(self, said[0]):
            bare = joint.removeprefix("left_").removeprefix("right_")
            _one_of("joint", joint if joint in SINGLE else bare, (*PAIRED, *SINGLE))
        _one_of("unit", self.unit, tuple(UNITS))
        _one_of("side to measure ('of')", self.of, OF)

    @property
    def kind(self) -> str:
        return next(name for name in KINDS if getattr(self, name) is not None)

    @property
    def degrees(self) -> bool:
        return self.kind in ("angle", "lean")

    def __call__(self, body: Body) -> float:
        """The number; NaN where a joint or the unit is not seen."""
        values = self.sides(body)
        if self.of in SIDES:
            return values[self.of]
        known = [value for value in values.values() if math.isfinite(value)]
        if not known:
            return math.nan
        return {"mean": np.mean, "least": min, "most": max}[self.of](known).__float__()

    def sides(self, body: Body) -> dict[str, float]:
        """The number of each side; the same twice where the joints have no sides."""
        unit = 1.0 if self.degrees else body.lengths.get(self.unit, math.nan)
        return {side: self._of_side(body, side) / unit for side in SIDES}

    def within(self, joints: Sequence[str]) -> bool:
        """Whether people of these joints have what is measured, on one side at least."""
        return any(set(self._joints(side)) <= set(joints) for side in SIDES)

    def _joints(self, side: str) -> list[str]:
        return [f"{side}_{n}" if n in PAIRED else n for n in getattr(self, self.kind)]

    def _of_side(self, body: Body, side: str) -> float:
        places = [body.joints.get(name) for name in self._joints(side)]
        if any(place is None for place in places):
            return math.nan
        return _KINDS[self.kind](body, [place for place in places if place is not None])


def _angle(body: Body, places: list[Array]) -> float:
    first, second = places[0] - places[1], places[2] - places[1]
    across = np.linalg.norm(first) * np.linalg.norm(second)
    cosine = float(first @ second) / max(float(across), 1e-9)
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def _above(body: Body, places: list[Array]) -> float:
    return float((places[0] - places[1]) @ body.up)


def _apart(body: Body, places: list[Array]) -> float:
    return float(np.linalg.norm(places[0] - places[1]))


def _ahead(body: Body, places: list[Array]) -> float:
    """Level way, counted positive where the nose lies from the ears (or the shoulders)."""
    nose = body.joints.get("nose")
    behind = body.middle("ear")
    behind = behind if behind is not None else body.middle("shoulder")
    if nose is None or behind is None:
        return math.nan
    looking = (nose - behind) - ((nose - behind) @ body.up) * body.up
    size = float(np.linalg.norm(looking))
    return float((places[0] - places[1]) @ looking) / size if size > 0 else math.nan


def _lean(body: Body, places: list[Array]) -> float:
    line = places[0] - places[1]
    cosine = float(line @ body.up) / max(float(np.linalg.norm(line)), 1e-9)
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


_KINDS = {"angle": _angle, "above": _above, "apart": _apart, "ahead": _ahead, "lean": _lean}
KINDS = tuple(_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A bound of a measure, and what to say where it is broken.

    when: at the turning point of a repetition ('work'), in any frame of it, or at its ends.
    """

    measure: Measure
    say: str = ""
    when: str = "work"
    at_least: float = -math.inf
    at_most: float = math.inf
    view: str = "any"  # from where it can be judged

    def __post_init__(self) -> None:
        _one_of("time", self.when, WHENS)
        _one_of("view", self.view, VIEWS)
        _angle_or_any(self.measure, at_least=self.at_least, at_most=self.at_most)

    def kept(self, value: float) -> bool:
        """Whether a value is within the bounds; what is not seen breaks no rule."""
        return math.isnan(value) or self.at_least <= value <= self.at_most


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """An exercise. rest and work: values of `signal` between which a repetition goes; full: how
    far it should go. hold: it is held at `work`, and its seconds count. rules: its form. needs:
    what tells it from others. view: from where it should be filmed.
    """

    name: str
    title: str
    signal: Measure
    rest: float
    work: float
    full: float | None = None
    full_say: str = ""
    hold: bool = False
    view: str = "any"
    rules: tuple[Rule, ...] = ()
    needs: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        _one_of("view", self.view, VIEWS)
        _angle_or_any(self.signal, rest=self.rest, work=self.work, full=self.full)
        if self.rest == self.work:
            raise ValueError(f"rest and work are both {self.rest:g}: nothing moves between them")
        if self.full is not None and self.depth(self.full) < 1:
            raise ValueError(f"full = {self.full:g} lies before work = {self.work:g}")

    def depth(self, value: float) -> float:
        """The signal's value as a share of the way from rest (0) to work (1)."""
        return (value - self.rest) / (self.work - self.rest)


def read_exercises(path: Path) -> dict[str, Exercise]:
    """The exercises of a TOML file by name. Raises DataError that names file, exercise and key."""
    try:
        tables = tomllib.loads(read_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a TOML file ({error})") from None
    if not tables:
        raise DataError(f"{path}: holds no exercise; expected tables as [squat]")
    return {name: _exercise(name, table, f"{path}: [{name}]") for name, table in tables.items()}


def usual_exercises() -> dict[str, Exercise]:
    """The exercises that come with everybody, by name."""
    return read_exercises(HERE / "exercises.toml")


def exercise(name: str, known: Mapping[str, Exercise]) -> Exercise:
    """The exercise of that name. Raises OptionError that lists the known ones."""
    if name not in known:
        raise unknown("exercise", name, known)
    return known[name]


def _exercise(name: str, table: Any, where: str) -> Exercise:
    _only_known(table, Exercise, where, but=("name",))
    for key in ("signal", "rest", "work"):
        if key not in table:
            raise DataError(f"{where}: '{key}' is missing")
    _only_known(table["signal"], Measure, f"{where}, signal")
    for key in ("rules", "needs"):
        for number, rule in enumerate(convert(table.get(key, []), list[dict], where), 1):
            _only_known(rule, Rule, f"{where}, {key} {number}")
            _only_known(rule.get("measure", {}), Measure, f"{where}, {key} {number}")
    return convert({"title": name.replace("_", " "), **table, "name": name}, Exercise, where)


def _only_known(table: Any, kind: type, where: str, but: Sequence[str] = ()) -> None:
    """Raises DataError for a key that is no field of the dataclass."""
    known = [field.name for field in fields(kind) if field.name not in but]
    for key in convert(table, dict[str, Any], where):
        if key not in known:
            raise DataError(f"{where}: {unknown('key', key, known)}")


def _angle_or_any(measure: Measure, **numbers: float | None) -> None:
    """Raises ValueError for a number that the measure can never be."""
    for key, value in numbers.items():
        if value is None or (math.isinf(value) and key in ("at_least", "at_most")):
            continue
        if not math.isfinite(value):
            raise ValueError(f"{key} = {value} is no number to measure against")
        if measure.degrees and not 0 <= value <= 180:
            raise ValueError(f"{key} = {value:g}: an angle is 0 to 180 degrees")


def _one_of(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ValueError(str(unknown(what, name, known)))
