"""Cameras whose place and lens are known: from space into the picture and back to rays.

A point X of the world is R X + t in the camera's axes (x right, y down, z ahead); divided by its z,
bent by the lens and multiplied by the matrix it is a pixel (Hartley and Zisserman 2004, § 6.1). Of
lenses there are two (OpenCV's coefficients): Brown 1971, k1 k2 p1 p2 and up to k3 … k6, and the
fisheye of Kannala and Brandt 2006, k1 … k4. Both are undone by Newton's method.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError, OptionError
from ..geometry import Array

LENGTHS = (0, 1, 2, 4, 5, 8)  # numbers of coefficients that a lens may have
FARTHEST = 1e5  # metres
NEAREST = 1e-6  # metres before a camera: what is nearer, or behind it, is not seen
JUST_BEFORE = 1e-3  # metres before a camera, where `onto` puts what is behind it
_STEPS, _EXACT = 20, 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """matrix [3, 3] in pixels, rotation [3, 3], translation [3] in metres, distortion [≤ 8], and
    the (width, height) of its pictures, or None. By default its axes are the world's, and its lens
    does not bend.

    Raises DataError that names the camera for numbers that are not finite or make no camera.
    """

    name: str
    matrix: Array
    rotation: Array = field(default_factory=lambda: np.eye(3))
    translation: Array = field(default_factory=lambda: np.zeros(3))
    distortion: Array = field(default_factory=lambda: np.zeros(0))
    size: tuple[int, int] | None = None
    fisheye: bool = False

    def __post_init__(self) -> None:
        shapes = {"matrix": (3, 3), "rotation": (3, 3), "translation": (3,), "distortion": (-1,)}
        for name, shape in shapes.items():
            object.__setattr__(self, name, _numbers(self, name, shape))
        matrix, count = self.matrix, len(self.distortion)
        if not (matrix[0, 0] > 0 and matrix[1, 1] > 0) or (matrix[2] != (0, 0, 1)).any():
            raise DataError(
                f"camera {self.name}: its matrix needs focal lengths above 0 and a last row 0 0 1"
            )
        if (self.fisheye and count != 4) or (not self.fisheye and count not in LENGTHS):
            wanted = "4" if self.fisheye else ", ".join(map(str, LENGTHS))
            raise DataError(f"camera {self.name}: {count} distortions, expected {wanted}")
        turn = self.rotation
        if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3 or np.linalg.det(turn) < 0:
            raise DataError(f"camera {self.name}: its rotation is no rotation")
        if self.size is not None and not (min(self.size) > 0 and max(self.size) < 1 << 20):
            raise DataError(f"camera {self.name}: a picture cannot be {self.size} pixels large")

    @classmethod
    def of(cls, size: tuple[int, int], fov: float, name: str = "camera") -> Camera:
        """Pictures of (width, height) pixels, whose longer side spans `fov` degrees. Raises
        OptionError.
        """
        (x, y), length = ((side - 1) / 2 for side in size), focal(size, fov)
        return cls(name, np.array([[length, 0, x], [0, length, y], [0, 0, 1.0]]), size=size)

    def __repr__(self) -> str:
        where = ", ".join(f"{x:.2f}" for x in self.centre)
        return f"Camera({self.name}, at {where} m)"

    @property
    def centre(self) -> Array:
        """[3]: where it stands in the world."""
        return -self.rotation.T @ self.translation

    @property
    def pose(self) -> Array:
        """[3, 4]: the world into the camera's axes."""
        return np.concatenate([self.rotation, self.translation[:, None]], 1)

    @property
    def focal(self) -> float:
        """Pixels that a slope of 1 is wide, the mean of both directions."""
        return float(np.sqrt(self.matrix[0, 0] * self.matrix[1, 1]))

    def project(self, points: Array) -> Array:
        """[..., 3] metres -> [..., 2] pixels; NaN for what is not before the camera."""
        seen = points @ self.rotation.T + self.translation
        depth = np.where(seen[..., 2:] > NEAREST, seen[..., 2:], np.nan)
        flat = bent(self, seen[..., :2] / depth)[0]
        return flat @ self.matrix[:2, :2].T + self.matrix[:2, 2]

    def onto(self, points: Array) -> Array:
        """As `project`, but what is behind the camera is put just before it."""
        flat = bent(self, self._flat(points)[0])[0]
        return flat @ self.matrix[:2, :2].T + self.matrix[:2, 2]

    def derivative(self, points: Array) -> Array:
        """[..., 3] -> [..., 2, 3]: how the pixels of `onto` move with a point of the world."""
        flat, depth = self._flat(points)
        ahead = np.broadcast_to(self.rotation[2], (*flat.shape, 3))
        rows = (self.rotation[:2] - flat[..., None] * ahead) / depth[..., None]
        return self.matrix[:2, :2] @ bent(self, flat)[1] @ rows

    def _flat(self, points: Array) -> tuple[Array, Array]:
        """Slopes [..., 2] before the lens and depths [..., 1] of what `onto` sees."""
        seen = points @ self.rotation.T + self.translation
        depth = np.maximum(seen[..., 2:], JUST_BEFORE)
        return seen[..., :2] / depth, depth

    def at(self, rotation: Array, translation: Array) -> Camera:
        """The same camera at another place, or seen from another thing's axes."""
        return replace(self, rotation=rotation, translation=translation)

    def slopes(self, pixels: Array) -> Array:
        """[..., 2] pixels -> [..., 2]: x / z and y / z of the ray in the camera's axes, the lens
        undone; NaN where the lens sends no ray.
        """
        inverse = np.linalg.inv(self.matrix)
        goal = np.asarray(pixels, np.float64) @ inverse[:2, :2].T + inverse[:2, 2]
        return straightened(self, goal)

    def directions(self, pixels: Array) -> Array:
        """[..., 2] pixels -> [..., 3]: unit vectors in the world, from the camera."""
        slopes = self.slopes(pixels)
        rays = np.concatenate([slopes, np.ones_like(slopes[..., :1])], -1) @ self.rotation
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)

    def of_size(self, size: tuple[int, int]) -> Camera:
        """The same camera whose pictures are made smaller or larger as a whole."""
        if self.size is None:
            return replace(self, size=size)
        by = np.array(size) / np.array(self.size)
        matrix = self.matrix.copy()
        # Pixel centres are whole numbers, so a picture begins at -0.5.
        matrix[:2] *= by[:, None]
        matrix[:2, 2] += (by - 1) / 2
        return replace(self, matrix=matrix, size=size)


