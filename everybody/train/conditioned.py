"""Learning to answer for the person that a rough pose points at (BUCTD, Zhou et al. 2023).

Most rough poses are what the network found at its start, without a condition: that is the first
look of a run, with its real errors. The others are true ones with the errors that estimators make
(generative sampling of Zhou et al., Sec. 3.3; error kinds and their names: Ronchi & Perona 2017,
PoseFix, Moon et al. 2019): jitter, inversion of left and right, swap with the other person's joint,
miss. How many joints are wrong differs from person to person. Some people get no condition at all,
so that the network also answers without.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ..codecs.condition import COLOURS, condition
from ..data.dataset import MARGIN
from ..errors import DataError
from ..models import affine
from . import augment
from .augment import normalised
from .pose import PoseTask, similarity
from .recipe import Recipe
from .shards import Pack

JITTER = 1.5  # in OKS's own standard deviations, at most
SWAPPED, INVERTED, MISSED = 0.4, 0.15, 0.2  # most of a person's joints
FOUND = 0.7  # share of people whose rough poses are a first look's, where there is a start
ALONE, UNTOLD = 0.15, 0.1  # shares of people without the other's pose, and without any
BODY = 0.66  # size of a person (root of the area), of the crop's sides' geometric mean


class ConditionedTask(PoseTask):
    """Joints of the meant person; scored by OKS, with the condition and without."""

    kind = "conditioned"
    quantisable = False  # the calibration pictures have no conditions

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        if pack.others is None:
            raise DataError(
                "these shards do not say who is beside whom: pack the pictures anew "
                "(`everybody pack`)"
            )
        super().__init__(recipe, pack)
        self.sigmas = torch.tensor(pack.skeleton.sigmas, dtype=torch.float32)

    def to(self, device: torch.device) -> None:
        super().to(device)
        self.others = torch.from_numpy(self._pack.others).to(device)

    def shown(
        self,
        images: Tensor,
        keypoints: Tensor,
        rows: Tensor,
        flip: Tensor,
        matrices: Tensor,
        rng: Generator,
    ) -> Tensor:
        """The crops, and beside them what rough poses say of who is meant: [N, 3 + C, h, w]."""
        packed = self.images[self.learnt[rows]]
        others = augment.move(self.others[self.learnt[rows]], matrices)
        others = augment.relabel(others, flip, self.mirror)
        looks = self.first_looks(images, others, packed, matrices) if self.recipe.start else None
        return self.told_who(images, keypoints, others, looks, FOUND, rng)

    def first_looks(
        self, images: Tensor, others: Tensor, packed: Tensor, matrices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Crops [N, 3, h, w], true poses beside them [N, K, 3], the packed pictures and the maps
        from them to the crops [N, 2, 3] -> what the start finds of both people, in the crops'
        pixels: [N, K, 3] twice. Who is not there scores 0.
        """
        boxes = augment.extents(others)
        room = MARGIN * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
        there = self.exact(boxes + room * boxes.new_tensor([-1, -1, 1, 1]))
        seen = augment.warp(packed, augment.compose(there, matrices), self.recipe.size)
        beside = augment.move(self.found_plain(normalised(seen)), affine.inverse(there))
        beside[..., 2] *= (others[..., 2] > 0).any(1, keepdim=True)
        return self.found_plain(images), beside

    def found_plain(self, images: Tensor) -> Tensor:
        """What the start finds in crops [N, 3, h, w] without a condition: [N, K, 3]."""
        blank = images.new_zeros(len(images), self.net.input_channels - COLOURS, *images.shape[2:])
        with torch.no_grad():
            answers = self.model.answers(self.teacher, torch.cat([images, blank], 1))
        poses = self.codec.decode([answer.float().cpu().numpy() for answer in answers])
        return torch.from_numpy(poses).to(images)

    def told_who(
        self,
        images: Tensor,
        own: Tensor,
        other: Tensor,
        looks: tuple[Tensor, Tensor] | None,
        share: float,
        rng: Generator,
    ) -> Tensor:
        """Crops [N, 3, h, w], true poses in them and those beside them [N, K, 3], and what a first
        look found of both, which a share of the people get -> the crops with their conditions.
        """
        n, device = len(own), rng.device
        rough, beside = self.rough(own, other, rng), self.rough(other, own, rng)
        real = augment.chance(n, share, rng)[:, None, None]
        if looks is not None:
            rough, beside = (
                torch.where(real, look, made)
                for look, made in zip(looks, (rough, beside), strict=True)
            )
        beside[..., 2] *= ~augment.chance(n, ALONE, rng)[:, None]
        told = ~augment.chance(n, UNTOLD, rng)[:, None]
        rough[..., 2] *= told
        beside[..., 2] *= told
        maps = condition(self.codec, rough.cpu().double().numpy(), beside.cpu().double().numpy())
        return torch.cat([images, torch.from_numpy(maps).to(device, images.dtype)], 1)

    def rough(self, own: Tensor, other: Tensor, rng: Generator) -> Tensor:
        """True poses [N, K, 3], the poses beside them [N, K, 3] -> as an estimator may find them.
        Whether a joint is seen says 1 or 0.
        """
        n, joints = own.shape[:2]

        def some(most: float) -> Tensor:
            """[N, K] bool: of each person another share of the joints, up to `most`."""
            share = augment.uniform(n, 0, most, rng)[:, None]
            return torch.rand(n, joints, generator=rng, device=rng.device) < share

        inverted, swapped, missed = some(INVERTED), some(SWAPPED), some(MISSED)
        found = torch.where(inverted[..., None], own[:, self.mirror], own)
        elsewhere = swapped & (other[..., 2] > 0)
        found = torch.where(elsewhere[..., None], other, found)
        width, height = self.recipe.size
        spread = 2 * self.sigmas.to(own) * BODY * math.sqrt(width * height)
        spread = spread * augment.uniform(n, 0.1, JITTER, rng)[:, None]
        noise = torch.randn(n, joints, 2, generator=rng, device=rng.device) * spread[..., None]
        seen = (found[..., 2:] > 0) & ~missed[..., None]
        return torch.cat([found[..., :2] + noise, seen.to(own)], 2)

    def evaluate(self, net: Any) -> dict[str, float]:
        """Mean OKS of the held-back people, by what the first look finds of them (without a start:
        by true poses with the same errors every time); `plain` is that without conditions.
        """
        device, found = next(net.parameters()).device, {"oks": [], "plain": []}
        rng = Generator(device).manual_seed(0)
        held = self.held
        assert held.others is not None
        for start in range(0, len(held), 64):
            rows = slice(start, start + 64)
            parts = held.keypoints[rows], held.others[rows], held.boxes[rows], held.images[rows]
            own, other, boxes, packed = (torch.from_numpy(x).to(device) for x in parts)
            matrices = self.exact(boxes)
            images = normalised(augment.warp(packed, matrices, self.recipe.size))
            own, other = augment.move(own, matrices), augment.move(other, matrices)
            looks = None
            if self.recipe.start:
                looks = self.first_looks(images, other, packed, matrices)
            blank = torch.zeros_like(own)
            area = (boxes[:, 2:] - boxes[:, :2]).prod(1) * matrices[:, 0, 0].square() * 0.53
            for what, shown in (
                ("oks", self.told_who(images, own, other, looks, 1.0, rng)),
                ("plain", self.told_who(images, blank, blank, None, 0.0, rng)),
            ):
                answers = self.model.answers(net, shown)
                poses = self.codec.decode([answer.float().cpu().numpy() for answer in answers])
                people = zip(own.cpu().numpy(), poses, area.cpu().numpy(), strict=True)
                found[what] += [similarity(*person, self.skeleton) for person in people]
        return {what: float(np.mean(values)) for what, values in found.items()}
