"""Partition and labelling of part candidates as one integer program, solved by HiGHS.

Pishchulin et al., "DeepCut: joint subset partition and labeling for multi person pose estimation",
CVPR 2016; Insafutdinov et al., "DeeperCut: a deeper, stronger, and faster multi-person pose
estimation model", ECCV 2016 (the incremental form).

x(d,c): candidate d has class c; at most one. z(e,c,c'): the ends of edge e have classes c and c'
and are one person, so Σ_c' z(e,c,c') ≤ x(d,c) and Σ_c z(e,c,c') ≤ x(d',c'). With y(e) the sum of
z(e,c,c'), what is joined along a path is joined by the edge that closes it: Σ_path y - y(e) is at
most |path| - 1. Pairs without an edge cost nothing and need no variable; with an edge for every
pair this is the paper's program.

There are too many cycles to write down. Those that an answer breaks are added, first to the linear
relaxation, then to the integer program. What is solved has fewer constraints than the problem, so
its bound is a bound of the problem; a partition that it implies is an answer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse.csgraph import connected_components, dijkstra

from ..codecs.peaks import Array, Places
from .partition import (
    CLOSE,
    Answer,
    Problem,
    answer,
    cost_of,
    dense_costs,
    floor,
    greedy,
    improved,
    sums,
)


class Program:
    """The variables and constraints of a problem; cycles are added as they are found."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        count, classes = problem.unary.shape
        self.node, self.label = np.nonzero(np.isfinite(problem.unary))  # of x
        place = np.full((count, classes), -1)
        place[self.node, self.label] = np.arange(len(self.node))

        possible = np.isfinite(problem.pairwise)
        a, b = problem.edges.T
        possible &= (place[a] >= 0)[:, :, None] & (place[b] >= 0)[:, None]
        self.edge, label_a, label_b = np.nonzero(possible)  # of z

        xs, zs = len(self.node), len(self.edge)
        self.cost = np.concatenate(
            [
                problem.unary[self.node, self.label],
                problem.pairwise[self.edge, label_a, label_b],
            ]
        )
        # y [E] as a sum of variables [X + Z].
        self.joined = _ones(self.edge, xs + np.arange(zs), (len(problem.edges), xs + zs))
        self.rows = [_ones(self.node, np.arange(xs), (count, xs + zs))]
        self.most = [np.ones(count)]
        for ends, labels in ((a, label_a), (b, label_b)):
            pairs, row = np.unique(np.stack([self.edge, labels], 1), axis=0, return_inverse=True)
            owner = place[ends[pairs[:, 0]], pairs[:, 1]]
            shape = len(pairs), xs + zs
            sums_of_z = _ones(row.ravel(), xs + np.arange(zs), shape)
            self.rows.append(sums_of_z - _ones(np.arange(len(pairs)), owner, shape))
            self.most.append(np.zeros(len(pairs)))

    def solve(self, *, whole: bool, seconds: float) -> tuple[Array | None, float]:
        """-> the variables (None: none found in time) and a lower bound of the cost."""
        rows = sparse.vstack(self.rows, format="csr")
        constraint = LinearConstraint(rows, ub=np.concatenate(self.most))  # type: ignore[arg-type]
        found = milp(
            self.cost,
            integrality=int(whole),
            bounds=Bounds(0, 1),
            constraints=constraint,
            options={"time_limit": max(seconds, 0.01), "mip_rel_gap": 0.0},
        )
        bound = found.mip_dual_bound if whole else found.fun if found.status == 0 else None
        return found.x, -np.inf if bound is None else float(bound)

    def close_cycles(self, values: Array) -> int:
        """Adds the cycles that these variables break -> how many."""
        problem = self.problem
        a, b = problem.edges.T
        joined = self.joined @ values
        count = len(problem.unary)
        length = np.maximum(1 - joined, 0) + 1e-9  # a length of 0 would be no edge
        graph = sparse.csr_array((length, (a, b)), shape=(count, count))
        distance, before = dijkstra(graph, directed=False, return_predecessors=True)

        broken = np.flatnonzero(distance[a, b] < 1 - joined - 1e-6)
        if not len(broken):
            return 0
        number = {tuple(sorted(edge)): place for place, edge in enumerate(problem.edges.tolist())}
        row, column, value, most = [], [], [], []
        for place, edge in enumerate(broken.tolist()):
            start, end = int(a[edge]), int(b[edge])
            path = []
            while end != start:
                path.append(number[tuple(sorted((end, int(before[start, end]))))])
                end = int(before[start, end])
            row += [place] * (len(path) + 1)
            column += [*path, edge]
            value += [1.0] * len(path) + [-1.0]
            most.append(len(path) - 1.0)

        shape = (len(broken), len(problem.edges))
        cycles = sparse.csr_array((value, (row, column)), shape=shape)
        self.rows.append(cycles @ self.joined)
        self.most.append(np.array(most))
        return len(broken)

    def implied(self, values: Array) -> tuple[Places, Places]:
        """Variables -> classes and people: candidates of x near 1, joined by edges of y near 1."""
        count = len(self.problem.unary)
        classes = np.full(count, -1)
        kept = values[: len(self.node)] > 0.5
        classes[self.node[kept]] = self.label[kept]

        a, b = self.problem.edges.T
        on = (self.joined @ values > 0.5) & (classes[a] >= 0) & (classes[b] >= 0)
        graph = sparse.csr_array((np.ones(on.sum()), (a[on], b[on])), shape=(count, count))
        _, people = connected_components(graph, directed=False)
        return classes, np.where(classes >= 0, people + 1, 0)


