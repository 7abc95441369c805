"""Where a run is, what its weights say of themselves, and how it goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from . import checkpoint, log
from .players import Player
from .recipe import Recipe
from .task import Task, codec_of


@dataclass(slots=True)
class Progress:
    """Where a run is."""

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    rows: list[dict[str, Any]] = field(default_factory=list)  # of the log


def describe(recipe: Recipe, task: Task, step: int) -> dict[str, str]:
    """What weights say of themselves."""
    return {"recipe": recipe.to_json(), "step": str(step), **task.about.to_dict()}


def resume(
    recipe: Recipe,
    task: Task,
    out: Path,
    players: Sequence[Player],
    say: Callable[[str], None],
) -> tuple[Progress, Tensor]:
    """Fill everything from OUT's last checkpoint, or begin; and the loss's (sum, weight) that is
    not yet in the log. Raises DataError for a folder of another run.
    """
    first = players[0]
    found = checkpoint.steps(out / "checkpoints")
    if not found:
        if recipe.start:
            checkpoint.start(
                recipe.start,
                first.net,
                task.model,
                speaks_of=task.speaks_of,
                codec=codec_of(task.model, recipe),
            )
            first.ema.load_state_dict(first.net.state_dict())
        return Progress(), torch.zeros(2)

    _same_run(recipe, out)
    state = checkpoint.load(out / "checkpoints", found[-1])
    checkpoint.fit(first.net, state["net"], str(out / "checkpoints"))
    first.load(state)
    first.ema.load_state_dict(state["ema"])
    for player in players[1:]:
        player.load(state["others"][player.name])
    say(f"{out}: going on behind step {state['step']}")
    rows = [row for row in log.read(out) if row["step"] <= state["step"]]
    unlogged = state.get("unlogged", torch.zeros(2))
    return Progress(state["step"], state["seconds"], state["best"], rows), unlogged


def _same_run(recipe: Recipe, out: Path) -> None:
    """Raises DataError unless the folder's recipe trains the same model for the same task."""
    path = out / "recipe.json"
    try:
        before = Recipe.from_json(path.read_text())
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: does not say whose checkpoints these are ({error}): choose another folder"
        ) from error
    if (before.model, before.task) != (recipe.model, recipe.task):
        raise DataError(
            f"{out}: holds a run of {_called(before)}, not {_called(recipe)}: choose another folder"
        )


def _called(recipe: Recipe) -> str:
    return f"'{recipe.model}'" + (f" for task {recipe.task}" if recipe.task else "")
