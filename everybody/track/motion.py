"""Where tracked people will be: a Kalman filter (`everybody.kalman`) per point and track.

A person is P = 2 + K points: the box's centre, half its width and height, then the joints. What is
not seen is corrected with infinite variance, which changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..kalman import State
from .rules import Rules

BOX_NOISE = 0.05  # standard deviation of a detector's box edge, in body sizes
STARTING_SPEED = 1.0  # standard deviation of the velocity of a new person, body sizes per second


@dataclass(frozen=True, slots=True, eq=False)
class Motion(State):
    """T tracks: position, velocity [T, P, 2] in pixels (per second); covariance [3, T, P]."""

    @classmethod
    def starting(cls, points: Array, variances: Array) -> Motion:
        """New tracks at points [N, P, 2] of variances [N, P], at rest."""
        speed = np.square(STARTING_SPEED * size(points))[:, None] * np.ones(points.shape[1])
        seen = np.isfinite(variances)
        # An unseen joint is anywhere in the body.
        unseen = np.square(size(points))[:, None]
        covariance = np.stack([np.where(seen, variances, unseen), np.zeros_like(variances), speed])
        return cls(points, np.zeros_like(points), covariance)

    def __getitem__(self, rows: NDArray[Any]) -> Motion:
        return Motion(self.position[rows], self.velocity[rows], self.covariance[:, rows])

    def joined(self, other: Motion) -> Motion:
        """These tracks, then those of `other`."""
        return Motion(
            np.concatenate([self.position, other.position]),
            np.concatenate([self.velocity, other.velocity]),
            np.concatenate([self.covariance, other.covariance], axis=1),
        )

    def predicted(self, seconds: float, unseen: Array, rules: Rules) -> Motion:
        """The same tracks later. unseen [T]: seconds since each was last seen, which slow it down
        (`Rules.drag`). Joints take on the velocity of the box's centre (`Rules.settling`).
        """
        together = float(np.exp(-seconds / rules.settling))
        slower = np.exp(-seconds * np.minimum(unseen / rules.drag, 1.0) / rules.drag)[:, None, None]
        velocity = together * self.velocity
        velocity[:, 0] = self.velocity[:, 0]
        velocity[:, 2:] += (1 - together) * self.velocity[:, :1]
        velocity *= slower

        points = self.position.shape[1]
        damping = np.full(points, together)
        damping[0] = 1.0
        density = np.square(size(self.position))[:, None] * accelerations(points, rules)
        return self.ahead(seconds, density, velocity=velocity, damping=damping)

    def moved(self, matrix: Array) -> Motion:
        """After the camera has moved: matrix [2, 3] maps pixels of the last picture to this one."""
        linear = matrix[:, :2]
        stretch = abs(float(np.linalg.det(linear)))
        position = self.position @ linear.T + matrix[:, 2]
        position[:, 1] = self.position[:, 1] * stretch**0.5
        return Motion(position, self.velocity @ linear.T, self.covariance * stretch)

    def replaced(self, rows: NDArray[Any], other: Motion) -> Motion:
        """The same tracks, but those at `rows` are now those of `other`."""
        position, velocity = self.position.copy(), self.velocity.copy()
        covariance = self.covariance.copy()
        position[rows], velocity[rows] = other.position, other.velocity
        covariance[:, rows] = other.covariance
        return Motion(position, velocity, covariance)

    @property
    def boxes(self) -> Array:
        """[T, 4] xyxy."""
        return boxes(self.position)


def boxes(points: Array) -> Array:
    """Points [N, P, 2] -> [N, 4] xyxy."""
    return np.concatenate([points[:, 0] - points[:, 1], points[:, 0] + points[:, 1]], axis=1)


def middles(boxes: Array) -> Array:
    """[N, 4] xyxy -> [N, 2, 2]: centre, and half of width and height; the inverse of `boxes`."""
    corners = boxes.reshape(-1, 2, 2)
    return np.stack([corners.mean(1), (corners[:, 1] - corners[:, 0]) / 2], axis=1)


def size(points: Array) -> Array:
    """Points [N, P, 2] -> [N]: the square root of the box's area, at least a pixel."""
    return 2 * np.sqrt(np.maximum(points[:, 1].clip(0).prod(-1), 0.25))


def accelerations(points: int, rules: Rules) -> Array:
    """[P]: spectral density of each point's acceleration, in body sizes² / s³."""
    density = np.full(points, rules.joint_acceleration)
    density[:2] = rules.box_acceleration
    return density
