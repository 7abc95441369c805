"""Pictures, films and models drawn into a frame where a target or a body is.

All functions are pure: a frame [H, W, 3] comes in, another one goes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, OptionError
from ..geometry import Array
from ..lift.cameras import Camera
from ..people import Image, People
from .target import Sight

LIGHT = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])  # where light comes from
SHADE = 0.35  # brightness of what the light does not reach
NEAREST = 0.01  # metres before the camera, in which nothing is drawn
# Half the thickness of limbs, in shares of the trunk's length.
THICK = {"arm": 0.09, "leg": 0.13, "trunk": 0.2, "head": 0.26}
SEEN = 0.3


def blended(frame: Image, layer: Image, alpha: Array) -> Image:
    """frame [H, W, 3], layer [H, W, 3] and its alpha [H, W] in [0, 1] -> [H, W, 3]."""
    part = alpha[..., None].astype(np.float32)
    return (frame * (1 - part) + layer * part + 0.5).astype(np.uint8)


def placed(picture: Image, matrix: Array, size: tuple[int, int]) -> tuple[Image, Array]:
    """A picture [h, w, 3 or 4] under a homography [3, 3], from its pixels to those of a frame of
    `size` (width, height) -> layer [H, W, 3] and alpha [H, W].
    """
    alpha = np.full(picture.shape[:2], 255, np.uint8) if picture.shape[2] == 3 else picture[..., 3]
    shown = cv2.warpPerspective(picture[..., :3], matrix, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(alpha, matrix, size, flags=cv2.INTER_LINEAR)
    return shown, mask / 255  # type: ignore[return-value]


def on_target(
    picture: Image, corners: Array, sight: Sight, camera: Camera, size: tuple[int, int]
) -> tuple[Image, Array]:
    """A picture on a face with corners [4, 3] in metres -> layer and alpha."""
    height, width = picture.shape[:2]
    own = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    edges = sight.of(camera).onto(corners).astype(np.float32)
    return placed(picture, np.asarray(cv2.getPerspectiveTransform(own, edges), np.float64), size)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A mesh: corners [N, 3] in metres, faces [M, 3], colours [M, 3] 0-255."""

    corners: Array
    faces: NDArray[np.intp]
    colours: Array


def read_model(path: Path, size: float) -> Model:
    """A glTF (.glb, .gltf), OBJ, STL or PLY model, standing on z = 0 and `size` metres at its
    longest. Needs trimesh (extra `ar`). Raises OptionError, DataError.
    """
    try:
        import trimesh
    except ImportError:
        raise OptionError(f"{path}: models need trimesh: pip install 'everybody[ar]'") from None
    try:
        mesh: Any = trimesh.load(path, force="mesh")
        corners = np.asarray(mesh.vertices, np.float64)[:, [0, 2, 1]] * (1, -1, 1)  # y up -> z up
        faces = np.asarray(mesh.faces, np.intp)
        look = mesh.visual.to_color() if hasattr(mesh.visual, "to_color") else mesh.visual
        colours = np.asarray(look.face_colors)[:, :3].astype(np.float64)
    except Exception as error:  # trimesh raises whatever its many readers meet
        reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a model that can be read ({reason})") from None
    if not len(faces):
        raise DataError(f"{path}: holds no surface; expected a mesh")
    low, high = corners.min(0), corners.max(0)
    middle = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return Model((corners - middle) * size / max(float((high - low).max()), 1e-9), faces, colours)


def modelled(
    model: Model, sight: Sight, camera: Camera, size: tuple[int, int]
) -> tuple[Image, Array]:
    """The model on a target -> layer and alpha: far faces first (the painter's algorithm), each as
    bright as it turns to the light.
    """
    width, height = size
    layer, alpha = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    corners = model.corners @ sight.rotation.T + sight.translation
    pixels = sight.of(camera).onto(model.corners)
    sides = corners[model.faces]
    normals = np.cross(sides[:, 1] - sides[:, 0], sides[:, 2] - sides[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    light = sight.rotation @ LIGHT
    bright = SHADE + (1 - SHADE) * np.abs(normals @ light)
    depth = sides[..., 2].mean(1)
    drawn = np.flatnonzero((sides[..., 2] > NEAREST).all(1))
    for face in drawn[np.argsort(-depth[drawn], kind="stable")]:
        corner = (pixels[model.faces[face]] * 16).round().astype(np.int32)
        colour = (model.colours[face] * bright[face]).tolist()
        cv2.fillConvexPoly(layer, corner, colour, cv2.LINE_AA, 4)
        cv2.fillConvexPoly(alpha, corner, (255,), cv2.LINE_AA, 4)
    return layer, alpha / 255


def silhouettes(people: People, size: tuple[int, int]) -> Array:
    """Where people are [H, W] in [0, 1], by their joints: limbs as thick as limbs usually are."""
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    place = {joint: k for k, joint in enumerate(people.skeleton.joints)}
    for points in people.keypoints:
        _silhouette(mask, points, place)
    return cv2.GaussianBlur(mask, (0, 0), 1.5) / 255  # type: ignore[operator]


def _silhouette(mask: Image, points: Array, place: dict[str, int]) -> None:
    def joint(name: str) -> Array | None:
        k = place.get(name)
        return points[k, :2] if k is not None and points[k, 2] >= SEEN else None

    trunk = [joint(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")]
    if any(corner is None for corner in trunk):
        return
    left, right, left_hip, right_hip = trunk
    long = float(np.linalg.norm((left + right) / 2 - (left_hip + right_hip) / 2))  # type: ignore[operator]
    outline = np.array([left, right, right_hip, left_hip])
    cv2.fillConvexPoly(mask, cv2.convexHull(outline.astype(np.int32)), (255,))
    _strokes(mask, [*outline, outline[0]], THICK["arm"] * long)
    for side in ("left", "right"):
        arm = [joint(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist")]
        leg = [joint(f"{side}_{part}") for part in ("hip", "knee", "ankle")]
        _strokes(mask, arm, THICK["arm"] * long)
        _strokes(mask, leg, THICK["leg"] * long)
    ears = [joint(name) for name in ("left_ear", "right_ear", "nose")]
    known = [ear for ear in ears if ear is not None]
    if known:
        middle = np.mean(known, 0)
        neck = (left + right) / 2  # type: ignore[operator]
        _strokes(mask, [neck, middle], THICK["arm"] * long)
        cv2.circle(mask, _pixel(middle), max(1, round(THICK["head"] * long)), (255,), -1)


def _strokes(mask: Image, points: list[Array | None], half: float) -> None:
    for first, second in pairwise(points):
        if first is not None and second is not None:
            thick = max(1, round(2 * half))
            cv2.line(mask, _pixel(first), _pixel(second), (255,), thick)


def _pixel(point: Array) -> tuple[int, int]:
    x, y = np.clip(np.round(point), -1e4, 1e4).astype(int).tolist()
    return x, y
