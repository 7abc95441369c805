"""From the highest cell of a heatmap to a fraction of a cell: maps [M, h, w], their highest cells
[M, 2] (x, y) and the Gaussians' sigma in cells -> shifts [M, 2].
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from .grid import Array

Cells = NDArray[np.integer]
Refinement = Callable[[Array, Cells, float], Array]


def none(maps: Array, cell: Cells, sigma: float) -> Array:
    """No shift."""
    return np.zeros(cell.shape)


def quarter(maps: Array, cell: Cells, sigma: float) -> Array:
    """±0.25 towards the higher neighbour (Newell et al. 2016), along each axis by itself; 0 at the
    border of that axis.
    """
    m, height, width = maps.shape
    rows, x, y = np.arange(m), cell[:, 0], cell[:, 1]
    left, right = maps[rows, y, np.maximum(x - 1, 0)], maps[rows, y, np.minimum(x + 1, width - 1)]
    up, down = maps[rows, np.maximum(y - 1, 0), x], maps[rows, np.minimum(y + 1, height - 1), x]
    inner = (cell > 0) & (cell < np.array([width, height]) - 1)
    return 0.25 * np.stack([np.sign(right - left), np.sign(down - up)], 1) * inner


def dark(maps: Array, cell: Cells, sigma: float) -> Array:
    """Newton's step -H⁻¹∇ on the log of the smoothed map (Zhang et al. 2020, Eq. 6-9; exact for
    Gaussians), with differences over two cells; 0 at the two outermost cells.
    """
    f = np.log(np.maximum(_near(maps, cell, sigma, 2), 1e-10)).astype(np.float64)
    dx, dy = (f[:, 2, 3] - f[:, 2, 1]) / 2, (f[:, 3, 2] - f[:, 1, 2]) / 2
    dxx = (f[:, 2, 4] - 2 * f[:, 2, 2] + f[:, 2, 0]) / 4
    dyy = (f[:, 4, 2] - 2 * f[:, 2, 2] + f[:, 0, 2]) / 4
    dxy = (f[:, 3, 3] - f[:, 1, 3] - f[:, 3, 1] + f[:, 1, 1]) / 4
    return _newton(dx, dy, dxx, dyy, dxy) * _inner(maps, cell)[:, None]


def udp(maps: Array, cell: Cells, sigma: float) -> Array:
    """`dark` as UDP has it (Huang et al. 2020): differences over one cell, and at the border as if
    the outermost cells went on.
    """
    m, height, width = maps.shape
    f = np.log(np.clip(_near(maps, cell, sigma, 1), 1e-10, 50)).astype(np.float64)
    around = np.arange(-1, 2)
    x = np.clip(cell[:, :1] + around, 0, width - 1) - cell[:, :1] + 1
    y = np.clip(cell[:, 1:] + around, 0, height - 1) - cell[:, 1:] + 1
    f = f[np.arange(m)[:, None, None], y[:, :, None], x[:, None, :]]
    left, right, up, down = f[:, 1, 0], f[:, 1, 2], f[:, 0, 1], f[:, 2, 1]
    middle, first, last = f[:, 1, 1], f[:, 0, 0], f[:, 2, 2]
    dxx, dyy = right - 2 * middle + left, down - 2 * middle + up
    dxy = (last - right - down + 2 * middle - left - up + first) / 2
    return _newton((right - left) / 2, (down - up) / 2, dxx, dyy, dxy)


REFINEMENTS: dict[str, Refinement] = {
    "dark": dark,
    "quarter": quarter,
    "none": none,
    "udp": udp,
}


def _newton(dx: Array, dy: Array, dxx: Array, dyy: Array, dxy: Array) -> Array:
    """Derivatives [M] of a surface -> the step [M, 2] to its top. A step of more than a cell is no
    refinement (the map is flat or saddle-shaped): dropped.
    """
    determinant = dxx * dyy - dxy * dxy
    safe = (determinant > 1e-12) & (dxx < 0)
    divisor = np.where(safe, determinant, 1.0)
    shift = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], 1) / divisor[:, None]
    keep = safe & (np.abs(shift) <= 1).all(1)
    return np.where(keep[:, None], shift, 0.0)


def _inner(maps: Array, cell: Cells) -> NDArray[np.bool_]:
    """[M]: whether the cell has two neighbours on each side."""
    _, height, width = maps.shape
    return (cell >= 2).all(1) & (cell[:, 0] < width - 2) & (cell[:, 1] < height - 2)


def smoothed(maps: Array, sigma: float) -> Array:
    """Maps [M, h, w] -> the same, smoothed by a Gaussian that is cut off at 2.5 sigma."""
    side = 2 * max(1, round(2.5 * sigma)) + 1
    out = np.empty(maps.shape, np.float32)
    for map_, row in zip(maps, out, strict=True):
        blurred = map_.astype(np.float32, copy=False)
        cv2.GaussianBlur(blurred, (side, side), sigma, row, borderType=cv2.BORDER_CONSTANT)
    return out


def _near(maps: Array, cell: Cells, sigma: float, near: int) -> Array:
    """[M, h, w], peaks [M, 2] -> the cells around each peak of the map smoothed by a Gaussian, as
    [M, 2 near + 1, 2 near + 1]; the map is 0 beyond its border.

    This is `smoothed` of these cells only: the derivatives need no more, and 17 small patches are
    much cheaper than 17 blurred maps.
    """
    m, height, width = maps.shape
    radius = max(1, round(2.5 * sigma))
    reach, side = radius + near, 2 * near + 1
    kernel = np.exp(-np.square(np.arange(-radius, radius + 1)) / (2 * sigma**2)).astype(np.float32)
    band = np.zeros((side, 2 * reach + 1), np.float32)  # row i smooths around the patch's cell i
    for i in range(side):
        band[i, i : i + 2 * radius + 1] = kernel / kernel.sum()

    span = np.arange(-reach, reach + 1)
    x, y = cell[:, :1] + span, cell[:, 1:] + span
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    patch = maps[
        np.arange(m)[:, None, None],
        np.clip(y, 0, height - 1)[:, :, None],
        np.clip(x, 0, width - 1)[:, None],
    ]
    return band @ (patch * inside) @ band.T
