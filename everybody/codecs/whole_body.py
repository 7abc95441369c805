"""Whole bodies (AlphaPose, Fang et al. 2022): large joints are peaks of heatmaps, those of hands
and face, which are finer than cells, are means of maps (SIKR, section 3 there).

A map is normalised in two steps: a sigmoid makes each cell a confidence c, whose highest is the
score, and p = c / Σc is what the mean is taken of. The body's maps are read as any heatmap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .grid import Alignment, Array, check_answer, check_ports
from .heatmap import Heatmap
from .integral import Integral

if TYPE_CHECKING:
    from ..runtime import Port

# Joints of body and feet, which come first, by how many there are in all: Halpe, COCO-WholeBody.
BODY = {136: 26, 133: 23}


@dataclass(frozen=True, slots=True)
class WholeBody:
    """Two targets, coordinates in cells [N, K, 2] and heatmaps [N, K, h, w] that sum to 1; one
    answer [N, K, h, w], heatmaps of the body's joints and logits of the others.

    body: so many joints, the first ones, are peaks; 0: by the number of all (`BODY`), else all.
    """

    size: tuple[int, int] = (192, 256)
    stride: int = 4
    sigma: float = 2.0  # of the Gaussians, in cells
    alignment: Alignment = "corner"
    body: int = 0

    @property
    def grid(self) -> Heatmap:
        """The cells and how they lie in the crop."""
        return Heatmap(self.size, self.stride, self.sigma, self.alignment)

    @property
    def axis(self) -> float:
        return self.grid.axis

    def large(self, joints: int) -> int:
        """How many of K joints are peaks."""
        return min(self.body or BODY.get(joints, joints), joints)

    def encode(self, keypoints: Array) -> tuple[tuple[Array, ...], Array]:
        """As `Integral.encode`."""
        return Integral(self.size, self.stride, self.sigma, self.alignment).encode(keypoints)

    def decode(self, outputs: Sequence[Array]) -> Array:
        """[maps [N, K, h, w]] -> [N, K, 3] in crop pixels."""
        grid = self.grid
        check_answer(self, grid.meaning("K"), [(None, None, *grid.cells[::-1])], outputs)
        maps = np.asarray(outputs[0])
        large = self.large(maps.shape[1])
        peaks = grid.decode([maps[:, :large]])
        confidence = 1 / (1 + np.exp(-maps[:, large:].astype(np.float64).clip(-60, 60)))
        mass = confidence / np.maximum(confidence.sum((-2, -1), keepdims=True), 1e-12)
        height, width = maps.shape[2:]
        x = (mass.sum(-2) * np.arange(width)).sum(-1)
        y = (mass.sum(-1) * np.arange(height)).sum(-1)
        places = np.stack([x, y], -1) * grid.scale + grid.offset
        score = confidence.max((-2, -1), initial=0)[..., None]
        means = np.concatenate([places, score], -1).astype(np.float32)
        return np.concatenate([peaks, means], 1)

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        return self.grid.flip(outputs, mirror)

    def check(self, ports: Sequence[Port], joints: int) -> None:
        wanted = (None, joints, *self.grid.cells[::-1])
        check_ports(self, self.grid.meaning(str(joints)), [wanted], ports)
