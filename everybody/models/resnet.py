"""ResNet (He et al. 2016) of any width and depth, without its classifier: features at strides 4, 8,
16 and 32.

The basic block; three 3 × 3 convolutions instead of the 7 × 7 stem ("bag of tricks", He et al.
2019): plain dense convolutions run fastest per multiplication on CPUs, in float32 and in int8
alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


def conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, active: bool = True
) -> nn.Sequential:
    """Convolution, batch normalisation and, if active, ReLU; same size at stride 1."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if active else []))


class Block(nn.Module):
    """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride), conv(outputs, outputs, active=False)
        )
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else conv(inputs, outputs, 1, stride, active=False)
        # The block starts as the identity (Goyal et al. 2017).
        nn.init.zeros_(self.body[1][1].weight)  # type: ignore[index]

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.body(x) + self.skip(x))


class ResNet(nn.Module):
    """Image [B, 3, H, W] -> [B, C, H / s, W / s] for each s of 4, 8, 16, 32; C in `channels`."""

    def __init__(self, *, width: int = 64, depths: Sequence[int] = (2, 2, 2, 2)) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, width // 2, stride=2), conv(width // 2, width, stride=2))
        self.channels = tuple(width * 2**level for level in range(4))
        stages, inputs = [], width
        for level, (channels, depth) in enumerate(zip(self.channels, depths, strict=True)):
            blocks = [
                Block(inputs if i == 0 else channels, channels, 2 if level and i == 0 else 1)
                for i in range(depth)
            ]
            stages.append(nn.Sequential(*blocks))
            inputs = channels
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        x, features = self.stem(image), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class Pyramid(nn.Module):
    """Feature pyramid (Lin et al. 2017): features of several strides -> as many of `width`
    channels, each with what the coarser ones know. The finest `levels` are returned, finest first.
    """

    def __init__(self, channels: Sequence[int], width: int, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.lateral = nn.ModuleList(conv(c, width, 1) for c in channels)
        self.smooth = nn.ModuleList(conv(width, width) for _ in channels)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        out: list[Tensor] = []
        for feature, lateral, smooth in reversed(
            list(zip(features, self.lateral, self.smooth, strict=True))
        ):
            x = lateral(feature)
            if out:
                x = x + nn.functional.interpolate(out[0], x.shape[2:], mode="nearest")
            out.insert(0, smooth(x))
        return out[: self.levels]
