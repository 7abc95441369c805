"""Rigid parts of a body in space, from one camera: how a foot or a head is turned, whose points are
seen in the picture, and which hangs on a joint that is known in space.

A point p of the part lies at x = B + A R p, with B the joint, A the axes in which the part usually
lies, told by the bones beside it, and R the part's turn, of which Gauss and Newton's steps find the
likeliest (maximum a posteriori): the least

    Σ |z (u(x) - s - t)|² / d²  +  |r / spread|²,   R = exp r

where u(x) is the ray of x, s that on which the point is seen and d how far off it may be, z the
depth of B, and t what all of the part are off by: only where points lie to each other counts. A
point seen alone could be nearer or farther than the joint (Taylor 2000); it is the usual posture
that tells these two apart.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array
from .rotations import cross_matrix, exp, exp_slope

STEPS = 6
LONGEST = 0.6  # radians of a step
NEAREST = 0.1  # metres before the camera: what would be nearer is taken to be there


def turned(
    base: Array, axes: Array, shape: Array, rays: Array, trust: Array, spread: Array
) -> Array:
    """Joints [M, 3] in metres before the camera, axes [M, 3, 3] as columns, points of the parts
    [M, P, 3] in metres in these axes, the rays [M, P, 2] on which they are seen, how surely they
    are, in 1/metre [M, P], 0: not at all, and how far parts usually turn about each axis, in
    radians [M, 3] -> where the points are [M, P, 3].
    """
    if not len(base):
        return np.zeros_like(shape)
    turn = np.zeros_like(base)
    for _ in range(STEPS):
        turn = turn + _step(turn, base, axes, shape, rays, trust, spread)
    return base[:, None] + shape @ (axes @ exp(turn)).mT


def _step(
    turn: Array,
    base: Array,
    axes: Array,
    shape: Array,
    rays: Array,
    trust: Array,
    spread: Array,
) -> Array:
    """[M, 3]: by how much rotation vectors [M, 3] become likelier."""
    arms = shape @ exp(turn).mT
    places = base[:, None] + arms @ axes.mT
    depth = np.maximum(places[..., 2:], NEAREST)
    seen = places[..., :2] / depth
    moved = -axes[:, None] @ cross_matrix(arms) @ exp_slope(turn)[:, None]  # [M, P, 3, 3]
    slopes = (moved[..., :2, :] - seen[..., None] * moved[..., 2:, :]) / depth[..., None]

    count, scale = len(base), base[:, 2, None, None]
    off = _about_mean(scale * (seen - rays), trust).reshape(count, -1, 1)
    slopes = _about_mean(scale[..., None] * slopes, trust).reshape(count, -1, 3)
    normal = slopes.mT @ slopes + np.eye(3) / spread[..., None] ** 2
    pull = slopes.mT @ off + (turn / spread**2)[..., None]
    step = -np.linalg.solve(normal, pull)[..., 0]
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return step * np.minimum(1, LONGEST / np.maximum(length, 1e-12))


def _about_mean(values: Array, trust: Array) -> Array:
    """Values [M, P, ...] less their mean over the points, by the squares of trust [M, P], times
    trust.
    """
    trust = trust.reshape(*trust.shape, *[1] * (values.ndim - 2))
    total = np.maximum(np.square(trust).sum(1, keepdims=True), 1e-12)
    return trust * (values - (np.square(trust) * values).sum(1, keepdims=True) / total)
