"""`everybody eval`: how good results are. It parses and prints; everything else is in `everybody.metrics`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    results: Annotated[Path, typer.Argument(help="Results: frames.jsonl or its folder, or COCO's list of results.")],
    data: Annotated[Path, typer.Option(help="The truth: COCO JSON, MPII, LSP, YOLO … told by content.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of tables.")] = False,
) -> None:
    """Judge results against labelled data."""
    from ..data.read import read, read_results
    from ..metrics.oks import figures

    truth = read(data)
    found = read_results(results, truth)
    values = figures(truth, found)
    if as_json:
        print(json.dumps({name: None if math.isnan(value) else value for name, value in values.items()}))
        return
    for name, value in values.items():
        print(f"{name:6} {'–' if math.isnan(value) else format(value, '.4f')}")
