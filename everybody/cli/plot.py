"""`everybody plot`: angles, coordinates and speeds of tracked people over time, as a picture, CSV,
TRC or BVH.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from ..errors import OptionError, OutputError
from .options import listed

WHAT = "An angle (left_knee), a coordinate (left_wrist.x) or a speed (left_wrist.speed); several with commas."


def plot(
    results: Annotated[Path, typer.Argument(help="Results of a tracked run, in any format.")],
    quantity: Annotated[list[str] | None, typer.Option("--angle", "--quantity", help=WHAT)] = None,
    person: Annotated[int | None, typer.Option("--id", help="Only this person.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="PNG, SVG, PDF, CSV, TRC or BVH.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Plot how tracked people move; a CSV holds the numbers, a TRC or BVH (of one person) the
    joints for OpenSim or Blender.
    """
    from ..kinematics import paths, series
    from ..results.formats import read_results

    data = read_results(results)
    found = paths(data, data.skeleton, id=person)
    out = out or Path("motion.png")
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: exists; choose another name or say --overwrite")
    if out.suffix in (".trc", ".bvh"):
        from ..results.bvh import write_bvh
        from ..results.trc import write_trc

        if len(found) != 1:
            kind = out.suffix[1:].upper()
            raise OptionError(
                f"a {kind} file holds one person, here are {len(found)}: choose one with --id"
            )
        write = write_trc if out.suffix == ".trc" else write_bvh
        write(found[0], out, height=next(iter(data)).height)
        typer.echo(str(out))
        return
    names = listed(quantity or [])
    if not names:
        raise OptionError("nothing to plot: say which --angle, as left_knee or left_wrist.speed")
    curves = [(path, name, *series(path, name)) for path in found for name in names]
    if out.suffix == ".csv":
        from ..atomic import replacing

        with replacing(out) as part, part.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["source", "id", "frame", "time", "quantity", "value", "unit"])
            for path, name, values, unit in curves:
                for frame, time, value in zip(path.frames, path.times, values, strict=True):
                    shown = "" if value != value else f"{value:.4f}"
                    rows.writerow([path.source, path.id, frame, f"{time:.6f}", name, shown, unit])
    else:
        _draw(curves, out)
    typer.echo(str(out))


def _draw(curves: list, out: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OptionError(
            "plots need matplotlib: pip install 'everybody[viz]', or choose a .csv"
        ) from error
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for path, name, values, unit in curves:
        axes.plot(path.times, values, label=f"{path.id}: {name}", linewidth=1.2)
        axes.set_ylabel(unit)
    axes.set_xlabel("seconds")
    axes.grid(alpha=0.3)
    if len(curves) <= 12:
        axes.legend(fontsize=8)
    try:
        figure.savefig(out)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{out}: cannot be written ({error}); choose .png, .svg, .pdf, .csv, .trc or .bvh"
        ) from error
