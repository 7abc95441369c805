"""Keypoints ↔ what a network emits, under the coordinate law (integers are pixel centres; see
`people.py`).

A codec carries the grid of the weights it decodes. Cell c of a grid of w cells over a crop of W
pixels lies at crop pixel c · scale + offset, and the literature has three alignments:

    centre  scale W / w,              offset (scale - 1) / 2   the cell's own centre: what a box-sized cell covers
    corner  scale W / w,              offset 0                 Simple Baselines, HRNet, TinyPose, RTMPose
    udp     scale (W - 1) / (w - 1),  offset 0                 Huang et al. 2020: from first to last pixel

An output that is mirrored for a flip test is symmetric about the middle of its *cells*, not of the
crop, so a codec also says where that axis lies: a crop that was mirrored there needs no shift
afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Alignment = Literal["centre", "corner", "udp"]
ALIGNMENTS: tuple[Alignment, ...] = ("centre", "corner", "udp")
REFINEMENTS = ("dark", "quarter", "none")


class Codec(Protocol):
    """What the pose stage needs to know of a network's output."""

    @property
    def size(self) -> tuple[int, int]:
        """The crop's (width, height) in pixels."""
        ...

    @property
    def axis(self) -> float:
        """The x (crop pixels) that a mirror of the output leaves in place."""
        ...

    def decode(self, outputs: Sequence[Array]) -> Array:
        """The network's outputs -> keypoints [N, K, 3] in crop pixels; scores in [0, 1]."""
        ...

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        """Outputs for a crop mirrored at `axis` -> outputs as for the crop itself."""
        ...


