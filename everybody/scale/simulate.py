"""A run on many nodes as events: when it ends, what failures and stragglers waste, what it costs.

Chunks take a lognormal time of mean `work`; the driver hands them out one by one; a node fails
after an exponential time, its workers lose what they have in hand, and it is back after `repair`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Times in seconds. work: of one chunk on one worker; spread: the deviation of its logarithm.
    mtbf: mean time between failures of a node, 0: none. dispatch: of the driver for a chunk. start:
    until a worker has its models. price: of a node for an hour.
    """

    chunks: int
    work: float
    nodes: int
    workers: int  # of a node
    spread: float = 0.25
    mtbf: float = 30 * 24 * 3600.0
    repair: float = 300.0
    dispatch: float = 0.005
    start: float = 20.0
    price: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """seconds: until the last chunk. lost: chunks that a failure interrupted. wasted: share of the
    workers' time that gave no result: lost, starting, or idle at the end behind stragglers. idle:
    the last of these alone.
    """

    seconds: float
    lost: int
    wasted: float
    idle: float
    cost: float


def simulated(world: World) -> Outcome:
    """Raises nothing; the same world has the same outcome."""
    rng = np.random.default_rng(world.seed)
    shift = -(world.spread**2) / 2  # the mean of the lognormal is then `work`
    times = world.work * np.exp(shift + world.spread * rng.standard_normal(world.chunks))
    fails = [_next(world, rng, 0.0) for _ in range(world.nodes)]
    free = [(world.start, n) for n in range(world.nodes) for _ in range(world.workers)]
    heapq.heapify(free)
    driver, end, useful, lost = 0.0, 0.0, 0.0, 0
    left = world.chunks
    while left:
        now, node = heapq.heappop(free)
        if now >= fails[node]:  # it failed while this worker waited
            heapq.heappush(free, (_back(world, rng, fails, node), node))
            continue
        driver = max(driver, now) + world.dispatch
        finish = driver + times[left - 1]
        if finish > fails[node]:
            lost += 1
            back = fails[node] + world.repair + world.start
            heapq.heappush(free, (back, node))
            continue
        left -= 1
        useful += times[left]
        end = max(end, finish)
        heapq.heappush(free, (finish, node))
    whole = end * world.nodes * world.workers
    idle = sum(max(0.0, end - at) for at, _ in free) / whole
    return Outcome(end, lost, 1 - useful / whole, idle, world.price * world.nodes * end / 3600)


def _next(world: World, rng: np.random.Generator, now: float) -> float:
    """When a node that works since `now` fails."""
    return now + rng.exponential(world.mtbf) if world.mtbf else np.inf


def _back(world: World, rng: np.random.Generator, fails: list[float], node: int) -> float:
    """When the failed node works again; its next failure is drawn."""
    back = fails[node] + world.repair + world.start
    fails[node] = _next(world, rng, back)
    return back
