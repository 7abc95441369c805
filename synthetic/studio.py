"""Cameras around a room, people who move in it, boards: what several cameras see, exactly known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from everybody.lift.boards import Board, Sighting
from everybody.lift.cameras import Camera
from everybody.lift.views import View
from everybody.skeletons import COCO17, Skeleton

BEND = (-0.05, 0.02, 0.001, -0.002)


def ring(
    count: int = 4,
    *,
    size: tuple[int, int] = (1280, 720),
    focal: float = 1000.0,
    bend: Sequence[float] = BEND,
    away: float = 4.0,
    arc: float = 2 * np.pi,
) -> list[Camera]:
    """Cameras on a circle around the room's middle (over an arc of it), looking at it."""
    out = []
    for number in range(count):
        angle = arc * number / count + 0.1
        centre = np.array([away * np.cos(angle), away * np.sin(angle), 1.6 + 0.1 * number])
        ahead = np.array([0.0, 0.0, 1.0]) - centre
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, (0, 0, 1))
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(ahead, right), ahead])
        matrix = np.array([[focal, 0, size[0] / 2], [0, focal * 1.01, size[1] / 2], [0, 0, 1.0]])
        out.append(Camera(f"cam{number + 1}", matrix, turn, -turn @ centre, np.array(bend), size))
    return out


def walkers(
    random: np.random.Generator, people: int = 1, frames: int = 60, rate: float = 30.0
) -> np.ndarray:
    """[P, T, 17, 3]: people about a metre apart whose joints swing smoothly."""
    times = np.arange(frames)[None, :, None, None] / rate
    shape = random.uniform((-0.25, -0.25, 0), (0.25, 0.25, 1.75), (people, 1, len(COCO17), 3))
    places = np.array([[1.1 * p - 0.55 * (people - 1), 0.3 * (-1) ** p, 0] for p in range(people)])
    swing = random.uniform(0.05, 0.2, shape.shape)
    phase = random.uniform(0, 2 * np.pi, shape.shape)
    return places[:, None, None] + shape + swing * np.sin(2 * np.pi * 0.7 * times + phase)


def view(
    camera: Camera,
    bodies: np.ndarray,
    *,
    order: Sequence[Sequence[int]] | None = None,
    rate: float = 30.0,
    late: float = 0.0,
    skeleton: Skeleton = COCO17,
) -> View:
    """What a camera sees of people [P, T, K, 3], named by their order in each frame. late: seconds
    by which its clock is behind."""
    pixels = camera.project(bodies)
    joints = np.concatenate([pixels, np.ones_like(pixels[..., :1])], -1)
    frames = range(bodies.shape[1])
    chosen = order or [range(len(bodies))] * len(frames)
    people = [joints[list(chosen[t]), t] for t in frames]
    return View(camera.name, skeleton, np.arange(len(people)) / rate + late, people, camera.size)


# --- boards


def boards(random: np.random.Generator, count: int, tilt: float = 40.0) -> list[np.ndarray]:
    """[4, 4] each: the board's axes in the room, near its middle, tilted to all sides; the first
    lies on the floor, face up."""
    out = []
    for number in range(count):
        pose = np.eye(4)
        turn = Rotation.from_euler(
            "zx", [random.uniform(0, 360), 180 + random.uniform(-tilt, tilt)], degrees=True
        )
        if not number:
            turn = Rotation.from_euler("x", 180, degrees=True)
        pose[:3, :3] = turn.as_matrix()
        pose[:3, 3] = random.uniform((-0.8, -0.8, 0.2), (0.8, 0.8, 1.2)) if number else 0
        out.append(pose)
    return out


def seen(camera: Camera, board: Board, pose: np.ndarray) -> Sighting | None:
    """The board's corners as the camera sees them; None where it does not see all."""
    places = board.points @ pose[:3, :3].T + pose[:3, 3]
    pixels = camera.project(places)
    width, height = camera.size or (0, 0)
    inside = (pixels >= 0).all() and (pixels < (width, height)).all()
    return Sighting(np.arange(len(pixels)), pixels) if inside else None


def picture(camera: Camera, board: Board, pose: np.ndarray, scale: int = 40) -> np.ndarray:
    """[H, W, 3]: the board as a camera without a lens sees it, drawn `scale` pixels a square."""
    columns, rows = board.columns, board.rows
    if board.marker:
        flat = board.charuco().generateImage((columns * scale, rows * scale))
        first = 0.0
    else:
        grid = np.add.outer(np.arange(rows + 1), np.arange(columns + 1)) % 2
        flat = np.kron(255 * grid, np.ones((scale, scale))).astype(np.uint8)
        first = 1.0
    flat = cv2.copyMakeBorder(flat, scale, scale, scale, scale, cv2.BORDER_CONSTANT, value=(255,))
    # Pixels of the drawing (their centres) to squares, to metres from the first corner.
    begin = np.array(
        [[1 / scale, 0, 0.5 / scale - 1 - first], [0, 1 / scale, 0.5 / scale - 1 - first]]
    )
    if board.marker:
        begin[:, 2] -= 1
    plane = np.vstack([begin * board.square, [0, 0, 1]])
    whole = np.eye(4)
    whole[:3] = camera.pose
    inside = whole @ pose
    onto = camera.matrix @ inside[:3][:, [0, 1, 3]] @ plane
    width, height = camera.size or (0, 0)
    grey = cv2.warpPerspective(
        flat, onto, (width, height), flags=cv2.INTER_AREA, borderValue=(127,)
    )
    return np.repeat(grey[..., None], 3, 2)
