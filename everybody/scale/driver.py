"""The driver of a run on a cluster: films are found, DEST is made this job's, chunks are planned.

    DEST/run.json            settings: a run with others is refused
    DEST/chunks/FILM/ID.*    what is done: a table, a report and, where people have ids, notes
    DEST/films/FILM/         each film as `run` writes it
    DEST/report.json         how far it is

What is planned is then done by `run.Run`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..errors import EverybodyError, OptionError
from ..estimator import Estimator
from ..results.resume import differences
from ..run import Messages
from ..settings import settings
from ..skeletons import Skeleton
from .cluster import Cluster, connected
from .job import Job, Planned, identity
from .plan import plan as plan_film
from .report import Report, forecast
from .run import Run
from .sources import Film, films
from .store import located, put, telling, told
from .worklist import Worklist

MOST_TASKS = 1000  # that look at films


def scale(
    sources: Iterable[str],
    job: Job,
    cluster: Cluster | None = None,
    *,
    price: float = 0.0,
    messages: Messages | None = None,
) -> Report:
    """Do all that is not done yet; returns what was done. Raises EverybodyError where nothing can
    be: no sources, no cluster, DEST of another run.
    """
    cluster, messages = cluster or Cluster(), messages or Messages()
    report = Report(price=price)
    begun = time.perf_counter()
    found = films(sources, messages.say, _problem(report, messages))
    job, skeleton = identified(job)
    agreed(job)
    with connected(cluster) as room:
        claim(job)
        plan = planned(job, found)
        report.start = time.perf_counter() - begun
        Run(job, skeleton, plan, room, cluster, report, messages).run()
    return report


def forecasted(
    sources: Iterable[str],
    job: Job,
    cluster: Cluster | None = None,
    *,
    rate: float,
    price: float = 0.0,
    messages: Messages | None = None,
) -> dict[str, Any]:
    """What `scale` would do: chunks, bytes, expected time and cost. Nothing is written."""
    messages = messages or Messages()
    found = films(sources, messages.say, _problem(Report(), messages))
    with connected(cluster or Cluster()):
        import ray

        nodes = sum(node["Alive"] for node in ray.nodes())
        return forecast(list(planned(job, found)), rate=rate, nodes=nodes, price=price)


def _problem(report: Report, messages: Messages) -> Callable[[EverybodyError], None]:
    def problem(error: EverybodyError) -> None:
        report.problems.append(str(error))
        messages.warn(str(error))

    return problem


def identified(job: Job) -> tuple[Job, Skeleton]:
    """The job with what its results depend on, which needs the models to be loaded once."""
    estimator = Estimator(job.options)
    said = settings(estimator, job.select, job.follow, job.max_pixels)
    said |= {"chunk_seconds": job.seconds, "overlap": job.overlap, "pictures": job.pictures}
    models = estimator.models()
    record = {**job.record, "settings": said, "models": models}
    name = identity(said, models, estimator.skeleton.name)
    return replace(job, identity=name, record=record), estimator.skeleton


def agreed(job: Job) -> None:
    """Raises OptionError where DEST holds the results of another job."""
    fs, root = located(job.dest)
    with telling(job.dest):
        old = told(fs, f"{root}/run.json")
    if old and (found := differences(old, job.record)):
        raise OptionError(
            f"{job.dest}: holds results of a run with other {found}; give the same or choose "
            "another folder"
        )


def claim(job: Job) -> None:
    """Makes DEST this job's: another one is refused from now on. Raises as `agreed` does."""
    agreed(job)
    fs, root = located(job.dest)
    with telling(job.dest):
        put(fs, f"{root}/run.json", json.dumps(job.record, default=str, indent=1).encode())


def planned(job: Job, found: list[Film]) -> Worklist:
    """The films with their parts, looked at by the cluster, in order."""
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    shared = [ray.put(found)]

    def look(row: dict[str, Any]) -> dict[str, Any]:
        return {"film": row["id"], "plan": plan_film(job, ray.get(shared[0])[row["id"]])}

    look.__name__ = look.__qualname__ = "PlanFilms"  # what Ray's dashboard shows
    rows = ray.data.range(len(found), override_num_blocks=min(len(found), MOST_TASKS)).map(look)
    return Worklist.of(in_order((row["film"], row["plan"]) for row in rows.iter_rows()))


def in_order(plans: Iterable[tuple[int, Planned]]) -> Iterator[Planned]:
    """Films that come as they are done -> in the order of their numbers."""
    early: dict[int, Planned] = {}
    due = 0
    for film, plan in plans:
        early[film] = plan
        while due in early:
            yield early.pop(due)
            due += 1
