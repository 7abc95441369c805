"""What training makes, as pictures: the log of a run (loss, and scores on what was held back), and
proposals.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from .mixture import Mixture
from .proposals import BODY, Proposals


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


def draw_proposals(fitted: Proposals, path: Path) -> None:
    """Each atomic pose, and below it how far detectors are off at each side of the box -> a PNG."""
    from matplotlib.figure import Figure

    count = len(fitted.atoms)
    figure = Figure(figsize=(1.45 * count, 3.6), layout="constrained")
    axes = figure.subplots(
        2, count, sharex="row", sharey="row", squeeze=False, height_ratios=(1.5, 1)
    )
    at = np.linspace(-0.4, 0.4, 161)
    for column, (pose, mixture) in enumerate(zip(fitted.atoms, fitted.mixtures, strict=True)):
        above, below = axes[:, column]
        for limb in BODY.limbs:
            side = "tab:blue" if "left" in BODY.joints[limb[1]] else "tab:orange"
            above.plot(*pose[list(limb)].T, color=side, linewidth=2, solid_capstyle="round")
        above.set(aspect="equal", xticks=[], yticks=[])
        above.spines[:].set_visible(False)
        for side, name in enumerate(("left", "top", "right", "bottom")):
            below.plot(at, _marginal(mixture, side, at), linewidth=1, label=name)
        below.set(yticks=[], xticks=[-0.3, 0, 0.3])
        below.spines[["top", "right", "left"]].set_visible(False)
    axes[0, 0].invert_yaxis()
    handles, names = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    figure.supxlabel("detected − true side of the box, in widths or heights of it", fontsize=8)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=100)


def _marginal(mixture: Mixture, side: int, at: np.ndarray) -> np.ndarray:
    """The density of one side's offset at [N]."""
    variance = mixture.covariances[:, side, side]
    bells = np.exp(-np.square(at[:, None] - mixture.means[:, side]) / (2 * variance)) / np.sqrt(
        2 * np.pi * variance
    )
    return bells @ mixture.weights
