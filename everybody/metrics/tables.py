"""Figures of one or several results as JSON, CSV and LaTeX; how sure they and differences are."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..skeletons import Skeleton
from .bootstrap import Difference, difference, draws, interval, sample
from .figure import Figure

COUNTS = ("MPJPE", "PA-MPJPE", "SwitchesPerMinute")  # not shares, so not in percent
SMALLER = ("NME", *COUNTS)  # is better


@dataclass(frozen=True, slots=True)
class About:
    """What was judged on what."""

    results: str
    boxes: str  # whose: "gt", "detected", a file, or "" where nobody has said
    data: str
    pictures: int
    people: int  # to find
    skeleton: Skeleton
    notes: tuple[str, ...] = ()
    categories: Mapping[str, int] = field(
        default_factory=dict
    )  # people to find in each, if several

    @classmethod
    def of(cls, truth: Dataset, results: str, boxes: str = "", notes: Sequence[str] = ()) -> About:
        notes = tuple(dict.fromkeys([*truth.notes, *notes]))
        people = int((~truth.ignored).sum())
        if not people:
            notes = (*notes, f"{truth.name} has nobody to find: figures are undefined")
        return cls(results, boxes, truth.name, len(truth), people, truth.skeleton, notes)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The figures of some results and, with a bootstrap, the interval of each and its difference
    to the first results.
    """

    about: About
    figures: list[Figure]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)

    @property
    def overall(self) -> list[Figure]:
        """The figures that speak of everybody."""
        return [figure for figure in self.figures if not figure.category]

    @property
    def by_category(self) -> dict[str, dict[str, Figure]]:
        """Category -> measure -> its figure; {} where data are of one category."""
        table: dict[str, dict[str, Figure]] = {name: {} for name in self.about.categories}
        for figure in self.figures:
            if figure.category:
                table.setdefault(figure.category, {})[figure.measure] = figure
        return table

    @property
    def measures_by_category(self) -> list[str]:
        return list(dict.fromkeys(one.measure for one in self.figures if one.category))


def verdicts(
    judged: Sequence[tuple[About, list[Figure]]], *, repeats: int = 0, seed: int = 0
) -> list[Verdict]:
    """With `repeats` draws of the pictures, the same for all of the judged."""
    if not repeats:
        return [Verdict(about, figures) for about, figures in judged]
    weights = draws(judged[0][0].pictures, repeats, np.random.default_rng(seed))
    out: list[Verdict] = []
    first: dict[str, tuple[float, Any]] = {}
    for about, figures in judged:
        samples = {f.name: row for f, row in zip(figures, sample(figures, weights), strict=True)}
        values = {figure.name: figure.value for figure in figures}
        differences = {
            name: difference(first[name][1], row, values[name] - first[name][0])
            for name, row in samples.items()
            if name in first
        }
        first = first or {name: (values[name], row) for name, row in samples.items()}
        out.append(
            Verdict(about, figures, {n: interval(row) for n, row in samples.items()}, differences)
        )
    return out


def number(value: float) -> float | None:
    """What JSON and CSV can hold: None where a figure is undefined."""
    return None if math.isnan(value) else value


def to_json(found: Sequence[Verdict]) -> dict[str, Any]:
    """One object: figures by name, at the top where one result was judged, else in 'results'."""

    def one(verdict: Verdict) -> dict[str, Any]:
        out = _object(verdict, {figure.name: figure for figure in verdict.overall})
        counts = verdict.about.categories
        if rows := verdict.by_category:
            out["categories"] = {
                name: ({"people": counts[name]} if name in counts else {}) | _object(verdict, row)
                for name, row in rows.items()
            }
        return {**out, "name": verdict.about.results, "boxes": verdict.about.boxes or None}

    first = found[0].about
    about = {
        "data": first.data,
        "pictures": first.pictures,
        "people": first.people,
        "notes": notes(found),
    }
    return {
        **(one(found[0]) if len(found) == 1 else {"results": [one(verdict) for verdict in found]}),
        **about,
    }


