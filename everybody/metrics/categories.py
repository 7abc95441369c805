"""Figures of each category, as of each species of animals, beside those of all.

A category's average precision is of its own people: those labelled so, and those found as such, as
COCO judges categories (Lin et al. 2014). A measure of joints looks at the true people of a category
and whoever was found for them. Beside the categories stand their mean, in which each weighs the
same, and all as one, in which nobody asks for the category.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..data.dataset import Dataset
from ..errors import OptionError
from ..geometry import Array
from . import boxes, oks, tracks
from .figure import Figure
from .judge import parse
from .matching import By
from .single import Pairs, single

MEAN, ONE = "mean of categories", "all as one"
Again = Callable[[Array], float]  # how often each picture counts [P] -> the figure


def as_one(data: Dataset) -> Dataset:
    """Everybody as of one category."""
    return replace(data, category=np.ones_like(data.category), categories={1: "any"})


def people_of(truth: Dataset) -> dict[str, int]:
    """How many there are to find, by category; of data of one category, {}."""
    some = oks.present(truth)
    if len(some) < 2:
        return {}
    wanted = truth.category[~truth.ignored]
    return {name: int((wanted == number).sum()) for number, name in some.items()}


def figures_of_categories(
    truth: Dataset, results: Dataset, names: Sequence[str], *, by: By = "oks"
) -> list[Figure]:
    """The first figure of each measure, of each category, as their mean, and of all as one; of data
    of one category, []. Names and `by` as in `judge.judge`.
    """
    some = oks.present(truth)
    if len(some) < 2:
        return []
    pairs, figures = None, list[Figure]()
    for name, alpha in parse(names):
        if name in _MATCHES:
            figures += _precision(name, truth, results, some)
        elif name not in tracks.NAMES:
            pairs = pairs or Pairs.of(truth, results, by)
            figures += _joints(name, alpha, pairs, some)
    return figures


def _bodies(truth: Dataset, results: Dataset) -> oks.Matches:
    return oks.Matches(oks.evaluation(truth, results), truth)


_MATCHES = {"AP": _bodies, "BoxAP": boxes.matches}


def _precision(
    name: str, truth: Dataset, results: Dataset, some: Mapping[int, str]
) -> list[Figure]:
    """Of results that do not say their categories, only that of all as one."""
    if name == "BoxAP" and results.boxes_from == "gt":
        return []
    pooled = _MATCHES[name](as_one(truth), as_one(results))
    again: dict[str, Again] = {ONE: lambda weights: pooled(weights)["AP"]}
    if oks.by_category(truth, results):
        apart = _MATCHES[name](truth, results)
        each: dict[str, Again] = {
            label: lambda weights, number=number: apart(weights, number)["AP"]
            for number, label in some.items()
        }
        again = {**each, MEAN: lambda weights: apart(weights)["AP"], **again}
    return _figures(name, again, len(truth))


def _joints(name: str, alpha: float, pairs: Pairs, some: Mapping[int, str]) -> list[Figure]:
    """Pairs are those of all: the figures of the categories add up to that of all."""
    each: dict[str, Again] = {}
    whole = single(name, alpha, pairs)[0]
    for number, label in some.items():
        try:
            each[label] = single(name, alpha, pairs.select(pairs.truth.category == number))[0].again
        except OptionError:  # the length that the measure divides by is labelled for none of them
            each[label] = lambda weights: math.nan

    def mean(weights: Array) -> float:
        values = [figure for again in each.values() if not math.isnan(figure := again(weights))]
        return float(np.mean(values)) if values else math.nan

    return _figures(whole.name, {**each, MEAN: mean, ONE: whole.again}, len(pairs.truth))


def _figures(measure: str, again: Mapping[str, Again], pictures: int) -> list[Figure]:
    every = np.ones(pictures)
    return [
        Figure(f"{measure} {label}", one(every), one, category=label)
        for label, one in again.items()
    ]
