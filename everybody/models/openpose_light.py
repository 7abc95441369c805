"""Lightweight OpenPose: OpenPose's maps from a MobileNet.

Osokin, "Real-time 2D multi-person pose estimation on CPU: Lightweight OpenPose", 2018. MobileNetV1
(Howard et al. 2017) up to its twelfth layer, dilated instead of halved a fourth time, so that its
stride is 8; one stage of 3 × 3 and 1 × 1 convolutions, then refinement stages whose blocks have the
receptive field of a 7 × 7. Joints and limbs share a stage's trunk.

Names and shapes are those of the published PyTorch weights; maps and loss are as in `openpose.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .openpose import last

STRIDE = 8
# Of MobileNet's separable layers: outputs, stride, dilation.
MOBILENET = (
    (64, 1, 1),
    (128, 2, 1),
    (128, 1, 1),
    (256, 2, 1),
    (256, 1, 1),
    (512, 1, 1),
    (512, 1, 2),
    *(4 * ((512, 1, 1),)),
)


def conv(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    norm: bool = False,
    bias: bool = True,
) -> nn.Sequential:
    """Convolution, batch normalisation if asked for, ReLU."""
    padding = dilation * (kernel // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=bias)
    ]
    if norm:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.ReLU())


def separable(inputs: int, outputs: int, stride: int, dilation: int) -> nn.Sequential:
    """A 3 × 3 convolution of each channel for itself, then a dense 1 × 1, both normalised."""
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, groups=inputs, bias=False)
    pointwise = conv(inputs, outputs, 1, norm=True, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(inputs), nn.ReLU(), *pointwise)


def separable_elu(width: int) -> nn.Sequential:
    """As `separable`, without normalisation and with ELU."""
    depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    return nn.Sequential(depthwise, nn.ELU(), nn.Conv2d(width, width, 1, bias=False), nn.ELU())


class Align(nn.Module):
    """Backbone's features [B,C,h,w] -> [B,width,h,w]."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.align = conv(inputs, width, 1)
        self.trunk = nn.Sequential(*(separable_elu(width) for _ in range(3)))
        self.conv = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.align(x)
        return self.conv(x + self.trunk(x))


class Block(nn.Module):
    """A residual block with the receptive field of a 7 × 7 convolution."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.initial = conv(inputs, width, 1)
        self.trunk = nn.Sequential(
            conv(width, width, norm=True), conv(width, width, dilation=2, norm=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.initial(x)
        return x + self.trunk(x)


class Stage(nn.Module):
    """A trunk and two heads: [B,C,h,w] -> confidence [B,K+1,h,w], fields [B,2L,h,w]."""

    def __init__(
        self, trunk: nn.Sequential, width: int, middle: int, joints: int, limbs: int
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.heatmaps = self._head(width, middle, joints + 1)
        self.pafs = self._head(width, middle, 2 * limbs)

    @staticmethod
    def _head(width: int, middle: int, maps: int) -> nn.Sequential:
        return nn.Sequential(conv(width, middle, 1), nn.Sequential(nn.Conv2d(middle, maps, 1)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x)
        return self.heatmaps(x), self.pafs(x)


class LightOpenPoseNet(nn.Module):
    def __init__(
        self, joints: int, *, limbs: int = 19, refinements: int = 1, width: int = 128
    ) -> None:
        super().__init__()
        layers, inputs = [conv(3, 32, stride=2, norm=True, bias=False)], 32
        for outputs, stride, dilation in MOBILENET:
            layers.append(separable(inputs, outputs, stride, dilation))
            inputs = outputs
        self.model = nn.Sequential(*layers)
        self.cpm = Align(inputs, width)

        first = nn.Sequential(*(conv(width, width) for _ in range(3)))
        self.initial_stage = Stage(first, width, 512, joints, limbs)

        read = width + joints + 1 + 2 * limbs
        self.refinement_stages = nn.ModuleList()
        for _ in range(refinements):
            trunk = nn.Sequential(Block(read, width), *(Block(width, width) for _ in range(4)))
            self.refinement_stages.append(Stage(trunk, width, width, joints, limbs))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[B,3,H,W] -> confidence [B,S,K+1,h,w], fields [B,S,2L,h,w]; the last stage is best."""
        features = self.cpm(self.model(image))
        said = [self.initial_stage(features)]
        for stage in self.refinement_stages:
            said.append(stage(torch.cat([features, *said[-1]], 1)))

        joints, fields = zip(*said, strict=True)
        return torch.stack(joints, 1), torch.stack(fields, 1)

    def answer(self, said: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        return last(said)


def numbers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a published state says of its network: how many refinement stages it has."""
    prefix = "refinement_stages."
    stages = {name.split(".")[1] for name in state if name.startswith(prefix)}
    return {"refinements": len(stages)}


VARIANTS: dict[str, dict[str, Any]] = {
    "openpose-light-1": {"refinements": 1},
    "openpose-light-3": {"refinements": 3},
}
