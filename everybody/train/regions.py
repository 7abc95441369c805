"""People seen through wrong boxes, turned, and the regions that would be right for them: what the
SSTN alone and RMPE whole both learn from.

A packed crop is turned by a known angle and its box is made wrong in a known way, so the θ that
puts things right is known too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from ..methods.orientation import UPRIGHT_BONUS
from ..models import affine
from . import augment, wrong_boxes
from .augment import normalised
from .crops import TURNS, Crops
from .recipe import Recipe
from .shards import Pack

UP = ("nose", "eye", "ear", "shoulder")
DOWN = ("hip", "knee", "ankle")
LEAN = math.pi / 4  # without a teacher: people who lean by less are upright enough for any SPPE


@dataclass(frozen=True, slots=True)
class Views:
    """People seen through wrong boxes: maps [N, 2, 3] from the pixels of the packed picture to
    pixels of the crop around the wrong box, and to pixels of the region that the SSTN should find.
    """

    crop: Tensor
    region: Tensor

    def theta(self, region: tuple[int, int], crop: tuple[int, int]) -> Tensor:
        """[N, 2, 3]: the θ from region to crop; sizes are (width, height)."""
        to_crop = affine.compose(self.crop, affine.inverse(self.region))
        return affine.normalised(to_crop, region, crop)


class Regions(Crops):
    """What both tasks share: wrong boxes, turns, and the regions that would be right.

    crop, region: (width, height) of what is looked at and of what should be found.
    """

    quantisable = False  # a grid of 8 bits would move every pixel

    def __init__(
        self, recipe: Recipe, pack: Pack, *, crop: tuple[int, int], region: tuple[int, int]
    ) -> None:
        super().__init__(recipe, pack)
        self.crop, self.region = crop, region
        joints = pack.skeleton.joints
        self._up = [i for i, name in enumerate(joints) if any(part in name for part in UP)]
        self._down = [i for i, name in enumerate(joints) if any(part in name for part in DOWN)]

    def to(self, device: torch.device) -> None:
        super().to(device)
        turns = self._pack.turns
        self.turns = None if turns is None else torch.from_numpy(turns).to(device)

    def lean(self, keypoints: Tensor, turns: Tensor | None) -> Tensor:
        """[N, K, 3], a teacher's confidence in each quarter turn [N, 4] -> [N] radians, clockwise:
        the angle by which the region should turn with the body.

        It is 0 where the teacher is as sure of the person as they lie: a person who bends in an
        upright picture is best left so. Otherwise it is the angle of the body's axis if that is
        near the teacher's quarter, else the quarter. Without a teacher the axis alone decides: 0
        near upright, the whole angle from `2 · LEAN` on.
        """
        angle, known = self.axis(keypoints)
        if turns is None:
            share = ((angle.abs() - LEAN) / LEAN).clamp(0, 1)
            return angle * share * share * (3 - 2 * share) * known
        best = (turns + turns.new_tensor([UPRIGHT_BONUS, 0, 0, 0])).argmax(1)
        quarter = torch.remainder(best * (math.pi / 2) + math.pi, 2 * math.pi) - math.pi
        near = torch.cos(angle - quarter) > math.cos(math.pi / 3)
        return torch.where(best == 0, 0.0, torch.where(near & known, angle, quarter))

    def axis(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """[N, K, 3] -> the angle [N] from upright to the line from legs to head, clockwise, and
        whether it is known.
        """
        middles, known = [], []
        for part in (self._up, self._down):
            weight = (keypoints[:, part, 2] > 0).float()[..., None]
            middles.append((keypoints[:, part, :2] * weight).sum(1) / weight.sum(1).clamp(min=1))
            known.append(weight.any(1)[:, 0])
        up = middles[0] - middles[1]
        return torch.atan2(up[:, 0], -up[:, 1]), known[0] & known[1]

    def views(
        self,
        keypoints: Tensor,
        boxes: Tensor,
        lean: Tensor,
        angle: Tensor,
        offsets: Tensor,
        flip: Tensor,
    ) -> Views:
        """The views of people who `lean` [N], turned by `angle` [N], mirrored where `flip` [N],
        through boxes whose sides are off by offsets [N, 4] (in sides of the box).
        """
        ones, still = torch.ones_like(angle), torch.zeros_like(boxes[:, :2])

        def seen(turned: Tensor, boxes: Tensor, size: tuple[int, int], padding: float) -> Tensor:
            to = augment.crops(boxes, size, padding=padding, scale=ones, shift=still, flip=flip)
            return affine.compose(to, turned)

        turned, upright = augment.rotations(angle), augment.rotations(-lean)
        found = augment.turned_boxes(boxes, keypoints, turned)
        found = found + offsets * (found[:, 2:] - found[:, :2]).repeat(1, 2)
        right = augment.turned_boxes(boxes, keypoints, upright)
        return Views(
            seen(turned, found, self.crop, self.recipe.padding),
            seen(upright, right, self.region, self.recipe.region),
        )

    def drawn(self, rows: Tensor, rng: Generator) -> tuple[Tensor, Tensor, Views]:
        """Rows to train on -> crops [N, 3, h, w] in [0, 255], keypoints [N, K, 3] in pixels of the
        *packed* picture, left and right exchanged where it is mirrored, and the views of both.
        """
        n, recipe, rows = len(rows), self.recipe, self.learnt[rows]
        angle = augment.angles(n, near=recipe.near, anywhere=recipe.anywhere, rng=rng)
        flip = augment.chance(n, recipe.flip, rng)
        keypoints = self.keypoints[rows]
        offsets = self.offsets(keypoints, rng)
        lean = self.lean(keypoints, None if self.turns is None else self.turns[rows])
        views = self.views(keypoints, self.boxes[rows], lean, angle, offsets, flip)
        keypoints = augment.relabel(keypoints, flip, self.mirror)
        images = augment.warp(self.images[rows], views.crop, self.crop)
        return self.disturbed(images, augment.move(keypoints, views.crop), rng), keypoints, views

    def judged(
        self, most: int, device: torch.device, *, group: int
    ) -> Iterator[tuple[int, Tensor, Tensor, Views]]:
        """Held-back people at each quarter turn, in boxes that are wrong the same way every time:
        (quarter, crops normalised, keypoints [N, K, 3] in pixels of the packed picture, views).
        """
        random = np.random.default_rng(0)
        for quarter in range(TURNS):
            for start in range(0, min(most, len(self.held)), group):
                rows = slice(start, min(start + group, most))
                keypoints = torch.from_numpy(self.held.keypoints[rows]).to(device)
                boxes = torch.from_numpy(self.held.boxes[rows]).to(device)
                offsets = torch.from_numpy(wrong_boxes.uniform(len(boxes), 0.25, random)).to(boxes)
                angle = boxes.new_full((len(boxes),), quarter * math.pi / 2)
                turns = self.held.turns
                sure = None if turns is None else torch.from_numpy(turns[rows]).to(device)
                lean = self.lean(keypoints, sure)
                views = self.views(keypoints, boxes, lean, angle, offsets, angle > 9)
                packed = torch.from_numpy(self.held.images[rows]).to(device)
                images = augment.warp(packed, views.crop, self.crop)
                yield quarter, normalised(images), keypoints, views
