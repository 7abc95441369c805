"""VideoPose3D (Pavllo et al. 2019, arXiv 1811.11742): poses of many frames in 2D -> the middle one
in 3D, by convolutions over time.

A frame's joints are the channels (§ 3). A block is a dilated convolution and one of a single frame,
beside a shortcut; each widens the field of view by a factor. Nothing is padded, so F frames give
F - field + 1 poses. A `causal` network sees the past alone: its shortcuts end with the newest
frame, not with the middle one. A second network (`joints_out` of 1) says where the root is; its
error counts by 1 / the distance from the camera (Eq. 1).

Parameter names are the published ones (facebookresearch/VideoPose3D; names and shapes taken, no
code).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from math import prod
from typing import Any

from torch import Tensor, nn

from ..errors import OptionError


class VideoPoseNet(nn.Module):
    """A clip [B, F, K, features] (x, y and what else is known of a joint; x from -1 to 1 across the
    picture, y in the same units) -> [B, F - field + 1, joints_out, 3].

    widths: frames that each block joins, all odd (OptionError for others); their product is the
    field of view, so (3, 3, 3) sees 27 frames and (1, 1, 1) one; dense: kernels without gaps, as
    wide as the dilated ones.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        features: int = 2,
        joints_out: int | None = None,
        widths: Sequence[int] = (3, 3, 3),
        channels: int = 1024,
        dropout: float = 0.25,
        causal: bool = False,
        dense: bool = False,
    ) -> None:
        super().__init__()
        if not widths or any(width % 2 == 0 or width < 1 for width in widths):
            raise OptionError(
                f"VideoPose3D: widths {tuple(widths)} have no frame in the middle;"
                " expected odd numbers, as (3, 3, 3)"
            )
        self.field = prod(widths)
        self.causal = causal
        self.widths = tuple(widths)
        dilations = [prod(widths[:level]) for level in range(len(widths))]
        self.reach = [width // 2 * step for width, step in zip(widths, dilations, strict=True)]

        self.drop = nn.Dropout(dropout)
        self.expand_conv = nn.Conv1d(joints * features, channels, widths[0], bias=False)
        self.expand_bn = nn.BatchNorm1d(channels)
        self.layers_conv, self.layers_bn = nn.ModuleList(), nn.ModuleList()
        for width, step, reach in zip(widths[1:], dilations[1:], self.reach[1:], strict=True):
            wide = (
                nn.Conv1d(channels, channels, 2 * reach + 1, bias=False)
                if dense
                else nn.Conv1d(channels, channels, width, dilation=step, bias=False)
            )
            self.layers_conv.extend([wide, nn.Conv1d(channels, channels, 1, bias=False)])
            self.layers_bn.extend([nn.BatchNorm1d(channels), nn.BatchNorm1d(channels)])
        self.joints_out = joints if joints_out is None else joints_out
        self.shrink = nn.Conv1d(channels, 3 * self.joints_out, 1)

    @property
    def padding(self) -> tuple[int, int]:
        """Frames to repeat before the first and after the last one, for one pose per frame."""
        return (self.field - 1, 0) if self.causal else (self.field // 2, self.field // 2)

    def forward(self, clip: Tensor) -> Tensor:
        x = clip.flatten(2).mT  # [B, K features, F]
        x = self.drop(self.expand_bn(self.expand_conv(x)).relu())
        for block, reach in enumerate(self.reach[1:]):
            first = 2 * reach if self.causal else reach
            kept = x[:, :, first : x.shape[2] - 2 * reach + first]
            for layer in (2 * block, 2 * block + 1):
                x = self.drop(self.layers_bn[layer](self.layers_conv[layer](x)).relu())
            x = kept + x
        return self.shrink(x).mT.unflatten(2, (self.joints_out, 3))


def position_error(found: Tensor, truth: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Found and true joints [..., 3], weights [...] -> (sum, weight): the distance between them
    (MPJPE). For the root's network the weights are 1 / its distance from the camera (Eq. 1).
    """
    return ((found.float() - truth).norm(dim=-1) * weights).sum(), weights.sum()


def numbers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a published state says of its network, whose input is x and y, and the size (joints,
    frames) of its field of view; not whether it is causal, nor dense.
    """
    convs = takewhile(lambda name: name in state, (f"layers_conv.{2 * i}.weight" for i in count()))
    widths = [state[name].shape[2] for name in ("expand_conv.weight", *convs)]
    channels, inputs = state["expand_conv.weight"].shape[:2]
    return {
        "joints": inputs // 2,
        "joints_out": len(state["shrink.weight"]) // 3,
        "widths": tuple(widths),
        "channels": channels,
        "size": (inputs // 2, prod(widths)),
    }


def dense_numbers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """`numbers` of a state whose kernels have no gaps: each is as wide as its block reaches."""
    said, widths = numbers(state), []
    for kernel in said["widths"]:
        widths.append(1 + 2 * round(kernel // 2 / prod(widths)))
    return said | {"widths": tuple(widths), "size": (said["joints"], prod(widths))}


VARIANTS: dict[str, dict[str, Any]] = {
    "videopose3d-1": {"widths": (1, 1, 1)},
    "videopose3d-27": {"widths": (3, 3, 3)},
    "videopose3d-27-causal": {"widths": (3, 3, 3), "causal": True},
    "videopose3d-81": {"widths": (3, 3, 3, 3)},
    "videopose3d-243": {"widths": (3, 3, 3, 3, 3)},
    "videopose3d-243-causal": {"widths": (3, 3, 3, 3, 3), "causal": True},
}
