"""Convolutional Pose Machines (Wei et al., CVPR 2016, arXiv 1602.00134).

The first stage reads belief maps (heatmaps) b off the picture x around each place. Every later
stage t sees features x′ of the picture, and the beliefs of the stage before around the same place,
in a window that large kernels make wide (Eq. 1 and 3):

    b_1 = g_1(x),    b_t = g_t(x′, b_{t-1})

so that a joint which is easy to see helps to find those which are not. The loss of a stage is the
squared error of its maps (Eq. 4), f_t = Σ_joints Σ_cells |b_t - b*|² with Gaussians b* at the true
joints; the losses of all stages are added up (Eq. 5, intermediate supervision), so each has a
gradient of its own.

The paper's net has a map of the background too, and takes a map of the person's centre; what mmpose
(Apache-2.0) publishes has neither and normalises batches (weights trained on MPII, COCO and JHMDB,
Apache-2.0). Our names are mmpose's, which puts `backbone.` before them. Its codec: heatmaps of an
eighth of the crop, alignment "corner", σ of 2 cells, a quarter of a cell towards the higher
neighbour; RGB with ImageNet's mean and deviation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .published_names import renamed


class Conv(nn.Module):
    """A convolution that keeps the size, batch normalisation and ReLU; or its linear part only."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, linear: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=linear)
        self.bn = nn.Identity() if linear else nn.BatchNorm2d(outputs)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        return y if self.linear else y.relu()


def halve() -> nn.MaxPool2d:
    """[B, C, H, W] -> [B, C, H / 2, W / 2]."""
    return nn.MaxPool2d(3, 2, 1)


def picture_features(width: int) -> list[nn.Module]:
    """[B, 3, H, W] -> features of the picture [B, width, H / 8, W / 8]."""
    return [
        *(Conv(3, width, 9), halve()),
        *(Conv(width, width, 9), halve()),
        *(Conv(width, width, 9), halve()),
    ]


class Refine(nn.Module):
    """Beliefs and features [B, C, h, w] -> [B, width, h, w], from 31 × 31 cells around each."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            Conv(inputs, width, 11), Conv(width, width, 11), Conv(width, width, 11)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class CpmNet(nn.Module):
    """Crop [B, 3, H, W], normalised -> one [B, K, H / 8, W / 8] per stage, in order.

    width: channels of most layers; narrow: of the features before a stage's large kernels; wide: of
    the first stage's last layers.
    """

    def __init__(
        self,
        joints: int,
        *,
        stages: int = 6,
        width: int = 128,
        narrow: int = 32,
        wide: int = 512,
    ) -> None:
        super().__init__()
        later = range(stages - 1)
        self.stem = nn.Sequential(
            *picture_features(width),
            Conv(width, narrow, 5),
            Conv(narrow, wide, 9),
            Conv(wide, wide, 1),
            Conv(wide, joints, 1, linear=True),
        )
        self.middle = nn.Sequential(*(picture_features(width) if stages > 1 else ()))
        self.middle_conv = nn.ModuleList(nn.Sequential(Conv(width, narrow, 5)) for _ in later)
        self.cpm_stages = nn.ModuleList(Refine(joints + narrow, width) for _ in later)
        self.out_convs = nn.ModuleList(
            nn.Sequential(Conv(width, width, 1), Conv(width, joints, 1, linear=True)) for _ in later
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        beliefs = [self.stem(image)]
        seen = self.middle(image)
        stages = zip(self.middle_conv, self.cpm_stages, self.out_convs, strict=True)
        for features, refine, read in stages:
            together = torch.cat([beliefs[-1], features(seen)], 1)
            beliefs.append(read(refine(together)))
        return tuple(beliefs)

    def answer(self, said: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The last stage's beliefs."""
        return (said[-1],)


VARIANTS: dict[str, dict[str, Any]] = {
    "cpm-tiny": {"stages": 2, "width": 16, "narrow": 8, "wide": 32},
    "cpm-slim": {"stages": 3, "width": 10, "narrow": 8, "wide": 48},
    "cpm-3": {"stages": 3},
    "cpm-6": {"stages": 6},
}


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """mmpose's names -> ours."""
    return renamed(state, (r"^backbone\.", ""))
