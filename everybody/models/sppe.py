"""Our single-person pose estimator: a slim ResNet, a feature pyramid, one map of logits per joint.

The map is a classification over its cells: a spatial softmax, as in Tompson et al. 2014's heatmaps
trained by cross-entropy (cf. SimCC, Li et al. 2022). It learns within minutes, where regressed
heatmaps (Newell et al. 2016) learn nothing. `answer` scales the softmax so that a Gaussian of the
codec's sigma peaks at 1. So the codec `Heatmap` decodes it, and the peak's height is the score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .resnet import Pyramid, ResNet


class SppeNet(nn.Module):
    """Crop [B, 3, H, W], normalised; H, W multiples of 32 -> logits [B, K, H / 4, W / 4]."""

    def __init__(
        self,
        joints: int = 17,
        *,
        width: int = 32,
        depths: Sequence[int] = (2, 2, 2, 2),
        head: int = 64,
        sigma: float = 1.5,
    ) -> None:
        super().__init__()
        self.sigma = sigma
        self.backbone = ResNet(width=width, depths=depths)
        self.pyramid = Pyramid(self.backbone.channels, head, 1)
        # No bias: a softmax over cells is blind to what all cells share.
        self.logits = nn.Conv2d(head, joints, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.logits(self.pyramid(self.backbone(image))[0])

    def answer(self, logits: Tensor) -> Tensor:
        """Logits -> heatmaps [B, K, H / 4, W / 4]: the probability of each cell, over that of a
        perfect answer's peak.
        """
        return logits.flatten(2).softmax(2).reshape(logits.shape) * (2 * math.pi * self.sigma**2)


VARIANTS: dict[str, dict[str, Any]] = {
    "sppe-fast": {"width": 32, "head": 48},  # half of ResNet-18
    "sppe-accurate": {"width": 48, "depths": (2, 3, 4, 2), "head": 96},
}
