"""`everybody studio`: a local server and its page, or the page as a static site."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import OptionError
from .options import complain

if TYPE_CHECKING:
    from ..web.settings import Studio

TOKEN = "EVERYBODY_STUDIO_TOKEN"


def studio(
    folder: Annotated[
        Path, typer.Argument(help="What jobs may read; they are kept in its everybody-studio.")
    ] = Path("."),
    port: Annotated[int, typer.Option(help="If in use, the next; 0: any.", min=0, max=65535)] = (
        8720
    ),
    host: Annotated[
        str, typer.Option(help="0.0.0.0: other machines, too; they need the printed link.")
    ] = "127.0.0.1",
    model: Annotated[str, typer.Option(help="Of jobs that name none: fast or accurate.")] = (
        "accurate"
    ),
    workers: Annotated[int, typer.Option(help="Jobs at a time.", min=1, max=64)] = 1,
    quota: Annotated[float, typer.Option(help="GB that all jobs may hold.", min=0.001)] = 50.0,
    upload: Annotated[float, typer.Option(help="GB that one upload may hold.", min=0.001)] = 8.0,
    allow: Annotated[
        list[str] | None, typer.Option(help="A further name of this machine, as of a proxy.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM, with --key: serve https, as cameras need.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Of the certificate, PEM; asks for its password.")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page, from a terminal.")
    ] = True,
    export: Annotated[
        Path | None, typer.Option(help="Write the page as a static site instead.")
    ] = None,
) -> None:
    """Open the studio: a page that finds every body in what is dropped on it.

    Serves this machine alone, unless --host says otherwise; then a token is needed, which the
    printed link holds (EVERYBODY_STUDIO_TOKEN sets it). Nothing is fetched from elsewhere.
    """
    if export is not None:
        from ..web.export import export as write

        complain(f"{len(write(export))} files in {export}, for any web server", prefix="")
        return
    try:
        from ..web.serve import PASSWORD, serve
    except ImportError as error:
        raise OptionError(
            f"the studio needs {error.name}; to install it: pip install 'everybody[web]'"
        ) from None
    serve(
        _studio(folder, model, workers=workers, quota=quota, upload=upload, hosts=allow or []),
        host=host,
        port=port,
        certificate=certificate,
        key=key,
        password=os.environ.get(PASSWORD),
        say=lambda text: complain(text, prefix=""),
        show=_open if browser and sys.stderr.isatty() else lambda link: None,
    )


def _open(link: str) -> None:
    webbrowser.open(link)


def _studio(
    folder: Path, model: str, *, workers: int, quota: float, upload: float, hosts: list[str]
) -> Studio:
    """What the flags say. Raises OptionError."""
    from ..web.settings import GIBIBYTE, Limits, Studio
    from ..weights import manifest

    manifest.variant(model)
    if not folder.is_dir():
        raise OptionError(f"{folder}: no such folder; give one with pictures and videos")
    return Studio(
        folder=folder.resolve(),
        model=model,
        token=os.environ.get(TOKEN) or None,
        hosts=tuple(name.lower() for name in hosts),
        workers=workers,
        limits=Limits(quota=int(quota * GIBIBYTE), upload=int(upload * GIBIBYTE)),
    )
