"""Legs of two bones: where a knee is, and how far it bends.

CMU's bodies, from which the lifter has learnt, hardly ever stretch a leg: their legs are too long
for what they span, so knees of people who stand bend by 20 degrees and more. Legs a little shorter
bend as gait analysis measures it (Winter 1991: while people walk, by 4 degrees at least and by 18
in the middle). With θ the bend and c the share of the length, legs that span the same have

    cos²(θ'/2) = cos²(θ/2) / c²

which nothing meets where θ is small; there it goes over smoothly into straight legs.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array
from ..skeletons import H36M17

SHORTER = 0.98  # share of the length of CMU's legs
SOFT = 0.02  # of the squared sine of half the bend, within which legs go over into straight ones
LEGS = tuple(
    tuple(H36M17.joints.index(f"{side}_{part}") for part in ("hip", "knee", "ankle"))
    for side in ("left", "right")
)


def as_in_gait(poses: Array, legs: tuple[tuple[int, ...], ...] = LEGS) -> Array:
    """Poses [..., K, 3] with legs (hip, knee, ankle) as CMU has them -> the same with knees as
    people have them; hips stay, and ankles stay in their direction from these.
    """
    out = np.array(poses)
    for hip, knee, ankle in legs:
        upper = poses[..., knee, :] - poses[..., hip, :]
        lower = poses[..., ankle, :] - poses[..., knee, :]
        a, b = (np.linalg.norm(bone, axis=-1, keepdims=True) for bone in (upper, lower))
        a, b = np.maximum(a, 1e-9), np.maximum(b, 1e-9)
        cosine = np.clip((upper * lower).sum(-1, keepdims=True) / (a * b), -1, 1)
        bend = _straighter((1 - cosine) / 2)  # the squared sine of half of it
        a, b = SHORTER * a, SHORTER * b
        far = np.sqrt(a**2 + b**2 + 2 * a * b * (1 - 2 * bend))
        way = upper + lower
        along = way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-9)
        out[..., ankle, :] = poses[..., hip, :] + far * along
        out[..., knee, :] = poses[..., hip, :] + thigh(along, far, upper, a, b)
    return out


def _straighter(bend: Array) -> Array:
    over = (bend - (1 - SHORTER**2)) / SHORTER**2
    return np.minimum((over + np.sqrt(over**2 + SOFT**2)) / 2, bend)


def thigh(along: Array, far: Array, side: Array, a: Array, b: Array) -> Array:
    """The way from a hip to its ankle (unit vector [..., 3] and distance [..., 1]), to which side
    the knee bends [..., 3], and both bones' lengths [..., 1] -> from the hip to the knee [..., 3],
    by the law of cosines.
    """
    side = side - (side * along).sum(-1, keepdims=True) * along
    side = side / np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-12)
    reach = np.clip((a**2 + far**2 - b**2) / np.maximum(2 * far, 1e-9), -a, a)
    return reach * along + np.sqrt(a**2 - reach**2) * side
