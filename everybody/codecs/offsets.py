"""A disc of cells per joint, and in each of them how far the joint lies from there (UDP's combined
classification and regression, Huang et al. 2020, section 3.4; after Papandreou et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .grid import Alignment, Array, check_answer, check_ports
from .heatmap import Heatmap

if TYPE_CHECKING:
    from ..runtime import Port

BLUR = 23  # side of the kernel that smooths the discs before their highest cell is taken


@dataclass(frozen=True, slots=True)
class OffsetHeatmap:
    """One answer [N, 3 K, h, w]: of each joint a disc of ones, and x and y from each cell to the
    joint in radii of the disc.
    """

    size: tuple[int, int] = (192, 256)
    stride: int = 4
    radius: float = 0.0546875  # of the disc, in the longer side of the grid
    alignment: Alignment = "udp"

    @property
    def grid(self) -> Heatmap:
        """The cells and how they lie in the crop."""
        return Heatmap(self.size, self.stride, alignment=self.alignment, refine="none")

    @property
    def reach(self) -> float:
        """The disc's radius in cells."""
        return self.radius * max(self.grid.cells)

    @property
    def height(self) -> float:
        """Of a perfect disc around a cell's middle, smoothed."""
        kernel = cv2.getGaussianKernel(BLUR, 0)[:, 0]
        away = np.arange(BLUR) - BLUR // 2
        disc = np.square(away) + np.square(away)[:, None] <= self.reach**2
        return float(kernel @ disc @ kernel)

    @property
    def axis(self) -> float:
        return self.grid.axis

    def encode(self, keypoints: Array) -> tuple[tuple[Array, ...], Array]:
        """[N, K, 3] in crop pixels -> (maps [N, 3 K, h, w],), weights [N, K]; 0 where a joint is
        unlabelled or outside the grid.
        """
        grid = self.grid
        _, weights = grid.encode(keypoints)
        width, height = grid.cells
        cell = (keypoints[..., :2] - grid.offset) / grid.scale
        x = (cell[..., 0, None, None] - np.arange(width)) / self.reach
        y = (cell[..., 1, None, None] - np.arange(height)[:, None]) / self.reach
        disc = (x * x + y * y <= 1) & (weights > 0)[..., None, None]
        x, y, disc = np.broadcast_arrays(x, y, disc)
        maps = np.where(disc[:, :, None], np.stack([np.ones_like(x), x, y], 2), 0)
        n, k = weights.shape
        return (maps.reshape(n, 3 * k, height, width).astype(np.float32),), weights

    def decode(self, outputs: Sequence[Array]) -> Array:
        """[[N, 3 K, h, w]] -> [N, K, 3] in crop pixels; the score is the height of the smoothed
        disc by that of a perfect one, cut to [0, 1].
        """
        grid = self.grid
        check_answer(self, self._meaning("3 K"), [(None, None, *grid.cells[::-1])], outputs)
        n, channels, height, width = outputs[0].shape
        maps = outputs[0].reshape(n, channels // 3, 3, height, width)
        discs = [
            cv2.GaussianBlur(
                np.ascontiguousarray(disc, np.float32),
                (BLUR, BLUR),
                0,
                borderType=cv2.BORDER_CONSTANT,
            )
            for disc in maps[:, :, 0].reshape(-1, height, width)
        ]
        flat = np.array(discs, np.float32).reshape(n, channels // 3, height * width)
        best = flat.argmax(-1)[..., None]
        shift = np.take_along_axis(
            maps.reshape(*maps.shape[:3], height * width), best[..., None], -1
        )
        cell = np.concatenate([best % width, best // width], -1) + self.reach * shift[:, :, 1:, 0]
        score = np.clip(np.take_along_axis(flat, best, -1) / self.height, 0, 1)
        places = cell * grid.scale + grid.offset
        return np.concatenate([places, score], -1).astype(np.float32)

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        (maps,) = outputs
        n, channels, height, width = maps.shape
        back = maps.reshape(n, channels // 3, 3, height, width)[:, list(mirror), ..., ::-1]
        return [(back * np.array([1, -1, 1])[:, None, None]).reshape(maps.shape).astype(maps.dtype)]

    def check(self, ports: Sequence[Port], joints: int) -> None:
        wanted = (None, 3 * joints, *self.grid.cells[::-1])
        check_ports(self, self._meaning(str(3 * joints)), [wanted], ports)

    def _meaning(self, channels: str) -> str:
        width, height = self.grid.cells
        return f"1 output(s) [B, {channels}, {height}, {width}] (disc, x and y of each joint)"