def _object(verdict: Verdict, figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Some of the figures of a verdict, called so; their parts, intervals and differences."""
    out: dict[str, Any] = {name: number(figure.value) for name, figure in figures.items()}
    parts = {name: figure.parts for name, figure in figures.items() if figure.parts}
    intervals = {
        name: [number(end) for end in verdict.intervals[figure.name]]
        for name, figure in figures.items()
        if figure.name in verdict.intervals
    }
    differences = {
        name: {
            "value": number(d.value),
            "interval": [number(d.low), number(d.high)],
            "p": number(d.p),
        }
        for name, figure in figures.items()
        if (d := verdict.differences.get(figure.name))
    }
    more = {"parts": parts, "intervals": intervals, "differences": differences}
    return out | {name: table for name, table in more.items() if table}


def notes(found: Sequence[Verdict]) -> list[str]:
    """What was odd but accepted, each once."""
    return list(dict.fromkeys(note for verdict in found for note in verdict.about.notes))


def to_csv(found: Sequence[Verdict]) -> str:
    """Tidy: results, boxes, measure, part (joint, limb or category), value, low, high."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["results", "boxes", "measure", "part", "value", "low", "high"])
    for verdict in found:
        who = verdict.about.results, verdict.about.boxes
        for figure in verdict.figures:
            ends = verdict.intervals.get(figure.name, (math.nan, math.nan))
            table.writerow(
                [
                    *who,
                    figure.measure,
                    figure.category,
                    *("" if math.isnan(v) else v for v in (figure.value, *ends)),
                ]
            )
            table.writerows(
                [*who, figure.name, part, value, "", ""] for part, value in figure.parts.items()
            )
    return out.getvalue()


def to_latex(found: Sequence[Verdict]) -> str:
    """A booktabs table: a row per result, a column per measure, in percent; the best is bold. Of
    several categories, another one by category for each result.
    """
    names = [figure.name for figure in found[0].overall]
    lines = [r"\begin{tabular}{ll" + "r" * len(names) + "}", r"\toprule"]
    lines += [" & ".join(["Method", "Boxes", *map(_latex, names)]) + r" \\", r"\midrule"]
    rows = [{figure.name: figure.value for figure in verdict.overall} for verdict in found]
    for verdict, row in zip(found, rows, strict=True):
        cells = [_latex(verdict.about.results), _latex(verdict.about.boxes or "--")]
        for name in names:
            value = row.get(name, math.nan)
            known = [other[name] for other in rows if not math.isnan(other.get(name, math.nan))]
            best = (min if name.startswith(SMALLER) else max)(known, default=math.nan)
            text = _scaled(name, value)
            cells.append(rf"\textbf{{{text}}}" if len(found) > 1 and value == best else text)
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    for verdict in found:
        lines += _latex_by_category(verdict) if verdict.about.categories else []
    return "\n".join(lines) + "\n"


def _latex_by_category(verdict: Verdict) -> list[str]:
    measures = verdict.measures_by_category
    head = " & ".join([_latex(verdict.about.results), "People", *map(_latex, measures)])
    lines = ["", r"\begin{tabular}{lr" + "r" * len(measures) + "}", r"\toprule"]
    lines += [head + r" \\", r"\midrule"]
    for name, row in verdict.by_category.items():
        values = [row[one].value if one in row else math.nan for one in measures]
        cells = [_scaled(*pair) for pair in zip(measures, values, strict=True)]
        count = str(verdict.about.categories.get(name, ""))
        lines.append(" & ".join([_latex(name), count, *cells]) + r" \\")
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _scaled(name: str, value: float) -> str:
    """In percent, if it is a share."""
    scale = 1 if name.startswith(COUNTS) else 100
    return "--" if math.isnan(value) else f"{scale * value:.1f}"


def _latex(text: str) -> str:
    return "".join(
        {"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$"}.get(letter, letter)
        for letter in text
    )
