"""PoseNet: the maps of PersonLab from a MobileNet.

Papandreou et al., "PersonLab: person pose estimation and instance segmentation with a bottom-up,
part-based, geometric embedding model", ECCV 2018, Sec. 3.1: heatmaps of discs around the joints,
short-range offsets from a cell to its joint, mid-range displacements from one joint of an edge to
the other, both ways. On MobileNetV1 (Howard et al. 2017) with its normalisation folded into the
convolutions, as published; where the stride asked for is below 32, what follows the stride not
taken is dilated. The published networks of half and three quarters of the width have no such
stride: their last two layers are as those before.

Cell c lies at pixel c · stride of an input of n · stride + 1 pixels (`alignment="udp"`);
displacements and offsets are in pixels, all y channels first, then all x channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Of MobileNet's separable layers: outputs, stride.
MOBILENET = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *(5 * ((512, 1),)),
)
WIDE, ALIKE = ((1024, 2), (1024, 1)), ((512, 1), (512, 1))  # the two last ones


class First(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, outputs, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu6(self.conv(x))


class Separable(nn.Module):
    """A 3 × 3 convolution of each channel for itself, then a dense one of 1 × 1."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu6(self.pointwise(functional.relu6(self.depthwise(x))))


def started(layer: nn.Conv2d) -> None:
    """Numbers that keep the spread of what goes through 27 layers (He et al. 2015, Eq. 10): nothing
    normalises it between them. With torch's own, so little of the picture reaches the last layer
    that two pictures cannot be learnt by heart (`docs/log/whole-pictures.md`).
    """
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


class PoseNet(nn.Module):
    def __init__(
        self,
        joints: int,
        *,
        edges: int = 16,
        multiplier: float = 1.0,
        stride: int = 16,
        wide: bool = True,
    ) -> None:
        """`multiplier` scales every width; `stride` is 8, 16 or 32; `wide`: the last two layers
        are twice as wide as those before.
        """
        super().__init__()
        inputs = int(32 * multiplier)
        self.features = nn.Sequential()
        self.features.add_module("conv0", First(inputs))

        reached, dilation = 2, 1
        for place, (outputs, step) in enumerate(MOBILENET + (WIDE if wide else ALIKE), 1):
            outputs = int(outputs * multiplier)
            here = step if reached * step <= stride else 1
            layer = Separable(inputs, outputs, here, dilation)
            self.features.add_module(f"conv{place}", layer)

            inputs, reached = outputs, reached * here
            dilation *= step // here  # a stride not taken spreads the layers after it

        self.heatmap = nn.Conv2d(inputs, joints, 1)
        self.offset = nn.Conv2d(inputs, 2 * joints, 1)
        self.displacement_fwd = nn.Conv2d(inputs, 2 * edges, 1)
        self.displacement_bwd = nn.Conv2d(inputs, 2 * edges, 1)
        for layer in self.features.modules():
            if isinstance(layer, nn.Conv2d):
                started(layer)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[B,3,H,W] in [-1, 1] -> logits of heatmaps [B,K,h,w], offsets [B,2K,h,w], displacements
        forwards and backwards [B,2E,h,w]; h = (H - 1) / stride + 1.
        """
        x = self.features(image)
        there, back = self.displacement_fwd(x), self.displacement_bwd(x)
        return self.heatmap(x), self.offset(x), there, back

    def answer(
        self, said: tuple[Tensor, Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Heatmaps are probabilities."""
        heatmap, offset, there, back = said
        return heatmap.sigmoid(), offset, there, back


def posenet_loss(
    said: tuple[Tensor, Tensor, Tensor, Tensor],
    heatmaps: tuple[Tensor, Tensor],
    fields: tuple[tuple[Tensor, Tensor], ...],
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Each target with its weight: heatmaps [B,K,h,w], then offsets and displacements [B,2C,h,w],
    weights [B,C,h,w] -> (sum, weight).

    Logistic loss of the heatmaps; smooth L1 in units of `scale` pixels of the fields, on the discs
    around the joints (weight 1 there).
    """
    target, weight = heatmaps
    losses = functional.binary_cross_entropy_with_logits(said[0], target, reduction="none")
    total = (losses * weight).sum() / weight.sum().clamp(min=1)

    for maps, (wanted, known) in zip(said[1:], fields, strict=True):
        errors = functional.smooth_l1_loss(maps / scale, wanted / scale, reduction="none")
        total = total + (errors * torch.cat([known, known], 1)).sum() / known.sum().clamp(min=1)
    batch = float(len(target))
    return total * batch, total.new_tensor(batch)


def numbers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a published state says of its network: edges and widths, not the stride."""
    before, last = (len(state[f"features.conv{n}.pointwise.weight"]) for n in (11, 13))
    return {
        "edges": len(state["displacement_fwd.weight"]) // 2,
        "multiplier": len(state["features.conv0.conv.weight"]) / 32,
        "wide": last > before,
    }


VARIANTS: dict[str, dict[str, Any]] = {
    "posenet-050": {"multiplier": 0.5, "wide": False},
    "posenet-075": {"multiplier": 0.75, "wide": False},
    "posenet-100": {"multiplier": 1.0},
    "posenet-100-stride-8": {"multiplier": 1.0, "stride": 8},
}
