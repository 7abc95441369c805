"""The command line: `run`, `scale`, `studio`, `lift`, `view`, `models`, `eval`, `convert`, `plot`,
`doctor`; several cameras: `calibrate`, `triangulate`; uses: `coach`, `ar`, `animate`; to train,
`label`, `pack`, `proposals`, `train`, `export`, `tune-nms`; published checkpoints: `weights
import`.

Commands only parse and print; what they do lives in the package. Results go to files or stdout,
messages to stderr. An error is one line and exit code 1; `--debug`, anywhere on the line, adds the
traceback.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, TextIO

import typer

from .. import __version__
from ..atomic import refused
from ..errors import EverybodyError
from .animate import animate
from .ar import ar
from .calibrate import calibrate
from .coach import coach
from .convert import convert
from .doctor import doctor
from .eval import evaluate
from .lift import lift
from .models import app as models
from .options import complain
from .plot import plot
from .run import run
from .scale import scale
from .studio import studio
from .train import export, label, pack, proposals, train
from .triangulate import triangulate
from .tune import tune_nms
from .view import view
from .weights import app as weights

app = typer.Typer(
    help="everybody finds every body in a picture: multi-person poses in images and video.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(no_args_is_help=True)(run)
app.command(no_args_is_help=True)(scale)
app.command("eval", no_args_is_help=True)(evaluate)
app.command(no_args_is_help=True)(convert)
app.command(no_args_is_help=True)(calibrate)
app.command(no_args_is_help=True)(triangulate)
app.command(no_args_is_help=True)(lift)
app.command(no_args_is_help=True)(view)
app.add_typer(models, name="models")
app.add_typer(weights, name="weights")
app.command(no_args_is_help=True)(plot)
app.command()(doctor)
app.command(no_args_is_help=True)(coach)
app.command(no_args_is_help=True)(ar)
app.command(no_args_is_help=True)(animate)
app.command(no_args_is_help=True)(label)
app.command(no_args_is_help=True)(pack)
app.command(no_args_is_help=True)(proposals)
app.command(no_args_is_help=True)(train)
app.command(no_args_is_help=True)(export)
app.command(no_args_is_help=True)(tune_nms)
app.command()(studio)


def _version(value: bool) -> None:
    if value:
        print(f"everybody {__version__}")
        raise typer.Exit


@app.callback()
def _everybody(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")
    ] = False,
) -> None: ...


def main() -> None:
    """The entry point of the `everybody` command."""
    _open_what_is_closed()
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    code, said = 1, None
    try:
        app(arguments)
    except EverybodyError as error:
        if len(arguments) < len(sys.argv) - 1:
            raise
        said = error
    except BrokenPipeError:  # the reader of our stdout has gone, as `head` does
        pass
    except OSError as error:
        if error.filename is not None:
            raise
        said = refused("stdout", error)
    except KeyboardInterrupt:
        code, said = 130, "interrupted"
    except SystemExit as stop:
        if not _interrupted(stop):
            raise
        code, said = 130, "interrupted"
    if said is not None:
        complain(str(said))
    _drop_what_is_left(sys.stdout)
    _drop_what_is_left(sys.stderr)
    sys.exit(code)


def _interrupted(stop: SystemExit) -> bool:
    """Whether it was Ctrl-C that ended a command that does not end itself in order."""
    reason = stop.__context__
    return reason is not None and isinstance(reason.__cause__, KeyboardInterrupt)


def _open_what_is_closed() -> None:
    """A shell can start us without stdout or stderr (`>&-`): what we say is then lost."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _drop_what_is_left(stream: TextIO) -> None:
    """What a stream could not take would be tried, and complained about, once more when Python
    ends.
    """
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
