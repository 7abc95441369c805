"""Three-dimensional measures, in the unit of the poses (millimetres in Human3.6M and MPI-INF-3DHP).

MPJPE, protocol 1: mean distance after both roots are moved together (Ionescu et al. 2014).
N-MPJPE: at the best scale, too (Rhodin et al. 2018).
PA-MPJPE, protocol 2: after the similarity that fits best (Procrustes; Umeyama 1991). PCK3D: share
within 150 mm, and its AUC over 0 … 150 mm (Mehta et al. 2017). All average over the counted joints
of all people.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from .pck import Rates

Mask = NDArray[np.bool_]


def centred(poses: Array, root: int) -> Array:
    """[N, K, 3] -> [N, K, 3] relative to one joint."""
    return poses - poses[:, root : root + 1]


def aligned(predicted: Array, truth: Array, counted: Mask | None = None) -> Array:
    """[N, K, 3], [N, K, 3], [N, K] -> [N, K, 3]: each prediction under the rotation, scale and
    shift that bring its counted joints closest to the truth. Reflections are not allowed (Umeyama
    1991, equations 34 to 43).
    """
    weight = np.ones(predicted.shape[:2]) if counted is None else counted.astype(np.float64)
    share = (weight / np.maximum(weight.sum(1, keepdims=True), 1))[..., None]
    middle, goal = (share * predicted).sum(1, keepdims=True), (share * truth).sum(1, keepdims=True)
    a, b = predicted - middle, truth - goal
    u, s, vt = np.linalg.svd(np.swapaxes(b * share, 1, 2) @ a)  # covariance [N, 3, 3]
    sign = np.ones_like(s)
    sign[:, -1] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = (u * sign[:, None]) @ vt
    spread = (share * a**2).sum((1, 2))
    scale = np.divide((s * sign).sum(1), spread, out=np.ones_like(spread), where=spread > 0)
    return scale[:, None, None] * (a @ np.swapaxes(rotation, 1, 2)) + goal


def mpjpe(
    predicted: Array, truth: Array, counted: Mask | None = None, *, root: int | None = 0
) -> Rates:
    """[N, K, 3], [N, K, 3], [N, K] -> mean distance per joint, after moving `root` to `root` (None:
    as they are).
    """
    if root is not None:
        predicted, truth = centred(predicted, root), centred(truth, root)
    gaps = np.linalg.norm(predicted - truth, axis=-1)
    counted = np.ones(gaps.shape, bool) if counted is None else counted
    return Rates(np.where(counted, gaps, 0).sum(0), counted.sum(0).astype(np.float64))


def pa_mpjpe(predicted: Array, truth: Array, counted: Mask | None = None) -> Rates:
    """The same after `aligned`."""
    return mpjpe(aligned(predicted, truth, counted), truth, counted, root=None)


def rescaled(predicted: Array, truth: Array, counted: Mask | None = None) -> Array:
    """[N, K, 3], [N, K, 3], [N, K] -> [N, K, 3]: each prediction at the scale, about its origin,
    that brings its counted joints closest to the truth.
    """
    weight = np.ones(predicted.shape[:2]) if counted is None else counted.astype(np.float64)
    both = (weight[..., None] * predicted * truth).sum((1, 2))
    own = (weight[..., None] * predicted**2).sum((1, 2))
    return np.divide(both, own, out=np.ones_like(both), where=own > 0)[:, None, None] * predicted


def n_mpjpe(predicted: Array, truth: Array, counted: Mask | None = None, *, root: int = 0) -> Rates:
    """MPJPE at the best scale of each pose (Rhodin et al. 2018, N-MPJPE)."""
    predicted, truth = centred(predicted, root), centred(truth, root)
    return mpjpe(rescaled(predicted, truth, counted), truth, counted, root=None)


def pck3d(
    predicted: Array,
    truth: Array,
    counted: Mask | None = None,
    *,
    limit: float = 150.0,
    root: int | None = 0,
) -> Rates:
    """[N, K, 3], [N, K, 3], [N, K] -> the share of joints within `limit` of the truth, by joint."""
    if root is not None:
        predicted, truth = centred(predicted, root), centred(truth, root)
    gaps = np.linalg.norm(predicted - truth, axis=-1)
    counted = np.ones(gaps.shape, bool) if counted is None else counted
    return Rates(
        ((gaps <= limit) & counted).sum(0).astype(np.float64), counted.sum(0).astype(np.float64)
    )


def auc3d(
    predicted: Array, truth: Array, counted: Mask | None = None, *, limit: float = 150.0
) -> float:
    """The mean of PCK3D over the 31 limits 0, 5 … 150 (in shares of `limit`), as MPI-INF-3DHP
    reports it.
    """
    shares = [
        pck3d(predicted, truth, counted, limit=step).over_all for step in np.linspace(0, limit, 31)
    ]
    return float(np.mean(shares))
