"""Integral human pose regression (Sun et al., ECCV 2018, arXiv 1711.08229).

A network of heatmaps H, as of simple baselines (Xiao et al. 2018), whose answer J is not the
highest cell, argmax H, but the mean of all cells under the map's softmax. The mean can be
differentiated, so the loss is the absolute difference of coordinates, and a cell's size does not
limit what can be said.

    p = softmax(β H),    J = Σ_cells p(cell) · cell

The softmax leaves some mass everywhere and draws the mean to the middle of the map; `debias` takes
that share out (Gu et al., Removing the Bias of Integral Pose Regression, ICCV 2021).

The codec is `Integral` (alignment "corner", the same β). Published weights: mmpose's (Apache-2.0),
trained with β = 1; Sun et al.'s own are other networks (3D too).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .deconvolution_head import DeconvolutionHead
from .published_names import renamed
from .resnet_published import VARIANTS as RESNETS
from .resnet_published import ResNet


def mean_cell(mass: Tensor) -> Tensor:
    """Maps that sum to 1 [..., h, w] -> the mean cell [..., 2] (x, y)."""
    height, width = mass.shape[-2:]
    x = torch.arange(width, device=mass.device, dtype=mass.dtype)
    y = torch.arange(height, device=mass.device, dtype=mass.dtype)
    return torch.stack([(mass.sum(-2) * x).sum(-1), (mass.sum(-1) * y).sum(-1)], -1)


def soft_argmax(logits: Tensor, *, beta: float = 1.0, debias: bool = False) -> Tensor:
    """[..., h, w] -> the mean cell [..., 2] (x, y) under the softmax of beta · logits.

    debias: by the sum C of the exponentials of the logits without beta, as mmpose has it.
    """
    height, width = logits.shape[-2:]
    flat = logits.float().flatten(-2)
    cells = mean_cell((beta * flat).softmax(-1).reshape(logits.shape))
    if debias:
        share = (-flat.logsumexp(-1))[..., None].exp()  # 1 / C, where C itself may be too large
        cells = (cells - share * cells.new_tensor([width, height]) / 2) / (1 - share)
    return cells


def coordinate_loss(
    logits: Tensor,
    targets: Sequence[Tensor],
    weights: Tensor,
    *,
    beta: float = 1.0,
    debias: bool = False,
) -> tuple[Tensor, Tensor]:
    """[B, K, h, w], (cells [B, K, 2], ...), [B, K] -> (sum, weight): cells away, x and y added."""
    away = (soft_argmax(logits, beta=beta, debias=debias) - targets[0]).abs().sum(-1)
    return (away * weights).sum(), weights.sum()


class IntegralNet(nn.Module):
    """Crop [B, 3, H, W], normalised; H, W multiples of 32 -> logits [B, K, s H / 32, s W / 32].

    s is 2 for each of `up`, the channels of the deconvolutions.
    """

    def __init__(
        self,
        joints: int,
        *,
        depths: Sequence[int] = (3, 4, 6, 3),
        bottleneck: bool = True,
        width: int = 64,
        up: Sequence[int] = (256, 256, 256),
    ) -> None:
        super().__init__()
        self.backbone = ResNet(depths=depths, bottleneck=bottleneck, width=width)
        self.head = DeconvolutionHead(self.backbone.channels[-1], joints, widths=up)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.backbone(image)[-1])


VARIANTS: dict[str, dict[str, Any]] = {
    "integral-tiny": {**RESNETS[18], "width": 8, "up": (32, 32, 32)},
    "integral-slim": {**RESNETS[18], "width": 32, "up": (64, 64, 64)},
    "integral-18": RESNETS[18],
    "integral-50": RESNETS[50],
}


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """mmpose's names -> ours, without its table of cells."""
    cells = (".linspace_x", ".linspace_y")
    kept = {name: value for name, value in state.items() if not name.endswith(cells)}
    return renamed(kept, (r"^(keypoint_)?head\.(simplebaseline_head\.)?", "head."))