def focal(size: tuple[int, int], fov: float) -> float:
    """The focal length in pixels of a picture (width, height) whose longer side spans `fov`
    degrees. Raises OptionError for angles that no pinhole camera has.
    """
    if not 1 <= fov < 180:  # NaN, too
        raise OptionError(
            f"fov {fov:g}: expected the angle across the picture's longer side, in degrees, from 1 "
            "to less than 180, as 60 for a phone"
        )
    return max(*size, 1) / 2 / math.tan(math.radians(fov) / 2)


def moved(cameras: Iterable[Camera], rotation: Array, shift: ArrayLike = (0, 0, 0)) -> list[Camera]:
    """The same cameras in a world that is turned, then shifted: X becomes rotation X + shift."""
    turn, shift = np.asarray(rotation, np.float64), np.asarray(shift, np.float64)
    return [
        replace(
            camera,
            rotation=camera.rotation @ turn.T,
            translation=camera.translation - camera.rotation @ turn.T @ shift,
        )
        for camera in cameras
    ]


def stacked(cameras: Sequence[Camera]) -> tuple[Array, Array]:
    """Poses [C, 3, 4] and focal lengths [C] of cameras."""
    poses = np.stack([camera.pose for camera in cameras])
    return poses, np.array([camera.focal for camera in cameras])


# --- lenses


