"""A poster that moves before a camera along a known way, for what finds and follows targets."""

from __future__ import annotations

import cv2
import numpy as np

from everybody.apps.target import Face
from everybody.lift.cameras import Camera


def poster(width: int = 320, height: int = 240, seed: int = 0) -> np.ndarray:
    """A picture full of discs and boxes [height, width, 3]."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 235, np.uint8)
    for _ in range(220):
        x, y = rng.integers(0, (width, height)).tolist()
        colour = rng.integers(0, 255, 3).tolist()
        if rng.random() < 0.5:
            cv2.circle(picture, (x, y), int(rng.integers(3, 14)), colour, -1, cv2.LINE_AA)
        else:
            a, b = rng.integers(4, 26, 2).tolist()
            cv2.rectangle(picture, (x, y), (x + a, y + b), colour, -1)
    return picture


def way(frames: int, still: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rotations and translations of so many frames, the last of which stays."""
    poses = []
    upright = cv2.Rodrigues(np.array([np.pi, 0.0, 0.0]))[0]  # towards the camera
    for number in [*range(frames), *[frames - 1] * still]:
        turn = np.array(
            [0.5 * np.sin(number / 9), 0.4 * np.cos(number / 7), 0.3 * np.sin(number / 11)]
        )
        shift = np.array(
            [0.03 * np.sin(number / 8), 0.02 * np.cos(number / 6), 0.5 + 0.1 * np.sin(number / 10)]
        )
        poses.append((cv2.Rodrigues(turn)[0] @ upright, shift))
    return poses


def shown(
    picture: np.ndarray,
    face: Face,
    camera: Camera,
    pose: tuple[np.ndarray, np.ndarray],
    size: tuple[int, int],
    rng: np.random.Generator,
    noise: float = 3.0,
) -> np.ndarray:
    """The frame [H, W, 3] of a camera that sees the picture at a pose, on a grey wall."""
    width, height = picture.shape[1::-1]
    own = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    edges = camera.at(*pose).onto(face.corners)
    matrix = cv2.getPerspectiveTransform(own.astype(np.float32), edges.astype(np.float32))
    wall = np.full((size[1], size[0], 3), 120, np.uint8)
    drawn = cv2.warpPerspective(
        picture, matrix, size, dst=wall, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_TRANSPARENT
    )
    return np.clip(drawn + rng.normal(0, noise, drawn.shape), 0, 255).astype(np.uint8)
