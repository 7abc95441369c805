"""Each coordinate as a classification over bins finer than pixels (SimCC, Li et al. 2022; RTMPose,
Jiang et al. 2023).

The target of an axis is a Gaussian over its bins. The literature scales it in three ways, each a
row of `SCALES`: to a sum of 1, to the density's height 1 / (σ √2π), or to a peak of 1 (which a
softmax inside the loss then makes a distribution, as in RTMPose).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import unknown
from .grid import ALIGNMENTS, Alignment, Array, check_answer, check_ports, labels

if TYPE_CHECKING:
    from ..runtime import Port

SCALES: dict[str, Callable[[Array, float], Array]] = {  # row [..., bins] of peak 1, sigma -> row
    "sum": lambda row, sigma: row / np.maximum(row.sum(-1, keepdims=True), 1e-12),
    "density": lambda row, sigma: row / (sigma * np.sqrt(2 * np.pi)),
    "peak": lambda row, sigma: row,
}
ACTIVATIONS = ("none", "softmax")


@dataclass(frozen=True, slots=True)
class SimCC:
    """Two answers, x [N, K, bins] and y [N, K, bins].

    `activation` says what the network gives: `none`, values that are used as they are (RTMPose), or
    `softmax`, logits.
    """

    size: tuple[int, int] = (192, 256)
    split: float = 2.0  # bins per pixel
    sigma: float | tuple[float, float] = 6.0  # of the target Gaussians, in bins; or of x and of y
    alignment: Alignment = "corner"
    activation: Literal["none", "softmax"] = "none"
    scale: str = "sum"  # of the targets, a key of SCALES
    rounded: bool = False  # targets are around the nearest bin, as published ones are

    def __post_init__(self) -> None:
        for what, name, known in (
            ("alignment", self.alignment, ALIGNMENTS),
            ("activation", self.activation, ACTIVATIONS),
            ("scale of targets", self.scale, SCALES),
        ):
            if name not in known:
                raise unknown(f"{what} of SimCC", name, known)

    @property
    def bins(self) -> tuple[int, int]:
        """(along x, along y)"""
        return round(self.size[0] * self.split), round(self.size[1] * self.split)

    @property
    def sigmas(self) -> tuple[float, float]:
        """(along x, along y)"""
        return self.sigma if isinstance(self.sigma, tuple) else (self.sigma, self.sigma)

    @property
    def axis(self) -> float:
        scale, offset = self._grid(0)
        return offset + scale * (self.bins[0] - 1) / 2

    def encode(self, keypoints: Array) -> tuple[tuple[Array, ...], Array]:
        """[N, K, 3] in crop pixels -> (x [N, K, bins], y [N, K, bins]), weights [N, K]; joints that
        are unlabelled or outside have rows of zeros and weight 0.
        """
        places, inside = [], np.ones(keypoints.shape[:-1], bool)
        for index, count in enumerate(self.bins):
            scale, offset = self._grid(index)
            place = (keypoints[..., index, None] - offset) / scale
            inside &= ((place >= -0.5) & (place <= count - 0.5))[..., 0]
            places.append(np.floor(place + 0.5) if self.rounded else place)
        weights = labels(keypoints[..., 2], inside)

        rows = []
        seen = (weights > 0)[..., None]
        for place, count, sigma in zip(places, self.bins, self.sigmas, strict=True):
            away = np.arange(count) - np.where(seen, place, 0)
            row = SCALES[self.scale](np.exp(-np.square(away) / (2 * sigma**2)), sigma)
            rows.append((row * seen).astype(np.float32))
        return tuple(rows), weights

    def decode(self, outputs: Sequence[Array]) -> Array:
        """[x [N, K, bins], y [N, K, bins]] -> [N, K, 3] in crop pixels; the score is the lower of
        the two peaks, cut to [0, 1]; for logits, relative to the peak of a perfect answer.
        """
        wanted = [(None, None, count) for count in self.bins]
        check_answer(self, self._meaning("K"), wanted, outputs)
        columns, peaks = [], []
        for index, values in enumerate(outputs):
            scale, offset = self._grid(index)
            columns.append(values.argmax(-1) * scale + offset)
            if self.activation == "softmax":
                total = np.exp(values - values.max(-1, keepdims=True)).sum(-1)
                peaks.append(self.sigmas[index] * np.sqrt(2 * np.pi) / total)
            else:
                peaks.append(values.max(-1))
        score = np.clip(np.minimum(*peaks), 0, 1)
        return np.stack([*columns, score], -1).astype(np.float32)

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        x, y = outputs
        return [x[:, list(mirror), ::-1], y[:, list(mirror)]]

    def check(self, ports: Sequence[Port], joints: int) -> None:
        wanted = [(None, joints, count) for count in self.bins]
        check_ports(self, self._meaning(str(joints)), wanted, ports)

    def _grid(self, index: int) -> tuple[float, float]:
        return ALIGNMENTS[self.alignment](self.size[index], self.bins[index])

    def _meaning(self, joints: str) -> str:
        x, y = self.bins
        return (
            f"2 output(s) [B, {joints}, {x}] and [B, {joints}, {y}] "
            f"(a crop of {self.size[0]}×{self.size[1]} at {self.split:g} bins per pixel)"
        )
