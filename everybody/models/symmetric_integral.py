"""SIKR, symmetric integral keypoint regression (Fang et al., AlphaPose, TPAMI 2022, arXiv
2211.03375, section 3), for the many small joints of whole bodies: hands and faces are finer than a
heatmap's cells.

As in integral regression (Sun et al. 2018), a joint lies at the mean cell of its map. Two things
are changed. First, the gradient. That of the mean, ∂μ̂ / ∂p(x) = x, grows with the distance from
the map's corner, though one corner is as good as another. It is replaced by one that is the same on
both sides of the present answer (the amplitude symmetric gradient, A an eighth of the map's size):

    ∂L / ∂p(x) = A · sgn(x - μ̂) · sgn(μ̂ - μ)        for L = |μ̂ - μ|

Second, the map is normalised in two steps, because the peak of a softmax depends on how large the
part is: a sigmoid gives each cell a confidence c, whose highest is the score, and p = c / Σc.

Exported maps log c are what the codec `Integral` decodes, since softmax(log c) = c / Σc.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .integral import mean_cell

AMPLITUDE = 1 / 8  # of the gradient, in sizes of the map
FINE = 0.5  # what a cell's distance of a joint of hands or face counts beside a body's heatmap


def normalised(logits: Tensor) -> tuple[Tensor, Tensor]:
    """[..., h, w] -> confidence of each cell, in [0, 1], and the same as maps that sum to 1."""
    confidence = logits.float().sigmoid()
    return confidence, confidence / confidence.sum((-2, -1), keepdim=True).clamp(min=1e-12)


def symmetric_mean(mass: Tensor) -> Tensor:
    """Maps that sum to 1 [..., h, w] -> the mean cell [..., 2] (x, y), with symmetric gradients."""
    height, width = mass.shape[-2:]
    mean = mean_cell(mass).detach()
    x = torch.arange(width, device=mass.device) - mean[..., :1]
    y = torch.arange(height, device=mass.device) - mean[..., 1:]
    slope_x = AMPLITUDE * width * x.sign()
    slope_y = AMPLITUDE * height * y.sign()

    along = [(mass.sum(-2) * slope_x).sum(-1), (mass.sum(-1) * slope_y).sum(-1)]
    sloped = torch.stack(along, -1)
    return mean + sloped - sloped.detach()


def keypoints(logits: Tensor) -> Tensor:
    """[..., h, w] -> [..., 3]: the mean cell (x, y) and the highest confidence."""
    confidence, mass = normalised(logits)
    return torch.cat([mean_cell(mass), confidence.amax((-2, -1))[..., None]], -1)


def symmetric_integral_loss(
    logits: Tensor, targets: Sequence[Tensor], weights: Tensor
) -> tuple[Tensor, Tensor]:
    """[B, K, h, w], (cells [B, K, 2], ...), [B, K] -> (sum, weight): cells away, x and y added."""
    return (_away(logits, targets[0]) * weights).sum(), weights.sum()


def whole_body_loss(
    logits: Tensor,
    targets: Sequence[Tensor],
    weights: Tensor,
    *,
    by_heatmap: Tensor,
    by_integral: Tensor,
    sigma: float = 2.0,
) -> tuple[Tensor, Tensor]:
    """[B, K, h, w], (cells [B, K, 2], heatmaps [B, K, h, w]), [B, K] -> (sum, weight).

    by_heatmap, by_integral [K]: how much each joint's map counts as a heatmap (squared error, in
    units of what an empty map would cost; `sigma` in cells), and as a regression (cells away).
    Large parts are best learnt the first way, hands and faces the second.
    """
    peak = targets[1].amax((-2, -1), keepdim=True).clamp(min=1e-12)
    error = (logits.float() - targets[1] / peak).square().sum((-2, -1)) / (math.pi * sigma**2)
    per_joint = by_heatmap * error + by_integral * _away(logits, targets[0])
    return (per_joint * weights).sum(), weights.sum()


def _away(logits: Tensor, cells: Tensor) -> Tensor:
    """[B, K, h, w], [B, K, 2] -> [B, K]."""
    _, mass = normalised(logits)
    return functional.l1_loss(symmetric_mean(mass), cells, reduction="none").sum(-1)
