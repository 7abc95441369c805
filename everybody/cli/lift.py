"""`everybody lift`: results in pictures -> people in space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import OptionError, OutputError, unknown
from .flags import InSpace, Running
from .groups import grouped
from .options import FPS, complain, frames_per_second, listed


@grouped
def lift(
    results: Annotated[
        Path, typer.Argument(help="Results with ids (run --track) in any format; told by content.")
    ],
    space: InSpace,
    running: Running,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder; by default that of the results."),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help="Besides the journal: npz, csv, parquet, bvh, glb, trc, c3d, mot; several.",
        ),
    ] = None,
    fps: Annotated[float | None, typer.Option(help=FPS)] = None,
    world: Annotated[
        bool,
        typer.Option("--world", help="Find the floor: z up from it, and feet that stand still."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Lift results into space: OUT/frames3d.jsonl, a line per frame."""
    from ..lift.lifter import Lift, Lifting
    from ..results import formats as known
    from ..results.lifted import lifted_file
    from ..results.spatial import FORMATS3D, LINES3D

    wanted = listed(formats or [])
    if wrong := [name for name in wanted if name not in FORMATS3D]:
        raise unknown("format of people in space", wrong[0], FORMATS3D)
    folder = out or (results if results.is_dir() else results.parent)
    if (folder / LINES3D).exists() and not overwrite:
        raise OutputError(f"{folder / LINES3D}: exists; choose another folder or say --overwrite")
    found = known.read_results(results, fps=frames_per_second(fps), say=complain)
    if not len(found.skeleton):
        raise OptionError(f"{results}: its people have no joints to lift")
    lifting = Lifting(space.options(live=False) or Lift(), running.options())
    count = lifted_file(found, folder, lifting, world=world, formats=wanted, say=complain)
    complain(f"{folder / LINES3D}: {count} frames", prefix="")
