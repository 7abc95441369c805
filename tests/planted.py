"""Drawn people and the maps that a perfect network would say of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from everybody.methods.grouping import Layout
from everybody.skeletons import Skeleton

# Of a body of height 1 about its middle, seen from the front: the person's left is at larger x.
SIDES = {
    "eye": (0.02, -0.47),
    "ear": (0.06, -0.45),
    "shoulder": (0.13, -0.32),
    "elbow": (0.2, -0.14),
    "wrist": (0.24, 0.03),
    "hip": (0.09, 0.0),
    "knee": (0.11, 0.23),
    "ankle": (0.12, 0.46),
    "big_toe": (0.14, 0.5),
    "small_toe": (0.19, 0.49),
    "heel": (0.1, 0.49),
}
MIDDLE = {"nose": (0.0, -0.43), "neck": (0.0, -0.32), "pelvis": (0.0, 0.0)}


def body(
    skeleton: Skeleton,
    centre: tuple[float, float],
    height: float,
    *,
    turn: float = 0.0,
    spread: float = 1.0,
) -> np.ndarray:
    """-> [K,2]: an upright person turned clockwise by `turn` degrees, `spread` times as wide."""
    points = []
    for name in skeleton.joints:
        side, _, part = name.partition("_")
        if name in MIDDLE:
            points.append(MIDDLE[name])
        else:
            x, y = SIDES[part]
            points.append((x if side == "left" else -x, y))

    angle = np.deg2rad(turn)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (np.array(points) * (spread, 1)) @ rotation * height + centre


def heatmaps(people: np.ndarray, size: tuple[int, int], sigma: float = 2.0) -> np.ndarray:
    """Points [P,K,2] in cells, (width, height) -> [K,h,w]: the highest of the Gaussians."""
    x, y = np.arange(size[0]), np.arange(size[1])
    along_x = np.exp(-np.square(x - people[..., :1]) / (2 * sigma**2))
    along_y = np.exp(-np.square(y - people[..., 1:]) / (2 * sigma**2))
    maps = along_y[..., :, None] * along_x[..., None, :]
    return maps.max(0, initial=0).astype(np.float32)


def fields(
    people: np.ndarray, layout: Layout, size: tuple[int, int], width: float = 2.0
) -> np.ndarray:
    """-> [2L,h,w]: unit vectors on the cells within `width` of a limb, their mean where several are
    on a cell.
    """
    grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1)
    maps = np.zeros((2 * len(layout.limbs), size[1], size[0]), np.float32)
    for (a, b), channel in zip(layout.limbs, layout.channels, strict=True):
        count = np.zeros(size[::-1])
        for start, end in people[:, [a, b]]:
            length = np.hypot(*(end - start))
            along = (end - start) / length
            offset = grid - start
            forward = offset @ along
            across = np.abs(offset @ (-along[1], along[0]))

            on = (forward >= -width) & (forward <= length + width) & (across <= width)
            count += on
            maps[channel] += on * along[0]
            maps[channel + 1] += on * along[1]
        maps[channel : channel + 2] /= np.maximum(count, 1)
    return maps


def personlab(
    people: np.ndarray,
    edges: Sequence[tuple[int, int]],
    size: tuple[int, int],
    *,
    stride: int = 8,
    radius: float = 16.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points [P,K,2] in pixels, (width, height) in cells -> heatmaps, offsets, displacements.

    On the cells within `radius` pixels of a joint; where several people's joints are close, those
    of the nearest person.
    """
    grid = stride * np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1)
    gaps = people[:, :, None, None] - grid  # [P,K,h,w,2]
    nearest = np.hypot(gaps[..., 0], gaps[..., 1]).argmin(0) if len(people) else None

    def of_nearest(joint: int, vectors: np.ndarray) -> np.ndarray:
        """[P,h,w,2] -> y then x [2,h,w] of the person whose joint is nearest, 0 far from it."""
        own = np.take_along_axis(vectors, nearest[joint][None, ..., None], 0)[0]
        gap = np.take_along_axis(gaps[:, joint], nearest[joint][None, ..., None], 0)[0]
        near = np.hypot(gap[..., 0], gap[..., 1]) <= radius
        return np.moveaxis(own[..., ::-1] * near[..., None], -1, 0)

    def stacked(some: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.array(some)[:, 0], np.array(some)[:, 1]]).astype(np.float32)

    joints = range(people.shape[1])
    if nearest is None:
        empty = [np.zeros((2, *size[::-1]))]
        there = stacked(empty * len(edges))
        return heatmaps(people, size), stacked(empty * len(joints)), there, there

    offsets = [of_nearest(k, gaps[:, k]) for k in joints]
    there = [of_nearest(a, gaps[:, b]) for a, b in edges]
    back = [of_nearest(b, gaps[:, a]) for a, b in edges]
    scores = heatmaps(people / stride, size, sigma=1.0)
    return scores, stacked(offsets), stacked(there), stacked(back)


def same_people(found: np.ndarray, planted: np.ndarray, within: float) -> bool:
    """[P,K,2+] and [Q,K,2]: as many, each joint of each within `within` of the same person's."""
    if len(found) != len(planted):
        return False
    gaps = np.hypot(*np.moveaxis(found[:, None, :, :2] - planted[None], -1, 0)).max(2)
    return bool((gaps.min(1) <= within).all() and (gaps.min(0) <= within).all())
