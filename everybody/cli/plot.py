"""`everybody plot`: angles, coordinates and speeds of tracked people over time, as a picture, CSV,
TRC or BVH.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import OptionError, OutputError
from .options import FPS, complain, frames_per_second, listed

if TYPE_CHECKING:
    from .. import kinematics
    from ..geometry import Array

    Curve = tuple[kinematics.Path, str, Array, str]  # whose, of what, values, unit

WHAT = (
    "An angle (left_knee), a coordinate (left_wrist.x) or a speed (left_wrist.speed); several "
    "with commas."
)
METRES = "Metres in a pixel, for TRC and BVH."
HEIGHT = "The person's height in metres, which tells the scale of TRC and BVH."


def plot(
    results: Annotated[Path, typer.Argument(help="Results of a tracked run, in any format.")],
    quantity: Annotated[list[str] | None, typer.Option("--angle", "--quantity", help=WHAT)] = None,
    person: Annotated[int | None, typer.Option("--id", help="Only this person.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Only this film, by its path or file name.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="PNG, SVG, PDF, CSV, TRC or BVH.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help=FPS)] = None,
    height: Annotated[float | None, typer.Option(help=HEIGHT)] = None,
    metres_per_pixel: Annotated[float | None, typer.Option(help=METRES)] = None,
    csv_eu: Annotated[
        bool, typer.Option("--csv-eu", help="CSV with semicolons and decimal commas.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Plot how tracked people move; a CSV holds the numbers, a TRC or BVH (of one person) the
    joints for OpenSim or Blender.
    """
    from ..kinematics import paths, series
    from ..results.formats import read_results

    data = read_results(results, fps=frames_per_second(fps), say=complain)
    found = paths(data, data.skeleton, id=person, source=source)
    out = out or Path("motion.png")
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: exists; choose another name or say --overwrite")

    if out.suffix in (".trc", ".bvh"):
        _write_motion(found, out, height, metres_per_pixel)
        typer.echo(str(out))
        return
    names = listed(quantity or [])
    if not names:
        raise OptionError("nothing to plot: say which --angle, as left_knee or left_wrist.speed")
    curves = [(path, name, *series(path, name)) for path in found for name in names]
    if out.suffix == ".csv":
        _write_csv(curves, out, european=csv_eu)
    else:
        _draw(curves, out)
    typer.echo(str(out))


def _write_motion(
    found: list[kinematics.Path], out: Path, height: float | None, scale: float | None
) -> None:
    """The file of one person that OpenSim or Blender reads, in metres where the scale is known."""
    from ..kinematics import metres_per_pixel
    from ..results.bvh import write_bvh
    from ..results.trc import write_trc

    kind = out.suffix[1:].upper()
    if len(found) != 1:
        several = ", ".join(f"{path.id} of {path.source}" for path in found[:5])
        raise OptionError(
            f"a {kind} file holds one person, here are {len(found)} ({several}"
            f"{', …' if len(found) > 5 else ''}): choose one with --id and --source"
        )
    (path,) = found
    for option, value in (("--height", height), ("--metres-per-pixel", scale)):
        if value is not None and not 0 < value < 100:
            raise OptionError(f"{option} {value}: expected a number of metres, above 0")
    if height is not None and scale is not None:
        raise OptionError("--height and --metres-per-pixel exclude each other: choose one")
    if height is not None:
        scale = metres_per_pixel(path, height)
    if scale is None:
        unit = "a millimetre" if kind == "TRC" else "a unit"
        complain(
            f"{out}: a pixel is written as {unit}; for metres say the person's --height, or "
            "--metres-per-pixel"
        )
    if not path.heights.all():
        complain(
            f"{out}: the results do not tell the picture's height, so that Y is 0 at its upper edge"
        )
    write = write_trc if kind == "TRC" else write_bvh
    write(path, out, metres_per_pixel=scale or 0.0)


def _write_csv(curves: list[Curve], out: Path, *, european: bool) -> None:
    from ..atomic import replacing

    encoding, delimiter, point = ("utf-8-sig", ";", ",") if european else ("utf-8", ",", ".")
    with replacing(out) as part, part.open("w", newline="", encoding=encoding) as file:
        rows = csv.writer(file, delimiter=delimiter)
        rows.writerow(["source", "id", "frame", "time", "quantity", "value", "unit"])
        for path, name, values, unit in curves:
            for frame, time, value in zip(path.frames, path.times, values, strict=True):
                shown = "" if value != value else f"{value:.4f}"
                seconds, shown = (text.replace(".", point) for text in (f"{time:.6f}", shown))
                rows.writerow([path.source, path.id, frame, seconds, name, shown, unit])


def _draw(curves: list[Curve], out: Path) -> None:
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
