"""Several results, judged on the same truth by the same measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..data.dataset import Dataset
from ..data.join import common
from . import oks
from .categories import figures_of_categories, people_of
from .direct import direct
from .figure import Figure
from .judge import judge, of_boxes_alone, precision_figures
from .regions import outside
from .tables import About


class Judged(NamedTuple):
    """One of the results with its figures; results and truth in the joints that were judged, None
    where the figures came straight from the file.
    """

    about: About
    figures: list[Figure]
    results: Dataset | None = None
    truth: Dataset | None = None


def judge_all(
    found: Sequence[Dataset],
    truth: Dataset,
    names: Sequence[str],
    *,
    by: str = "oks",
    mapped: bool = False,
) -> list[Judged]:
    """Judge each of the results. Names, `by` and `mapped` as in `judge` and `data.join.common`."""
    judged = []
    for one in found:
        results, labelled = one, truth
        if not of_boxes_alone(names):
            results, labelled = common(one, truth, mapped=mapped)
            results = outside(results, labelled)
        about = About.of(labelled, results.name, results.boxes_from, results.notes)
        about = replace(about, categories=people_of(labelled))
        if about.categories and not oks.by_category(labelled, results):
            note = f"{results.name} does not say categories: AP is that of all as one"
            about = replace(about, notes=(*about.notes, note))
        figures = judge(labelled, results, names, by=by)  # type: ignore[arg-type]
        figures += figures_of_categories(labelled, results, names, by=by)  # type: ignore[arg-type]
        judged.append(Judged(about, figures, results, labelled))
    return judged


def precision_of_files(files: Sequence[Path], truth: Dataset) -> list[Judged] | None:
    """AP of COCO's lists of results, straight from their files (`direct`); None if one of them has
    to be read, or the truth has several categories.
    """
    judged = []
    if people_of(truth):
        return None
    for path in files:
        loaded = direct(truth, path) if path.is_file() else None
        if loaded is None:
            return None
        evaluator = oks.evaluated(*loaded, truth.skeleton.sigmas)
        judged.append(Judged(About.of(truth, path.name), precision_figures(evaluator, truth)))
    return judged
