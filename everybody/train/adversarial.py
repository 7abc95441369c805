"""Adversarial training of a pose network (Chen et al. 2017): a generator, and critics who learn to
tell its heatmaps from true ones.

In each step the generator moves first, then each critic; all see the same augmented crops. Which
joints are hidden is learnt where labels say so (`Pack.hidden`). Nobody says so of LSP-extended, nor
does a teacher; there the occlusion heatmaps are left out, of the truth and of what was generated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ..models import adversarial
from ..models.losses import Loss
from .augment import normalised
from .pose import PoseTask
from .recipe import Recipe
from .shards import Pack
from .task import encoded

GENERATOR = "net"


class AdversarialTask(PoseTask):
    """Joints and which of them are hidden, in crops; scored as `PoseTask`."""

    kind = "occluded"

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        super().__init__(recipe, pack)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            made = adversarial.critics(self.net, len(pack.skeleton)) if recipe.critics else {}
        self.critics: dict[str, adversarial.Critic] = made

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {GENERATOR: self.net, **self.critics}

    def to(self, device: torch.device) -> None:
        super().to(device)
        said = self._pack.hidden
        unsaid = torch.full(self.keypoints.shape[:2], -1, dtype=torch.int8)
        self.hidden = (unsaid if said is None else torch.from_numpy(said)).to(device)

    def play(self, player: str, nets: Mapping[str, Any], rows: Tensor, rng: Generator) -> Loss:
        images, targets, weights, hidden = self.sample(rows, rng)
        known = hidden >= 0
        truth = adversarial.told(adversarial.maps_of(targets[0], hidden.clamp(min=0)), known)
        if player != GENERATOR:
            with torch.no_grad():
                made = adversarial.told(nets[GENERATOR](images)[-1], known)
            right = self.critics[player].no_fakes(made, truth, self.codec.sigma)
            real, fake = (nets[player](maps, images) for maps in (truth, made))
            return adversarial.discriminator_error(real, fake, right, weights)

        said = nets[GENERATOR](images)
        total, weight = self.model.loss(self.net, said, targets, weights, self.codec, hidden)
        made = adversarial.told(said[-1], known)
        for name, critic in self.critics.items():
            error, _ = adversarial.belief_error(nets[name](made, images), weights)
            total = total + self.recipe.critics * critic.weight * error
        return total, weight

    def sample(
        self, rows: Tensor, rng: Generator
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor, Tensor]:
        """Rows -> crops [N, 3, H, W] normalised, the codec's targets, weights [N, K], and which
        joints are hidden [N, K], as `Pack.hidden`.
        """
        images, keypoints, flip, _ = self.augmented(rows, rng)
        targets, weights = encoded(self.codec, keypoints)
        hidden = self.hidden[self.learnt[rows]]
        hidden = torch.where(flip[:, None], hidden[:, self.mirror], hidden)
        return normalised(images), targets, weights, hidden