def _ones(row: Places, column: Places, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=shape)


def exact(problem: Problem, *, seconds: float = 10.0, start: Answer | None = None) -> Answer:
    """The optimum; where `seconds` do not suffice, the best answer found and its gap.

    `start` is an answer to begin with (default: the greedy one).
    """
    end = time.monotonic() + seconds
    best = greedy(problem) if start is None else start
    if best.optimal:
        return best

    program, bound, whole = Program(problem), best.bound, False
    while best.cost - bound > CLOSE and time.monotonic() < end:
        values, said = program.solve(whole=whole, seconds=end - time.monotonic())
        bound = max(bound, said)
        if values is None:
            break
        broken = program.close_cycles(values)
        if whole or not broken:
            implied = answer(problem, *program.implied(values))
            likely = problem.unary.argmin(1)
            best = min(best, improved(problem, implied, likely), key=lambda some: some.cost)
            if whole and not broken:
                break
        whole = whole or not broken
    return replace(best, bound=min(bound, best.cost))


def incremental(
    problem: Problem, stages: Sequence[Places], *, seconds: float = 10.0, refine: bool = True
) -> Answer:
    """Group after group of candidates, what was decided earlier being held fixed: a person found
    so far is one candidate of the next program. For problems too large for `exact`.

    `stages` are places of candidates, each once. The gap is against the bound of the whole
    problem's linear relaxation. With `refine`, the answer is improved by single moves in the end.
    """
    end = time.monotonic() + seconds
    count = len(problem.unary)
    classes, people = np.full(count, -1), np.zeros(count, np.intp)
    dense = dense_costs(problem)
    for number, group in enumerate(stages):
        share = (end - time.monotonic()) / (len(stages) - number + 1)  # one share for the bound
        small, decided = _contracted(problem, dense, classes, people, group)
        found = exact(small, seconds=max(share, 0.05))
        classes[group] = found.classes[decided:]
        _write(people, found.people, decided, group)

    best = answer(problem, classes, people)
    if refine and count:
        best = improved(problem, best, problem.unary.argmin(1))
    bound = _relaxed(problem, best, end)
    return replace(best, bound=min(bound, best.cost))


def _contracted(
    problem: Problem, dense: Array, classes: Places, people: Places, group: Places
) -> tuple[Problem, int]:
    """The problem of the people so far, each one candidate, and of a group of candidates -> it, and
    the number of those people.
    """
    decided = int(people.max(initial=0))
    kept = np.flatnonzero(people)
    member = np.zeros((decided, len(kept)))
    member[people[kept] - 1, np.arange(len(kept))] = 1

    unary = np.full((decided + len(group), problem.unary.shape[1]), np.inf)
    unary[:decided, 0] = [
        cost_of(problem, classes, np.where(people == person, people, 0))
        for person in range(1, decided + 1)
    ]
    unary[decided:] = problem.unary[group]

    # A person and a candidate: the sum over the person's members. Two people: never one.
    pairwise = np.full((len(unary), len(unary), *problem.pairwise.shape[1:]), np.inf)
    pairwise[:decided, decided:, 0] = sums(dense[kept, classes[kept]][:, group], member)
    inner = dense[group][:, :, group].transpose(0, 2, 1, 3)
    pairwise[decided:, decided:] = inner

    a, b = np.triu_indices(len(unary), 1)
    costly = (pairwise[a, b] != 0).any((1, 2))  # pairs without an edge cost nothing
    edges = np.stack([a, b], 1)[costly]
    return Problem(unary, edges, pairwise[a, b][costly]), decided


def _write(people: Places, found: Places, decided: int, group: Places) -> None:
    """The people of a contracted answer into those of the problem, in place."""
    number = np.zeros(int(found.max(initial=0)) + 1, np.intp)
    number[found[:decided]] = np.arange(1, decided + 1)
    for person in np.unique(found[decided:]):
        if person and not number[person]:
            number[person] = number.max() + 1
    people[group] = number[found[decided:]]


def _relaxed(problem: Problem, best: Answer, end: float) -> float:
    """The bound of the linear relaxation with the cycles that can be found until `end`."""
    if best.optimal:
        return best.bound
    program, bound = Program(problem), floor(problem)
    while best.cost - bound > CLOSE and time.monotonic() < end:
        values, said = program.solve(whole=False, seconds=end - time.monotonic())
        bound = max(bound, said)
        if values is None or not program.close_cycles(values):
            break
    return bound
