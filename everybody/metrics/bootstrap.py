"""How sure a figure is: the bootstrap over pictures (Efron & Tibshirani 1993), alone and paired.

Pictures, not people, are drawn with replacement, because people of one picture fail together. An
interval holds the middle share of the figure over the draws. Two methods are compared on the same
draws, so that what makes pictures hard cancels; p is twice the share of draws in which the
difference has the other sign (at least 1 / draws).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..geometry import Array

Figure = Callable[[Array], float]  # how often each picture counts [P] -> the figure


def draws(pictures: int, repeats: int, random: np.random.Generator) -> Array:
    """[repeats, pictures]: how often each picture was drawn."""
    if not pictures:
        return np.zeros((repeats, 0))
    return random.multinomial(pictures, np.full(pictures, 1 / pictures), size=repeats).astype(
        np.float64
    )


def sample(figures: Sequence[Figure], weights: Array) -> Array:
    """[B, P] -> every figure of every draw [F, B]. Draw by draw: figures may share work on one."""
    return (
        np.array([[figure(row) for figure in figures] for row in weights])
        .reshape(len(weights), -1)
        .T
    )


def interval(samples: Array, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of the samples [B]; NaN where the figure is undefined in all of them."""
    known = samples[~np.isnan(samples)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the second beats the first, the interval of that, and the two-sided p of no
    difference.
    """

    value: float
    low: float
    high: float
    p: float


def difference(first: Array, second: Array, value: float, level: float = 0.95) -> Difference:
    """first, second: figures of two methods on the same draws [B]. value: by how much the second
    beats the first on all pictures.
    """
    gaps = second - first
    known = gaps[~np.isnan(gaps)]
    p = float("nan")
    if len(known):
        p = min(1.0, 2 * (1 + int(min((known <= 0).sum(), (known >= 0).sum()))) / (1 + len(known)))
    return Difference(value, *interval(gaps, level), p)
