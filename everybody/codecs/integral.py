"""Coordinates as the mean of a heatmap (integral regression, Sun et al. 2018; soft-argmax, Luvizon
et al. 2019): differentiable, so the loss is on the coordinates themselves.

A softmax gives every cell some mass, which draws the mean to the middle of the map. `debias` takes
that share out again (Gu et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .grid import Alignment, Array, check_answer, check_ports
from .heatmap import Heatmap

if TYPE_CHECKING:
    from ..runtime import Port


def soft_argmax(logits: Array, *, beta: float = 1.0, debias: bool = False) -> tuple[Array, Array]:
    """[..., h, w] -> the mean cell [..., 2] (x, y) under the softmax of beta · logits, and the
    highest probability [...].
    """
    *_, height, width = logits.shape
    scores = np.asarray(logits, np.float64).reshape(*logits.shape[:-2], height * width)
    highest = scores.max(-1, keepdims=True)
    mass = np.exp(beta * (scores - highest))
    mass /= mass.sum(-1, keepdims=True)
    grid = mass.reshape(logits.shape)
    x = (grid.sum(-2) * np.arange(width)).sum(-1)
    y = (grid.sum(-1) * np.arange(height)).sum(-1)
    mean = np.stack([x, y], -1)
    if debias:
        share = np.exp(-highest) / np.exp(scores - highest).sum(-1, keepdims=True)  # 1 / C
        mean = (mean - share * np.array([width, height]) / 2) / (1 - share)
    return mean, mass.max(-1)


@dataclass(frozen=True, slots=True)
class Integral:
    """Two targets, coordinates in cells [N, K, 2] and heatmaps [N, K, h, w] that sum to 1; one
    answer, logits [N, K, h, w].
    """

    size: tuple[int, int] = (192, 256)
    stride: int = 4
    sigma: float = 2.0  # of the Gaussians, in cells
    alignment: Alignment = "corner"
    beta: float = 1.0  # of the softmax
    debias: bool = False
    target: str = "gaussian"  # a key of TARGETS

    @property
    def grid(self) -> Heatmap:
        """The cells and how they lie in the crop."""
        return Heatmap(self.size, self.stride, self.sigma, self.alignment, target=self.target)

    @property
    def axis(self) -> float:
        return self.grid.axis

    def encode(self, keypoints: Array) -> tuple[tuple[Array, ...], Array]:
        """[N, K, 3] in crop pixels -> (cells [N, K, 2], heatmaps [N, K, h, w]), weights [N, K]; 0
        where a joint is unlabelled or outside the grid.
        """
        grid = self.grid
        (maps,), weights = grid.encode(keypoints)
        cells = (keypoints[..., :2] - grid.offset) / grid.scale
        cells = np.where((weights > 0)[..., None], cells, 0).astype(np.float32)
        return (cells, maps / np.maximum(maps.sum((-2, -1), keepdims=True), 1e-12)), weights

    def decode(self, outputs: Sequence[Array]) -> Array:
        """[logits [N, K, h, w]] -> [N, K, 3] in crop pixels; the score is the highest probability
        by that of a perfect Gaussian, cut to [0, 1].
        """
        grid = self.grid
        check_answer(self, grid.meaning("K"), [(None, None, *grid.cells[::-1])], outputs)
        cells, peak = soft_argmax(outputs[0], beta=self.beta, debias=self.debias)
        score = np.clip(peak * 2 * np.pi * self.sigma**2, 0, 1)
        places = cells * grid.scale + grid.offset
        return np.concatenate([places, score[..., None]], -1).astype(np.float32)

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        return self.grid.flip(outputs, mirror)

    def check(self, ports: Sequence[Port], joints: int) -> None:
        wanted = (None, joints, *self.grid.cells[::-1])
        check_ports(self, self.grid.meaning(str(joints)), [wanted], ports)
