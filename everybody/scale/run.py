"""A planned run on a cluster: its chunks by Ray Data, and each film joined when its last chunk is
done.

The driver holds counts, no results: it can die at any moment, and the same command goes on.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import EverybodyError, InputError, OutputError
from ..run import Messages
from ..skeletons import Skeleton
from .actors import EstimateChunks, Opening, Tries, Work
from .cluster import Cluster, Room
from .job import Job
from .join import Joined, join
from .report import Report
from .store import located, put
from .worklist import Worklist

ROUNDS = 3  # of chunks whose committed results turned out to be broken
SPREAD = 50  # tasks for each worker, at least, so that all end at about the same time
MOST_ROWS = 512  # chunks of a task
POLL = 0.05  # seconds between two looks at the joins
EVERY = 10.0  # seconds between two lines of progress
JOINS = 4  # workers for each film that is joined at a time: joining takes a core, they take several


@dataclass
class Run:
    """One run: what is left of each film, and what was lost."""

    job: Job
    skeleton: Skeleton
    plan: Worklist
    room: Room
    cluster: Cluster
    report: Report
    messages: Messages
    opening: Callable[[], Work] | None = None  # in place of the job's own, and so is
    joins: Callable[..., Joined] = join
    trying: Callable[[str, str], Tries] = Tries
    left: np.ndarray = field(init=False)  # chunks of each film that are not done
    lost: dict[int, dict[int, str]] = field(default_factory=dict)
    ready: deque[int] = field(default_factory=deque)  # films to be joined
    joining: dict[Any, int] = field(default_factory=dict)
    joiner: Any = None  # `joins`, as Ray calls it
    polled: float = 0.0
    broken: list[int] = field(default_factory=list)  # rows to be done again

    def __post_init__(self) -> None:
        self.left = np.diff(self.plan.starts)
        self.report.films, self.report.chunks = len(self.plan.films), len(self.plan)
        for planned in self.plan.films:
            if planned.error:
                self._failed(planned.film.name, planned.error)

    def run(self) -> None:
        begun = told = time.perf_counter()
        try:
            for _ in range(ROUNDS):
                rows = np.array(self.broken or range(self.report.chunks), np.int64)
                self.broken = []
                for row in self._results(rows):
                    self._take(row)
                    self.report.seconds = time.perf_counter() - begun
                    if time.perf_counter() - told > EVERY:
                        told = time.perf_counter()
                        self._tell()
                self._join(wait=True)
                if not self.broken:
                    break
            for row in self.broken:
                planned = self.plan.films[self.plan.film(row)]
                self._failed(planned.film.name, "its results cannot be kept: see DEST")
        finally:
            self.report.seconds = time.perf_counter() - begun
            self._tell()
        self.tries.forget()

    def _tell(self) -> None:
        fs, root = located(self.job.dest)
        put(fs, f"{root}/report.json", json.dumps(self.report.to_dict(), indent=1).encode())
        self.messages.say(self.report.line())

    def _failed(self, name: str, error: str) -> None:
        self.report.failures[name] = error
        self.messages.warn(error)

    def _results(self, rows: np.ndarray) -> Iterator[dict[str, Any]]:
        """What becomes of these chunks, each at least once, in any order."""
        import ray

        if not len(rows):
            return
        room = self.room
        size = int(np.clip(len(rows) // (room.most * SPREAD), 1, MOST_ROWS))
        blocks = -(-len(rows) // size)
        self.tries = self.trying(self.job.dest, secrets.token_hex(8))
        if len(rows) == self.report.chunks:
            named = ray.data.range(len(rows), override_num_blocks=blocks)
        else:
            named = ray.data.from_items([{"id": int(row)} for row in rows])
        engine = replace(self.job.options.engine, threads=room.cpus)
        job = replace(self.job, options=replace(self.job.options, engine=engine))
        networks = _networks(job, self.cluster, room)
        done = named.map_batches(
            EstimateChunks,
            fn_constructor_args=(
                self.opening or Opening(job, networks),
                job,
                [ray.put(self.plan)],
                self.tries,
            ),
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(min_size=room.least, max_size=room.most),
            num_cpus=room.cpus,
        )
        try:
            for batch in done.iter_batches(batch_size=None, batch_format="numpy"):
                for n in range(len(batch["chunk"])):
                    yield {str(name): column[n] for name, column in batch.items()}
        except Exception as error:  # Ray wraps what a worker raises in classes of its own
            raise _cause(error) from error

    def _take(self, row: dict[str, Any]) -> None:
        """Count it. Raises OutputError where no results can be written."""
        if row["stop"]:
            raise OutputError(str(row["stop"]))
        chunk = int(row["chunk"])
        film = self.plan.film(chunk)
        if row["error"]:
            self.lost.setdefault(film, {})[self.plan.place(chunk)] = str(row["error"])
            self._failed(self.plan.films[film].film.name, str(row["error"]))
        self.report.add(
            str(row["node"]),
            int(row["frames"]),
            int(row["people"]),
            float(row["seconds"]),
            bool(row["again"]),
        )
        self.left[film] -= 1
        if not self.left[film]:
            self.ready.append(film)
        if time.perf_counter() - self.polled > POLL:
            self.polled = time.perf_counter()
            self._join(wait=False)

    def _join(self, *, wait: bool) -> None:
        """Begin to join films that are ready, and take what is joined; wait: until all are."""
        import ray

        if self.joiner is None:  # spread, or the driver's node would join them all
            how = ray.remote(num_cpus=0, max_retries=-1, scheduling_strategy="SPREAD")
            self.joiner = how(self.joins)
        while True:
            while self.ready and len(self.joining) < -(-self.room.most // JOINS):
                film = self.ready.popleft()
                lost = self.lost.get(film, {})
                planned = self.plan.planned(film)
                ref = self.joiner.remote(self.job, planned, self.skeleton, lost)
                self.joining[ref] = film
            if not self.joining:
                return
            done, _ = ray.wait(list(self.joining), timeout=None if wait else 0)
            if not done:
                return
            for ref in done:
                film = self.joining.pop(ref)
                try:
                    self._joined(film, ray.get(ref))
                except Exception as error:  # as in `_results`
                    raise _cause(error) from error

    def _joined(self, film: int, joined: Joined) -> None:
        if joined.broken:
            first = int(self.plan.starts[film])
            self.broken += [first + place for place in joined.broken]
            self.left[film] = len(joined.broken)
            return
        self.report.joined += 1
        self.report.video += self.plan.films[film].seconds


def _networks(job: Job, cluster: Cluster, room: Room) -> tuple[Any, ...]:
    """The actors that hold networks, if they are apart from the workers."""
    import ray

    from .remote import Networks

    if not room.networks:
        return ()
    actor: Any = ray.remote(max_restarts=-1, max_task_retries=-1)(Networks)
    cores = 0 if cluster.gpus else 1
    sized = actor.options(num_gpus=cluster.gpus, num_cpus=cores, name=None)
    return tuple(sized.remote(job.options) for _ in range(room.networks))


def _cause(error: BaseException) -> BaseException:
    """The error of ours that Ray carries, or what it says."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, EverybodyError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    text = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return InputError(f"the cluster gave up: {text}; --debug shows more")
