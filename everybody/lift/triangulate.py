"""Joints seen by several cameras -> joints in space, however many of the views are wrong.

Direct linear transformation (Hartley and Zisserman 2004, § 12.2): with p_i the rows of a camera's
pose [R t], a slope x = X_x / X_z gives the equation w (x p_3 - p_1) X = 0, and y another; w is the
joint's score. What is left over counts in metres, as far as the point lies beside the ray, so that
neither distance nor resolution matters. Where a point lies far beside a ray, every pair of cameras
proposes one, the one of least truncated error wins (MSAC, Torr and Zisserman 2000, over all pairs
instead of random ones), and the cameras that agree with it are solved together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, OptionError
from ..geometry import Array
from .cameras import NEAREST, Camera, stacked

Mask = NDArray[np.bool_]

_SHIFT = 1e-13  # of the normal matrix's trace: makes it invertible where views agree exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Which views count. score: least score of a joint in a view. outlier: metres that the
    point may lie beside the ray to the joint. angle: degrees between the rays of two views, at
    least.
    """

    score: float = 0.2
    outlier: float = 0.07
    angle: float = 2.0

    def __post_init__(self) -> None:
        if not self.outlier > 0:
            raise OptionError(f"outlier {self.outlier:g}: expected metres, more than 0")
        if not 0 <= self.angle < 90:
            raise OptionError(f"angle {self.angle:g}: expected 0 to 90 degrees")


TRUST = Trust()


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """points [..., 3] in metres, NaN where fewer than two views agree; errors [C, ...]: pixels that
    each view lies off, NaN where it has none; used [C, ...]: whether it counted.
    """

    points: Array
    errors: Array
    used: Mask


def triangulate(cameras: Sequence[Camera], points: Array, trust: Trust = TRUST) -> Found:
    """Pixels and scores [C, ..., 3] (or [C, ..., 2]), row c seen by camera c -> places in space.

    A joint that is not seen has a score of 0 or a NaN. Raises DataError where no two cameras stand
    apart, or the rows are not as many as the cameras.
    """
    points = np.asarray(points, np.float64)
    if len(points) != len(cameras) or points.shape[-1] not in (2, 3):
        raise DataError(
            f"points {list(points.shape)} of {len(cameras)} cameras: expected "
            f"[{len(cameras)}, ..., 2 or 3]"
        )
    apart(cameras)
    shape = points.shape[1:-1]
    flat = points.reshape(len(cameras), -1, points.shape[-1])
    slopes = np.stack([c.slopes(p[:, :2]) for c, p in zip(cameras, flat, strict=True)])
    scores = flat[..., 2] if flat.shape[-1] == 3 else np.ones(flat.shape[:2])
    scores = np.where(np.isfinite(slopes).all(-1) & (scores >= trust.score), scores, 0)
    found = from_slopes(cameras, np.nan_to_num(slopes), np.nan_to_num(scores), trust)
    return Found(
        found.points.reshape(*shape, 3),
        found.errors.reshape(len(cameras), *shape),
        found.used.reshape(len(cameras), *shape),
    )


def from_slopes(
    cameras: Sequence[Camera], slopes: Array, weights: Array, trust: Trust = TRUST
) -> Found:
    """Undistorted slopes [C, N, 2] and weights [C, N], 0 where not seen."""
    poses, focal = stacked(cameras)
    points = dlt(poses, slopes, weights)
    away, depth = beside(poses, points, slopes)
    used = weights > 0
    doubtful = (used & ~(away < trust.outlier)).any(0) & (used.sum(0) > 2)
    if doubtful.any():
        part = _agreeing(poses, slopes[:, doubtful], weights[:, doubtful], trust.outlier)
        used[:, doubtful] = part
        again = dlt(poses, slopes[:, doubtful], np.where(part, weights[:, doubtful], 0))
        points[doubtful] = again
        away[:, doubtful], depth[:, doubtful] = beside(poses, again, slopes[:, doubtful])

    wrong = (used & ~(away < trust.outlier)).any(0) | (used.sum(0) < 2)
    wrong |= ~_crossing(poses, slopes, used, trust.angle)
    points = np.where(wrong[:, None], np.nan, points)
    errors = np.where((weights > 0) & ~wrong, away / depth * focal[:, None], np.nan)
    return Found(points, errors, used & ~wrong)


