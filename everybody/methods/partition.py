"""Partition and labelling of part candidates: the problem, its answers, and greedy ones.

Pishchulin et al., "DeepCut: joint subset partition and labeling for multi person pose estimation",
CVPR 2016. Each candidate is suppressed or takes one class; the kept ones are split into
people. Minimised is the sum of the unary costs of the kept ones and of the pairwise costs of those
edges whose ends are kept and of one person. `partition_exact.py` finds the optimum.

Greedy: Keuper et al., "Efficient decomposition of image and mesh graphs by lifted multicuts", ICCV
2015 (additive edge contraction), then moves of single candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codecs.peaks import Array, Places
from ..errors import OptionError

CLOSE = 1e-6  # costs that differ by less are equal
LEAST = 1e-7  # probabilities are cut to [LEAST, 1 - LEAST], which bounds the costs


def costs(probabilities: Array) -> Array:
    """Of being so -> cost of saying so, log((1 - p) / p): negative for what is rather so."""
    p = np.clip(probabilities, LEAST, 1 - LEAST)
    return np.log((1 - p) / p)


@dataclass(frozen=True, slots=True)
class Problem:
    """D candidates, C classes, E edges."""

    unary: Array  # [D,C] cost; inf: that class is impossible
    edges: Places  # [E,2], each pair once
    pairwise: Array  # [E,C,C] cost of one person with these classes; inf: never one person

    def __post_init__(self) -> None:
        count, classes = self.unary.shape
        if self.edges.ndim != 2 or self.edges.shape[1] != 2:
            raise OptionError(f"edges must be [E,2], got {list(self.edges.shape)}")
        if self.pairwise.shape != (len(self.edges), classes, classes):
            raise OptionError(
                f"pairwise costs must be {[len(self.edges), classes, classes]}, "
                f"got {list(self.pairwise.shape)}"
            )
        if len(self.edges) and not 0 <= self.edges.min() <= self.edges.max() < count:
            raise OptionError(f"edges join candidates 0 to {count - 1}, got {self.edges.max()}")
        pairs = np.unique(np.sort(self.edges, 1), axis=0)
        if len(pairs) < len(self.edges) or (pairs[:, 0] == pairs[:, 1]).any():
            raise OptionError("edges must join two different candidates, and each two only once")
        if np.isnan(self.unary).any() or np.isnan(self.pairwise).any():
            raise OptionError("costs hold NaN: look at the probabilities that they come from")


def of_probabilities(unary: Array, edges: Array, pairwise: Array) -> Problem:
    """Candidates of known parts: [D] of being a joint, [E,2], [E] of one person -> one class."""
    places = np.asarray(edges, np.intp).reshape(-1, 2)
    return Problem(costs(unary)[:, None], places, costs(pairwise)[:, None, None])


@dataclass(frozen=True, slots=True)
class Answer:
    """Who is who: per candidate its class (-1: suppressed) and person (0: suppressed)."""

    classes: Places  # [D]
    people: Places  # [D], 1, 2, …
    cost: float
    bound: float  # no answer costs less

    @property
    def gap(self) -> float:
        """How much cheaper the optimum can be; 0 if this is one."""
        return max(0.0, self.cost - self.bound)

    @property
    def optimal(self) -> bool:
        return self.gap <= CLOSE * max(1.0, abs(self.cost))


def cost_of(problem: Problem, classes: Places, people: Places) -> float:
    kept = np.flatnonzero(people)
    total = problem.unary[kept, classes[kept]].sum()
    a, b = problem.edges.T
    joined = np.flatnonzero((people[a] == people[b]) & (people[a] > 0))
    ends = classes[a[joined]], classes[b[joined]]
    return float(total + problem.pairwise[joined, ends[0], ends[1]].sum())


def answer(problem: Problem, classes: Places, people: Places, bound: float = -np.inf) -> Answer:
    """People are numbered in the order of their first candidate."""
    values, first = np.unique(people, return_index=True)
    order = values[np.argsort(first)]
    numbers = np.zeros(int(people.max(initial=0)) + 1, np.intp)
    numbers[order[order > 0]] = np.arange(1, (order > 0).sum() + 1)
    people = numbers[people]
    classes = np.where(people > 0, classes, -1)
    return Answer(classes, people, cost_of(problem, classes, people), max(bound, floor(problem)))


def floor(problem: Problem) -> float:
    """A bound without any work: every cost that helps, none that hurts."""
    unary = np.minimum(problem.unary.min(1, initial=0), 0).sum()
    return float(unary + np.minimum(problem.pairwise.min((1, 2), initial=0), 0).sum())


def greedy(problem: Problem) -> Answer:
    """Joins the two groups that gain most until none gains, then moves single candidates; repeats
    both until nothing helps.
    """
    count = len(problem.unary)
    classes = problem.unary.argmin(1) if count else np.zeros(0, np.intp)
    return improved(problem, answer(problem, classes, np.arange(1, count + 1)), classes)


def improved(problem: Problem, start: Answer, likely: Places) -> Answer:
    """As good as `start` or better; `likely` [D] are the classes of those it suppresses."""
    dense = dense_costs(problem)
    classes = np.where(start.classes >= 0, start.classes, likely)
    people, cost = start.people, np.inf
    while True:
        people = _join(problem, dense, classes, people)
        people, classes = _move(problem, dense, classes, people)
        now = cost_of(problem, classes, people)
        if now > cost - CLOSE:
            break
        cost = now
    found = answer(problem, classes, people, start.bound)
    return found if found.cost <= start.cost else start


def dense_costs(problem: Problem) -> Array:
    """Pairwise costs [D,C,D,C], 0 where there is no edge."""
    count, classes = problem.unary.shape
    dense = np.zeros((count, classes, count, classes))
    a, b = problem.edges.T  # each two only once
    dense[a, :, b] = problem.pairwise
    dense[b, :, a] = problem.pairwise.transpose(0, 2, 1)
    return dense


def _join(problem: Problem, dense: Array, classes: Places, people: Places) -> Places:
    """Joins groups, suppressed candidates being groups of their own, while a join gains; then
    suppresses the groups that cost more than nothing.
    """
    every = np.arange(len(people))
    groups = np.where(people > 0, people, people.max(initial=0) + 1 + every)
    _, groups = np.unique(groups, return_inverse=True)
    count = int(groups.max(initial=-1)) + 1
    member = np.zeros((count, len(people)))
    member[groups, every] = 1

    pairs = dense[every[:, None], classes[:, None], every[None], classes[None]]
    between = sums(sums(pairs, member).T, member)
    worth = np.bincount(groups, problem.unary[every, classes], count) + between.diagonal() / 2
    np.fill_diagonal(between, np.inf)

    while count > 1:
        apart = np.minimum(worth, 0)
        gain = worth[:, None] + worth + between - apart[:, None] - apart
        a, b = np.unravel_index(int(gain.argmin()), gain.shape)
        if not gain[a, b] < -CLOSE:
            break
        worth[a] += worth[b] + between[a, b]
        between[a] += between[b]
        between[:, a] = between[a]
        between[a, a] = np.inf
        between[b] = between[:, b] = np.inf
        worth[b] = 0
        groups[groups == b] = a
    return np.where(worth[groups] < 0, groups + 1, 0)


def sums(costs: Array, member: Array) -> Array:
    """Costs [D,...] with inf, groups [G,D] of 0 and 1 -> [G,...]; inf where one of a group's is."""
    never = np.isinf(costs)
    total = np.tensordot(member, np.where(never, 0, costs), 1)
    return np.where(np.tensordot(member, never, 1) > 0, np.inf, total)


def _move(problem: Problem, dense: Array, classes: Places, people: Places) -> tuple[Places, Places]:
    """Moves one candidate at a time to the person and class that cost least, until none moves."""
    people, classes = people.copy(), classes.copy()
    every = np.arange(len(people))
    moved = True
    while moved:
        moved = False
        for d in every:
            here, now = people[d], classes[d]
            people[d] = 0
            size = int(people.max(initial=0)) + 2  # the last: a person of its own
            others = np.flatnonzero(people)
            costs = np.repeat(problem.unary[d][:, None], size, 1)
            np.add.at(costs.T, people[others], dense[d][:, others, classes[others]].T)
            costs[:, 0] = 0  # suppressed

            before = costs[now, here] if here < size else problem.unary[d, now]
            best, where = np.unravel_index(int(costs.argmin()), costs.shape)
            if costs[best, where] < before - CLOSE:
                people[d], moved = where, True
                classes[d] = best if where else now
            else:
                people[d] = here
    return people, classes
