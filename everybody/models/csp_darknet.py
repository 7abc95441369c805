"""CSPDarknet and its blocks: the backbone of YOLOX (Ge et al. 2021, § 2) and RTMO (Lu et al. 2024).

Darknet (Redmon and Farhadi 2018) whose stages send half of the channels around their blocks (Wang
et al. 2019, CSPNet), with a stem that lays 2 × 2 pixels on top of each other (Jocher et al. 2020),
SiLU, and at the end spatial pyramid pooling (He et al. 2014). Parameter names are those of YOLOX
(Megvii, Apache-2.0); mmdet's layout (`stage1.1.main_conv`) is renamed in `rtmo.published`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS, MOMENTUM = 1e-3, 0.03  # of the normalisations, as published
Layer = Callable[[int, int, int, int], nn.Module]  # inputs, outputs, kernel, stride


class Conv(nn.Module):
    """Convolution, normalisation, SiLU; same size at stride 1."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        active: bool = True,
        eps: float = EPS,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs, eps=eps, momentum=MOMENTUM)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return functional.silu(x) if self.active else x


class Separable(nn.Module):
    """A convolution of each channel alone and one that mixes the channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = Conv(inputs, inputs, kernel, stride, groups=inputs)
        self.pconv = Conv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.pconv(self.dconv(x))


class Bottleneck(nn.Module):
    """1 × 1, then 3 × 3, beside a shortcut if `add`."""

    def __init__(self, width: int, layer: Layer, *, add: bool) -> None:
        super().__init__()
        self.conv1 = Conv(width, width)
        self.conv2 = layer(width, width, 3, 1)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.add else y


class CSP(nn.Module):
    """Half of the channels go through the blocks, half around them."""

    def __init__(
        self, inputs: int, outputs: int, depth: int, layer: Layer = Conv, *, add: bool = False
    ) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = Conv(inputs, half)
        self.conv2 = Conv(inputs, half)
        self.conv3 = Conv(outputs, outputs)
        self.m = nn.Sequential(*(Bottleneck(half, layer, add=add) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        through, around = self.conv1(x), self.conv2(x)  # in the published order: `yolox.from_onnx`
        return self.conv3(torch.cat([self.m(through), around], 1))


class Pool(nn.Module):
    """The greatest within 5, 9 and 13 cells, as one pool of 5 three times."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Conv(width, width // 2)
        self.conv2 = Conv(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.conv1(x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.conv2(torch.cat(parts, 1))


class Focus(nn.Module):
    """[B, 3, H, W] -> [B, width, H / 2, W / 2]: four neighbours become one cell of 12 channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = Conv(12, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.conv(torch.cat(parts, 1))


class CSPDarknet(nn.Module):
    """Image [B, 3, H, W], H, W multiples of 32 -> features [B, C, H / s, W / s] for s in 8, 16 and
    32; C in `channels`. `width`: channels of the stem; `layer`: what its 3 × 3 convolutions are.
    """

    def __init__(self, *, width: int, depths: Sequence[int], layer: Layer = Conv) -> None:
        super().__init__()
        widths = [width << level for level in range(5)]
        self.channels = tuple(widths[2:])

        def stage(level: int) -> nn.Sequential:
            before, after = widths[level : level + 2]
            last = level == 3
            pool = [Pool(after)] if last else []
            csp = CSP(after, after, depths[level], layer, add=not last)
            return nn.Sequential(layer(before, after, 3, 2), *pool, csp)

        self.stem = Focus(width)
        self.dark2, self.dark3, self.dark4, self.dark5 = (stage(level) for level in range(4))

    def forward(self, image: Tensor) -> list[Tensor]:
        low = self.dark3(self.dark2(self.stem(image)))
        middle = self.dark4(low)
        return [low, middle, self.dark5(middle)]
