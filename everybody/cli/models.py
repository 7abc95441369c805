"""`everybody models`: which models there are, and fetching one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

app = typer.Typer(help="List the models, or fetch one.", invoke_without_command=True)


FINDS = {"detector": "boxes", "turn": "which way up", "sstn": "where to look"}


@app.callback()
def models(
    context: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON list on stdout instead of a table.")
    ] = False,
) -> None:
    """List all models of the manifest: what they are, their licence, and whether they are on this
    machine.
    """
    if context.invoked_subcommand:
        return
    from ..weights import fetch, manifest

    rows, default = manifest.load()
    entries = [
        {
            "name": row.name,
            "task": row.task,
            "default": default.get(row.task) == row.name,
            "path": str(fetch.find(row) or "") or None,
            "bundled": row.bundled,
            "bytes": row.bytes or None,
            "skeleton": row.skeleton_name or None,
            "categories": list(row.categories) or None,
            "codec": row.codec.get("type"),
            "input": list(row.input.size),
            "licence": row.licence,
            "verified": row.verified,
            "paper": row.paper,
            "origin": row.origin,
            "url": row.url or None,
            "sha256": row.sha256 or None,
        }
        for row in rows.values()
    ]
    if as_json:
        print(json.dumps(entries, indent=1))
        return
    _print(entries)


def _print(entries: list[dict[str, Any]]) -> None:
    """The table, as wide as the terminal allows."""
    console = Console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("model", "finds", "input", "size", "licence", "here"):
        table.add_column(column, no_wrap=True)
    if wide := console.width >= 120:
        table.add_column("paper", overflow="fold")
    for entry in entries:
        if entry["bundled"]:
            where = "bundled"
        elif entry["path"]:
            where = "yes"
        else:
            where = "pull" if entry["url"] else "bring"
        cells = [
            entry["name"] + (" *" if entry["default"] else ""),
            entry["skeleton"]
            or _kinds(entry["categories"])
            or FINDS.get(entry["task"], entry["task"]),
            "×".join(map(str, entry["input"])),
            f"{entry['bytes'] / 1e6:.1f} MB" if entry["bytes"] else "?",
            entry["licence"],
            where,
            entry["paper"],
        ]
        table.add_row(*cells if wide else cells[:-1])
    console.print(table)
    console.print(
        "\n* default. here: yes; pull, fetched by `everybody models pull NAME`; bring, put its "
        "file into a folder named by EVERYBODY_WEIGHTS. Papers, origins, checksums: --json.",
        style="dim",
    )


def _kinds(categories: list[str] | None) -> str:
    """'cat, dog, 7 more' of a detector that tells them apart."""
    if not categories:
        return ""
    first, rest = categories[:2], len(categories) - 2
    return ", ".join(first + [f"{rest} more"] * (rest > 0))


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(help="Names from `everybody models`.")],
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Also take files of unknown checksum.")
    ] = False,
) -> None:
    """Fetch models into the cache, going on where an earlier try broke off, checksums proven."""
    from ..weights import fetch

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    for row in [fetch.row(name) for name in names]:
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task(row.name, total=row.bytes or None)
            path = fetch.pull(
                row,
                lambda done, total, t=task, p=progress: p.update(t, completed=done, total=total),
                unverified=unverified,
            )
        if not row.sha256:
            console.print(
                f"{row.name}: the manifest knows no checksum of this file; "
                f"its sha256 is {fetch.sha256(path)}"
            )
        if not fetch.lasting(path.parent):
            console.print(f"{row.name}: kept in {path.parent}{fetch.HINT}")
        print(path)
