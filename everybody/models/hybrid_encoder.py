"""The hybrid encoder of RT-DETR (Zhao et al. 2023, § 4.2, Fig. 3-4), as RTMO uses it.

Attention within the coarsest map alone, where things are large and cells few; then a path down and
one up the levels, whose fusion blocks are RepVGG's (Ding et al. 2021). Parameter names are those of
mmpose (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .csp_darknet import Conv

USUAL = 1e-5  # eps of this part's normalisations


class BranchConv(nn.Module):
    """Convolution and normalisation."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class RepVGG(nn.Module):
    """A 3 × 3 and a 1 × 1 convolution side by side, which after training are one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch_3x3 = BranchConv(width, 3)
        self.branch_1x1 = BranchConv(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.branch_3x3(x) + self.branch_1x1(x))


class Fusion(nn.Module):
    """Two maps on top of each other [B, 2 width, h, w] -> [B, width, h, w]."""

    def __init__(self, width: int, inner: int, depth: int) -> None:
        super().__init__()
        self.conv1 = Conv(2 * width, inner, eps=USUAL)
        self.conv2 = Conv(2 * width, inner, eps=USUAL)
        self.bottlenecks = nn.Sequential(*(RepVGG(inner) for _ in range(depth)))
        self.conv3 = Conv(inner, width, eps=USUAL) if inner != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))


class Attention(nn.Module):
    """Tokens [B, N, C] and their places [N, C] -> [B, N, C]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        at = x + place
        return x + self.attn(at, at, x, need_weights=False)[0]


class FeedForward(nn.Module):
    """Tokens [B, N, C] -> [B, N, C], one by one."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        first = nn.Sequential(nn.Linear(width, hidden), nn.GELU())
        self.layers = nn.Sequential(first, nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class EncoderLayer(nn.Module):
    """Attention and a small network, each normalised after its shortcut (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.ffn = FeedForward(width, hidden)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        x = self.norms[0](self.self_attn(x, place))
        return self.norms[1](self.ffn(x))


class Encoder(nn.Module):
    """A map [B, C, h, w] -> the same, each cell knowing the others."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([EncoderLayer(width, heads, hidden)])

    def forward(self, x: Tensor) -> Tensor:
        place = places(x.shape[2], x.shape[3], x.shape[1], x.device)
        tokens = x.flatten(2).mT
        for layer in self.layers:
            tokens = layer(tokens, place)
        return tokens.mT.reshape(x.shape)


def waves(at: Tensor, width: int, temperature: float) -> Tensor:
    """Coordinates [...] -> cosines and sines [..., width] of falling frequency (Vaswani et al.
    2017, § 3.5).
    """
    count = width // 2
    period = temperature ** (torch.arange(count, device=at.device) / count)
    phase = at[..., None] / period
    return torch.cat([phase.cos(), phase.sin()], -1)


def places(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """[height · width, channels]: where each cell is, row by row: half of the channels say y, half
    x.
    """
    x = waves(torch.arange(width, device=device), channels // 2, 10000.0)
    y = waves(torch.arange(height, device=device), channels // 2, 10000.0)
    both = [y[:, None].expand(-1, width, -1), x[None].expand(height, -1, -1)]
    return torch.cat(both, 2).flatten(0, 1)


class Projector(nn.Module):
    """The maps that are answered with, of another width."""

    def __init__(self, inputs: int, outputs: int, levels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            Conv(inputs, outputs, active=False, eps=USUAL) for _ in range(levels)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [conv(x) for conv, x in zip(self.convs, maps, strict=True)]


class HybridEncoder(nn.Module):
    """Features of falling resolution -> maps [B, outputs, h, w] of all but the finest."""

    def __init__(
        self,
        inputs: Sequence[int],
        *,
        width: int,
        inner: int,
        outputs: int,
        depth: int = 1,
        heads: int = 8,
        hidden: int = 1024,
    ) -> None:
        super().__init__()
        steps = len(inputs) - 1
        self.input_proj = nn.ModuleList(
            Conv(channels, width, active=False, eps=USUAL) for channels in inputs
        )
        self.encoder = nn.ModuleList([Encoder(width, heads, hidden)])
        self.lateral_convs = nn.ModuleList(Conv(width, width, eps=USUAL) for _ in range(steps))
        self.fpn_blocks = nn.ModuleList(Fusion(width, inner, depth) for _ in range(steps))
        self.downsample_convs = nn.ModuleList(
            Conv(width, width, 3, 2, eps=USUAL) for _ in range(steps)
        )
        self.pan_blocks = nn.ModuleList(Fusion(width, inner, depth) for _ in range(steps))
        self.projector = Projector(width, outputs, steps)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        *finer, last = (conv(x) for conv, x in zip(self.input_proj, features, strict=True))
        coarse = [self.encoder[0](last)]
        for lateral, fuse in zip(self.lateral_convs, self.fpn_blocks, strict=True):
            coarse[0] = lateral(coarse[0])
            doubled = functional.interpolate(coarse[0], scale_factor=2.0, mode="nearest")
            coarse.insert(0, fuse(torch.cat([doubled, finer.pop()], 1)))

        maps = [coarse.pop(0)]
        for down, fuse in zip(self.downsample_convs, self.pan_blocks, strict=True):
            maps.append(fuse(torch.cat([down(maps[-1]), coarse.pop(0)], 1)))
        return self.projector(maps[1:])