def bent(camera: Camera, flat: Array) -> tuple[Array, Array]:
    """Slopes [..., 2] before the lens -> behind it [..., 2], and the derivative [..., 2, 2]."""
    return _fisheye(camera, flat) if camera.fisheye else _brown(camera, flat)


def _brown(camera: Camera, flat: Array) -> tuple[Array, Array]:
    k = np.zeros(8)
    k[: len(camera.distortion)] = camera.distortion
    x, y = flat[..., 0], flat[..., 1]
    r = x * x + y * y
    above, below = 1 + r * (k[0] + r * (k[1] + r * k[4])), 1 + r * (k[5] + r * (k[6] + r * k[7]))
    radial = above / below
    by_r = (k[0] + r * (2 * k[1] + r * 3 * k[4])) / below
    by_r = by_r - radial * (k[5] + r * (2 * k[6] + r * 3 * k[7])) / below

    out = np.stack(
        [
            x * radial + 2 * k[2] * x * y + k[3] * (r + 2 * x * x),
            y * radial + k[2] * (r + 2 * y * y) + 2 * k[3] * x * y,
        ],
        -1,
    )
    cross = 2 * x * y * by_r + 2 * k[2] * x + 2 * k[3] * y
    across = radial + 2 * x * x * by_r + 2 * k[2] * y + 6 * k[3] * x
    down = radial + 2 * y * y * by_r + 6 * k[2] * y + 2 * k[3] * x
    slope = np.stack([np.stack([across, cross], -1), np.stack([cross, down], -1)], -2)
    return out, slope


def _fisheye(camera: Camera, flat: Array) -> tuple[Array, Array]:
    k = camera.distortion
    radius = np.linalg.norm(flat, axis=-1)
    angle = np.arctan(radius)
    q = angle * angle
    far = angle * (1 + q * (k[0] + q * (k[1] + q * (k[2] + q * k[3]))))
    by_angle = 1 + q * (3 * k[0] + q * (5 * k[1] + q * (7 * k[2] + q * 9 * k[3])))

    safe = np.maximum(radius, 1e-12)
    scale = np.where(radius > 1e-9, far / safe, 1.0)
    by_radius = by_angle / (1 + radius * radius)
    unit = flat / safe[..., None]
    along = unit[..., :, None] * unit[..., None, :]
    slope = scale[..., None, None] * (np.eye(2) - along) + by_radius[..., None, None] * along
    return flat * scale[..., None], slope


def straightened(camera: Camera, goal: Array) -> Array:
    """Slopes [..., 2] behind the lens -> before it; NaN where none is sent there."""
    if not camera.distortion.any() and not camera.fisheye:
        return goal
    flat = goal.copy()
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            there, slope = bent(camera, flat)
            away = there - goal
            if not (np.abs(away) > _EXACT).any():
                break
            (a, b), (c, d) = np.moveaxis(slope, (-2, -1), (0, 1))
            det = a * d - b * c
            step = np.stack(
                [d * away[..., 0] - b * away[..., 1], a * away[..., 1] - c * away[..., 0]], -1
            )
            flat = flat - step / det[..., None]
        found = np.abs(bent(camera, flat)[0] - goal).max(-1) < 1e-9
    return np.where(found[..., None], flat, np.nan)


def _numbers(camera: Camera, field: str, shape: tuple[int, ...]) -> Array:
    try:
        values = np.asarray(getattr(camera, field), np.float64)
        fits = values.reshape(shape).shape == values.shape
    except (ValueError, TypeError, OverflowError):
        fits, values = False, np.zeros(0)
    if not fits:
        wanted = " × ".join(str(n) if n > 0 else "n" for n in shape)
        raise DataError(f"camera {camera.name}: its {field} must be {wanted} numbers")
    if not (np.abs(values) < FARTHEST).all():
        raise DataError(
            f"camera {camera.name}: its {field} holds NaN, infinity or a number beyond {FARTHEST:g}"
        )
    return values
