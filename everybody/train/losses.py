"""Losses as pure tensor functions: one value per joint or point, and the mask applied once, at the
end.

Each returns (sum, weight): the loss of a batch is sum / weight, with both added up over all
processes first, so that what N processes compute is what one would.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..models.rmpe import MOST, bounded

Loss = tuple[Tensor, Tensor]


def spatial_cross_entropy(logits: Tensor, keypoints: Tensor, *, sigma: float) -> Loss:
    """Logits [B, K, h, w], keypoints [B, K, 3] in cells (x, y, weight) -> (sum, weight).

    Cross-entropy between the softmax over all cells and a Gaussian around the joint
    (Kullback–Leibler up to a constant); joints of weight 0 do not count.
    """
    h, w = logits.shape[2:]
    x = torch.arange(w, device=logits.device)
    y = torch.arange(h, device=logits.device)
    along_x = (-(x - keypoints[..., :1]).square() / (2 * sigma**2)).softmax(-1)
    along_y = (-(y - keypoints[..., 1:2]).square() / (2 * sigma**2)).softmax(-1)
    target = (along_y[..., :, None] * along_x[..., None, :]).flatten(2)
    per_joint = -(target * logits.float().flatten(2).log_softmax(2)).sum(2)
    weight = keypoints[..., 2]
    return (per_joint * weight).sum(), weight.sum()


def heatmap_error(heatmaps: Tensor, keypoints: Tensor, *, sigma: float) -> Loss:
    """Heatmaps [B, K, h, w], keypoints [B, K, 3] in cells (x, y, weight) -> (sum, weight).

    Squared error to a Gaussian of height 1 around the joint, summed over the cells and in units of
    what an empty map would cost; joints of weight 0 do not count.
    """
    h, w = heatmaps.shape[2:]
    x = torch.arange(w, device=heatmaps.device)
    y = torch.arange(h, device=heatmaps.device)
    along_x = (-(x - keypoints[..., :1]).square() / (2 * sigma**2)).exp()
    along_y = (-(y - keypoints[..., 1:2]).square() / (2 * sigma**2)).exp()
    target = along_y[..., :, None] * along_x[..., None, :]
    per_joint = (heatmaps.float() - target).square().sum((2, 3)) / (math.pi * sigma**2)
    weight = keypoints[..., 2]
    return (per_joint * weight).sum(), weight.sum()


def heatmap_difference(heatmaps: Tensor, wanted: Tensor, known: Tensor, *, sigma: float) -> Loss:
    """Heatmaps [B, K, h, w], those wanted [B, K, h, w], which cells count [B, 1, h, w] -> (sum,
    weight): squared error in the units of `heatmap_error`, a joint counting 1.
    """
    error = ((heatmaps.float() - wanted).square() * known).sum() / (math.pi * sigma**2)
    return error, error.new_tensor(float(heatmaps.shape[0] * heatmaps.shape[1]))


def cross_entropy(logits: Tensor, classes: Tensor) -> Loss:
    """Logits [B, C], classes [B] -> (sum, count)."""
    return functional.cross_entropy(logits.float(), classes, reduction="sum"), logits.new_tensor(
        float(len(classes))
    )


def theta_distance(raw: Tensor, wanted: Tensor, aspect: float) -> Tensor:
    """What an SSTN says [N, 5] (see `rmpe.guarded`), the θ that is right [N, 2, 3], the crop's
    width / height -> [N].

    The turn's vector, before it has unit length, against that of the right turn (so that opposite
    ones attract too: on the circle their slope is 0), the log of the factor, and the shift.
    """
    cos, sin = wanted[:, 0, 0], wanted[:, 1, 0] / aspect
    factor = torch.hypot(cos, sin)
    turn = torch.stack([1 + raw[:, 0] - cos / factor, raw[:, 1] - sin / factor], 1).square().sum(1)
    scale = (bounded(raw[:, 2], math.log(MOST)) - factor.log()).abs()
    shift = (bounded(raw[:, 3:], 1.0) - wanted[:, :, 2]).abs().sum(1)
    return turn + 2 * scale + 2 * shift


def joint_distance(found: Tensor, keypoints: Tensor) -> Tensor:
    """[N, K, 2], true [N, K, 3] (x, y, weight), both normalised -> [N]: the mean distance of a
    person's labelled joints that lie inside.
    """
    weight = keypoints[..., 2] * (keypoints[..., :2].abs() <= 1).all(-1)
    away = (found - keypoints[..., :2]).abs().sum(-1)
    return (away * weight).sum(1) / weight.sum(1).clamp(min=1e-6)
