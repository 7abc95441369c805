"""Efficient Object Localization (Tompson et al., CVPR 2015, arXiv 1411.4280): coarse heatmaps, then
a second look around each joint with the features that the first one has already computed.

§ 3.1: banks of convolutions see the picture at full and at lower resolutions; pooling makes their
cells as coarse as the heatmaps, large kernels give each cell a context of its own size, and the
banks' contexts overlap because they are added up on one grid; 1 × 1 convolutions say the coarse
heatmaps. § 3.2: SpatialDropout drops whole feature maps, because neighbours within a map know the
same. § 4: features of every resolution of the first bank are cropped at the coarse joint, all
covering the same `window` of pixels, and a small network says a heatmap of single pixels there. It
is siamese: all joints share its convolutions but the last (1 × 1).

A crop is a copy: gradients pass to the features, not to where it was taken. Both looks learn
together: E₃ = E₁ + λ E₂, squared errors of coarse and fine heatmaps (§ 3.3 and § 4.2; λ = 0.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import OptionError
from .gaussian_maps import gaussian_maps


def local_contrast(image: Tensor, reach: int = 4) -> Tensor:
    """[B, C, H, W] -> the same, each pixel less the mean and over the deviation of all channels
    around it (Jarrett et al. 2009, local contrast normalisation).
    """

    def around(x: Tensor) -> Tensor:
        padded = functional.pad(x.mean(1, keepdim=True), [reach] * 4, mode="replicate")
        return functional.avg_pool2d(padded, 2 * reach + 1, stride=1)

    centred = image - around(image)
    deviation = around(centred.square()).clamp(min=0).sqrt()
    typical = deviation.mean((2, 3), keepdim=True)
    return centred / torch.maximum(deviation, typical).clamp(min=1e-4)


def conv(inputs: int, outputs: int, kernel: int, *, norm: bool) -> nn.Sequential:
    """Convolution of the same size, batch normalisation if `norm`, ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not norm)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layer, *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU())


class Bank(nn.Module):
    """Picture [B, 3, H, W] -> features of strides 1, 2, 4, …, one more than there are pools."""

    def __init__(self, width: int, pools: int, *, norm: bool) -> None:
        super().__init__()
        inputs = [3] + [width] * pools
        self.levels = nn.ModuleList(conv(i, width, 5, norm=norm) for i in inputs)

    def forward(self, image: Tensor) -> list[Tensor]:
        x, features = image, []
        for level in self.levels:
            x = level(functional.max_pool2d(x, 2) if features else x)
            features.append(x)
        return features


