"""The log of a run as a picture: loss, and the scores of what was held back, over steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..media.atomic import replacing


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Rows with 'step' and either 'loss' or scores -> a PNG."""
    from matplotlib.figure import Figure  # an extra, and slow to load

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    left.plot(*zip(*losses, strict=True) if losses else ([], []), linewidth=0.8)
    left.set(xlabel="step", ylabel="loss", yscale="log" if losses else "linear")
    scored = [row for row in rows if "loss" not in row]
    for name in dict.fromkeys(name for row in scored for name in row if name != "step"):
        points = [(row["step"], row[name]) for row in scored if name in row]
        right.plot(*zip(*points, strict=True), marker=".", label=name)
    right.set(xlabel="step", ylabel="held back")
    if scored:
        right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=110)
