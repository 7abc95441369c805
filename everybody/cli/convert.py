"""`everybody convert`: results from any format into any other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import FPS, complain, frames_per_second


def convert(
    source: Annotated[Path, typer.Argument(help="Results in any format; told by content.")],
    target: Annotated[Path, typer.Argument(help="Where to: the format is told by the name.")],
    to: Annotated[
        str | None, typer.Option("--to", help="The format, where the name does not tell it.")
    ] = None,
    skeleton: Annotated[
        str | None, typer.Option(help="The skeleton, where the file cannot tell it.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help=FPS)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Convert results: jsonl, coco, alphapose (and -cmu, -open), openpose (and -18), csv (and -eu,
    with semicolons and decimal commas), parquet.
    """
    from ..results import formats
    from ..skeleton_file import chosen

    count = formats.convert(
        source,
        target,
        to,
        skeleton=chosen(skeleton) if skeleton else None,
        fps=frames_per_second(fps),
        overwrite=overwrite,
        say=complain,
    )
    complain(f"{target}: {count} frames", prefix="")
