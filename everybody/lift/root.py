"""Where a body is, from how large its picture is: the place of the root for which the pose, seen by
the camera, lies on the joints in 2D.

A joint P of the pose, moved by T, is seen along the ray u = (P + T)_xy / (P + T)_z, so
P_xy + T_xy = u (P_z + T_z), two equations a joint that are linear in T (as in DLT; Hartley and
Zisserman 2004, § 7.1). Errors then count by depth; a second pass divides by it.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array
from ..skeletons import COCO17, H36M17

NEAREST = 0.3  # metres from the camera to the nearest joint, at least
FARTHEST = 200.0
SHARED = tuple(name for name in H36M17.joints if name in COCO17.joints)
OF_COCO = [COCO17.joints.index(name) for name in SHARED]
OF_H36M = [H36M17.joints.index(name) for name in SHARED]
PRIOR = 0.01  # weight of the depth that the sizes alone tell, beside that of all joints


def place(poses: Array, points: Array) -> Array:
    """Poses [N, 17, 3] of H36M17 in metres, relative to the root, as the camera sees them, and rays
    and scores [N, 17, 3] of COCO's joints -> roots [N, 3] in metres from the camera.
    """
    bodies = poses[:, OF_H36M].astype(np.float64)
    rays = points[:, OF_COCO, :2].astype(np.float64)
    weights = np.maximum(points[:, OF_COCO, 2].astype(np.float64), 0)
    few = ((weights > 0).sum(1) < 3)[:, None]  # too few to leave out the others
    weights = np.where(few, np.maximum(weights, 1e-3), weights)
    weights = weights / weights.sum(1, keepdims=True)

    far = _by_size(bodies, rays, weights)
    rough = _solve(bodies, rays, weights, far, far)
    found = _solve(bodies, rays, weights, rough[:, 2], far)
    depth = found[:, 2]
    nearest = NEAREST - bodies[..., 2].min(1)
    limited = np.clip(depth, nearest, np.maximum(FARTHEST, nearest))
    found[:, :2] *= (limited / np.where(depth > 0, depth, limited))[:, None]
    found[:, 2] = limited
    return found.astype(np.float32)


def _by_size(bodies: Array, rays: Array, weights: Array) -> Array:
    """[N]: the depth at which a pose is as large as its picture, if all of it were at one depth."""
    size = np.maximum(_spread(rays, weights), 1e-4)
    return np.clip(_spread(bodies[..., :2], weights) / size, NEAREST, FARTHEST)


def _solve(bodies: Array, rays: Array, weights: Array, depth: Array, far: Array) -> Array:
    """[N, 3]: least squares, each equation by the weight of its joint and 1 / its depth."""
    by = weights / np.maximum(bodies[..., 2] + depth[:, None], NEAREST) ** 2  # [N, K]
    wanted = rays * bodies[..., 2:] - bodies[..., :2]  # T_xy - u T_z = this
    normal = np.zeros((len(bodies), 3, 3))
    right = np.zeros((len(bodies), 3))
    total = by.sum(1)
    normal[:, 0, 0] = normal[:, 1, 1] = total
    cross = (by[..., None] * rays).sum(1)
    normal[:, :2, 2] = normal[:, 2, :2] = -cross
    held = PRIOR * np.square(np.maximum(_spread(rays, weights), 1e-4)) * total
    normal[:, 2, 2] = (by * np.square(rays).sum(-1)).sum(1) + held
    right[:, :2] = (by[..., None] * wanted).sum(1)
    right[:, 2] = -(by * (rays * wanted).sum(-1)).sum(1) + held * far
    return np.linalg.solve(normal, right[..., None])[..., 0]


def _spread(points: Array, weights: Array) -> Array:
    """[N, K, C], [N, K] -> [N]: the root mean square distance from the mean."""
    middle = (weights[..., None] * points).sum(1, keepdims=True)
    return np.sqrt((weights[..., None] * np.square(points - middle)).sum((1, 2)))
