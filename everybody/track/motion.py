"""Where people will be: Kalman filters (Kalman 1960) of constant velocity for every point of every
track, as arrays.

A person is P = 2 + K points: the box's centre, half its width and height, then the joints. x and y
of a point share one covariance of position and velocity, so a filter is three numbers, and T tracks
are predicted and corrected by a few array operations whatever T is. What is not seen is corrected
with infinite variance, which changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from .rules import Rules

BOX_NOISE = 0.05  # standard deviation of a detector's box edge, in body sizes
STARTING_SPEED = 1.0  # standard deviation of the velocity of someone new, body sizes per second


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """position, velocity [T, P, 2] in pixels (per second); covariance [3, T, P]: pp, pv, vv."""

    position: Array
    velocity: Array
    covariance: Array

    @classmethod
    def empty(cls, joints: int) -> Motion:
        return cls(
            np.zeros((0, joints + 2, 2)), np.zeros((0, joints + 2, 2)), np.zeros((3, 0, joints + 2))
        )

    @classmethod
    def starting(cls, points: Array, variances: Array) -> Motion:
        """New tracks at points [N, P, 2] of variances [N, P], at rest."""
        speed = np.square(STARTING_SPEED * size(points))[:, None] * np.ones(points.shape[1])
        seen = np.isfinite(variances)
        # A joint nobody has seen is anywhere in the body.
        unseen = np.square(size(points))[:, None]
        covariance = np.stack([np.where(seen, variances, unseen), np.zeros_like(variances), speed])
        return cls(points, np.zeros_like(points), covariance)

    def __getitem__(self, rows: NDArray[Any]) -> Motion:
        return Motion(self.position[rows], self.velocity[rows], self.covariance[:, rows])

    def joined(self, other: Motion) -> Motion:
        return Motion(
            np.concatenate([self.position, other.position]),
            np.concatenate([self.velocity, other.velocity]),
            np.concatenate([self.covariance, other.covariance], axis=1),
        )

    def predicted(self, seconds: float, unseen: Array, rules: Rules) -> Motion:
        """The same tracks later. unseen [T]: for how long nobody has seen each, which slows it down
        (`Rules.drag`).
        """
        together = float(np.exp(-seconds / rules.settling))
        slower = np.exp(-seconds * np.minimum(unseen / rules.drag, 1.0) / rules.drag)[:, None, None]
        velocity = together * self.velocity
        velocity[:, 0] = self.velocity[:, 0]
        velocity[:, 2:] += (1 - together) * self.velocity[:, :1]
        velocity *= slower
        position = self.position + seconds * velocity
        pp, pv, vv = self.covariance
        noise = np.square(size(self.position))[:, None] * accelerations(
            self.position.shape[1], rules
        )
        damping = np.full(self.position.shape[1], together)
        damping[0] = 1.0
        covariance = np.empty_like(self.covariance)
        covariance[0] = pp + (2 * seconds) * pv + seconds**2 * vv + noise * (seconds**3 / 3)
        covariance[1] = damping * (pv + seconds * vv) + noise * (seconds**2 / 2)
        covariance[2] = damping**2 * vv + noise * seconds
        return Motion(position, velocity, covariance)

    def corrected(self, points: Array, variances: Array) -> Motion:
        """After seeing points [T, P, 2] of variances [T, P]; infinite where nothing was seen."""
        pp, pv, vv = self.covariance
        total = pp + variances
        gain_p, gain_v = pp / total, pv / total
        surprise = points - self.position
        covariance = np.stack([pp - gain_p * pp, pv - gain_p * pv, vv - gain_v * pv])
        return Motion(
            self.position + gain_p[..., None] * surprise,
            self.velocity + gain_v[..., None] * surprise,
            covariance,
        )

    def moved(self, matrix: Array) -> Motion:
        """After the camera has moved: matrix [2, 3] sends the pixels of the last picture to those
        of this one.
        """
        linear = matrix[:, :2]
        stretch = abs(float(np.linalg.det(linear)))
        position = self.position @ linear.T + matrix[:, 2]
        position[:, 1] = self.position[:, 1] * stretch**0.5
        return Motion(position, self.velocity @ linear.T, self.covariance * stretch)

    def replaced(self, rows: NDArray[Any], other: Motion) -> Motion:
        """The tracks at `rows` are now those of `other`."""
        position, velocity, covariance = (
            self.position.copy(),
            self.velocity.copy(),
            self.covariance.copy(),
        )
        position[rows], velocity[rows], covariance[:, rows] = (
            other.position,
            other.velocity,
            other.covariance,
        )
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
    """[P], per body size."""
    density = np.full(points, rules.joint_acceleration)
    density[:2] = rules.box_acceleration
    return density
