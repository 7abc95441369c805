"""Partition and labelling: optimal where all answers can be listed, honest where they cannot."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from everybody.errors import OptionError
from everybody.methods.partition import (
    Problem,
    answer,
    cost_of,
    costs,
    floor,
    greedy,
    of_probabilities,
)
from everybody.methods.partition_exact import exact, incremental
from tests import golden


def random_problem(seed: int, count: int, classes: int = 1, share: float = 0.7) -> Problem:
    rng = np.random.default_rng(seed)
    every = np.stack(np.triu_indices(count, 1), 1)
    edges = every[rng.random(len(every)) < share]
    unary = costs(rng.uniform(0.2, 0.9, (count, classes)))
    return Problem(unary, edges, costs(rng.uniform(0.02, 0.98, (len(edges), classes, classes))))


def partitions(count: int):
    """All ways to number people 0 (suppressed), 1, 2, … with new numbers in order."""
    rows = [[]]
    for _ in range(count):
        rows = [[*row, n] for row in rows for n in range(max(row, default=0) + 2)]
    return np.array(rows)


def cheapest(problem: Problem) -> float:
    count, classes = problem.unary.shape
    labels = [np.array(row) for row in product(range(classes), repeat=count)]
    return min(cost_of(problem, row, people) for people in partitions(count) for row in labels)


@pytest.mark.parametrize("number", range(5))
def test_published_optima(number):
    reader = golden.fill()
    given, wanted = reader.inputs("deepercut_ilp"), reader.outputs("deepercut_ilp")
    problem = of_probabilities(*(given[f"{number}.{x}"] for x in ("unary", "edges", "pairwise")))
    found = exact(problem)
    assert found.optimal
    assert found.cost == pytest.approx(float(wanted[f"{number}.cost"][0]), abs=1e-6)
    renamed = answer(problem, found.classes, wanted[f"{number}.labels"])  # numbers are arbitrary
    assert np.array_equal(found.people, renamed.people)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("count", "classes"), [(7, 1), (5, 2), (4, 3)])
def test_exact_is_the_cheapest_of_all(seed, count, classes):
    problem = random_problem(seed, count, classes)
    found = exact(problem)
    assert found.optimal
    assert found.cost == pytest.approx(cheapest(problem), abs=1e-6)
    assert found.cost == pytest.approx(cost_of(problem, found.classes, found.people))


@pytest.mark.parametrize("seed", range(4))
def test_impossible_classes_and_pairs_are_never_chosen(seed):
    problem = random_problem(seed, 5, 2, share=1.0)
    problem.unary[0] = np.inf
    problem.unary[1, 0] = np.inf
    problem.pairwise[4:7] = np.inf
    for found in (exact(problem), greedy(problem)):
        assert np.isfinite(found.cost)
        assert found.classes[0] == -1
        assert found.classes[1] != 0
        a, b = problem.edges[4:7].T
        assert not ((found.people[a] == found.people[b]) & (found.people[a] > 0)).any()
    assert exact(problem).cost == pytest.approx(cheapest(problem), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_and_answers_are_in_order(seed):
    problem = random_problem(seed, 16)
    best, quick = exact(problem), greedy(problem)
    groups = np.array_split(np.random.default_rng(seed).permutation(16), 3)
    for plain in (incremental(problem, groups), incremental(problem, groups, refine=False), quick):
        assert floor(problem) <= plain.bound <= best.cost + 1e-6
        assert best.cost <= plain.cost + 1e-6
        assert plain.gap >= 0
        assert plain.cost == pytest.approx(cost_of(problem, plain.classes, plain.people))


def test_one_stage_is_the_whole_program():
    problem = random_problem(3, 10)
    assert incremental(problem, [np.arange(10)]).cost == pytest.approx(exact(problem).cost)


def test_without_refinement_what_was_decided_early_stays():
    """The first two are one person; a third that fits only one of them does not divide them."""
    edges = [(0, 1), (0, 2), (1, 2)]
    problem = of_probabilities(np.full(3, 0.9), np.array(edges), np.array([0.7, 0.99, 0.01]))
    held = incremental(problem, [np.arange(2), np.arange(2, 3)], refine=False)
    assert held.people.tolist() == [1, 1, 2]
    assert exact(problem).people.tolist() == [1, 2, 1]
    assert held.gap > 0


def test_a_later_candidate_never_joins_two_people_of_before():
    """It is likely of both, but they are surely two."""
    edges = [(0, 1), (0, 2), (1, 2)]
    problem = of_probabilities(np.full(3, 0.9), np.array(edges), np.array([0.3, 0.9, 0.9]))
    held = incremental(problem, [np.arange(2), np.arange(2, 3)], refine=False)
    assert held.people[0] != held.people[1]


def test_without_time_there_is_an_answer_and_its_gap():
    problem = random_problem(0, 30)
    found = exact(problem, seconds=0)
    assert np.isfinite(found.cost)
    assert found.bound == pytest.approx(floor(problem))
    assert found.gap == pytest.approx(found.cost - found.bound)
    assert not found.optimal
    staged = incremental(problem, np.array_split(np.arange(30), 3), seconds=0)
    assert floor(problem) <= staged.bound <= staged.cost


def test_nobody_and_nobody_worth_keeping():
    nothing = Problem(np.zeros((0, 2)), np.zeros((0, 2), np.intp), np.zeros((0, 2, 2)))
    for found in (exact(nothing), greedy(nothing), incremental(nothing, [])):
        assert found.people.shape == (0,)
        assert found.cost == found.gap == 0
    unlikely = of_probabilities(np.full(4, 0.1), np.zeros((0, 2)), np.zeros(0))
    for found in (exact(unlikely), greedy(unlikely), incremental(unlikely, [np.arange(4)])):
        assert not found.people.any()
        assert (found.classes == -1).all()
        assert found.optimal


def test_the_order_of_candidates_does_not_matter():
    problem = random_problem(5, 9)
    order = np.random.default_rng(5).permutation(9)
    place = np.argsort(order)
    shuffled = Problem(problem.unary[order], place[problem.edges], problem.pairwise)
    one, other = exact(problem), exact(shuffled)
    assert one.cost == pytest.approx(other.cost)
    together = one.people[:, None] == one.people
    assert np.array_equal(together[order][:, order], other.people[:, None] == other.people)


def test_greedy_is_optimal_where_people_are_plain():
    who = np.repeat(np.arange(3), 5)
    edges = np.stack(np.triu_indices(15, 1), 1)
    likely = np.where(who[edges[:, 0]] == who[edges[:, 1]], 0.95, 0.05)
    found = greedy(of_probabilities(np.full(15, 0.8), edges, likely))
    assert found.people.tolist() == (who + 1).tolist()


@pytest.mark.parametrize(
    ("edges", "pairwise", "message"),
    [
        ([(0, 1), (1, 0)], [0.5, 0.5], "only once"),
        ([(1, 1)], [0.5], "two different"),
        ([(0, 3)], [0.5], "0 to 2"),
        ([(0, 1)], [0.5, 0.5], "pairwise costs must be"),
        ([(0, 1)], [np.nan], "NaN"),
    ],
)
def test_problems_that_make_no_sense_are_errors(edges, pairwise, message):
    with pytest.raises(OptionError, match=message):
        of_probabilities(np.full(3, 0.5), np.array(edges), np.array(pairwise))
