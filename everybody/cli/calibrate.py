"""`everybody calibrate`: pictures or videos of a board -> a file of cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import OptionError, OutputError
from .options import complain, pair

SOURCES = "A video of the board, or a folder of pictures, of each camera; the name is the camera's."
BOARD = "Inner corners of a chessboard, columns x rows (9x6); with --marker: squares."


def calibrate(
    sources: Annotated[list[Path], typer.Argument(metavar="FILM...", help=SOURCES)],
    board: Annotated[str, typer.Option(help=BOARD)],
    square: Annotated[float, typer.Option(help="Side of a square in metres.")],
    marker: Annotated[float, typer.Option(help="ChArUco board: side of a marker in metres.")] = 0.0,
    dictionary: Annotated[str, typer.Option(help="ChArUco board: its markers.")] = "4X4_50",
    floor: Annotated[
        int | None,
        typer.Option(help="Frame in which the board lies on the floor, face up: the world's 0."),
    ] = None,
    every: Annotated[
        str, typer.Option(help="Look at each n-th frame, or one per time; pictures: all.")
    ] = "0.5s",
    start: Annotated[str | None, typer.Option(help="First frame: 120, or a time: 4.5s.")] = None,
    end: Annotated[str | None, typer.Option(help="Stop before this frame or time.")] = None,
    lenses: Annotated[
        Path | None,
        typer.Option(help="A calibration whose lenses are right: only places are found anew."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path(
        "Calib.toml"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Calibrate cameras by a chessboard or ChArUco board that is moved before them.

    Films of several cameras must start together: frame n of all is the same moment. Each camera
    needs the board tilted to all sides; two cameras at a time must see it, all the way around.
    """
    from ..lift.boards import Board, sightings
    from ..lift.calibrate import calibrate as solve
    from ..lift.calibration_files import read_calibration, write_calibration
    from ..media.read import Selection

    if out.exists() and not overwrite:
        raise OutputError(f"{out}: exists; choose another name or say --overwrite")
    columns, rows = pair(board, "--board", single=False) or (0, 0)
    chosen = Board(
        columns=columns, rows=rows, square=square, marker=marker, dictionary=dictionary.upper()
    )
    names = [path.name if path.is_dir() else path.stem for path in sources]
    if len(set(names)) < len(names):
        raise OptionError(f"films are called alike ({', '.join(names)}): name them like cameras")
    select = Selection.parse(start, end, every)
    films, sizes = {}, {}
    for name, path in zip(names, sources, strict=True):
        films[name], sizes[name] = sightings(chosen, path, select, floor)
        complain(f"{name}: the board is seen in {len(films[name])} pictures", prefix="")
    known = {camera.name: camera for camera in read_calibration(lenses)} if lenses else None
    found = solve(chosen, films, sizes, floor=floor, known=known)
    write_calibration(found.cameras, out)

    for camera in found.cameras:
        lens, together = found.lens[camera.name], found.together.get(camera.name)
        said = f"{camera}: corners lie {lens:.2f} pixels off"
        complain(said + ("" if together is None else f", {together:.2f} with all"), prefix="")
    if floor is None and len(sources) > 1:
        complain(f"the world is that of {names[0]}, held level; for a floor say --floor FRAME")
    complain(str(out), prefix="")
