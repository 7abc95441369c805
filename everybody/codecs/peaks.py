"""Peaks of maps: candidates of joints, for all bottom-up methods.

Cells that exceed their neighbours, those too close to another removed, and where between the cells
a Gaussian would be highest. Coordinates are cells.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

Array = NDArray[Any]
Places = NDArray[np.intp]


class Peaks(NamedTuple):
    """Candidates of joints, ordered by part, then x, then y."""

    part: Places  # [N]
    x: Places  # [N], cells
    y: Places  # [N]
    score: Array  # [N]


def check_maps(maps: Array, channels: int, what: str) -> None:
    """Raises ModelError unless maps are [channels, H, W] of at least one cell, and finite."""
    if maps.ndim != 3 or len(maps) != channels or 0 in maps.shape[1:]:
        raise ModelError(
            f"{what}: expected {channels} maps [{channels}, H, W], got {list(maps.shape)}: "
            "is this the skeleton of the model?"
        )
    with np.errstate(invalid="ignore"):
        total = float(maps.sum())
    if not math.isfinite(total):
        raise ModelError(
            f"{what} hold NaN or infinite values: the model's answer cannot be decoded"
        )


def check_cells(maps: Array, size: tuple[int, int], stride: int, slack: int = 2) -> None:
    """Raises ModelError unless maps [..., H, W] have as many cells as an input of `size` (width,
    height) has strides, to less than `slack`: 1 allows a network to round either way, 2 to a
    multiple of two.
    """
    cells = maps.shape[:-3:-1]
    if any(abs(n - side / stride) >= slack for n, side in zip(cells, size, strict=True)):
        width, height = (-(-side // stride) for side in size)
        raise ModelError(
            f"maps of {cells[0]} x {cells[1]} cells for an input of {size[0]} x {size[1]} pixels: "
            f"expected {width} x {height}, one cell each {stride} pixels: is this a file of that "
            "method?"
        )


def find_peaks(
    heatmaps: Array,
    *,
    threshold: float = 0.1,
    radius: float = 6.0,
    most: int = 500,
    leftmost: bool = False,
) -> Peaks:
    """[K,H,W] -> cells of at least `threshold` that exceed their four neighbours.

    Of more than `most` peaks of a part the strongest count, which bounds the time of grouping; of
    those closer than `radius` cells, the strongest. `leftmost` is the rule of the published code
    instead: the leftmost of close peaks, and no peak where two neighbours are equally high.
    """
    height, width = heatmaps.shape[1:]
    flat = heatmaps.ravel()
    cells = np.flatnonzero(flat >= threshold)
    row, x = np.divmod(cells, width)
    part, y = np.divmod(row, height)

    value, last = flat[cells], len(flat) - 1
    above = np.greater if leftmost else np.greater_equal  # of two equal neighbours, one is a peak
    high = (x == 0) | (value > flat[np.maximum(cells - 1, 0)])
    high &= (y == 0) | (value > flat[np.maximum(cells - width, 0)])
    high &= (x == width - 1) | above(value, flat[np.minimum(cells + 1, last)])
    high &= (y == height - 1) | above(value, flat[np.minimum(cells + width, last)])

    found = Peaks(part[high], x[high], y[high], value[high])
    peaks = _taken(found, np.lexsort((found.y, found.x, found.part)))
    peaks = strongest(peaks, most)
    rank = np.arange(len(peaks.x)) if leftmost else np.argsort(np.argsort(-peaks.score))
    return _apart(peaks, radius, rank)


def _taken(peaks: Peaks, places: Array) -> Peaks:
    return Peaks(*(column[places] for column in peaks))


def strongest(peaks: Peaks, most: int) -> Peaks:
    """At most that many peaks per part, the strongest."""
    counts = np.bincount(peaks.part)
    if counts.max(initial=0) <= most:
        return peaks
    order = np.lexsort((-peaks.score, peaks.part))
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return _taken(peaks, np.sort(order[place < most]))


def _apart(peaks: Peaks, radius: float, rank: Places) -> Peaks:
    """Without those that are closer than `radius` to a peak of their part of smaller rank."""
    pairs, step = [], 1
    while step < len(peaks.x):  # peaks are sorted by part and x: close ones are near in the order
        behind, before = slice(step, None), slice(None, -step)
        dx = peaks.x[behind] - peaks.x[before]
        near = (peaks.part[behind] == peaks.part[before]) & (dx < radius)
        if not near.any():
            break
        first = np.flatnonzero(near)
        dy = peaks.y[first + step] - peaks.y[first]
        first = first[np.hypot(dx[first], dy) < radius]
        pairs.append(np.stack([first, first + step], 1))
        step += 1
    if not pairs:
        return peaks

    close = np.concatenate(pairs)
    swap = rank[close[:, 0]] > rank[close[:, 1]]
    close[swap] = close[swap, ::-1]
    alive = np.ones(len(peaks.x), bool)
    for better, worse in close[np.argsort(rank[close[:, 0]], kind="stable")].tolist():
        if alive[better]:
            alive[worse] = False
    return _taken(peaks, alive)


def between_cells(heatmaps: Array, peaks: Peaks) -> Array:
    """Where a Gaussian through each peak and its neighbours is highest: x, y [N,2] in cells.

    A parabola through the logarithms of three cells along each axis; at the border, the cell.
    """
    height, width = heatmaps.shape[1:]
    places = np.stack([peaks.x, peaks.y], 1).astype(np.float64)
    for axis, (at, size) in enumerate(((peaks.x, width), (peaks.y, height))):
        inside = np.flatnonzero((at > 0) & (at < size - 1))
        index = [peaks.part[inside], peaks.y[inside], peaks.x[inside]]
        logs = []
        for step in (-1, 0, 1):
            there = index.copy()
            there[2 - axis] = there[2 - axis] + step
            logs.append(np.log(np.maximum(heatmaps[tuple(there)], 1e-6)))

        before, here, after = logs
        bend = np.minimum(before - 2 * here + after, -1e-9)
        places[inside, axis] += np.clip((before - after) / (2 * bend), -0.5, 0.5)
    return places


def nearest(gaps: Array, seen: Array, radius: float) -> tuple[Places, NDArray[np.bool_]]:
    """From each cell to each joint [P,K,h,w,2], which joints are labelled [P,K] -> whose joint is
    nearest [K,h,w], and whether it is within `radius` [K,h,w].
    """
    if not len(gaps):
        none = np.zeros(gaps.shape[1:4], np.intp)
        return none, none > 0
    distance = np.hypot(gaps[..., 0], gaps[..., 1])
    distance[~seen] = np.inf
    return distance.argmin(0), distance.min(0) <= radius
