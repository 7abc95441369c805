"""RTMPose (Jiang et al. 2023, arXiv 2303.07399): CSPNeXt features, one gated attention unit over
the joints, coordinates as classes (SimCC, Li et al. 2022).

The backbone is that of RTMDet (Lyu et al. 2022, arXiv 2212.07784) with dense 3 × 3 convolutions;
its last map gives one map per joint (a 7 × 7 convolution); each map, flattened, is a token; the
tokens attend to each other (Hua et al. 2022, "Transformer quality in linear time", § 2); two linear
layers say the bins of x and of y. `rtmdet.py`, the detector of the same family, has layers of its
own: its convolutions are depthwise, with the normalisation folded in.

Parameter names are the published ones (open-mmlab/mmpose, Apache-2.0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import OptionError

STRIDE = 32


class Conv(nn.Module):
    """Convolution, batch normalisation, SiLU; same size at stride 1."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.bn(self.conv(x)))


class Separable(nn.Module):
    """A 5 × 5 convolution of each channel alone and one that mixes the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise_conv = Conv(width, width, 5, groups=width)
        self.pointwise_conv = Conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise_conv(self.depthwise_conv(x))


class Block(nn.Module):
    """3 × 3, then depthwise 5 × 5, beside a shortcut if `add` (RTMDet's block)."""

    def __init__(self, width: int, *, add: bool) -> None:
        super().__init__()
        self.conv1 = Conv(width, width, 3)
        self.conv2 = Separable(width)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.add else y


class ChannelAttention(nn.Module):
    """Channels are weighed by what the whole map holds."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * functional.hardsigmoid(self.fc(x.mean((2, 3), keepdim=True)))


class CspLayer(nn.Module):
    """Half of the channels go through the blocks, half around them (Wang et al. 2019, CSPNet)."""

    def __init__(self, width: int, depth: int, *, add: bool) -> None:
        super().__init__()
        half = width // 2
        self.main_conv = Conv(width, half)
        self.short_conv = Conv(width, half)
        self.blocks = nn.Sequential(*(Block(half, add=add) for _ in range(depth)))
        self.attention = ChannelAttention(width)
        self.final_conv = Conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.blocks(self.main_conv(x)), self.short_conv(x)], 1)
        return self.final_conv(self.attention(both))


class Pool(nn.Module):
    """The greatest within 5, 9 and 13 cells (He et al. 2014), as one pool of 5 three times."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Conv(width, width // 2)
        self.conv2 = Conv(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.conv1(x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.conv2(torch.cat(parts, 1))


class CspNext(nn.Module):
    """Image [B, 3, H, W] -> features [B, 16 width, H / 32, W / 32]."""

    def __init__(self, width: int, depths: Sequence[int]) -> None:
        super().__init__()
        first = width // 2
        self.stem = nn.Sequential(
            Conv(3, first, 3, 2), Conv(first, first, 3), Conv(first, width, 3)
        )
        one, two, three, four = depths
        self.stage1 = self.stage(width, one)
        self.stage2 = self.stage(2 * width, two)
        self.stage3 = self.stage(4 * width, three)
        self.stage4 = self.stage(8 * width, four, last=True)

    @staticmethod
    def stage(width: int, depth: int, *, last: bool = False) -> nn.Sequential:
        """[B, width, h, w] -> [B, 2 width, h / 2, w / 2]; the last one pools and adds nothing."""
        pool = [Pool(2 * width)] if last else []
        csp = CspLayer(2 * width, depth, add=not last)
        return nn.Sequential(Conv(width, 2 * width, 3, 2), *pool, csp)

    def forward(self, image: Tensor) -> Tensor:
        return self.stage4(self.stage3(self.stage2(self.stage1(self.stem(image)))))


class ScaleNorm(nn.Module):
    """x / (|x| / √n) · g: every token has the same length (Nguyen and Salazar 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = width**-0.5
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        length = x.norm(dim=-1, keepdim=True) * self.scale
        return x / length.clamp(min=1e-5) * self.g


class Scale(nn.Module):
    """One learnt factor per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class GatedAttention(nn.Module):
    """Tokens [B, K, C] -> [B, K, C] (Hua et al. 2022, § 2).

    U, V and a shared base Z come from one layer; queries and keys are Z with a factor and an offset
    each; the attention is relu² of their products; the output is gated by U.
    """

    def __init__(self, width: int, shared: int, expansion: int = 2) -> None:
        super().__init__()
        self.split = (expansion * width, expansion * width, shared)
        self.uv = nn.Linear(width, sum(self.split), bias=False)
        self.gamma = nn.Parameter(torch.rand(2, shared))
        self.beta = nn.Parameter(torch.rand(2, shared))
        self.o = nn.Linear(expansion * width, width, bias=False)
        self.ln = ScaleNorm(width)
        self.res_scale = Scale(width)

    def forward(self, x: Tensor) -> Tensor:
        u, v, base = functional.silu(self.uv(self.ln(x))).split(self.split, 2)
        query, key = (base[:, :, None] * self.gamma + self.beta).unbind(2)
        attention = (query @ key.mT / math.sqrt(self.split[2])).relu().square()  # [B, K, K]
        return self.res_scale(x) + self.o(u * (attention @ v))


class Head(nn.Module):
    """Features [B, C, h, w] -> logits of x [B, K, bins] and of y [B, K, bins]."""

    def __init__(
        self,
        inputs: int,
        joints: int,
        *,
        cells: int,
        bins: tuple[int, int],
        hidden: int,
        shared: int,
    ) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(inputs, joints, 7, padding=3)
        self.mlp = nn.Sequential(ScaleNorm(cells), nn.Linear(cells, hidden, bias=False))
        self.gau = GatedAttention(hidden, shared)
        self.cls_x = nn.Linear(hidden, bins[0], bias=False)
        self.cls_y = nn.Linear(hidden, bins[1], bias=False)
        # As published: the bins begin level. The loss has them times ten, so with torch's start the
        # network unlearns their chance differences first (docs/log/lineage.md).
        nn.init.normal_(self.final_layer.weight, std=0.001)
        nn.init.zeros_(self.final_layer.bias)  # type: ignore[arg-type]
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.gau(self.mlp(self.final_layer(x).flatten(2)))
        return self.cls_x(tokens), self.cls_y(tokens)


class RtmPoseNet(nn.Module):
    """RTMPose for crops of one size (width, height), multiples of 32; OptionError for others.

    `width` is the stem's; `split` bins go to each pixel; `hidden` and `shared` are the widths of
    the tokens and of their queries.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        size: tuple[int, int] = (192, 256),
        width: int = 32,
        depths: Sequence[int] = (1, 2, 2, 1),
        split: float = 2.0,
        hidden: int = 256,
        shared: int = 128,
    ) -> None:
        super().__init__()
        if any(side < STRIDE or side % STRIDE for side in size):
            raise OptionError(
                f"RTMPose: a crop of {size[0]}x{size[1]} does not divide into cells;"
                f" expected multiples of {STRIDE}, as 192x256"
            )
        self.backbone = CspNext(width, depths)
        self.head = Head(
            16 * width,
            joints,
            cells=(size[0] // STRIDE) * (size[1] // STRIDE),
            bins=(round(size[0] * split), round(size[1] * split)),
            hidden=hidden,
            shared=shared,
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, H, W] -> x [B, K, split W], y [B, K, split H]; the peak's height is the score."""
        return self.head(self.backbone(image))


def numbers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a published state says of its network: its joints, and the crop's (width, height) at two
    bins to a pixel.
    """
    size = tuple(len(state[f"head.cls_{axis}.weight"]) // 2 for axis in "xy")
    return {"joints": len(state["head.final_layer.weight"]), "size": size}


VARIANTS: dict[str, dict[str, Any]] = {
    "rtmpose-t": {"width": 24, "depths": (1, 1, 1, 1)},
    "rtmpose-s": {"width": 32, "depths": (1, 2, 2, 1)},
    "rtmpose-m": {"width": 48, "depths": (2, 4, 4, 2)},
    "rtmpose-l": {"width": 64, "depths": (3, 6, 6, 3)},
    "rtmpose-x": {"width": 80, "depths": (4, 8, 8, 4)},
}
