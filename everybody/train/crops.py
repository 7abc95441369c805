"""Packed crops of one person each: what the tasks of pose networks, turn nets and SSTNs share."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor

from ..data.dataset import with_margin
from ..errors import DataError
from . import augment, spoil
from .augment import normalised
from .recipe import Recipe
from .shards import Pack, held_back
from .task import OneNetwork
from .wrong_boxes import wrong_boxes

UPPER = ("nose", "eye", "ear", "shoulder", "elbow", "wrist", "neck", "head")
TURNS = 4


class Crops(OneNetwork):
    """Crops to learn from, and crops held back."""

    kind = "crops"

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        if len(pack) != len(pack.picture):
            raise DataError(
                "these shards hold whole pictures: an SPPE learns from crops "
                "(`everybody pack` without --pictures)"
            )
        self.recipe, self.skeleton = recipe, pack.skeleton
        self.model = self.row(recipe)
        pack = replace(pack, boxes=with_margin(pack.boxes, pack.keypoints).astype(np.float32))
        back = held_back(pack.names, recipe.held_back)
        if back.all() or not back.any():
            raise DataError(
                f"{len(pack)} pictures are too few to hold {recipe.held_back:.0%} back; "
                "pack more of them"
            )
        self.held = pack.subset(back)
        self._pack, self._learnt = pack, ~back
        self.mirror = torch.tensor(pack.skeleton.mirror)
        # Where there are no limbs, what is around a joint counts.
        limbs = pack.skeleton.limbs or [(joint, joint) for joint in range(len(pack.skeleton))]
        self.limbs = torch.tensor(limbs)
        self.wrong = wrong_boxes(recipe.proposals, recipe.noise, pack.skeleton)
        self.upper = torch.tensor(
            [any(part in name for part in UPPER) for name in pack.skeleton.joints]
        )
        self.to(torch.device("cpu"))

    def __len__(self) -> int:
        return int(self._learnt.sum())

    def to(self, device: torch.device) -> None:
        # All of them, also those held back: a second copy may be too much.
        self.images = torch.from_numpy(self._pack.images).to(device)
        self.keypoints, self.boxes = (
            torch.from_numpy(x).to(device) for x in (self._pack.keypoints, self._pack.boxes)
        )
        self.learnt = torch.from_numpy(self._learnt.nonzero()[0]).to(device)
        self.taught = (self.keypoints[..., 2] < 1).all(1)  # only a teacher has labelled them
        self.mirror, self.limbs, self.upper = (
            t.to(device) for t in (self.mirror, self.limbs, self.upper)
        )

    def augmented(
        self, rows: Tensor, rng: Generator, *, angle: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows -> crops [N, 3, h, w] in [0, 255], keypoints [N, K, 3] in their pixels, which crops
        are mirrored [N], and the maps [N, 2, 3] from the packed pictures to the crops.
        """
        return self.changed(self.learnt[rows], rng, angle=angle)

    def changed(
        self, rows: Tensor, rng: Generator, *, angle: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `augmented`, by rows of the pack."""
        recipe, n = self.recipe, len(rows)
        if angle is None:
            angle = augment.angles(n, near=recipe.near, anywhere=recipe.anywhere, rng=rng)
        boxes, inside, keypoints = self.framed(rows, rng)
        turned = augment.rotations(angle)
        flip = augment.chance(n, recipe.flip, rng)
        around = augment.turned_boxes(boxes, inside, turned)
        sides = (around[:, 2:] - around[:, :2]).repeat(1, 2)
        around = around + self.offsets(keypoints, rng) * sides
        to_crop = augment.crops(
            around,
            recipe.size,
            padding=recipe.padding,
            flip=flip,
            scale=1 + augment.uniform(n, -recipe.scale, recipe.scale, rng),
            shift=augment.normal(2 * n, rng).reshape(n, 2) * recipe.shift,
        )
        matrices = augment.compose(to_crop, turned)
        images = augment.warp(self.images[rows], matrices, recipe.size)
        keypoints = augment.relabel(augment.move(keypoints, matrices), flip, self.mirror)
        keypoints = augment.outside_is_unlabelled(keypoints, recipe.size)
        return self.disturbed(images, keypoints, rng), keypoints, flip, matrices

    def framed(self, rows: Tensor, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of the pack -> boxes [N, 4] to look at, the joints [N, K, 3] that they are around,
        and the joints [N, K, 3] to learn.
        """
        keypoints = self.keypoints[rows]
        share = self.recipe.half_body
        boxes, inside = augment.half_body(self.boxes[rows], keypoints, self.upper, share, rng)
        return boxes, inside, keypoints

    def offsets(self, keypoints: Tensor, rng: Generator) -> Tensor:
        """[N, K, 3] -> how wrong the recipe's proposals make each box: [N, 4], in its sides."""
        if not self.recipe.proposals:
            return keypoints.new_zeros(len(keypoints), 4)
        seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
        found = self.wrong(keypoints.cpu().numpy(), np.random.default_rng(seed))
        return torch.from_numpy(found).to(keypoints)

    def disturbed(self, images: Tensor, keypoints: Tensor, rng: Generator) -> Tensor:
        """Crops [N, 3, h, w] -> the same with what hides people and spoils pictures; keypoints
        [N, K, 3] are in their pixels.
        """
        recipe = self.recipe
        images = spoil.paste_people(images, keypoints, self.limbs, recipe.paste, rng)
        images = spoil.occlude(images, recipe.occlude, rng)
        images = spoil.erase(images, recipe.erase, rng)
        images = spoil.blur(images, recipe.blur, rng)
        images = spoil.jpeg(images, recipe.jpeg, rng)
        return spoil.colour(images, recipe.colour, rng)

    def plain(
        self, quarter: int, start: int, stop: int, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Held-back rows turned by so many quarters and cropped without augmentation -> crops [N,
        3, h, w] normalised, keypoints [N, K, 3] and areas [N] of the boxes, both in crop pixels.
        """
        keypoints = torch.from_numpy(self.held.keypoints[start:stop]).to(device)
        boxes = torch.from_numpy(self.held.boxes[start:stop]).to(device)
        n = len(keypoints)
        turned = augment.rotations(torch.full((n,), quarter * math.pi / 2, device=device))
        around = augment.turned_boxes(boxes, keypoints, turned)
        to_crop = self.exact(around)
        matrices = augment.compose(to_crop, turned)
        packed = torch.from_numpy(self.held.images[start:stop]).to(device)
        images = augment.warp(packed, matrices, self.recipe.size)
        area = (around[:, 2:] - around[:, :2]).prod(1) * to_crop[:, 0, 0].square()
        return normalised(images), augment.move(keypoints, matrices), area

    def exact(self, boxes: Tensor) -> Tensor:
        """Boxes [N, 4] -> the maps [N, 2, 3] to crops right around them."""
        ones = torch.ones(len(boxes), device=boxes.device)
        shift, size = boxes.new_zeros(len(boxes), 2), self.recipe.size
        padding = self.recipe.padding
        return augment.crops(boxes, size, padding=padding, scale=ones, shift=shift, flip=ones < 0)

    def unchanged(self, keypoints: Tensor, boxes: Tensor) -> Tensor:
        """Joints [N, K, 3] and boxes [N, 4] of packed people -> the joints in crops that nothing
        has changed; those outside are unlabelled.
        """
        moved = augment.move(keypoints, self.exact(boxes))
        return augment.outside_is_unlabelled(moved, self.recipe.size)
