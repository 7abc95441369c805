"""DeepCut's partition: cost, gap and time of the greedy, exact and staged answers, by candidates.

    python -m benchmarks.partition [--candidates 10 20 40 60 80] [--seconds 10] [--problems 3]

Candidates of COCO's 17 parts are spread over people of 15 candidates each; how likely a candidate
is one, and two are one person's, is drawn from overlapping distributions. Mean over the problems.
A cost is that of the answer minus that of the best of the three; a gap is what the answer itself
says of its distance from the optimum.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.common import head, parsed, parser, row
from everybody.methods.deepcut import stages
from everybody.methods.deepcut_pairs import COCO_GRAPH
from everybody.methods.partition import Answer, Problem, greedy, of_probabilities
from everybody.methods.partition_exact import exact, incremental
from everybody.skeletons import COCO17


def problem(candidates: int, seed: int) -> tuple[Problem, np.ndarray]:
    """-> a random problem, and the part of each candidate."""
    rng = np.random.default_rng(seed)
    part = np.sort(rng.integers(0, 17, candidates))
    who = rng.integers(0, max(1, candidates // 15), candidates)
    a, b = np.triu_indices(candidates, 1)
    compared = part[a] == part[b]
    for first, second in COCO_GRAPH:
        compared |= (part[a] == first) & (part[b] == second)

    a, b = a[compared], b[compared]
    count = len(a)
    likely = np.where(who[a] == who[b], rng.beta(2.5, 1.5, count), rng.beta(1.5, 2.5, count))
    unary = rng.beta(3, 1.5, candidates)
    return of_probabilities(unary, np.stack([a, b], 1), likely), part


def answers(candidates: int, seed: int, seconds: float) -> dict[str, tuple[Answer, float]]:
    """-> each way's answer and its seconds."""
    some, part = problem(candidates, seed)
    ways: dict[str, Callable[[], Answer]] = {
        "greedy": lambda: greedy(some),
        "exact": lambda: exact(some, seconds=seconds),
        "in stages": lambda: incremental(some, stages(part, COCO17), seconds=seconds),
    }
    found = {}
    for name, way in ways.items():
        begun = time.perf_counter()
        answer = way()
        found[name] = answer, time.perf_counter() - begun
    return found


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--candidates", type=int, nargs="+", default=[10, 20, 40, 60, 80])
    command.add_argument("--seconds", type=float, default=10.0, help="the time limit of a problem")
    command.add_argument("--problems", type=int, default=3)
    given = parsed(command)

    print(head("candidates", "answer", "cost above the best", "gap", "optimal", "seconds"))
    for candidates in given.candidates:
        found = [answers(candidates, seed, given.seconds) for seed in range(given.problems)]
        best = [min(answer.cost for answer, _ in each.values()) for each in found]
        for way in found[0]:
            several = [each[way] for each in found]
            above = np.mean([a.cost - b for (a, _), b in zip(several, best, strict=True)])
            gap = np.mean([answer.gap for answer, _ in several])
            proven = sum(answer.optimal for answer, _ in several)
            spent = np.mean([seconds for _, seconds in several])
            cells = f"{above:.3f}", f"{gap:.3f}", f"{proven}/{len(several)}", f"{spent:.3f}"
            print(row(candidates, way, *cells), flush=True)


if __name__ == "__main__":
    main()
