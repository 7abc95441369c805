"""DeepPose (Toshev & Szegedy, CVPR 2014) on a modern backbone, with or without RLE (Li et al., ICCV
2021).

The published ResNet, the mean of its last features over the picture, and one linear layer: 2
numbers per joint (x / W, y / H), or 4 with RLE (their scales too, before a sigmoid). RLE's density
(`likelihood.py`) learns with the network and is not exported.

The codec is `Regression`, unit "corner", with `sigmas` for RLE, whose score is 1 - σ. Published
weights: mmpose's (Apache-2.0), trained on COCO and MPII; `published` takes its names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .likelihood import RealNvp
from .published_names import renamed
from .resnet_published import VARIANTS as RESNETS
from .resnet_published import ResNet


class RegressionNet(nn.Module):
    """Crop [B, 3, H, W], normalised -> [B, K, 2] (x / W, y / H), or [B, K, 4] with the σ of both
    before the sigmoid.
    """

    def __init__(
        self,
        joints: int,
        *,
        depths: Sequence[int] = (3, 4, 6, 3),
        bottleneck: bool = True,
        width: int = 64,
        likelihood: bool = False,
    ) -> None:
        super().__init__()
        self.numbers = 4 if likelihood else 2  # per joint
        self.backbone = ResNet(depths=depths, bottleneck=bottleneck, width=width)
        self.fc = nn.Linear(self.backbone.channels[-1], joints * self.numbers)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)
        self.flow = RealNvp() if likelihood else None

    def forward(self, image: Tensor) -> Tensor:
        pooled = self.backbone(image)[-1].mean((2, 3))
        return self.fc(pooled).unflatten(1, (-1, self.numbers))

    def answer(self, said: Tensor) -> tuple[Tensor, ...]:
        """Coordinates as they are; σ in (0, 1)."""
        return (torch.cat([said[..., :2], said[..., 2:].sigmoid()], -1),)


VARIANTS: dict[str, dict[str, Any]] = {
    "deeppose-resnet-tiny": {**RESNETS[18], "width": 8},
    "deeppose-resnet-tiny-rle": {**RESNETS[18], "width": 8, "likelihood": True},
    "deeppose-resnet-slim": {**RESNETS[18], "width": 32},
    "deeppose-resnet-slim-rle": {**RESNETS[18], "width": 32, "likelihood": True},
    "deeppose-18": RESNETS[18],
    "deeppose-18-rle": {**RESNETS[18], "likelihood": True},
    "deeppose-50": RESNETS[50],
    "deeppose-50-rle": {**RESNETS[50], "likelihood": True},
    "deeppose-101": RESNETS[101],
    "deeppose-101-rle": {**RESNETS[101], "likelihood": True},
    "deeppose-152": RESNETS[152],
    "deeppose-152-rle": {**RESNETS[152], "likelihood": True},
}


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """mmpose's names -> ours, without the flow's constants."""
    constants = (".flow_model.loc", ".flow_model.cov", ".flow_model.mask")
    kept = {name: value for name, value in state.items() if not name.endswith(constants)}
    return renamed(
        kept,
        (r"^(keypoint_)?head\.fc\.", "fc."),
        (r"^(keypoint_)?head\.(loss|loss_module)\.flow_model\.", "flow."),
    )
