"""`everybody view`: people in space to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import OptionError, OutputError
from .options import complain

OUT = (
    "By its ending: .html, a page with everything in it (view.html by default); .gif or .mp4, the "
    "turning skeletons; .png, a film strip; .rrd, for rerun."
)


def view(
    results: Annotated[
        Path,
        typer.Argument(
            help="Results with people in space: a folder of run --lift, lift or triangulate, "
            "frames3d.jsonl, people3d.npz, or a BVH, AMC, C3D or TRC file."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help=OUT)] = None,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="In rerun's viewer, or with -o into its .rrd file.")
    ] = False,
    frames: Annotated[
        bool, typer.Option("--frames", help="Small pictures of the film in the page.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Look at people in space: a page that turns them, a film, a film strip, or rerun."""
    from ..apps.view.page import no_pictures, write_page
    from ..apps.view.pictures import of_films
    from ..apps.view.rerun_log import to_rerun
    from ..apps.view.show import load
    from ..apps.view.turning import write_gif, write_strip, write_video

    if out is None and not rerun:
        out = Path("view.html")
    writers = {
        ".html": lambda show, path: write_page(show, path, of_films() if frames else no_pictures),
        ".gif": write_gif,
        ".mp4": write_video,
        ".png": write_strip,
        ".rrd": to_rerun,
    }
    ending = ".rrd" if out is None else out.suffix.lower()
    if ending not in writers or (rerun and ending != ".rrd"):
        wanted = ".rrd for --rerun" if rerun else ", ".join(writers)
        raise OptionError(f"{out}: expected a name that ends in {wanted}")
    if frames and ending != ".html":
        raise OptionError("--frames is of the page: choose a name that ends in .html")
    if out is not None and out.exists() and not overwrite:
        raise OutputError(f"{out}: exists; choose another name or say --overwrite")

    show = load(results)
    if not show.moments:
        complain(f"{results}: holds no frames")
    writers[ending](show, out)
    if out is not None:
        typer.echo(str(out))
