"""Losses as pure tensor functions: one value per joint, and the weights applied once, at the end.

Each returns (sum, weight). The loss of a batch is sum / weight, and both are added up over all
processes first, so that N processes compute what one would. Targets are those of a codec's
`encode`; a joint of weight 0 does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Loss = tuple[Tensor, Tensor]


def spatial_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Loss:
    """Logits [B, K, h, w], heatmaps [B, K, h, w], weights [B, K] -> (sum, weight).

    Cross-entropy between the softmax over all cells and the heatmap brought to a sum of 1
    (Kullback–Leibler up to a constant).
    """
    wanted = targets.flatten(2)
    wanted = wanted / wanted.sum(2, keepdim=True).clamp(min=1e-12)
    per_joint = -(wanted * logits.float().flatten(2).log_softmax(2)).sum(2)
    return (per_joint * weights).sum(), weights.sum()


def heatmap_error(heatmaps: Tensor, targets: Tensor, weights: Tensor, *, sigma: float) -> Loss:
    """Heatmaps [B, K, h, w], targets [B, K, h, w], weights [B, K] -> (sum, weight).

    Squared error summed over the cells, in units of what an empty map would cost: the energy
    π sigma² of a Gaussian of height 1.
    """
    per_joint = (heatmaps.float() - targets).square().sum((2, 3)) / (math.pi * sigma**2)
    return (per_joint * weights).sum(), weights.sum()


def heatmap_difference(heatmaps: Tensor, wanted: Tensor, known: Tensor, *, sigma: float) -> Loss:
    """Heatmaps [B, K, h, w], those wanted [B, K, h, w], which cells count [B, 1, h, w] -> (sum,
    weight): squared error in the units of `heatmap_error`, a joint counting 1.
    """
    error = ((heatmaps.float() - wanted).square() * known).sum() / (math.pi * sigma**2)
    return error, error.new_tensor(float(heatmaps.shape[0] * heatmaps.shape[1]))


def soft_cross_entropy(logits: Tensor, wanted: Tensor, weights: Tensor) -> Loss:
    """Logits [B, C], wanted probabilities [B, C], weights [B] -> (sum, weight)."""
    per_sample = -(wanted * logits.float().log_softmax(1)).sum(1)
    return (per_sample * weights).sum(), weights.sum()


def every_stage(loss: Callable[..., Loss], said: Sequence[Tensor], *rest: Tensor) -> Loss:
    """The loss of each stage, added up (intermediate supervision, Wei et al. 2016); the weight is
    that of one.
    """
    sums, weights = zip(*(loss(stage, *rest) for stage in said), strict=True)
    return torch.stack(sums).sum(), weights[0]
