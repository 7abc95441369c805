"""`everybody doctor`: what is installed, what it can use, where things are; and whether the default
models load.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import typer
from rich.console import Console
from rich.table import Table

from .. import runtime
from ..errors import EverybodyError

PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "pillow",
    "av",
    "onnxruntime",
    "scipy",
    "hotcoco",
    "pyarrow",
)
EXTRAS = {
    "heif": "pillow_heif", "openvino": "openvino", "train": "torch", "web": "fastapi", "scale":
    "ray", "viz": "matplotlib",
}  # fmt: skip


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _cache() -> str:
    """Where pulled models are kept, or why nowhere."""
    from ..weights import fetch

    try:
        place = fetch.cache()
    except EverybodyError as error:
        return str(error)
    return f"{place}{'' if fetch.lasting(place) else fetch.HINT}"


def doctor() -> None:
    """Say what is installed, which devices and weights there are, and prove that the default models
    load.
    """
    from ..weights import fetch, manifest

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row(
        "everybody",
        f"{version('everybody')} on Python {platform.python_version()}, {platform.platform()}",
    )
    table.add_row("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    extras = [
        f"{name} {'yes' if importlib.util.find_spec(module) else 'no'}"
        for name, module in EXTRAS.items()
    ]
    table.add_row("extras", ", ".join(extras) + "   (pip install 'everybody[NAME]')")
    table.add_row("cores", str(runtime.cores()))
    table.add_row("devices", ", ".join(runtime.devices()))
    table.add_row("engines", ", ".join(runtime.engines()))
    table.add_row("cache", _cache())
    weights = [
        f"{folder}{'' if folder.is_dir() else ' (no such folder)'}" for folder in manifest.folders()
    ]
    table.add_row("EVERYBODY_WEIGHTS", ", ".join(weights) or "not set")
    rows, default = manifest.load()
    here = [name for name, row in rows.items() if fetch.find(row)]
    table.add_row("models here", ", ".join(here) or "none")
    healthy = True
    for task, name in default.items():
        try:
            session = runtime.load(fetch.resolve(rows[name]))
            table.add_row(
                f"default {task}", f"{name}: loads ({session.engine} on {session.device})"
            )
        except EverybodyError as error:
            healthy = False
            table.add_row(f"default {task}", f"[red]{error}[/red]")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if not healthy:
        raise typer.Exit(1)
