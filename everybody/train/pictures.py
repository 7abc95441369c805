"""Learning from whole pictures: how packed pictures and the people on them are read and changed,
for detectors (`detect.py`) and for networks that find joints without boxes (`people.py`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ..errors import DataError
from . import augment, spoil
from .recipe import Recipe
from .shards import Pack, held_back
from .task import OneNetwork


class PictureTask(OneNetwork):
    """Letterboxed pictures and their people; subclasses bring `loss` and `evaluate`."""

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        self.recipe, self.skeleton, self.categories = recipe, pack.skeleton, pack.categories
        self.model = self.row(recipe)
        self.net: Any = self.network(recipe, len(self.speaks_of))
        back = held_back(pack.names, recipe.held_back)
        if back.all() or not back.any():
            raise DataError(
                f"{len(pack)} pictures are too few to hold {recipe.held_back:.0%} back; "
                "pack more of them"
            )
        self.learnt, self.held = pack.subset(~back), pack.subset(back)
        self.to(torch.device("cpu"))

    def __len__(self) -> int:
        return len(self.learnt)

    def to(self, device: torch.device) -> None:
        self.images = torch.from_numpy(self.learnt.images).to(device)
        self.people = padded(self.learnt, device)
        self.counts = (self.people[2] | self.people[3]).sum(1)

    def placed(self, rows: Tensor, rng: Generator) -> Tensor:
        """Rows -> maps [N, 2, 3] from packed pictures to the network's: scaled, shifted, some
        mirrored.
        """
        recipe, n = self.recipe, len(rows)
        far = [side - 0.5 for side in self.images.shape[2:0:-1]]
        square = torch.tensor([[-0.5, -0.5, *far]], device=rows.device)
        return augment.crops(
            square.expand(n, 4),
            recipe.size,
            padding=recipe.padding,
            flip=augment.chance(n, recipe.flip, rng),
            scale=torch.exp(augment.uniform(n, -recipe.scale, recipe.scale, rng)),
            shift=augment.normal(2 * n, rng).reshape(n, 2) * recipe.shift,
        )

    def changed(self, images: Tensor, rng: Generator) -> Tensor:
        """Pictures [N, 3, h, w] with other colours, blurred, compressed."""
        images = spoil.blur(images, self.recipe.blur, rng)
        images = spoil.jpeg(images, self.recipe.jpeg, rng)
        return spoil.colour(images, self.recipe.colour, rng)

    def shown(self, rows: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Rows -> pictures [N, 3, h, w] in [0, 255], augmented, and the maps [N, 2, 3] that took
        them there.
        """
        recipe = self.recipe
        angle = augment.angles(
            len(rows), near=recipe.near, anywhere=recipe.anywhere, quarters=recipe.quarters, rng=rng
        )
        about = augment.rotations_about(angle, self.images.shape[2], self.images.shape[1])
        matrices = augment.compose(self.placed(rows, rng), about)
        return self.changed(augment.warp(self.images[rows], matrices, recipe.size), rng), matrices

    def labels(self, rows: Tensor) -> list[Tensor]:
        """The columns of `padded`, no more of them than these rows need."""
        most = max(1, int(self.counts[rows].max()))
        return [column[rows, :most] for column in self.people]

    def augmented(
        self, rows: Tensor, rng: Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Rows -> pictures [N, 3, h, w] in [0, 255], boxes [N, M, 4] from the corner, real, ignored
        and categories [N, M].
        """
        recipe = self.recipe
        images, matrices = self.shown(rows, rng)
        boxes, keypoints, real, ignored, kinds = self.labels(rows)
        boxes = moved_boxes(boxes, keypoints, matrices)
        return images, *visible(boxes, real, ignored, recipe.size), kinds


def plain(
    side: int, quarter: int, size: tuple[int, int], count: int, device: torch.device
) -> Tensor:
    """[count, 2, 3]: a square picture turned by so many quarters about its middle and scaled to
    `size`.
    """
    square = torch.tensor([[-0.5, -0.5, side - 0.5, side - 0.5]], device=device).expand(count, 4)
    ones = torch.ones(count, device=device)
    to_canvas = augment.crops(
        square,
        size,
        padding=1.0,
        scale=ones,
        shift=torch.zeros(count, 2, device=device),
        flip=ones < 0,
    )
    return augment.compose(
        to_canvas, augment.rotations_about(ones * quarter * math.pi / 2, side, side)
    )


def moved_boxes(boxes: Tensor, keypoints: Tensor, matrices: Tensor) -> Tensor:
    """People [N, M, 4], [N, M, K, 3] and maps [N, 2, 3] -> boxes [N, M, 4] after the map: around
    the joints with the margin they had, where at least three are labelled, else around the ellipse
    in the box. Quarter turns are exact.
    """
    n, m = boxes.shape[:2]
    each = matrices.repeat_interleave(m, 0)
    flat, points = boxes.reshape(-1, 4), keypoints.reshape(n * m, -1, 3)
    corners = torch.stack([flat[:, [0, 1]], flat[:, [2, 1]], flat[:, [2, 3]], flat[:, [0, 3]]], 1)
    around = augment.extents(
        torch.cat([augment.move(corners, each), torch.ones_like(corners[..., :1])], 2)
    )
    middle, half = (around[:, :2] + around[:, 2:]) / 2, (flat[:, 2:] - flat[:, :2]) / 2
    reach = (each[:, :, :2] * half[:, None]).norm(dim=2)
    ellipse = torch.cat([middle - reach, middle + reach], 1)
    scale = each[:, :, 0].norm(dim=1, keepdim=True)
    before, after = augment.extents(points), augment.extents(augment.move(points, each))
    margin = (
        torch.cat([before[:, :2] - flat[:, :2], flat[:, 2:] - before[:, 2:]], 1)
        .mean(1, keepdim=True)
        .clamp(min=0)
    )
    tight = torch.cat([after[:, :2] - margin * scale, after[:, 2:] + margin * scale], 1)
    tight = torch.cat(
        [torch.maximum(tight[:, :2], around[:, :2]), torch.minimum(tight[:, 2:], around[:, 2:])], 1
    )
    enough = ((points[..., 2] > 0).sum(1) >= 3)[:, None]
    upright = ((each[:, 0, 1].abs() < 1e-6) | (each[:, 0, 0].abs() < 1e-6))[
        :, None
    ]  # quarters turn boxes exactly
    return torch.where(upright, around, torch.where(enough, tight, ellipse)).reshape(n, m, 4)


def visible(
    boxes: Tensor, real: Tensor, ignored: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes [N, M, 4] under the coordinate law, real, ignored -> cut to the canvas and counted from
    its corner. A person with less than a third left is neither to find nor false; one outside the
    canvas is neither real nor ignored.
    """
    limit = boxes.new_tensor([*size, *size])
    whole = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
    boxes = torch.minimum((boxes + 0.5).clamp(min=0), limit)
    left = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    share = left.prod(-1) / whole.clamp(min=1e-6)
    there = left.amin(-1) >= 2
    return (
        boxes,
        real & there & (share >= 1 / 3),
        (ignored & there) | (real & there & (share < 1 / 3)),
    )


def padded(pack: Pack, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A pack's people in columns per picture: boxes [N, M, 4], keypoints [N, M, K, 3], real,
    ignored and categories [N, M].
    """
    counts = np.bincount(pack.picture, minlength=len(pack))
    most = max(1, int(counts.max(initial=0)))
    order = np.argsort(pack.picture, kind="stable")
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = pack.picture[order], place
    boxes = np.zeros((len(pack), most, 4), np.float32)
    keypoints = np.zeros((len(pack), most, len(pack.skeleton), 3), np.float32)
    real, ignored = np.zeros((2, len(pack), most), bool)
    kinds = np.zeros((len(pack), most), np.int64)
    boxes[at], keypoints[at] = pack.boxes[order], pack.keypoints[order]
    real[at], ignored[at] = ~pack.ignored[order], pack.ignored[order]
    kinds[at] = pack.kinds[order]
    return tuple(
        torch.from_numpy(column).to(device) for column in (boxes, keypoints, real, ignored, kinds)
    )  # type: ignore[return-value]
