"""Turns as matrices [..., 3, 3] and as rotation vectors [..., 3] (Rodrigues), in batches."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ..geometry import Array


def exp(vectors: Array) -> Array:
    """[..., 3] -> [..., 3, 3]: the turn about each vector by its length in radians."""
    flat = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return flat.reshape(*vectors.shape[:-1], 3, 3)


def log(matrices: Array) -> Array:
    """[..., 3, 3] -> [..., 3]: the inverse of `exp`, lengths up to pi."""
    flat = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec()
    return flat.reshape(matrices.shape[:-1])


def about(axis: str, angles: Array, *, degrees: bool = True) -> Array:
    """Angles [T] about "x", "y" or "z" -> [T, 3, 3]."""
    return Rotation.from_euler(axis.lower(), angles[:, None], degrees=degrees).as_matrix()


def cross_matrix(vectors: Array) -> Array:
    """[..., 3] -> [..., 3, 3]: cross_matrix(a) @ b is a × b."""
    out = np.zeros((*vectors.shape, 3))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    out[..., 0, 1], out[..., 0, 2], out[..., 1, 2] = -z, y, -x
    out[..., 1, 0], out[..., 2, 0], out[..., 2, 1] = z, -y, x
    return out


def log_slope(vectors: Array) -> Array:
    """[..., 3] -> [..., 3, 3]: how `log(exp(d) @ exp(v))` changes with a small d: the inverse of
    the left Jacobian (Barfoot 2017, equation 7.99).
    """
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    # 1/a² - (1 + cos a) / (2 a sin a), by the half angle, which knows no zero below pi
    share = np.where(small, 1 / 12, (1 - safe / 2 / np.tan(safe / 2)) / safe**2)
    matrix = cross_matrix(vectors)
    return np.eye(3) - matrix / 2 + share * (matrix @ matrix)


def exp_slope(vectors: Array) -> Array:
    """[..., 3] -> [..., 3, 3]: how `exp(v)` turns on with a small change of v: the left Jacobian
    (Barfoot 2017, equation 7.77), the inverse of `log_slope`.
    """
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1 / 2, (1 - np.cos(safe)) / safe**2)
    second = np.where(small, 1 / 6, (safe - np.sin(safe)) / safe**3)
    matrix = cross_matrix(vectors)
    return np.eye(3) + first * matrix + second * (matrix @ matrix)


def nearest(matrices: Array) -> Array:
    """[..., 3, 3] -> [..., 3, 3]: the rotation R for which the trace of Rᵀ M is largest (Kabsch
    1976; Umeyama 1991).
    """
    u, _, vt = np.linalg.svd(matrices)
    sign = np.sign(np.linalg.det(u @ vt))
    u[..., 2] *= np.where(sign == 0, 1, sign)[..., None]
    return u @ vt
