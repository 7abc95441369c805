"""Wrong boxes to learn from: pose-guided proposals (PGPG, Fang et al. 2017, section 3.4), and the simpler ways.

placeholder
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..geometry import Array


def moved(boxes: Array, offsets: Array) -> Array:
    """Boxes [N, 4] xyxy, offsets [N, 4] of their sides, in widths (x) and heights (y) of the box -> boxes [N, 4]."""
    extent = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * np.concatenate([extent, extent], 1)


def uniform(n: int, noise: float, rng: np.random.Generator) -> Array:
    """[n, 4]: boxes shifted by up to ± noise and resized, each side by itself, by factors of up to exp(± 1.5 noise), each
    box by a share of the noise of its own."""
    most = noise * rng.uniform(size=(n, 1))
    shift = rng.uniform(-1, 1, (n, 2)) * most
    half = (np.exp(rng.uniform(-1.5, 1.5, (n, 2)) * most) - 1) / 2
    return np.concatenate([shift - half, shift + half], 1)


Offsets = Callable[[Array, np.random.Generator], Array]


def named(kind: str, noise: float, skeleton: object) -> Offsets:
    """keypoints [N, K, 3], rng -> offsets [N, 4]."""
    return lambda keypoints, rng: uniform(len(keypoints), noise, rng)
