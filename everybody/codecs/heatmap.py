"""Keypoints as peaks of Gaussians on a coarser grid (Tompson et al. 2014).

The literature draws the target in four ways and refines the peak in three; each is a row
of `TARGETS` or `REFINEMENTS`. The combinations that published weights were trained with:

    Simple Baselines, HRNet   alignment corner, target rounded, refine quarter
    DARK                      alignment corner, target gaussian, refine dark
    UDP                       alignment udp, target cut, refine udp
    CPN, MSPN                 alignment edge, target spread, refine quarter, smooth, height 255
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import unknown
from .grid import ALIGNMENTS, Alignment, Array, check_answer, check_ports, labels
from .peaks import find_peaks
from .refine import REFINEMENTS, smoothed

if TYPE_CHECKING:
    from ..runtime import Port


def gaussian(cell: Array, count: int, sigma: float) -> Array:
    """Places [..., 1] in cells -> [..., count], a Gaussian of height 1 along one axis."""
    return np.exp(-np.square(np.arange(count) - cell) / (2 * sigma**2))


def cut(cell: Array, count: int, sigma: float) -> Array:
    """`gaussian`, 0 further than 3 sigma from the nearest cell (UDP, Huang et al. 2020)."""
    near = np.abs(np.arange(count) - np.floor(cell + 0.5)) <= 3 * sigma
    return gaussian(cell, count, sigma) * near


def rounded(cell: Array, count: int, sigma: float) -> Array:
    """`cut` around the nearest cell instead of the place itself (Xiao et al. 2018)."""
    return cut(np.floor(cell + 0.5), count, sigma)


def spread(cell: Array, count: int, sigma: float) -> Array:
    """One lit cell, blurred as far as 2.5 sigma and with mirrored borders, then scaled to a peak of
    1 (CPN, Chen et al. 2018; MSPN, Li et al. 2019).
    """
    at, cells = np.floor(cell + 0.5), np.arange(count)
    images = [at, np.where(at == 0, np.inf, -at)]
    images.append(np.where(at == count - 1, np.inf, 2 * (count - 1) - at))
    row = np.zeros((*cell.shape[:-1], count))
    for image in images:
        away = np.abs(cells - image)
        near = away <= round(2.5 * sigma)
        row += np.exp(-np.square(np.where(near, away, 0)) / (2 * sigma**2)) * near
    return row / np.maximum(row.max(-1, keepdims=True), 1e-12)


TARGETS: dict[str, Callable[[Array, int, float], Array]] = {
    "gaussian": gaussian,
    "cut": cut,
    "rounded": rounded,
    "spread": spread,
}


@dataclass(frozen=True, slots=True)
class Heatmap:
    """One map per joint [N, K, h, w]; the peak is the joint, its height the score."""

    size: tuple[int, int] = (192, 256)
    stride: int = 4
    sigma: float = 2.0  # of the Gaussians, in cells
    alignment: Alignment = "centre"
    refine: str = "dark"  # a key of REFINEMENTS
    target: str = "gaussian"  # a key of TARGETS
    height: float = 1.0  # of a perfect answer's peak
    smooth: bool = False  # find the peak on the map smoothed by a Gaussian of sigma
    background: bool = False  # after the joints' maps comes one of where none is; it is not read

    def __post_init__(self) -> None:
        for what, name, table in (
            ("alignment", self.alignment, ALIGNMENTS),
            ("refinement", self.refine, REFINEMENTS),
            ("target", self.target, TARGETS),
        ):
            if name not in table:
                raise unknown(f"{what} of heatmaps", name, table)

    @property
    def cells(self) -> tuple[int, int]:
        """(width, height) of the grid."""
        return self.size[0] // self.stride, self.size[1] // self.stride

    @property
    def scale(self) -> Array:
        """[2] (x, y): crop pixels per cell."""
        pairs = zip(self.size, self.cells, strict=True)
        return np.array([ALIGNMENTS[self.alignment](p, c)[0] for p, c in pairs])

    @property
    def offset(self) -> Array:
        """[2] (x, y): where cell 0 lies in crop pixels."""
        pairs = zip(self.size, self.cells, strict=True)
        return np.array([ALIGNMENTS[self.alignment](p, c)[1] for p, c in pairs])

    @property
    def axis(self) -> float:
        return float(self.offset[0] + self.scale[0] * (self.cells[0] - 1) / 2)

    def encode(self, keypoints: Array) -> tuple[tuple[Array, ...], Array]:
        """[N, K, 3] in crop pixels -> (heatmaps [N, K, h, w],), weights [N, K]; joints that are
        unlabelled or outside the grid have an empty map and weight 0. With a background there is
        one map more: what the highest of the others leaves.
        """
        width, height = self.cells
        cell = (keypoints[..., :2] - self.offset) / self.scale
        inside = ((cell >= -0.5) & (cell <= np.array([width, height]) - 0.5)).all(-1)
        weights = labels(keypoints[..., 2], inside)

        # Joints of weight 0 may lie anywhere, also where exp would underflow or be NaN.
        cell = np.where((weights > 0)[..., None], cell, 0)
        draw = TARGETS[self.target]
        x = draw(cell[..., :1], width, self.sigma).astype(np.float32)
        y = draw(cell[..., 1:2], height, self.sigma).astype(np.float32)
        y *= (self.height * (weights > 0)).astype(np.float32)[..., None]
        maps = y[..., :, None] * x[..., None, :]
        if self.background:
            maps = np.concatenate([maps, self.height - maps.max(1, keepdims=True, initial=0)], 1)
        return (maps,), weights

    def decode(self, outputs: Sequence[Array]) -> Array:
        """[heatmaps [N, K, h, w]] -> [N, K, 3] in crop pixels; the score is the peak's height by
        that of a perfect one, cut to [0, 1].
        """
        check_answer(self, self.meaning("K"), [(None, None, *self.cells[::-1])], outputs)
        (heatmaps,) = outputs
        heatmaps = heatmaps[:, : heatmaps.shape[1] - self.background]
        n, k, height, width = heatmaps.shape
        maps = np.ascontiguousarray(heatmaps).reshape(n * k, height * width)
        peak = maps.max(1)
        if self.smooth:
            maps = smoothed(maps.reshape(n * k, height, width), self.sigma).reshape(maps.shape)
        best = maps.argmax(1)
        cell = np.stack([best % width, best // width], 1)
        shift = np.zeros(cell.shape)
        if n * k:
            shift = REFINEMENTS[self.refine](maps.reshape(n * k, height, width), cell, self.sigma)

        keypoints = np.empty((n * k, 3), np.float32)
        keypoints[:, :2] = (cell + shift) * self.scale + self.offset
        keypoints[:, 2] = np.clip(peak / self.height, 0, 1)
        return keypoints.reshape(n, k, 3)

    def peaks(self, maps: Array, *, threshold: float = 0.1, radius: float = 3.0) -> list[Array]:
        """One crop's heatmaps [K, h, w] -> of each joint all peaks [M, 3] in crop pixels that score
        at least `threshold`, none within `radius` cells of a stronger one.
        """
        maps = np.ascontiguousarray(maps[: len(maps) - self.background])
        found = find_peaks(maps, threshold=threshold * self.height, radius=radius)
        cell = np.stack([found.x, found.y], 1)
        places = cell * self.scale + self.offset
        if len(cell):
            shift = REFINEMENTS[self.refine](maps[found.part], cell, self.sigma)
            places = (cell + shift) * self.scale + self.offset
        score = np.clip(found.score / self.height, 0, 1)
        peaks = np.concatenate([places, score[:, None]], 1)
        return [peaks[found.part == joint] for joint in range(len(maps))]

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        (heatmaps,) = outputs
        order = [*mirror, *([len(mirror)] if self.background else [])]
        return [heatmaps[:, order, :, ::-1]]

    def check(self, ports: Sequence[Port], joints: int) -> None:
        maps = joints + self.background
        wanted = (None, maps, *self.cells[::-1])
        check_ports(self, self.meaning(str(maps)), [wanted], ports)

    def meaning(self, joints: str) -> str:
        """What a network of this codec answers, for messages."""
        width, height = self.cells
        return (
            f"1 output(s) [B, {joints}, {height}, {width}] "
            f"(a crop of {self.size[0]}×{self.size[1]} at stride {self.stride})"
        )
