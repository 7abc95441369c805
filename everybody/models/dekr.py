"""DEKR: people as poses regressed from their centres, joint by joint (Geng et al. 2021).

HRNet's four maps (Sun et al. 2019) are laid on top of each other at stride 4. One head says
heatmaps of the joints and of people's centres. The other has a branch per joint that sees channels
of its own (§ 3.2, Fig. 3) and looks where the joint may be: adaptive convolutions, whose
3 × 3 places are the regular grid under a linear map and a shift, both said per cell:

    places = A · grid + t          offsets of a deformable convolution: A · grid - grid + t

Every cell says the vectors from each joint to itself: pose = cell - offset, in cells of stride 4.
How maps become people: `everybody.methods.dekr`. Parameter names are the authors' (HRNet/DEKR,
MIT); `published` takes mmpose's too (Apache-2.0).
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


MMPOSE = (  # names of mmpose's network -> ours; `branches` are those of all joints together
    (r"^(backbone|keypoint_head|head)\.", ""),
    (r"^heatmap_conv_layers\.0\.conv\.", "transition_heatmap.0."),
    (r"^heatmap_conv_layers\.0\.bn\.", "transition_heatmap.1."),
    (r"^heatmap_conv_layers\.1\.", "head_heatmap.0.0."),
    (r"^heatmap_conv_layers\.2\.", "head_heatmap.1."),
    (r"^(offset|displacement)_conv_layers\.0\.conv\.", "transition_offset.0."),
    (r"^(offset|displacement)_conv_layers\.0\.bn\.", "transition_offset.1."),
    (r"^(offset|displacement)_conv_layers\.(?=[123]\.)", "branches."),
    (r"^(branches\.\d)\.norm\.", r"\1.bn."),
)


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' names, or mmpose's -> ours. mmpose's layers are those of all joints in groups;
    its second edition says vectors from a cell to the joints, its first has the centres' heatmap
    before the others. What it judges poses with (`rescore_net`) goes.
    """
    second = any(".displacement_conv_layers." in name for name in state)
    kept = {name: value for name, value in state.items() if "rescore_net." not in name}
    ours = renamed(kept, *MMPOSE)
    joints = len(ours.get("branches.3.bias", ())) // 2
    if not joints:
        return ours
    found: dict[str, Tensor] = {}
    for name, value in ours.items():
        branch, layer, leaf = [*name.split(".", 2), ""][:3]
        if branch == "branches":
            found |= _of_each(joints, int(layer), leaf, value, sign=-1 if second else 1)
        elif name.startswith("head_heatmap.1.") and not second:
            found[name] = torch.cat([value[1:], value[:1]])
        else:
            found[name] = value
    return found


def _of_each(joints: int, layer: int, leaf: str, value: Tensor, *, sign: int) -> dict[str, Tensor]:
    """A parameter of all joints in groups, of layer 1 or 2 (adaptive) or 3 (the vectors) -> that of
    each joint.

    One convolution tells linear map and shift, row by row, less the regular grid: [A - 1 | t].
    """
    found: dict[str, Tensor] = {}
    shared = value[:2] if leaf == "regular_matrix" else value if value.ndim == 0 else None
    parts = value.chunk(joints) if shared is None else [shared] * joints
    kind = leaf.removeprefix("transform_matrix_conv.")
    for joint, part in enumerate(parts):
        block = f"offset_feature_layers.{joint}.{layer - 1}."
        if layer == 3:
            found[f"offset_final_layer.{joint}.{leaf}"] = sign * part
        elif kind != leaf and len(part) == 6:
            rows = part.unflatten(0, (2, 3))
            regular = torch.eye(2).flatten() if kind == "bias" else 0
            found[f"{block}{leaf}"] = rows[:, :2].flatten(0, 1) + regular
            found[f"{block}translation_conv.{kind}"] = rows[:, 2]
        else:
            found[f"{block}{leaf}"] = part
    return found


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
