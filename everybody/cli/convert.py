"""`everybody convert`: results from any format into any other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def convert(
    source: Annotated[Path, typer.Argument(help="Results in any format; told by content.")],
    target: Annotated[Path, typer.Argument(help="Where to: the format is told by the name.")],
    to: Annotated[
        str | None, typer.Option("--to", help="The format, where the name does not tell it.")
    ] = None,
    skeleton: Annotated[
        str | None, typer.Option(help="The skeleton, where the file cannot tell it.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Convert results: jsonl, coco, alphapose (and -cmu, -open), openpose (and -18), csv, parquet."""
    from ..results import formats
    from ..skeletons import skeleton as named

    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    count = formats.convert(
        source,
        target,
        to,
        skeleton=named(skeleton) if skeleton else None,
        overwrite=overwrite,
        say=lambda text: messages.print(f"everybody: {text}", markup=False),
    )
    messages.print(f"{target}: {count} frames", markup=False)
