"""A million chunks of no work through the scheduler of `everybody scale`: time and memory.

    python -m benchmarks.scale_dry [--chunks 1000000] [--films 10000] [--workers 2]

Plan, Ray Data, retries, counting and joins are the real code; a chunk's work is to say that it is
done, one in a thousand fails, and a film's join is to say so. Nothing is written to disk. CPU
seconds of the driver say what a chunk costs it, whatever else the machine does.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import psutil

from benchmarks.common import parsed, parser
from everybody.media.demux import Key
from everybody.run import Messages
from everybody.scale.actors import Tries
from everybody.scale.chunks import Part
from everybody.scale.cluster import Cluster, connected
from everybody.scale.job import Job, Planned
from everybody.scale.join import Joined
from everybody.scale.report import Report
from everybody.scale.run import Run
from everybody.scale.sources import Film
from everybody.scale.work import Done
from everybody.scale.worklist import Worklist
from everybody.skeletons import COCO17


class NoTries(Tries):
    """Notes nothing: the store's own time is not the scheduler's."""

    def begin(self, chunk: str) -> bool:
        return True

    def forget(self) -> None:
        pass


def fake_work(planned: Planned, part: Part) -> Done:
    if part.first % 1_800_000 == 1800:  # one in a thousand is poisonous
        return Done(error=f"{planned.film.name}: cannot be decoded")
    return Done(frames=part.last - part.first, people=3, seconds=60.0)


def fake_opening():
    return fake_work


def fake_join(job, planned, skeleton, lost) -> Joined:
    return Joined(frames=1800 * len(planned.parts))


def fake_plan(films: int, chunks: int) -> Iterator[Planned]:
    each = chunks // films
    for film in range(films):
        name = f"s3://bucket/{film:06d}.mp4"
        begun = range(film * each * 1800, (film + 1) * each * 1800, 1800)
        parts = tuple(Part(at, at + 1800, Key(at, at, at / 30), at / 30) for at in begun)
        yield Planned(Film(name, (name,)), f"{film}", parts, 60.0 * each)


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--chunks", type=int, default=1_000_000)
    command.add_argument("--films", type=int, default=10_000)
    command.add_argument("--workers", type=int, default=2)
    command.add_argument(
        "--seconds", type=float, default=0.0, help="give up after so long; 0: never"
    )
    given = parsed(command)
    process = psutil.Process()
    rss = lambda: process.memory_info().rss / 2**20  # noqa: E731
    begun = time.perf_counter()
    plan = Worklist.of(fake_plan(given.films, given.chunks))
    print(f"plan: {time.perf_counter() - begun:.1f} s, driver {rss():.0f} MB", flush=True)
    cluster = Cluster(cpus=1, workers=(given.workers, given.workers), store=300 * 2**20)
    job = Job(dest="memory://dry", identity="dry")
    report = Report()
    with connected(cluster) as room:
        begun, before = time.perf_counter(), time.process_time()
        spent = lambda: time.process_time() - before  # noqa: E731

        def watch() -> None:
            while True:
                time.sleep(20)
                took = time.perf_counter() - begun
                told = f"{took:.0f} s: {report.done} chunks, driver {rss():.0f} MB"
                print(f"{told}, {spent():.1f} CPU s", flush=True)
                if given.seconds and took > given.seconds:
                    print("given up", flush=True)
                    os._exit(3)

        threading.Thread(target=watch, daemon=True).start()
        fakes = {"opening": fake_opening, "joins": fake_join, "trying": NoTries}
        Run(job, COCO17, plan, room, cluster, report, Messages(), **fakes).run()
    took = time.perf_counter() - begun
    print(
        f"{report.done} chunks, {report.joined} films, {len(report.failures)} films with failures: "
        f"{took:.1f} s, {report.done / took:.0f} chunks/s; driver {rss():.0f} MB at the end, "
        f"{spent():.1f} CPU s, {1e3 * spent() / report.done:.2f} ms a chunk"
    )


if __name__ == "__main__":
    main()
