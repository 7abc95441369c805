"""Affine maps as matrices [N, 2, 3], and sampling pictures by them: differentiable, and the same
numbers for both.

A matrix moves points. In pixels that is all; pictures are sampled (Jaderberg et al. 2015) in
normalised coordinates under the coordinate law, u = (2x + 1) / W - 1 (`align_corners=False`): -1
and 1 are a picture's edges, so a map means the same for a crop and for the coarser grid of its
heatmaps.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def compose(after: Tensor, before: Tensor) -> Tensor:
    """[N, 2, 3], [N, 2, 3] -> [N, 2, 3]: first `before`, then `after`."""
    linear = after[:, :, :2] @ before[:, :, :2]
    return torch.cat([linear, after[:, :, :2] @ before[:, :, 2:] + after[:, :, 2:]], 2)


def inverse(matrices: Tensor) -> Tensor:
    """[N, 2, 3] -> [N, 2, 3], the maps back."""
    a, b, c, d = (matrices[:, i, j] for i in (0, 1) for j in (0, 1))
    linear = (
        torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1)
        / (a * d - b * c)[:, None, None]
    )
    return torch.cat([linear, -linear @ matrices[:, :, 2:]], 2)


def move(points: Tensor, matrices: Tensor) -> Tensor:
    """[N, K, 2+], [N, 2, 3] -> [N, K, 2+]; what follows x and y is kept."""
    moved = points[..., :2] @ matrices[:, :, :2].mT + matrices[:, None, :, 2]
    return torch.cat([moved, points[..., 2:]], -1)


def normalising(size: tuple[int, int], like: Tensor) -> Tensor:
    """(width, height) -> [1, 2, 3]: from pixels of a picture to its normalised coordinates."""
    width, height = size
    return like.new_tensor([[[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1]]])


def in_pixels(matrices: Tensor, target: tuple[int, int], source: tuple[int, int]) -> Tensor:
    """[N, 2, 3] between normalised coordinates -> the same map from pixels of `target` to those of
    `source`.
    """
    return compose(
        inverse(normalising(source, matrices)), compose(matrices, normalising(target, matrices))
    )


def normalised(matrices: Tensor, target: tuple[int, int], source: tuple[int, int]) -> Tensor:
    """The inverse of `in_pixels`."""
    return compose(
        normalising(source, matrices), compose(matrices, inverse(normalising(target, matrices)))
    )


def sample(images: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, C, H, W], maps [N, 2, 3] from normalised target to normalised source -> [N, C, h, w] of
    `size` (width, height), bilinear; 0 beyond the edges.
    """
    x, y = ((2 * torch.arange(side).to(matrices) + 1) / side - 1 for side in size)
    # The sum over the grid as one product [h, 2] · [2, 2w]: exported, torch's affine_grid takes
    # longer than half an SPPE, and a sum whose last axis is of two as long as half the sampling.
    columns = matrices[:, None, :, 0] * x[:, None] + matrices[:, None, :, 2]  # [N, w, 2]
    slopes = matrices[:, None, :, 1].expand_as(columns)
    with torch.autocast(
        images.device.type, enabled=False
    ):  # in bfloat16, places would be off by pixels
        grid = torch.stack([torch.ones_like(y), y], 1) @ torch.stack([columns, slopes], 1).flatten(
            2
        )
    grid = grid.unflatten(2, (-1, 2))
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
