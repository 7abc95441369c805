"""Which person of a crop is meant, told by rough poses (bottom-up conditioned top-down, Zhou et al.
2023, arXiv 2306.07879).

The pose that is asked for and the one beside it are drawn as Gaussians, one map per joint and
person, on the codec's own grid. They go to the network beside the picture in the same array: the
maps [2 K, h, w] of a grid of stride s are folded into ceil(2 K / s²) channels of the crop's size
[s h, s w], so that each cell of s × s pixels holds one number of each map.
"""

from __future__ import annotations

import numpy as np

from .grid import Array
from .heatmap import Heatmap

COLOURS = 3  # channels of the picture, before those of the condition
LEAST = 0.2  # joints that score less are not drawn


def channels(joints: int, stride: int) -> int:
    """How many channels of the crop's size the maps of two people take."""
    return -(-2 * joints // stride**2)


def condition(codec: Heatmap, own: Array, other: Array) -> Array:
    """Rough poses [N, K, 3] and those beside them [N, K, 3], in crop pixels -> [N, C, H, W]."""
    maps = np.concatenate([_drawn(codec, own), _drawn(codec, other)], 1)
    return folded(maps, codec.stride)


def _drawn(codec: Heatmap, poses: Array) -> Array:
    """[N, K, 3] -> maps [N, K, h, w]; joints that are not seen have an empty one."""
    seen = (poses[..., 2:] >= LEAST).astype(poses.dtype)
    (maps,), _ = codec.encode(np.concatenate([poses[..., :2], seen], -1))
    return maps


def folded(maps: Array, stride: int) -> Array:
    """[N, M, h, w] -> [N, C, s h, s w]: map m is the value at (m // s % s, m % s) of each cell of
    channel m // s².
    """
    count, number, height, width = maps.shape
    groups = -(-number // stride**2)
    blank = np.zeros((count, groups * stride**2 - number, height, width), maps.dtype)
    cells = np.concatenate([maps, blank], 1).reshape(count, groups, stride, stride, height, width)
    cells = cells.transpose(0, 1, 4, 2, 5, 3)
    return np.ascontiguousarray(cells).reshape(count, groups, height * stride, width * stride)
