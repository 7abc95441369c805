"""People at known places, and whether they are those that were found."""

from __future__ import annotations

import numpy as np

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


def seen(people: np.ndarray) -> np.ndarray:
    """Points [P,K,2] -> keypoints [P,K,3], all labelled."""
    return np.concatenate([people, np.ones((*people.shape[:2], 1))], 2)


def same_people(found: np.ndarray, planted: np.ndarray, within: float) -> bool:
    """[P,K,2+] and [Q,K,2]: as many, each joint of each within `within` of the same person's."""
    if len(found) != len(planted):
        return False
    gaps = np.hypot(*np.moveaxis(found[:, None, :, :2] - planted[None], -1, 0)).max(2)
    return bool((gaps.min(1) <= within).all() and (gaps.min(0) <= within).all())
