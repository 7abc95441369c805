"""`everybody scale`: the same as `run`, for as much video as a cluster can take."""

from __future__ import annotations

import importlib.util
import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OptionError
from ..options import Options
from .flags import Finding, Posing, Running, Tracking, panel
from .groups import Flags, grouped
from .options import FPS, complain, listed

if TYPE_CHECKING:
    from ..scale.cluster import Cluster
    from ..scale.job import Job

to_cut, to_spread = panel("Chunks"), panel("Cluster")

SOURCES = (
    "Videos, pictures, folders, globs, or lists of them (.txt, .csv, .parquet), on this machine or "
    "any store fsspec knows (s3://, gs://, az://, http://)."
)


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """How the work is cut."""

    chunk: Annotated[float, to_cut(help="Seconds of a chunk of video, about.")] = 60.0
    overlap: Annotated[
        float, to_cut(help="Seconds that a chunk looks back, where people are followed.")
    ] = 1.0
    pictures: Annotated[int, to_cut(help="Pictures of a chunk.")] = 256
    every: Annotated[int, to_cut(help="Each n-th frame only.")] = 1
    fps: Annotated[float | None, to_cut(help=FPS)] = None
    max_pixels: Annotated[int, to_cut(help="Refuse larger pictures.")] = 200_000_000


@dataclass(frozen=True, kw_only=True)
class Spreading:
    """Where the work is done, and by how many."""

    address: Annotated[
        str | None, to_spread(help="Of a Ray cluster that this machine is in: auto, HOST:PORT.")
    ] = None
    runtime_env: Annotated[
        str | None, to_spread(help="Ray's, as JSON or the name of a JSON file.")
    ] = None
    cpus: Annotated[int, to_spread(help="Cores of a worker; 0: up to 4.")] = 0
    workers: Annotated[
        str, to_spread(help="8, or 2-100 on a cluster that grows; auto: as many as fit.")
    ] = "auto"
    num_gpus: Annotated[
        float, to_spread(help="GPUs, or a share of one, for each actor that runs the networks.")
    ] = 0.0
    networks: Annotated[
        int, to_spread(help="Actors that run the networks for all workers; 0: by the GPUs.")
    ] = 0
    dashboard: Annotated[
        bool, to_spread("--dashboard", help="Ray's own page, on this machine only.")
    ] = False

    def cluster(self) -> Cluster:
        from ..scale.cluster import Cluster

        return Cluster(
            address=self.address,
            runtime_env=_environment(self.runtime_env),
            cpus=self.cpus,
            workers=_workers(self.workers),
            gpus=self.num_gpus,
            networks=self.networks,
            dashboard=self.dashboard,
        )


@dataclass(frozen=True, kw_only=True)
class Planning:
    """What it will take."""

    plan: Annotated[
        bool, to_spread("--plan", help="Say chunks, bytes, expected time and cost; do nothing.")
    ] = False
    rate: Annotated[
        float, to_spread(help="Frames per second of a node, for --plan; docs/speed.md.")
    ] = 0.0
    price: Annotated[float, to_spread(help="Of a node for an hour, for the cost.")] = 0.0
    quiet: Annotated[bool, to_spread("--quiet", "-q", help="Say nothing but errors.")] = False
    as_json: Annotated[bool, to_spread("--json", help="The report as JSON on stdout.")] = False


@grouped
def scale(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=SOURCES)],
    dest: Annotated[str, typer.Option("--out", "-o", metavar="DEST", help="Folder, anywhere.")],
    cutting: Cutting,
    finding: Finding,
    posing: Posing,
    tracking: Tracking,
    running: Running,
    spreading: Spreading,
    planning: Planning,
    flags: Flags,
    formats: Annotated[
        list[str] | None, typer.Option("--format", "-f", help="Besides the journal, as of run.")
    ] = None,
) -> None:
    """Find every body in thousands of hours of video, on a Ray cluster, each frame exactly once.

    DEST/films has a folder per video (or per folder of pictures), as run writes it. The same
    command goes on where it was stopped. Exit code 1 if anything could not be done.
    """
    if importlib.util.find_spec("ray") is None:
        raise OptionError("scale needs Ray: pip install 'everybody[scale]'")
    from ..results.formats import FORMATS
    from ..scale import driver
    from ..scale.job import Job

    wanted = tuple(listed(formats or []))
    if unknown := [name for name in wanted if name not in FORMATS]:
        raise OptionError(f"unknown format '{unknown[0]}': known are {', '.join(FORMATS)}")
    job = Job(
        dest=dest,
        options=Options(
            method=finding.method,
            model=finding.model,
            find=finding.options(),
            pose=posing.options(),
            engine=running.options(),
        ),
        follow=tracking.follow(sources),
        every=cutting.every,
        fps=cutting.fps,
        max_pixels=cutting.max_pixels,
        formats=wanted,
        seconds=cutting.chunk,
        overlap=cutting.overlap,
        pictures=cutting.pictures,
        record={"options": dict(flags)},
    )
    _done(driver, sources, job, spreading.cluster(), planning)


def _done(driver: Any, sources: list[str], job: Job, cluster: Cluster, planning: Planning) -> None:
    """Plan or do it, and say what came of it. Raises typer.Exit where not all was done."""
    from ..run import Messages

    def say(text: str) -> None:
        if not planning.quiet:
            complain(text, prefix="")

    messages = Messages(say=say, warn=complain)
    if planning.plan:
        with redirect_stdout(sys.stderr):  # Ray prints there, too, when a worker dies
            said = driver.forecasted(
                sources, job, cluster, rate=planning.rate, price=planning.price, messages=messages
            )
        print(json.dumps(said, indent=None if planning.as_json else 1))
        return
    with redirect_stdout(sys.stderr):
        report = driver.scale(sources, job, cluster, price=planning.price, messages=messages)
    if planning.as_json:
        print(json.dumps(report.to_dict()))
    if report.failures or report.problems:
        raise typer.Exit(1)


def _environment(text: str | None) -> dict[str, Any]:
    """Ray's runtime environment, as it was given. Raises OptionError."""
    if text is None:
        return {}
    try:
        if not text.lstrip().startswith("{"):
            with open(text, encoding="utf-8") as file:
                text = file.read()
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise OptionError(f"--runtime-env: no JSON ({error})") from error
    if not isinstance(found, dict):
        raise OptionError('--runtime-env: expected an object, as {"env_vars": {...}}')
    return found


def _workers(text: str) -> tuple[int, int]:
    """'auto', '8' or '2-100' -> least and most; (0, 0): auto. Raises OptionError."""
    if text == "auto":
        return 0, 0
    least, _, most = text.partition("-")
    if not least.isdecimal() or not (most or least).isdecimal() or int(least) < 1:
        raise OptionError(f"--workers '{text}': expected auto, a number as 8, or two as 2-100")
    return int(least), int(most or least)
