"""Our detector: a score per category, no anchors, one slim ResNet with a feature pyramid at
strides 8, 16 and 32.

Every cell says how surely a person's box belongs to it and how far its four sides are (FCOS, Tian
et al. 2019). The levels share the head. Boxes count from the picture's corner, as those of other
detectors do (`codecs/boxes.py` brings them to the coordinate law). Duplicates are suppressed by the
caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .resnet import Pyramid, ResNet, conv

STRIDES = (8, 16, 32)
# The score of every cell before training, so that empty cells do not drown the others (RetinaNet,
# Lin et al. 2017).
PRIOR = 0.01


class DetectorNet(nn.Module):
    """Picture [B, 3, H, W], normalised; H, W multiples of 32 -> logits [B, A, C] and boxes
    [B, A, 4] xyxy in its pixels, A cells of all levels, the finest first; C categories.
    """

    MIDDLE = 0.5  # of a cell, in its sides: where it counts from

    def __init__(
        self,
        categories: int = 1,
        *,
        width: int = 24,
        depths: Sequence[int] = (1, 2, 2, 2),
        head: int = 64,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(width=width, depths=depths)
        self.pyramid = Pyramid(self.backbone.channels[1:], head, len(STRIDES))
        self.scores = nn.Sequential(conv(head, head), nn.Conv2d(head, categories, 1))
        self.sides = nn.Sequential(conv(head, head), nn.Conv2d(head, 4, 1))
        nn.init.constant_(self.scores[1].bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits, boxes = [], []
        for stride, feature in zip(STRIDES, self.pyramid(self.backbone(image)[1:]), strict=True):
            logits.append(self.scores(feature).flatten(2).mT)
            sides = functional.softplus(self.sides(feature).float()).flatten(2).mT * (2 * stride)
            at = centres(feature.shape[2], feature.shape[3], stride, feature.device)
            boxes.append(torch.cat([at - sides[..., :2], at + sides[..., 2:]], 2))
        return torch.cat(logits, 1), torch.cat(boxes, 1)

    def answer(self, said: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits and boxes -> boxes [B, A, 4] and scores [B, C, A], as `PicodetBoxes` decodes."""
        logits, boxes = said
        return boxes, logits.sigmoid().mT


def cells_of(size: tuple[int, int], device: torch.device, middle: float = 0.5) -> Tensor:
    """[A, 2] (x, y) from the picture's corner: where all cells of a picture of this size (width,
    height) count from, in the order of a detector's answers.
    """
    levels = [centres(size[1] // s, size[0] // s, s, device, middle) for s in STRIDES]
    return torch.cat(levels)


def centres(
    height: int, width: int, stride: int, device: torch.device, middle: float = 0.5
) -> Tensor:
    """[height · width, 2] (x, y) from the picture's corner: where the cells of one level count
    from; by default their middles.
    """
    x = (torch.arange(width, device=device) + middle) * stride
    y = (torch.arange(height, device=device) + middle) * stride
    return torch.stack([x[None].expand(height, -1), y[:, None].expand(-1, width)], 2).reshape(-1, 2)


VARIANTS: dict[str, dict[str, Any]] = {
    "detector-fast": {"width": 16, "head": 48},
    "detector-accurate": {"width": 32, "head": 64, "depths": (2, 2, 2, 2)},
}
