"""The networks of a run, each with an optimiser of its own. The usual task has one; adversarial
training (Goodfellow et al. 2014) has a generator and its discriminators.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from ..errors import OptionError
from . import parameters
from .recipe import Recipe
from .relative import RelativeAdamW
from .task import Task


class Player:
    """A network, its moving average, its optimiser, and both as Fabric wraps them."""

    def __init__(self, name: str, net: nn.Module, recipe: Recipe) -> None:
        self.name = name
        self.net: Any = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # 1.5 times as fast on CPUs
        self.ema: Any = copy.deepcopy(self.net).eval().requires_grad_(False)
        kind = RelativeAdamW if recipe.relative else torch.optim.AdamW
        groups = parameters.groups(
            self.net, recipe.decay, fresh=recipe.fresh, factor=recipe.fresh_rate
        )
        self.optimiser: Any = kind(groups, lr=recipe.rate)
        self.trained = [p for p in self.net.parameters() if p.requires_grad]
        self.wrapped: Any = self.net

    def set_up(self, fabric: Fabric) -> None:
        """Bring all to the devices."""
        self.ema.to(fabric.device)
        self.wrapped, self.optimiser = fabric.setup(self.net, self.optimiser)
        parameters.move(self.optimiser, fabric.device)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of a player that is not averaged."""
        return {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])


def players_of(recipe: Recipe, task: Task, fabric: Fabric) -> list[Player]:
    """A task's players in its order. The recipe's `freeze` is for the first. Raises OptionError for
    several players in several processes, whose gradients nobody would add up.
    """
    nets = dict(task.players)
    if len(nets) > 1 and fabric.world_size > 1:
        raise OptionError(
            f"{', '.join(nets)} are trained against each other: on one device, not on "
            f"{fabric.world_size}"
        )
    parameters.freeze(next(iter(nets.values())), recipe.freeze)
    return [Player(name, net, recipe) for name, net in nets.items()]


@contextmanager
def only(player: Player, players: Sequence[Player]) -> Iterator[None]:
    """Only this player's parameters get gradients; those of the others pass through."""
    others = [p for other in players if other is not player for p in other.trained]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)
