"""Learning which way up a body is, from square crops turned by known angles.

What counts is what an SPPE makes of a turn: its confidence in each quarter turn of the crop as it
lies (`Pack.turns`, by `everybody pack --turns`) goes round with the crop, and the softmax of these
confidences is the target. So people who bend or sit in an upright picture stay as the SPPE knows
them, and people whose turns the SPPE cannot tell apart count little.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ..errors import DataError
from ..models.losses import Loss
from . import augment
from .augment import normalised
from .crops import TURNS, Crops
from .recipe import Recipe
from .shards import Pack


class TurnTask(Crops):
    """The quarter by which a body is turned."""

    kind = "turns"
    SHARP = 12.0  # of the softmax: a confidence .1 lower is a third as good

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        if pack.turns is None:
            raise DataError(
                "these shards do not say how bodies are turned: "
                "make them with `everybody pack --turns SPPE`"
            )
        smaller = pack.images.shape[1] // (2 * max(recipe.size))
        super().__init__(recipe, pack.shrunk(smaller) if smaller > 1 else pack)
        self.net = self.network(recipe)

    def to(self, device: torch.device) -> None:
        super().to(device)
        self.turns = torch.from_numpy(self._pack.turns).to(device)

    def loss(self, net: nn.Module, rows: Tensor, rng: Generator) -> Loss:
        n = len(rows)
        angle = augment.angles(n, near=self.recipe.near, anywhere=self.recipe.anywhere, rng=rng)
        angle = angle + augment.uniform(n, 0, TURNS, rng).floor() * (math.pi / 2)
        images, _, flip, _ = self.augmented(rows, rng, angle=angle)
        scores = turned_scores(self.turns[self.learnt[rows]], angle, flip)
        weights = scores.amax(1) - scores.amin(1)
        wanted = (self.SHARP * scores).softmax(1)
        return self.model.loss(self.net, net(normalised(images)), wanted, weights)

    def evaluate(self, net: Any) -> dict[str, float]:
        """`kept`: the share of the SPPE's confidence in the best quarters that is left in the
        chosen ones. `upright`, `turned`: how often people are set right, where that is clear.
        """
        device, turns = next(net.parameters()).device, torch.from_numpy(self.held.turns)
        chosen = []
        for quarter in range(TURNS):
            for start in range(0, len(self.held), 512):
                images, _, _ = self.plain(quarter, start, start + 512, device)
                chosen.append(net(images).float().argmax(1).cpu())
        picked = torch.cat(chosen).reshape(TURNS, -1)
        angle = torch.arange(TURNS)[:, None].expand(picked.shape) * (math.pi / 2)
        scores = torch.stack([turned_scores(turns, a, a < 0) for a in angle])  # [4, N, 4]
        best, second = scores.topk(2, -1).values.unbind(-1)
        kept = (scores.gather(2, picked[..., None]).sum() / best.sum()).item()
        right, clear = picked == scores.argmax(2), best - second > 0.1
        upright = clear & (scores.argmax(2) == 0)
        shares = [
            (right & which).sum().item() / max(which.sum().item(), 1)
            for which in (upright, clear & ~upright)
        ]
        return {"kept": kept, "upright": shares[0], "turned": shares[1]}


def turned_scores(scores: Tensor, angle: Tensor, flip: Tensor) -> Tensor:
    """Confidence in each quarter turn [N, 4] of pictures that are then turned by angles [N]
    (radians, clockwise) and mirrored where flip [N] -> [N, 4]; linear between quarters.
    """
    at = (torch.arange(TURNS, device=scores.device) - angle[:, None] / (math.pi / 2)) % TURNS
    below = at.floor()
    part, low = at - below, below.long() % TURNS
    moved = (1 - part) * scores.gather(1, low) + part * scores.gather(1, (low + 1) % TURNS)
    return torch.where(flip[:, None], moved[:, [0, 3, 2, 1]], moved)