def dlt(poses: Array, slopes: Array, weights: Array) -> Array:
    """Poses [C, 3, 4] (or whole projections, then with pixels), slopes [C, N, 2], weights [C, N]
    -> points [N, 3] of least weighted algebraic error; whatever where fewer than two weights count.
    """
    weights = weights / max(float(weights.max(initial=0)), 1e-300)
    normal = np.zeros((slopes.shape[1], 4, 4))
    for pose, slope, weight in zip(poses, slopes, weights, strict=True):
        rows = (slope[..., None] * pose[2] - pose[:2]) * weight[:, None, None]
        normal += np.swapaxes(rows, 1, 2) @ rows
    trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    normal = normal + (_SHIFT * trace + 1e-300) * np.eye(4)

    # The inverse's greatest eigenvector stands out after a few squarings.
    power = np.linalg.inv(normal)
    for _ in range(5):
        power = power / np.abs(power).max((1, 2), keepdims=True)
        power = power @ power
    best = np.argmax(np.diagonal(power, axis1=1, axis2=2), 1)
    point = np.take_along_axis(power, best[:, None, None], 2)[..., 0]
    with np.errstate(all="ignore"):
        return point[:, :3] / point[:, 3:]


def beside(poses: Array, points: Array, slopes: Array) -> tuple[Array, Array]:
    """[C, N]: metres by which points [N, 3] lie beside what cameras see, across the camera's axis,
    infinite behind a camera; and how far before the camera they are.
    """
    away, depth = np.empty(slopes.shape[:2]), np.empty(slopes.shape[:2])
    with np.errstate(all="ignore"):
        for c, (pose, slope) in enumerate(zip(poses, slopes, strict=True)):
            seen = points @ pose[:, :3].T + pose[:, 3]
            depth[c] = np.maximum(seen[:, 2], NEAREST)
            off = np.linalg.norm(seen[:, :2] - slope * seen[:, 2:], axis=1)
            away[c] = np.where((seen[:, 2] > NEAREST) & np.isfinite(off), off, np.inf)
    return away, depth


def _agreeing(poses: Array, slopes: Array, weights: Array, outlier: float) -> Mask:
    """[C, N]: the views within `outlier` of the best point that two of them propose."""
    least = np.full(slopes.shape[1], np.inf)
    agree = np.zeros(weights.shape, bool)
    for pair in map(list, combinations(range(len(poses)), 2)):
        points = dlt(poses[pair], slopes[pair], weights[pair])
        away, _ = beside(poses, points, slopes)
        cost = (weights * np.minimum(away / outlier, 1) ** 2).sum(0)
        better = (weights[pair] > 0).all(0) & (cost < least)
        least = np.where(better, cost, least)
        agree = np.where(better, (away < outlier) & (weights > 0), agree)
    return agree


def _crossing(poses: Array, slopes: Array, used: Mask, angle: float) -> Mask:
    """[N]: whether the rays of two used views cross at so many degrees, at least."""
    rays = np.concatenate([slopes, np.ones_like(slopes[..., :1])], -1) @ poses[:, :, :3]
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    wide = np.zeros(used.shape[1], bool)
    for a, b in combinations(range(len(poses)), 2):
        sine = np.linalg.norm(np.cross(rays[a], rays[b]), axis=-1)
        wide |= used[a] & used[b] & (sine >= np.sin(np.radians(angle)))
    return wide


def apart(cameras: Sequence[Camera], least: float = 0.01) -> None:
    """Raises DataError where there are fewer than two cameras, or all stand at one place."""
    if len(cameras) < 2:
        raise DataError(f"{len(cameras)} cameras: triangulating takes two or more")
    centres = np.stack([camera.centre for camera in cameras])
    if np.linalg.norm(centres - centres[0], axis=1).max() < least:
        names = ", ".join(camera.name for camera in cameras)
        raise DataError(f"cameras {names} stand at one place: no depth can be told from them")