class Coarse(nn.Module):
    """Coarsest features of all banks, full resolution first -> coarse heatmaps [B, K, h, w]."""

    def __init__(
        self, joints: int, *, banks: int, width: int, hidden: int, drop: float, norm: bool
    ) -> None:
        super().__init__()
        self.contexts = nn.ModuleList(
            nn.Conv2d(width, hidden, 9, padding=4, bias=index == 0) for index in range(banks)
        )
        self.norm = nn.BatchNorm2d(hidden) if norm else nn.Identity()
        self.drop = nn.Dropout2d(drop)  # SpatialDropout
        self.mix = conv(hidden, hidden // 2, 1, norm=norm)
        self.heatmaps = nn.Conv2d(hidden // 2, joints, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        size = features[0].shape[2:]
        parts = [
            functional.interpolate(context(x), size, mode="nearest")
            for context, x in zip(self.contexts, features, strict=True)
        ]
        x = self.norm(torch.stack(parts).sum(0)).relu()
        return self.heatmaps(self.mix(self.drop(x)))


class Refinement(nn.Module):
    """Crops of features [B, K, C, w / s, w / s], s = 1, 2, 4, … -> heatmaps [B, K, w, w]."""

    def __init__(self, joints: int, *, levels: int, width: int, hidden: int, norm: bool) -> None:
        super().__init__()
        self.levels = nn.ModuleList(conv(width, hidden, 5, norm=norm) for _ in range(levels))
        self.mix = nn.Sequential(
            conv(hidden, hidden, 5, norm=norm), conv(hidden, hidden, 5, norm=norm)
        )
        self.heatmaps = nn.Conv2d(joints * hidden, joints, 1, groups=joints)  # each joint's own

    def forward(self, crops: Sequence[Tensor]) -> Tensor:
        joints, size = crops[0].shape[1], crops[0].shape[-2:]
        parts = [
            functional.interpolate(level(crop.flatten(0, 1)), size, mode="nearest")
            for level, crop in zip(self.levels, crops, strict=True)
        ]
        x = self.mix(torch.stack(parts).sum(0))  # [B K, hidden, w, w]
        return self.heatmaps(x.unflatten(0, (-1, joints)).flatten(1, 2))


class TompsonNet(nn.Module):
    """Crop [B, 3, H, W]; H and W are multiples of 2 ** (pools + banks - 1).

    banks: resolutions seen, each half of the one before; pools: of 2 × 2 each, so that a heatmap's
    cell is 2 ** pools pixels; window: pixels across that are seen a second time, an odd number of
    such cells (OptionError for others); drop: share of feature maps that SpatialDropout takes away;
    norm: batch normalisation, which the paper does not have.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        banks: int = 2,
        pools: int = 2,
        width: int = 128,
        hidden: int = 512,
        fine: int = 128,
        window: int = 36,
        drop: float = 0.2,
        norm: bool = False,
    ) -> None:
        super().__init__()
        stride = 2**pools
        if window % stride or not (window // stride) % 2:
            raise OptionError(
                f"a window of {window} pixels has no cell of {stride} pixels in its middle;"
                f" expected an odd multiple of {stride}, as {9 * stride}"
            )
        self.stride, self.window = stride, window
        self.banks = nn.ModuleList(Bank(width, pools, norm=norm) for _ in range(banks))
        self.coarse = Coarse(joints, banks=banks, width=width, hidden=hidden, drop=drop, norm=norm)
        self.fine = Refinement(joints, levels=pools + 1, width=width, hidden=fine, norm=norm)

        # A true map is empty but for its peak. From torch's start, the fine maps of 36 × 36 pixels
        # cost several times what empty ones would, and are long in coming down.
        for head in (self.coarse.heatmaps, self.fine.heatmaps):
            nn.init.normal_(head.weight, std=0.001)
            assert head.bias is not None
            nn.init.zeros_(head.bias)

    def forward(self, image: Tensor, cells: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """-> (coarse heatmaps [B, K, h, w], fine heatmaps [B, K, w, w] of single pixels, where the
        windows begin [B, K, 2] (x, y) in pixels of the crop).

        The second look is where the coarse heatmaps peak, or, if given, at `cells` [B, K, 2] (x, y;
        integers), as for training on the truth with noise.
        """
        seen, banks = local_contrast(image), []
        for bank in self.banks:
            banks.append(bank(seen))
            seen = functional.avg_pool2d(seen, 2)

        coarse = self.coarse([features[-1] for features in banks])
        at = peaks(coarse) if cells is None else cells
        begin = at * self.stride - (self.window - self.stride) // 2
        crops = [
            cropped(x, begin // 2**level, self.window // 2**level)
            for level, x in enumerate(banks[0])
        ]
        return coarse, self.fine(crops), begin

    def answer(self, said: Sequence[Tensor]) -> tuple[Tensor]:
        """What `forward` says -> ([B, K, 4]): x, y in pixels of the crop where the fine heatmap
        peaks, and twice 1 - the peak's height, within [0, 1].
        """
        _, fine, begin = said
        at = (begin + peaks(fine)).float()
        doubt = 1 - fine.flatten(2).amax(2).clamp(0, 1)
        return (torch.cat([at, doubt[..., None].expand_as(at)], -1),)


def peaks(maps: Tensor) -> Tensor:
    """[B, K, h, w] -> [B, K, 2] (x, y), integers: the highest cell of each map."""
    best, width = maps.flatten(2).argmax(2), maps.shape[3]
    return torch.stack([best % width, best // width], -1)


def cropped(features: Tensor, begin: Tensor, side: int) -> Tensor:
    """[B, C, H, W], first cells [B, K, 2] (x, y; integers) -> [B, K, C, side, side]; 0 outside."""
    height, width = features.shape[2:]
    joints = begin.shape[1]
    step = torch.arange(side, device=features.device)
    x = (2 * (begin[..., :1] + step) + 1) / width - 1  # [B, K, side], from -1 to 1
    y = (2 * (begin[..., 1:] + step) + 1) / height - 1
    shape = (-1, joints, side, side)
    grid = torch.stack([x[:, :, None, :].expand(shape), y[:, :, :, None].expand(shape)], -1)
    crops = functional.grid_sample(
        features, grid.flatten(1, 2).to(features.dtype), mode="nearest", align_corners=False
    )  # [B, C, K side, side]; every sample is the middle of a cell
    return crops.unflatten(2, (joints, side)).transpose(1, 2)


def tompson_loss(
    said: Sequence[Tensor],
    targets: Sequence[Tensor],
    weights: Tensor,
    *,
    stride: int = 4,
    sigma: float = 1.5,
    factor: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """(coarse, fine, begin) of the network, (true places [B, K, 2] in pixels of the crop,), weights
    [B, K] -> (sum, weight): E₃ = E₁ + λ E₂; λ is `factor`, `sigma` is in cells of each heatmap.

    A joint outside its window counts in E₁ alone.
    """
    coarse, fine, begin = said
    (places,) = targets
    cells = (places - (stride - 1) / 2) / stride
    first = _error(coarse, cells, sigma)  # E₁

    pixels = places - begin
    inside = ((pixels >= -0.5) & (pixels <= fine.shape[-1] - 0.5)).all(-1)
    second = _error(fine, pixels, sigma) * inside  # E₂
    return ((first + factor * second) * weights).sum(), weights.sum()


def _error(maps: Tensor, at: Tensor, sigma: float) -> Tensor:
    """Maps [B, K, h, w], true places in cells [B, K, 2] -> squared error [B, K], in units of what
    an empty map would cost.
    """
    wanted = gaussian_maps(at, maps.shape[-2:], sigma)
    return (maps.float() - wanted).square().sum((2, 3)) / (math.pi * sigma**2)


VARIANTS: dict[str, dict[str, Any]] = {
    "tompson": {},
    "tompson-slim": {"width": 8, "hidden": 32, "fine": 8, "norm": True},
    "tompson-small": {"width": 32, "hidden": 128, "fine": 32, "norm": True},
}
