"""ResNet as published (He et al. 2016, Deep Residual Learning for Image Recognition, table 1 and
figure 5), without its classifier: the backbone of DeepPose's successors, integral regression,
simple baselines, SimCC, FastPose and Keypoint R-CNN.

Parameter names are those of torchvision (BSD-3), which the published pose checkpoints share:
`conv1`, `bn1`, `layer1.0.conv1`, …, `layer4.2.downsample.1`. In a bottleneck the 3 × 3 convolution
carries the stride, as in torchvision; in the paper, and in weights trained with Caffe, the first
1 × 1 convolution does (`early`). `resnet.py` is our own slim network; its stem and its names are
others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

Norm = Callable[[int], nn.Module]  # channels -> a normalisation layer


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions: [B, inputs, H, W] -> [B, width, H / stride, W / stride]."""

    def __init__(
        self, inputs: int, width: int, stride: int = 1, *, norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = norm(width)
        self.downsample = shortcut(inputs, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y))
        return (y + self.downsample(x)).relu()


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3, 1 × 1 convolution: [B, inputs, H, W] -> [B, 4 width, H / stride, …]. early: the
    first carries the stride, not the second.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int = 1,
        *,
        norm: Norm = nn.BatchNorm2d,
        early: bool = False,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if early else (1, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, first, bias=False)
        self.bn1 = norm(width)
        self.conv2: nn.Module = nn.Conv2d(width, width, 3, second, 1, bias=False)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = norm(4 * width)
        self.downsample = shortcut(inputs, 4 * width, stride, norm)

    def residual(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return self.bn3(self.conv3(y))

    def forward(self, x: Tensor) -> Tensor:
        return (self.residual(x) + self.downsample(x)).relu()


def shortcut(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Module:
    """The way past a block: nothing, or a projection where the shape changes."""
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))


class ResNet(nn.Module):
    """Image [B, 3, H, W] -> features [B, C, H / s, W / s] for s in 4, 8, 16, 32; C in `channels`.

    `block` (inputs, width, stride) builds blocks of another kind, of as many channels as those it
    stands for; `early` as of `Bottleneck`.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (3, 4, 6, 3),
        bottleneck: bool = True,
        width: int = 64,
        norm: Norm = nn.BatchNorm2d,
        block: Callable[[int, int, int], nn.Module] | None = None,
        early: bool = False,
    ) -> None:
        super().__init__()
        self.channels = tuple(width * 2**level * (4 if bottleneck else 1) for level in range(4))
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = norm(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)

        def usual(inputs: int, width: int, stride: int) -> nn.Module:
            if bottleneck:
                return Bottleneck(inputs, width, stride, norm=norm, early=early)
            return BasicBlock(inputs, width, stride, norm=norm)

        build = block or usual

        def layer(level: int) -> nn.Sequential:
            inputs = self.channels[level - 1] if level else width
            wide = width * 2**level
            first = build(inputs, wide, 2 if level else 1)
            others = [build(self.channels[level], wide, 1) for _ in range(depths[level] - 1)]
            return nn.Sequential(first, *others)

        self.layer1, self.layer2, self.layer3, self.layer4 = (layer(level) for level in range(4))

        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.maxpool(self.bn1(self.conv1(image)).relu())
        features = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            features.append(x)
        return features


VARIANTS: dict[int, dict[str, Any]] = {  # by the published number of layers
    18: {"depths": (2, 2, 2, 2), "bottleneck": False},
    34: {"depths": (3, 4, 6, 3), "bottleneck": False},
    50: {"depths": (3, 4, 6, 3), "bottleneck": True},
    101: {"depths": (3, 4, 23, 3), "bottleneck": True},
    152: {"depths": (3, 8, 36, 3), "bottleneck": True},
}
