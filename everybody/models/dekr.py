"""DEKR: people as poses regressed from their centres, joint by joint (Geng et al. 2021).

HRNet's four maps (Sun et al. 2019) are laid on top of each other at stride 4. One head says
heatmaps of the joints and of people's centres. The other has a branch per joint that sees channels
of its own (§ 3.2, Fig. 3) and looks where the joint may be: adaptive convolutions, whose
3 × 3 places are the regular grid under a linear map and a shift, both said per cell:

    places = A · grid + t          offsets of a deformable convolution: A · grid - grid + t

Every cell says the vectors from each joint to itself: pose = cell - offset, in cells of stride 4.
How maps become people: `everybody.methods.dekr`. Parameter names are the authors' (HRNet/DEKR,
MIT).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .deformable import deformable_convolution
from .hrnet import HRNetBackbone
from .published_names import renamed
from .resnet_published import BasicBlock

Loss = tuple[Tensor, Tensor]


class Kernel(nn.Module):
    """The weights of a 3 × 3 convolution that somebody else places."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        nn.init.normal_(self.weight, std=0.001)


class AdaptiveBlock(nn.Module):
    """A residual block of one adaptive convolution: [B, C, h, w] -> the same."""

    regular_matrix: Tensor  # [2, 9] rows y, x

    def __init__(self, width: int) -> None:
        super().__init__()
        y, x = torch.meshgrid(torch.arange(-1.0, 2), torch.arange(-1.0, 2), indexing="ij")
        self.register_buffer("regular_matrix", torch.stack([y.flatten(), x.flatten()]))
        self.transform_matrix_conv = nn.Conv2d(width, 4, 3, padding=1)
        self.translation_conv = nn.Conv2d(width, 2, 3, padding=1)
        self.adapt_conv = Kernel(width, width)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        matrix = self.transform_matrix_conv(x).unflatten(1, (2, 2))  # [B, 2, 2, h, w]
        places = torch.einsum("bijhw,jn->bnihw", matrix, self.regular_matrix)
        shift = self.translation_conv(x)[:, None]
        offsets = (places - self.regular_matrix.mT[None, :, :, None, None] + shift).flatten(1, 2)
        y = deformable_convolution(x, offsets, self.adapt_conv.weight, padding=1)
        return (self.bn(y) + x).relu()


def mixing(inputs: int, outputs: int) -> nn.Sequential:
    """1 × 1 convolution, normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Said(NamedTuple):
    """What the network says at stride 4."""

    heatmaps: Tensor  # [B, K + 1, h, w]: the joints, the centres
    offsets: Tensor  # [B, 2 K, h, w]: x, y from each joint to the cell, in cells


class DekrNet(HRNetBackbone):
    """Picture [B, 3, H, W], normalised; H, W multiples of 32 -> `Said`.

    channels: of each joint's branch; heat: of the heatmaps' head.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        channels: int = 15,
        heat: int = 32,
        **backbone: Any,
    ) -> None:
        super().__init__(**backbone)
        total = sum(self.channels)
        self.joints = joints
        self.transition_heatmap = mixing(total, heat)
        self.transition_offset = mixing(total, channels * joints)
        self.head_heatmap = nn.Sequential(
            nn.Sequential(BasicBlock(heat, heat)), nn.Conv2d(heat, joints + 1, 1)
        )
        self.offset_feature_layers = nn.ModuleList(
            nn.Sequential(AdaptiveBlock(channels), AdaptiveBlock(channels)) for _ in range(joints)
        )
        self.offset_final_layer = nn.ModuleList(nn.Conv2d(channels, 2, 1) for _ in range(joints))

    def forward(self, image: Tensor) -> Said:  # type: ignore[override]
        finest, *others = self.features(image)
        size = finest.shape[2:]
        larger = (
            functional.interpolate(x, size, mode="bilinear", align_corners=False) for x in others
        )
        x = torch.cat([finest, *larger], 1)

        heatmaps = self.head_heatmap(self.transition_heatmap(x))
        own = self.transition_offset(x).chunk(self.joints, 1)
        branches = zip(own, self.offset_feature_layers, self.offset_final_layer, strict=True)
        offsets = torch.cat([last(layers(part)) for part, layers, last in branches], 1)
        return Said(heatmaps, offsets)


def poses(offsets: Tensor) -> Tensor:
    """Offsets [B, 2 K, h, w] -> the joints that every cell says [B, 2 K, h, w]: x, y in cells."""
    y = torch.arange(offsets.shape[2], device=offsets.device)[:, None]
    x = torch.arange(offsets.shape[3], device=offsets.device)
    cell = torch.stack([x.expand(offsets.shape[2:]), y.expand(offsets.shape[2:])])
    return cell.repeat(offsets.shape[1] // 2, 1, 1) - offsets


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' names, or mmpose's backbone in front of them -> ours."""
    return renamed(state, (r"^backbone\.", ""))


def heatmap_loss(said: Tensor, wanted: Tensor, weight: Tensor) -> Loss:
    """[B, C, h, w] each -> (sum, cells): weighted squared error (§ 3.3); a weight is low
    where nobody is, so that the empty cells do not drown the others.
    """
    error = (said.float() - wanted).square() * weight
    return error.sum(), error.new_tensor(float(error.numel()))


def offset_loss(said: Tensor, wanted: Tensor, weight: Tensor, beta: float = 1 / 9) -> Loss:
    """[B, 2 K, h, w] each -> (sum, weight): smooth L1, a person's by their size (§ 3.1)."""
    apart = functional.smooth_l1_loss(said.float(), wanted, reduction="none", beta=beta)
    return (apart * weight).sum(), weight.sum()


def dekr_losses(said: Said, targets: Mapping[str, Tensor]) -> dict[str, Loss]:
    """What the network says, targets of `DekrCodec.encode` in batches -> its losses by name."""
    return {
        "heatmaps": heatmap_loss(said.heatmaps, targets["heatmaps"], targets["heatmaps_weight"]),
        "offsets": offset_loss(said.offsets, targets["offsets"], targets["offsets_weight"]),
    }


VARIANTS: dict[str, dict[str, Any]] = {
    "dekr-tiny": {
        "width": 8, "inner": 16, "modules": (1, 1, 1), "blocks": (1, 1, 1, 1), "channels": 4,
        "heat": 8,
    },
    "dekr-w32": {"width": 32},
    "dekr-w48": {"width": 48, "heat": 48},
}  # fmt: skip
