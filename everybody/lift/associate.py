"""Which people of several views are the same: groups of at most one person of each view.

Two people of two views can be the same if the rays to their joints pass close by each other (the
epipolar constraint, in metres instead of pixels, so that near and far count alike). Groups grow by
average linkage: the closest two that share no view become one, until none are close enough. Groups
are disjoint, so the answer is consistent around any cycle of views (Dong et al. 2019 ask for that
as a property of a matrix). Once people are known in space, views are assigned to them by how close
the rays pass to their joints, as Chen et al. 2020 do, and only what is left is grouped anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..errors import OptionError
from ..geometry import Array

Group = dict[int, int]  # view -> place of the person in that view


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """apart: metres by which the rays to one person's joints pass each other, at most. moved:
    metres between a known person's joints and the rays of the next frame. joints: how many must be
    seen in both views.
    """

    apart: float = 0.12
    moved: float = 0.3
    joints: int = 4

    def __post_init__(self) -> None:
        if not (self.apart > 0 and self.moved > 0 and self.joints > 0):
            raise OptionError("nearness: expected apart, moved and joints above 0")


NEARNESS = Nearness()


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """One view of a moment: centre [3] of the camera, directions [N, K, 3] to joints in the world,
    scores [N, K], 0 where a joint is not seen.
    """

    centre: Array
    directions: Array
    scores: Array

    def __len__(self) -> int:
        return len(self.scores)


def passing(a: Rays, b: Rays, nearness: Nearness = NEARNESS) -> Array:
    """[N, M] metres: how far the rays of people of two views pass each other, the mean over joints
    by their scores; infinite for those that share too few joints.
    """
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    one, two = a.directions[:, None], b.directions[None]
    normal = np.cross(one, two)
    sine = np.linalg.norm(normal, axis=-1)
    between = b.centre - a.centre
    with np.errstate(all="ignore"):
        away = np.abs(normal @ between) / sine
        # Where the rays are closest must lie before both cameras.
        before = [(np.cross(between, ray) * normal).sum(-1) / sine**2 > 0 for ray in (two, one)]
    weights = np.sqrt(a.scores[:, None] * b.scores[None])
    usable = (weights > 0) & (sine > 0.02) & np.isfinite(away)
    away = np.where(before[0] & before[1], away, 10 * nearness.apart)
    # A joint that one view has wrong should not part two people.
    away = np.minimum(away, 3 * nearness.apart)
    weights = np.where(usable, weights, 0)
    mean = (np.where(usable, away, 0) * weights).sum(-1) / np.maximum(weights.sum(-1), 1e-9)
    return np.where(usable.sum(-1) >= nearness.joints, mean, np.inf)


def grouped(views: Sequence[Rays], nearness: Nearness = NEARNESS) -> list[Group]:
    """The people of a moment, seen in any number of views; alone, too."""
    members = [(v, n) for v, view in enumerate(views) for n in range(len(view))]
    count = len(members)
    away = np.full((count, count), np.inf)
    starts = np.cumsum([0, *map(len, views)])
    for a in range(len(views)):
        for b in range(a + 1, len(views)):
            block = passing(views[a], views[b], nearness)
            away[starts[a] : starts[a + 1], starts[b] : starts[b + 1]] = block
            away[starts[b] : starts[b + 1], starts[a] : starts[a + 1]] = block.T

    groups: list[Group] = [{v: n} for v, n in members]
    while count:
        a, b = sorted(np.unravel_index(np.argmin(away), away.shape))
        if not away[a, b] < nearness.apart:
            break
        sizes = len(groups[a]), len(groups[b])
        joined = (sizes[0] * away[a] + sizes[1] * away[b]) / sum(sizes)
        groups[a] |= groups[b]
        groups[b] = {}
        away[a], away[:, a] = joined, joined
        away[b], away[:, b] = np.inf, np.inf
        away[a, a] = np.inf
        shared = [g for g, group in enumerate(groups) if g != a and group.keys() & groups[a].keys()]
        away[a, shared], away[shared, a] = np.inf, np.inf
    return [group for group in groups if group]


def assigned(
    known: Array, views: Sequence[Rays], nearness: Nearness = NEARNESS
) -> tuple[list[Group], list[NDArray[np.intp]]]:
    """Joints [P, K, 3] of known people (NaN where not known) -> a group each, perhaps empty, and
    per view the people that are left over.
    """
    groups: list[Group] = [{} for _ in known]
    left = []
    for v, view in enumerate(views):
        cost = beside(known, view, nearness)
        rows, columns = linear_sum_assignment(np.minimum(cost, 2 * nearness.moved))
        for row, column in zip(rows, columns, strict=True):
            if cost[row, column] < nearness.moved:
                groups[row][v] = int(column)
        taken = {group[v] for group in groups if v in group}
        left.append(np.array([n for n in range(len(view)) if n not in taken], np.intp))
    return groups, left


def beside(known: Array, view: Rays, nearness: Nearness = NEARNESS) -> Array:
    """[P, N] metres between joints of known people and the rays of a view: the median over joints;
    infinite where too few are known.
    """
    if not len(known) or not len(view):
        return np.zeros((len(known), len(view)))
    seen = known[:, None] - view.centre
    along = (seen * view.directions).sum(-1, keepdims=True)
    away = np.linalg.norm(seen - along * view.directions, axis=-1)
    usable = np.isfinite(away) & (view.scores > 0) & (along[..., 0] > 0)
    away = np.where(usable, away, np.inf)
    count = usable.sum(-1)
    middle = np.take_along_axis(
        np.sort(away, axis=-1), np.maximum(count - 1, 0)[..., None] // 2, -1
    )
    return np.where(count >= nearness.joints, middle[..., 0], np.inf)


def consistent(group: Group, views: Sequence[Rays], nearness: Nearness = NEARNESS) -> Group:
    """The group without views that disagree with the others, worst first."""
    group = dict(group)
    while len(group) > 2:
        rows = {v: views[v] for v in group}
        one = {v: _only(view, group[v]) for v, view in rows.items()}
        costs = {}
        for v in group:
            away = [passing(one[v], one[u], nearness)[0, 0] for u in group if u != v]
            finite = [value for value in away if np.isfinite(value)]
            costs[v] = float(np.mean(finite)) if finite else 0.0
        worst = max(costs, key=lambda v: costs[v])
        if costs[worst] < nearness.apart:
            break
        del group[worst]
    return group


def _only(view: Rays, place: int) -> Rays:
    return Rays(view.centre, view.directions[[place]], view.scores[[place]])
