"""Our network by MoveNet's design (Votel and Li 2021; after CenterNet, Zhou et al. 2019).

MobileNetV2 (Sandler et al. 2018) whose features of strides 4 to 32 come together at stride 4 by a
feature pyramid (Lin et al. 2017), and four small heads: centres of people, vectors from a centre to
its joints, heatmaps of joints, and the rest of the way from a cell to its joint. How they become
people: `everybody.codecs.centre_maps`, which also makes the targets.

Losses: the maps by CenterNet's focal loss (its Eq. 1), the vectors and offsets by the distance
where they are known (its Eq. 2 and 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .detector import PRIOR

STRIDE = 4
Loss = tuple[Tensor, Tensor]


def conv(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    act: bool = True,
) -> nn.Sequential:
    """Convolution, normalisation and, if active, ReLU6."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU6()] if act else []))


def separable(inputs: int, outputs: int) -> nn.Sequential:
    """A 3 × 3 convolution of each channel alone and one that mixes the channels."""
    return nn.Sequential(*conv(inputs, inputs, 3, groups=inputs), *conv(inputs, outputs))


class Inverted(nn.Module):
    """An inverted residual (Sandler et al. 2018, Fig. 4): widen, look around, narrow."""

    def __init__(self, inputs: int, outputs: int, stride: int, grow: int) -> None:
        super().__init__()
        wide = inputs * grow
        self.body = nn.Sequential(
            *(conv(inputs, wide) if grow > 1 else ()),
            *conv(wide, wide, 3, stride, groups=wide),
            *conv(wide, outputs, act=False),
        )
        self.add = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return x + y if self.add else y


class MobileNet(nn.Module):
    """Image [B, 3, H, W] -> features at strides 4, 8, 16 and 32; C in `channels`."""

    def __init__(self, width: int, depths: Sequence[int], grow: int) -> None:
        super().__init__()
        self.channels = (24 * width // 16, 32 * width // 16, 96 * width // 16, 160 * width // 16)
        self.stem = nn.Sequential(*conv(3, 2 * width, 3, 2), Inverted(2 * width, width, 1, 1))
        stages, inputs = [], width
        for channels, depth in zip(self.channels, depths, strict=True):
            others = (Inverted(channels, channels, 1, grow) for _ in range(depth - 1))
            stages.append(nn.Sequential(Inverted(inputs, channels, 2, grow), *others))
            inputs = channels
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        x, features = self.stem(image), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class Pyramid(nn.Module):
    """Features of falling resolution -> one map of the finest, which knows the others."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv(c, width, act=False) for c in channels)
        self.smooth = nn.ModuleList(separable(width, width) for _ in channels[:-1])

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        *finer, x = (side(f) for side, f in zip(self.lateral, features, strict=True))
        for feature, smooth in zip(reversed(finer), reversed(self.smooth), strict=True):
            up = functional.interpolate(x, feature.shape[2:], mode="bilinear", align_corners=False)
            x = smooth(up + feature)
        return x


class Said(NamedTuple):
    """What the network says at stride 4."""

    centre: Tensor  # [B, 1, h, w] logits
    heatmaps: Tensor  # [B, K, h, w] logits
    vectors: Tensor  # [B, 2 K, h, w] cells
    offsets: Tensor  # [B, 2 K, h, w] cells


class MoveNet(nn.Module):
    """Picture [B, 3, H, W], normalised; H, W multiples of 32 -> `Said`.

    width: channels of the backbone's narrowest part; depths: blocks per stage; grow: how much an
    inverted residual widens; pyramid, hidden: widths of the pyramid and of each head.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        width: int = 16,
        depths: Sequence[int] = (2, 3, 7, 4),
        grow: int = 6,
        pyramid: int = 24,
        hidden: int = 96,
    ) -> None:
        super().__init__()
        self.backbone = MobileNet(width, depths, grow)
        self.pyramid = Pyramid(self.backbone.channels, pyramid)

        def head(outputs: int, start: float = 0.0) -> nn.Sequential:
            last = nn.Conv2d(hidden, outputs, 1)
            nn.init.constant_(last.bias, start)  # type: ignore[arg-type]
            return nn.Sequential(separable(pyramid, hidden), last)

        rare = -math.log((1 - PRIOR) / PRIOR)
        self.centre, self.heatmaps = head(1, rare), head(joints, rare)
        self.vectors, self.offsets = head(2 * joints), head(2 * joints)

    def forward(self, image: Tensor) -> Said:
        x = self.pyramid(self.backbone(image))
        return Said(self.centre(x), self.heatmaps(x), self.vectors(x), self.offsets(x))

    def answer(self, said: Said) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is decoded: probabilities in place of logits."""
        return said.centre.sigmoid(), said.heatmaps.sigmoid(), said.vectors, said.offsets


def focal_loss(logits: Tensor, wanted: Tensor) -> Loss:
    """Logits and Gaussians of height 1 [B, K, h, w] -> (sum, number of peaks).

    Cells near a peak cost less, the nearer they are (Zhou et al. 2019, Eq. 1; α = 2, β = 4).
    """
    probability = logits.float().sigmoid()
    there, peak = functional.softplus(-logits.float()), wanted == 1
    absent = functional.softplus(logits.float())
    rest = (1 - wanted) ** 4 * probability.square() * absent
    loss = torch.where(peak, (1 - probability).square() * there, rest)
    return loss.sum(), peak.sum().to(loss.dtype)


def distance_loss(said: Tensor, wanted: Tensor, known: Tensor) -> Loss:
    """[B, 2 K, h, w], [B, 2 K, h, w], where known [B, K, h, w] -> (sum, number)."""
    apart = (said.float() - wanted).abs().unflatten(1, (-1, 2)).sum(2)
    return (apart * known).sum(), known.sum()


def movenet_losses(said: Said, targets: Mapping[str, Tensor]) -> dict[str, Loss]:
    """What the network says, targets of `CentreCodec.encode` in batches -> its losses by name."""
    return {
        "centre": focal_loss(said.centre, targets["centre"]),
        "heatmaps": focal_loss(said.heatmaps, targets["heatmaps"]),
        "vectors": distance_loss(said.vectors, targets["vectors"], targets["vectors_known"]),
        "offsets": distance_loss(said.offsets, targets["offsets"], targets["offsets_known"]),
    }


VARIANTS: dict[str, dict[str, Any]] = {
    "movenet-small": {"width": 8, "depths": (1, 2, 3, 2), "hidden": 48},
    "movenet": {},
    "movenet-large": {"width": 28, "pyramid": 48, "hidden": 128},
}
