"""Tracks in space that lie on what the cameras see and move as bodies do.

Over the whole track of a joint, Gauss and Newton's steps lessen the squares of metres by which it
lies beside the ray of each view (Huber 1964: those far off count less) and of its accelerations. A
point of a frame depends on the two before and after it, so the unknowns form a band, which one
Cholesky factorisation solves (Golub and Van Loan 2013, § 4.3). A joint that a single camera sees,
or none for a while, is so carried on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from ..errors import OptionError
from ..geometry import Array
from .cameras import NEAREST, Camera, stacked

_STEPS, _STILL = 8, 1e-6  # steps at most; metres below which a step is the last
_HUBER = 1.5  # usual deviations from which a view counts less


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothness:
    """acceleration: metres per second² that a joint usually has; 0: tracks are left as they are.
    beside: metres by which a ray usually passes a joint. bridge: seconds over which a joint may be
    unseen.
    """

    acceleration: float = 10.0
    beside: float = 0.01
    bridge: float = 0.5

    def __post_init__(self) -> None:
        if self.acceleration < 0 or self.bridge < 0 or not self.beside > 0:
            raise OptionError("smoothness: expected beside above 0, all others from 0")


SMOOTHNESS = Smoothness()


def refine(
    cameras: Sequence[Camera],
    points: Array,
    slopes: Array,
    weights: Array,
    step: float,
    smoothness: Smoothness = SMOOTHNESS,
) -> Array:
    """Points [T, K, 3] with NaN where not known, slopes [C, T, K, 2] and weights [C, T, K], 0 where
    a view does not count, `step` seconds between frames -> points [T, K, 3], gaps of up to `bridge`
    seconds filled.
    """
    out = np.full(points.shape, np.nan)
    for k in range(points.shape[1]):
        known = np.isfinite(points[:, k].sum(1))
        if known.any():
            out[:, k] = _one(
                cameras, points[:, k], slopes[:, :, k], weights[:, :, k], step, smoothness
            )
            out[~bridged(known, round(smoothness.bridge / step)), k] = np.nan
    return out


def bridged(known: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """[T]: what is known, and gaps between of up to `most` frames."""
    places = np.flatnonzero(known)
    out = known.copy()
    for a, b in pairwise(places):
        if b - a - 1 <= most:
            out[a:b] = True
    return out


def _one(
    cameras: Sequence[Camera],
    points: Array,
    slopes: Array,
    weights: Array,
    step: float,
    smoothness: Smoothness,
) -> Array:
    """One joint's track [T, 3]."""
    count, frames = len(points), np.arange(len(points))
    known = np.isfinite(points).all(1)
    track = np.stack([np.interp(frames, frames[known], points[known, i]) for i in range(3)], 1)
    if count < 3 or not smoothness.acceleration:
        return track
    # A ray that passes as usual costs as much as a usual acceleration.
    stiffness = (smoothness.beside / (smoothness.acceleration * step**2)) ** 2
    band = _accelerations(count, stiffness)
    poses, _ = stacked(cameras)
    for _ in range(_STEPS):
        normal, slope = _seen(poses, track, slopes, weights, smoothness.beside)
        matrix = band.copy()
        for i in range(3):
            for j in range(i + 1):
                # Row d, column n of the lower band: the entry d below the diagonal's n-th.
                matrix[i - j, j::3] += normal[:, i, j]
        bent = _second(_second(track, forward=True), forward=False) * stiffness
        moved = -solveh_banded(matrix, (slope + bent).ravel(), lower=True).reshape(-1, 3)
        track = track + moved
        if np.abs(moved).max() < _STILL:
            break
    return track


def _seen(
    poses: Array, track: Array, slopes: Array, weights: Array, usual: float
) -> tuple[Array, Array]:
    """Normal matrices [T, 3, 3] and slopes [T, 3] of the squares of metres, robustly weighted."""
    normal = np.zeros((len(track), 3, 3)) + 1e-9 * np.eye(3)
    slope = np.zeros((len(track), 3))
    for pose, seen, weight in zip(poses, slopes, weights, strict=True):
        inside = track @ pose[:, :3].T + pose[:, 3]
        away = inside[:, :2] - seen * inside[:, 2:]
        far = np.linalg.norm(away, axis=1)
        much = weight * (inside[:, 2] > NEAREST)
        much = much * np.minimum(1, _HUBER * usual / np.maximum(far, 1e-9))
        rows = pose[:2, :3] - seen[..., None] * pose[2, :3]
        normal += np.einsum("t,tai,taj->tij", much, rows, rows)
        slope += np.einsum("t,tai,ta->ti", much, rows, away)
    return normal, slope


def _accelerations(count: int, stiffness: float) -> Array:
    """The lower band [9, 3 T] of the squares of second differences."""
    band = np.zeros((9, 3 * count))
    weights = {0: np.zeros(count), 1: np.zeros(count), 2: np.zeros(count)}
    for a, by in enumerate((1.0, -2.0, 1.0)):
        for b, other in enumerate((1.0, -2.0, 1.0)):
            if a >= b:
                weights[a - b][b : count - 2 + b] += by * other
    for apart, values in weights.items():
        band[3 * apart] = np.repeat(values, 3) * stiffness
    return band


def _second(track: Array, *, forward: bool) -> Array:
    """Second differences [T - 2, 3] of a track [T, 3], or their transpose: back to the track."""
    if forward:
        return track[:-2] - 2 * track[1:-1] + track[2:]
    out = np.zeros((len(track) + 2, 3))
    for place, by in enumerate((1.0, -2.0, 1.0)):
        out[place : place + len(track)] += by * track
    return out
