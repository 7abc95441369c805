"""A person of known places, for skeletons with hands and a face: where each point is follows from
its name, so that 133, 135 and 136 points are the same person.
"""

from __future__ import annotations

import numpy as np

from everybody.skeletons import Skeleton

# The person's left, and the middle; right is its mirror image. In heights of the body, y down.
BODY = {
    "nose": (0, 0.1), "eye": (0.022, 0.08), "ear": (0.055, 0.09), "shoulder": (0.11, 0.2),
    "elbow": (0.2, 0.31), "wrist": (0.28, 0.4), "hip": (0.07, 0.52), "knee": (0.08, 0.73),
    "ankle": (0.085, 0.93), "heel": (0.075, 0.965), "big_toe": (0.11, 0.985),
    "small_toe": (0.14, 0.97), "head": (0, 0), "head_top": (0, 0), "neck": (0, 0.17),
    "pelvis": (0, 0.52),
}  # fmt: skip
FACE = (0.0, 0.095)
FACE_RADIUS = 0.055
FINGER, SPREAD = 0.016, 0.35  # a joint's length in heights, radians between two fingers
# Half of the 68 points of a face, in radii from its middle: the person's right, and the middle.
JAW = [(-np.cos(a), 1.1 * np.sin(a)) for a in np.linspace(0, np.pi / 2, 9)]
BROW = [(-0.75, -0.45), (-0.62, -0.55), (-0.48, -0.58), (-0.33, -0.55), (-0.2, -0.48)]
NOSE = [(0, -0.3), (0, -0.15), (0, 0.0), (0, 0.12), (-0.16, 0.2), (-0.08, 0.24), (0, 0.26)]
EYE = [
    (-0.58, -0.27), (-0.47, -0.34), (-0.34, -0.34), (-0.24, -0.27), (-0.34, -0.22), (-0.47, -0.22),
]  # fmt: skip
LIPS = [(-0.35, 0.6), (-0.22, 0.5), (-0.1, 0.46), (0, 0.48)]
LOWER = [(0, 0.78), (-0.1, 0.77), (-0.22, 0.71)]
INNER = [(-0.28, 0.6), (-0.1, 0.56), (0, 0.57)]
INNER_LOWER = [(0, 0.66), (-0.1, 0.65)]


def _other(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The mirror image, in the order in which a contour goes on."""
    return [(-x, y) for x, y in reversed(points)]


def face() -> np.ndarray:
    """[70, 2] in radii from the middle: the 68 of iBUG, and the pupils."""
    points = JAW + _other(JAW[:-1]) + BROW + _other(BROW) + NOSE + _other(NOSE[4:6])
    left = [(-x, y) for x, y in EYE]
    points += EYE + [left[i] for i in (3, 2, 1, 0, 5, 4)]
    points += LIPS + _other(LIPS[:-1]) + _other(LOWER[1:]) + LOWER
    points += INNER + _other(INNER[:-1]) + _other(INNER_LOWER[1:]) + INNER_LOWER
    return np.array([*points, np.mean(EYE, 0), np.mean(left, 0)])


def hand(wrist: np.ndarray, elbow: np.ndarray) -> np.ndarray:
    """[21, 2]: the wrist, and five fingers of four joints that go on as the forearm does."""
    along = wrist - elbow
    middle = np.arctan2(along[1], along[0])
    side = np.sign(along[0])
    points = [wrist]
    for finger in range(5):
        angle = middle + side * SPREAD * (finger - 2)
        way = np.array([np.cos(angle), np.sin(angle)])
        points += [wrist + FINGER * (joint + 1) * way for joint in range(4)]
    return np.array(points)


def figure(
    skeleton: Skeleton, *, height: float = 1.0, middle: float = 0.0, top: float = 0.0
) -> np.ndarray:
    """[K, 2]: the person facing us, so tall, its middle at x = `middle` and its head's top at y =
    `top`.
    """
    places = {}
    for side, sign in (("left", 1), ("right", -1)):
        body = {f"{side}_{name}": np.array([sign * x, y]) for name, (x, y) in BODY.items()}
        fingers = hand(body[f"{side}_wrist"], body[f"{side}_elbow"])
        places |= body | {f"{side}_hand_{i}": point for i, point in enumerate(fingers)}
    places |= {name: np.array(place) for name, place in BODY.items()}
    places |= {f"face_{i}": point for i, point in enumerate(FACE + FACE_RADIUS * face())}
    return height * np.array([places[joint] for joint in skeleton.joints]) + (middle, top)
