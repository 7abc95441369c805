"""How much later one camera's clock is than another's, told by how people move.

At the right shift, rays to the joints of the same person meet (as in `associate`), so the shift at
which they pass closest is the answer. A parabola through the best and its neighbours tells it finer
than a frame. The shifts of all pairs of cameras, each with the weight of its evidence, give the
clocks by least squares (spanning all cameras, so that pairs without a common view need none).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ..errors import DataError
from ..geometry import Array
from .associate import NEARNESS, Nearness, Rays, passing

ENOUGH = 10  # frames in which both cameras must see people
FRAMES = 120  # frames that are looked at, spread over the film
SURE = 0.9  # at the best shift rays pass at this share of the usual distance, at most


def shifts(
    films: Sequence[Sequence[Rays]], most: int, nearness: Nearness = NEARNESS
) -> tuple[Array, list[tuple[int, int]]]:
    """Films of V cameras, a view per frame of a common clock -> frames [V] by which each shows
    things late, the median being 0, and the pairs of cameras that told it.

    most: frames that a clock may be off. Raises DataError where the pairs that tell something do
    not join all cameras.
    """
    rows, told, pairs = [], [], []
    for a, b in combinations(range(len(films)), 2):
        found = _pair(films[a], films[b], most, nearness)
        if found is None:
            continue
        late, weight = found
        row = np.zeros(len(films))
        row[a], row[b] = -weight, weight
        rows.append(row)
        told.append(late * weight)
        pairs.append((a, b))
    if not _joined(len(films), pairs):
        raise DataError(
            "the films cannot be synchronised by motion: too little is seen to move in two views "
            "at a time; start the cameras together and leave synchronising out"
        )
    clocks = np.linalg.lstsq(np.array(rows), np.array(told), rcond=None)[0]
    return clocks - np.median(clocks), pairs


def _pair(
    one: Sequence[Rays], two: Sequence[Rays], most: int, nearness: Nearness
) -> tuple[float, float] | None:
    """Frames by which the second is late, and the weight of the evidence."""
    lags = np.arange(-most, most + 1)
    cost = np.array([_cost(one, two, int(lag), nearness) for lag in lags])
    known = np.isfinite(cost)
    if known.sum() < 3:
        return None
    best = int(np.nanargmin(np.where(known, cost, np.inf)))
    usual = float(np.median(cost[known]))
    if not cost[best] < SURE * usual or best in (0, len(lags) - 1):
        return None
    before, here, after = cost[best - 1 : best + 2]
    bend = before - 2 * here + after
    fine = 0.5 * (before - after) / bend if np.isfinite(bend) and bend > 0 else 0.0
    return float(lags[best] + np.clip(fine, -0.5, 0.5)), usual / max(float(here), 1e-6)


def _cost(one: Sequence[Rays], two: Sequence[Rays], lag: int, nearness: Nearness) -> float:
    """Metres by which rays pass, the median over frames, if the second film is late by `lag`."""
    first, last = max(0, -lag), min(len(one), len(two) - lag)
    if last - first < ENOUGH:
        return np.nan
    frames = np.unique(np.linspace(first, last - 1, min(FRAMES, last - first)).astype(int))
    away = []
    for frame in frames:
        table = passing(one[frame], two[frame + lag], nearness)
        if table.size and np.isfinite(table).any():
            away.append(float(table.min()))
    return float(np.median(away)) if len(away) >= ENOUGH else np.nan


def _joined(count: int, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether one gets from the first camera to all others along pairs."""
    reached = {0}
    for _ in range(count):
        reached |= {end for pair in pairs if reached & set(pair) for end in pair}
    return len(reached) == count
