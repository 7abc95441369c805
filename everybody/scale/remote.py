"""Networks in actors of their own, so that few GPUs serve many decoding workers.

    worker (cores): read ▶ ......... ▶ ......... ▶ follow ▶ commit
                            find        pose
    networks (GPU):         └─batch─┘   └─batch─┘

A worker sends pictures and gets people back; Ray keeps the pictures in shared memory where both are
on one node. Each worker has at most `CALLS` batches out, so the object store stays bounded.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import schedule
from ..estimator import Estimator
from ..method import Stage, enough
from ..options import Options
from ..people import Frame, People
from ..skeletons import Skeleton

CALLS = 3  # batches that a worker has out at a time
SIZES = (1, 2, 4, 8, 16, 32, 64)  # of batches that the warm-up tries
GAIN = 1.05  # by which a larger batch must do more work per second


class Networks:
    """What the actor holds: an estimator."""

    def __init__(self, options: Options) -> None:
        self._estimator = Estimator(options)

    def about(self, size: tuple[int, int]) -> tuple[Skeleton, tuple[str, ...], bool, int]:
        """The skeleton, the names of the stages, whether the last one is a poser, and the best
        batch for pictures (width, height).
        """
        method = self._estimator.method
        blank = Frame(np.zeros((size[1], size[0], 3), np.uint8))
        batch = best_batch(lambda count: self._estimator([blank] * count))
        return method.skeleton, tuple(s.name for s in method.stages), bool(method.poser), batch

    def run(self, stage: int, frames: list[Frame]) -> list[People]:
        return [frame.people for frame in self._estimator.method.stages[stage].run(frames)]


def best_batch(
    work: Callable[[int], Any],
    sizes: Sequence[int] = SIZES,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """The smallest batch that does nearly as many pictures per second as any: sizes are tried in
    order for as long as each gains.
    """
    best, most = sizes[0], 0.0
    work(sizes[0])  # the first call is slow
    for size in sizes:
        begun = clock()
        work(size)
        rate = size / max(clock() - begun, 1e-9)
        if rate < GAIN * most:
            break
        best, most = size, rate
    return best


@dataclass(frozen=True, slots=True)
class _Method:
    """A `Method` whose stages run elsewhere."""

    skeleton: Skeleton
    stages: tuple[Stage, ...]
    poser: Any
    sessions: dict[str, Any]


class RemoteEstimator:
    """Stands for an `Estimator` where frames are found, posed and followed."""

    def __init__(self, options: Options, actors: Sequence[Any], size: tuple[int, int]) -> None:
        import ray

        self.options, self.workers = options, CALLS
        skeleton, names, poser, batch = ray.get(actors[0].about.remote(size))
        turns = itertools.count(id(self) % len(actors))

        def calling(place: int) -> Callable[[list[Frame]], list[Frame]]:
            def run(frames: list[Frame]) -> list[Frame]:
                actor = actors[next(turns) % len(actors)]
                found = ray.get(actor.run.remote(place, frames))
                return [replace(f, people=p) for f, p in zip(frames, found, strict=True)]

            return run

        stages = [Stage(name, calling(n), enough(batch)) for n, name in enumerate(names)]
        self.method = _Method(skeleton, tuple(stages), poser or None, {})

    @property
    def skeleton(self) -> Skeleton:
        return self.method.skeleton

    def frames(
        self, frames: Iterable[Frame], *, live: bool = False
    ) -> Generator[Frame, None, None]:
        return schedule.run(self.method.stages, frames, workers=self.workers, live=live)