def _grid(pixels: int, cells: int, alignment: Alignment) -> tuple[float, float]:
    """(scale, offset) of one axis."""
    if alignment == "udp":
        return (pixels - 1) / (cells - 1), 0.0
    scale = pixels / cells
    return scale, (scale - 1) / 2 if alignment == "centre" else 0.0


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Keypoints as peaks of Gaussians on a coarser grid (Tompson et al. 2014).

    Refinement of the peak to less than a cell: `dark`, Newton's step on the logarithm of the
    smoothed map (Zhang et al. 2020, Eq. 6-9; exact for Gaussians); `quarter`, a quarter of a cell
    towards the higher neighbour (Newell et al. 2016); `none`.
    """

    size: tuple[int, int] = (192, 256)
    stride: int = 4
    sigma: float = 2.0  # of the Gaussians, in cells
    alignment: Alignment = "centre"
    refine: Literal["dark", "quarter", "none"] = "dark"

    @property
    def cells(self) -> tuple[int, int]:
        """(width, height) of the grid."""
        return self.size[0] // self.stride, self.size[1] // self.stride

    @property
    def scale(self) -> Array:
        return np.array(
            [_grid(p, c, self.alignment)[0] for p, c in zip(self.size, self.cells, strict=True)]
        )

    @property
    def offset(self) -> Array:
        return np.array(
            [_grid(p, c, self.alignment)[1] for p, c in zip(self.size, self.cells, strict=True)]
        )

    @property
    def axis(self) -> float:
        return float(self.offset[0] + self.scale[0] * (self.cells[0] - 1) / 2)

    def encode(self, keypoints: Array) -> tuple[Array, Array]:
        """[N, K, 3] in crop pixels -> heatmaps [N, K, h, w] of peak 1, weights [N, K]; weight 0
        where a joint is unlabelled (score 0) or outside the grid.
        """
        width, height = self.cells
        cell = (keypoints[..., :2] - self.offset) / self.scale
        inside = ((cell >= -0.5) & (cell <= np.array([width, height]) - 0.5)).all(-1)
        weights = ((keypoints[..., 2] > 0) & inside).astype(np.float32)
        x = np.exp(-np.square(np.arange(width) - cell[..., :1]) / (2 * self.sigma**2))
        y = np.exp(-np.square(np.arange(height) - cell[..., 1:2]) / (2 * self.sigma**2))
        maps = y[..., :, None] * x[..., None, :] * weights[..., None, None]
        return maps.astype(np.float32), weights

    def decode(self, outputs: Sequence[Array]) -> Array:
        """[heatmaps [N, K, h, w]] -> [N, K, 3] in crop pixels; the score is the peak's height, cut
        to [0, 1].
        """
        (heatmaps,) = outputs
        n, k, height, width = heatmaps.shape
        maps = np.ascontiguousarray(heatmaps).reshape(n * k, height * width)
        best = maps.argmax(1)
        peak = maps[np.arange(n * k), best]
        cell = np.stack([best % width, best // width], 1)
        if n * k and self.refine != "none":
            step = _dark_step if self.refine == "dark" else _quarter_step
            shift = step(maps.reshape(n * k, height, width), cell, self.sigma)
        else:
            shift = np.zeros(cell.shape)
        keypoints = np.empty((n * k, 3), np.float32)
        keypoints[:, :2] = (cell + shift) * self.scale + self.offset
        keypoints[:, 2] = np.clip(peak, 0, 1)
        return keypoints.reshape(n, k, 3)

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        (heatmaps,) = outputs
        return [heatmaps[:, list(mirror), :, ::-1]]


@dataclass(frozen=True, slots=True)
class SimCC:
    """Each coordinate as a classification over bins finer than pixels (Li et al. 2022; RTMPose,
    Jiang et al. 2023).

    `activation` says what the network gives: `none`, values used as they are (RTMPose), or
    `softmax`, logits.
    """

    size: tuple[int, int] = (192, 256)
    split: float = 2.0  # bins per pixel
    sigma: float = 6.0  # of the target Gaussians, in bins
    alignment: Alignment = "corner"
    activation: Literal["none", "softmax"] = "none"

    @property
    def bins(self) -> tuple[int, int]:
        """(along x, along y)"""
        return round(self.size[0] * self.split), round(self.size[1] * self.split)

    def _axis(self, index: int) -> tuple[float, float]:
        return _grid(self.size[index], self.bins[index], self.alignment)

    @property
    def axis(self) -> float:
        scale, offset = self._axis(0)
        return offset + scale * (self.bins[0] - 1) / 2

    def encode(self, keypoints: Array) -> tuple[Array, Array, Array]:
        """[N, K, 3] in crop pixels -> x [N, K, bins], y [N, K, bins] that each sum to 1, weights
        [N, K]; weight 0 where a joint is unlabelled (score 0) or outside.
        """
        inside = keypoints[..., 2] > 0
        rows = []
        for index, count in enumerate(self.bins):
            scale, offset = self._axis(index)
            bin_ = (keypoints[..., index, None] - offset) / scale
            inside &= ((bin_ >= -0.5) & (bin_ <= count - 0.5))[..., 0]
            rows.append(np.exp(-np.square(np.arange(count) - bin_) / (2 * self.sigma**2)))
        weights = inside.astype(np.float32)
        x, y = (
            (row / np.maximum(row.sum(-1, keepdims=True), 1e-12) * weights[..., None]).astype(
                np.float32
            )
            for row in rows
        )
        return x, y, weights

    def decode(self, outputs: Sequence[Array]) -> Array:
        """[x [N, K, bins], y [N, K, bins]] -> [N, K, 3] in crop pixels; the score is the lower of
        the two peaks, cut to [0, 1]; for logits, relative to the peak of a perfect answer.
        """
        columns, peaks = [], []
        for index, values in enumerate(outputs):
            scale, offset = self._axis(index)
            columns.append(values.argmax(-1) * scale + offset)
            if self.activation == "softmax":
                total = np.exp(values - values.max(-1, keepdims=True)).sum(-1)
                peaks.append(self.sigma * np.sqrt(2 * np.pi) / total)
            else:
                peaks.append(values.max(-1))
        score = np.clip(np.minimum(*peaks), 0, 1)
        return np.stack([*columns, score], -1).astype(np.float32)

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        x, y = outputs
        return [x[:, list(mirror), ::-1], y[:, list(mirror)]]


CODECS: dict[str, type[Heatmap] | type[SimCC]] = {"heatmap": Heatmap, "simcc": SimCC}


def _quarter_step(maps: Array, cell: NDArray[np.integer], _sigma: float) -> Array:
    """[M, h, w], peaks [M, 2] (x, y) -> [M, 2], ±0.25 towards the higher neighbour; 0 at the
    border.
    """
    m, height, width = maps.shape
    rows, x, y = np.arange(m), cell[:, 0], cell[:, 1]
    left, right = maps[rows, y, np.maximum(x - 1, 0)], maps[rows, y, np.minimum(x + 1, width - 1)]
    up, down = maps[rows, np.maximum(y - 1, 0), x], maps[rows, np.minimum(y + 1, height - 1), x]
    inner = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    return 0.25 * np.stack([np.sign(right - left), np.sign(down - up)], 1) * inner[:, None]


def _dark_step(maps: Array, cell: NDArray[np.integer], sigma: float) -> Array:
    """[M, h, w], peaks [M, 2] (x, y) -> [M, 2]: Newton's step -H⁻¹∇ on the log of the smoothed map.

    Only the 5 × 5 cells around each peak are smoothed: the derivatives need no more, and 17 small
    patches are much cheaper than 17 blurred maps. A step of more than a cell is no refinement (flat
    or saddle-shaped maps): dropped.
    """
    m, height, width = maps.shape
    radius = max(1, round(2.5 * sigma))
    reach = radius + 2
    kernel = np.exp(-np.square(np.arange(-radius, radius + 1)) / (2 * sigma**2)).astype(np.float32)
    band = np.zeros((5, 2 * reach + 1), np.float32)  # row i smooths around the patch's cell i
    for i in range(5):
        band[i, i : i + 2 * radius + 1] = kernel / kernel.sum()
    span = np.arange(-reach, reach + 1)
    x, y = cell[:, :1] + span, cell[:, 1:] + span
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    patch = maps[
        np.arange(m)[:, None, None],
        np.clip(y, 0, height - 1)[:, :, None],
        np.clip(x, 0, width - 1)[:, None],
    ]
    f = np.log(np.maximum(band @ (patch * inside) @ band.T, 1e-10)).astype(np.float64)
    dx, dy = (f[:, 2, 3] - f[:, 2, 1]) / 2, (f[:, 3, 2] - f[:, 1, 2]) / 2
    dxx = (f[:, 2, 4] - 2 * f[:, 2, 2] + f[:, 2, 0]) / 4
    dyy = (f[:, 4, 2] - 2 * f[:, 2, 2] + f[:, 0, 2]) / 4
    dxy = (f[:, 3, 3] - f[:, 1, 3] - f[:, 3, 1] + f[:, 1, 1]) / 4
    determinant = dxx * dyy - dxy * dxy
    safe = (determinant > 1e-12) & (dxx < 0)
    divisor = np.where(safe, determinant, 1.0)
    shift = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], 1) / divisor[:, None]
    inner = (cell >= 2).all(1) & (cell[:, 0] < width - 2) & (cell[:, 1] < height - 2)
    keep = safe & inner & (np.abs(shift) <= 1).all(1)
    return np.where(keep[:, None], shift, 0.0)
