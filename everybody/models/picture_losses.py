"""Losses of maps of whole pictures: prediction, target and where it counts -> one mean each.

    squared           confidence maps and fields (Cao et al. 2017, Eq. 5)
    discs             logistic loss of discs (Papandreou et al. 2018, § 3.1)
    peaks             focal loss of Gaussians (Zhou et al. 2019, Eq. 1)
    smooth_distance   smooth L1 of vectors, where they are known

Most of a map is empty. So all are per unit of what there is to find, not per cell: an answer of
zeros costs about 1, however large the picture is. A mean over all cells would leave a joint of a
few cells a thousandth of the gradient that the empty rest has.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from .movenet import focal_loss


def squared(said: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """[B, C, h, w] twice, known [B, C or 1, h, w] -> scalar: 1 for an answer of zeros."""
    error = (said.float() - wanted).square() * known
    return error.sum() / wanted.square().sum().clamp(min=1)


def discs(logits: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Logits, 0 or 1 [B, C, h, w], known [B, C or 1, h, w] -> scalar, per cell of a disc."""
    loss = functional.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
    return (loss * known).sum() / wanted.sum().clamp(min=1)


def peaks(logits: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Logits, Gaussians of height 1 [B, C, h, w], known [B, C or 1, h, w] -> scalar, per peak."""
    unknown = known <= 0
    loss, count = focal_loss(
        logits.masked_fill(unknown, -30.0), wanted.masked_fill(unknown.expand_as(wanted), 0.0)
    )
    return loss / count.clamp(min=1)


def smooth_distance(said: Tensor, wanted: Tensor, known: Tensor, scale: float) -> Tensor:
    """Vectors [B, 2 C, h, w] twice, known [B, 2 C, h, w] -> scalar: smooth L1 in units of `scale`,
    both coordinates of a vector added up.
    """
    error = functional.smooth_l1_loss(said.float() / scale, wanted / scale, reduction="none")
    return 2 * (error * known).sum() / known.sum().clamp(min=1)
