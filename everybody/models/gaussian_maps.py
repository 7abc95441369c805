"""Gaussians on grids of cells: what coordinates look like to a network, and what it should say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gaussian_maps(at: Tensor, size: Sequence[int], sigma: float) -> Tensor:
    """Places [..., 2] (x, y) and sigma in cells, (height, width) -> [..., h, w] of peak 1."""
    height, width = size
    x = torch.arange(width, device=at.device) - at[..., :1]
    y = torch.arange(height, device=at.device) - at[..., 1:]
    row = (-x.square() / (2 * sigma**2)).exp()
    column = (-y.square() / (2 * sigma**2)).exp()
    return column[..., :, None] * row[..., None, :]
