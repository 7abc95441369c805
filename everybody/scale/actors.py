"""Our work as Ray Data sees it: a pool of actors that do chunks, three times at most.

A chunk's try is noted in DEST/tries before it begins, so that a chunk that kills its worker is
known by the worker that comes after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..errors import EverybodyError, OutputError
from ..estimator import Estimator
from .chunks import Part
from .job import TRIES, Job, Planned, chunk_id
from .remote import RemoteEstimator
from .store import exists, located, put
from .work import Done, Worker
from .worklist import Worklist

Work = Callable[[Planned, Part], Done]
Row = dict[str, Any]

PICTURE = (1280, 720)  # for the warm-up of networks
SAID = ("frames", "people", "seconds", "again", "error", "stop")  # of `Done`, to the driver


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens the work of a job in a worker: with networks of its own, or in actors."""

    job: Job
    networks: tuple[Any, ...] = ()

    def __call__(self) -> Work:
        estimator: Any
        if self.networks:
            estimator = RemoteEstimator(self.job.options, self.networks, PICTURE)
        else:
            estimator = Estimator(self.job.options)
        return Worker(self.job, cast(Estimator, estimator))


@dataclass(frozen=True, slots=True)
class Tries:
    """The tries of chunks in one run (`token`), on the file system of the results."""

    dest: str
    token: str

    def begin(self, chunk: str) -> bool:
        """Notes one more try; False where there have been `TRIES`."""
        fs, root = located(self.dest)
        for number in range(1, TRIES + 1):
            path = f"{root}/tries/{self.token}/{chunk}.{number}"
            if not exists(fs, path):
                put(fs, path, b"")
                return True
        return False

    def forget(self) -> None:
        """The run is over: its tries, and those of runs that were killed, count no longer."""
        fs, root = located(self.dest)
        if exists(fs, f"{root}/tries"):
            fs.rm(f"{root}/tries", recursive=True)


class EstimateChunks:
    """A worker of Ray Data: rows that name chunks -> rows that say what became of them.

    Ray's dashboard shows the pool under this name.
    """

    def __init__(
        self, opening: Callable[[], Work], job: Job, plan: list[Any], tries: Tries
    ) -> None:
        """plan: a reference to the `Worklist`, in a list, so that Ray does not fetch it itself."""
        import ray

        self._work, self._job, self._tries = opening(), job, tries
        self._plan: Worklist = ray.get(plan[0])
        self._node = ray.get_runtime_context().get_node_id()

    def __call__(self, batch: dict[str, np.ndarray]) -> Row:
        """As far as it comes: what stops one chunk would stop the next."""
        rows, done = batch["id"].tolist(), []
        for row in rows:
            done.append(self._done(row))
            if done[-1].stop:
                break
        return {
            "chunk": rows[: len(done)],
            "node": [self._node] * len(done),
            **{name: [getattr(one, name) for one in done] for name in SAID},
        }

    def _done(self, row: int) -> Done:
        planned = self._plan.films[self._plan.film(row)]
        try:
            return tried(self._work, self._job, planned, self._plan.part(row), self._tries)
        except OutputError as error:  # told as a row: of what is raised, Ray Data drops the cause
            return Done(stop=str(error))


def tried(work: Work, job: Job, planned: Planned, part: Part, tries: Tries) -> Done:
    """What became of a chunk after up to `TRIES` tries. Raises OutputError where results cannot be
    written: that is no fault of the chunk.
    """
    error = f"its worker ended {TRIES} times while it was done"
    chunk = chunk_id(job, planned, part)
    while tries.begin(chunk):
        try:
            return work(planned, part)
        except OutputError:
            raise
        except EverybodyError as found:
            error = str(found)
        except Exception as found:  # a poisonous input may fail in any way; others go on
            error = f"{planned.film.name}: {type(found).__name__}: {found}"
    return Done(error=error)
