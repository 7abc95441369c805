"""`everybody weights import`: a published checkpoint -> an ONNX file and a row of a manifest."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from ..atomic import replacing
from ..errors import ModelError, OptionError
from .options import pair
from .train import needs_torch

app = typer.Typer(help="Turn published checkpoints into models to run.", no_args_is_help=True)


@app.callback()
def _weights() -> None: ...


@app.command("import", no_args_is_help=True)
def import_weights(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="Checkpoint: .pth, .pt, .safetensors, ...")
    ],
    network: Annotated[
        str, typer.Option("--as", help="Its network: hrnet-w32, ...; a wrong one lists them.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="ONNX file to write; without: here, named as FILE."),
    ] = None,
    input_size: Annotated[
        str | None, typer.Option(help="Of the crop, width x height: 192x256; without: the usual.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Of the state dict to take, where there are several.")
    ] = None,
    skeleton: Annotated[
        str | None, typer.Option(help="Of its joints: coco-17, ...; without: by their number.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Of the weights.")] = "unknown",
    origin: Annotated[str, typer.Option(help="Who published them, and where.")] = "unknown",
    manifest: Annotated[
        Path | None, typer.Option(help="Manifest (TOML) to add the row to; else: stdout.")
    ] = None,
    re_head: Annotated[
        bool,
        typer.Option(
            "--re-head", help="Write safetensors with a new head for --skeleton, to train."
        ),
    ] = False,
) -> None:
    """Turn a published checkpoint into ONNX, proven equal to torch, and a row of a manifest.

    No code in the file is run.
    """
    needs_torch("importing weights", "onnx", "onnxscript")
    from ..train import importing

    size = pair(input_size, "--input-size", single=False)
    rows = _rows(manifest)
    found = importing.read(checkpoint, network, size, key)
    if found.told:
        _say(f"{checkpoint}: " + ", ".join(f"{key} {value}" for key, value in found.told.items()))
    if found.publication.untold:
        _say(f"{checkpoint}: taken as {network}: {found.publication.untold}")
    if re_head:
        _re_head(found, out, skeleton, {"licence": licence, "origin": origin})
        return

    out = out or Path(f"{checkpoint.name.partition('.')[0]}.onnx")
    if out.suffix != ".onnx":
        raise OptionError(f"-o {out}: expected a name that ends with .onnx (or add --re-head)")
    if out.stem in rows:
        raise OptionError(f"{manifest}: has a row '{out.stem}' already: choose another -o")
    done = importing.onnx(found, out, skeleton=skeleton, licence=licence, origin=origin)

    kind = done.row.get("skeleton", done.row["task"])
    _say(f"{out}: {found.answered} joints ({kind}), inputs of {found.size[0]}x{found.size[1]}")
    _say(f"{out}: differs from torch by {done.difference:.1e} of the greatest output")
    for key in ("licence", "origin"):
        if done.row[key] == importing.UNKNOWN:
            _say(f"{out}: its {key} is unknown: say it with --{key}, before you pass the file on")
    _add(importing.table(out.stem, done.row), manifest, f"row '{out.stem}'")


def _add(text: str, manifest: Path | None, what: str) -> None:
    """A row's text at the end of a manifest, or on stdout."""
    if manifest is None:
        print(text, end="")
        return
    with replacing(manifest) as part:
        before = manifest.read_text("utf-8") if manifest.exists() else ""
        part.write_text(f"{before}\n{text}" if before else text, "utf-8")
    _say(f"{manifest}: {what} added")


def _re_head(found, out: Path | None, skeleton: str | None, about: dict[str, str]) -> None:
    from ..train import importing

    if skeleton is None or out is None or out.suffix != ".safetensors":
        raise OptionError("--re-head needs --skeleton NAME and -o FILE.safetensors")
    new = importing.reheaded(found, out, skeleton, about)
    _say(f"{out}: for {skeleton}; new: {', '.join(new) or 'nothing'}")
    _say(f"train it: everybody train RECIPE --set model={found.name} --set start={out}")


def _rows(manifest: Path | None) -> dict[str, object]:
    """The rows that a manifest has. Raises ModelError."""
    if manifest is None or not manifest.exists():
        return {}
    try:
        rows = tomllib.loads(manifest.read_text("utf-8")).get("model", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{manifest}: not a readable manifest ({error})") from error
    if not isinstance(rows, dict):
        raise ModelError(f"{manifest}: 'model' is {rows!r}; expected a table [model.NAME] per row")
    return rows


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
