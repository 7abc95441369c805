"""What inverse kinematics minimises, term by term, each with its analytic slope.

The unknowns of a frame are small moves d [P]: of the root (3), and per joint that turns something a
rotation vector in its parent's axes (3 each): R <- exp(d) R. A joint j at x_j under a parent with
axes G moves joint k below it by (G d_j) × (x_k - x_j), and turns all below by G d_j. A term says
residuals r [T, R], without unit, and their slopes J [T, R, P] at d = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from .angles import Found, decompose, joints_of, relative, segment_axes
from .body import Body
from .cameras import Camera
from .limits import LIMITS
from .rotations import exp, log, log_slope


@dataclass(frozen=True, eq=False)
class State:
    """A body in T postures: root [T, 3], turns [T, J, 3, 3]."""

    body: Body
    root: Array
    turns: Array

    @cached_property
    def forward(self) -> tuple[Array, Array]:
        return self.body.forward(self.root, self.turns)

    @cached_property
    def carriers(self) -> Array:
        """[T, M, 3, 3]: the axes in which the turns of the M joints that turn something are said:
        their parents'; the world's for the root.
        """
        parents = np.array(self.body.parents)[list(self.body.turning)]
        axes = self.forward[1][:, parents]
        return np.where((parents < 0)[:, None, None], np.eye(3), axes)

    def place_slopes(self, joints: NDArray[np.int64]) -> Array:
        """[S] -> [T, S, 3, P]: how joints move."""
        places, turning = self.forward[0], list(self.body.turning)
        count, moves = len(places), self.body.above[joints[:, None], turning]
        out = np.zeros((count, len(joints), 3, 3 + 3 * len(turning)))
        out[..., :3] = np.eye(3)
        # np.cross of every column of the axes with every lever, written out: three times as fast
        lever = np.where(moves[..., None], places[:, joints, None] - places[:, None, turning], 0)[
            ..., None, :
        ]
        axes = np.swapaxes(self.carriers, 2, 3)[:, None]
        turned = out[..., 3:].reshape(count, len(joints), 3, len(turning), 3)
        for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            turned[:, :, a] = axes[..., b] * lever[..., c] - axes[..., c] * lever[..., b]
        return out

    def turn_slopes(self, joint: int, below: int = -1) -> Array:
        """[T, 3, P]: how the orientation of a joint turns in the world, against that of a joint
        above it where one is given.
        """
        turning = self.body.turning
        out = np.zeros((len(self.root), 3, 3 + 3 * len(turning)))
        for m, j in enumerate(turning):
            counts = j == joint or self.body.above[joint, j]
            if counts and not (below >= 0 and (j == below or self.body.above[below, j])):
                out[:, :, 3 + 3 * m : 6 + 3 * m] = self.carriers[:, m]
        return out

    def moved(self, moves: Array) -> State:
        """Another state, after moves [T, P]."""
        turns, turning = self.turns.copy(), list(self.body.turning)
        turns[:, turning] = exp(moves[:, 3:].reshape(len(moves), -1, 3)) @ turns[:, turning]
        return replace(self, root=self.root + moves[:, :3], turns=turns)


Slopes = Callable[[], Array]


class Term(Protocol):
    def __call__(self, state: State, /) -> tuple[Array, Slopes]:
        """Residuals [T, R], and what computes their slopes [T, R, P] where they are needed."""
        ...

    def part(self, frames: slice, /) -> Term:
        """Of some of the frames."""
        ...


def _robust(away: Array, slopes: Slopes, scale: float) -> tuple[Array, Slopes]:
    """Residuals [T, S, D] and slopes [T, S, D, P] of S points -> the same as [T, S D] and
    [T, S D, P], so that a point's squares sum up to s / (1 + s / scale²) of what was s: far
    outliers count little (Geman and McClure 1987).
    """
    shrink = 1 / np.sqrt(1 + np.sum(away**2, -1, keepdims=True) / scale**2)

    def shrunk() -> Array:
        straight = slopes()
        along = (away[..., None, :] @ straight) / scale**2
        pull = (away * shrink**3)[..., None]
        robust = straight * shrink[..., None] - pull * along
        return robust.reshape(len(away), -1, straight.shape[-1])

    return (away * shrink).reshape(len(away), -1), shrunk


@dataclass(frozen=True, eq=False)
class Places:
    """Joints [S] of the body lie at goals [T, S, 3]; weights [T, S] in 1/m, 0 where not seen."""

    joints: NDArray[np.int64]
    goals: Array
    weights: Array
    outlier: float = 10.0  # residuals as large count half

    def __call__(self, state: State) -> tuple[Array, Slopes]:
        away = (state.forward[0][:, self.joints] - self.goals) * self.weights[..., None]
        return _robust(
            away,
            lambda: state.place_slopes(self.joints) * self.weights[..., None, None],
            self.outlier,
        )

    def part(self, frames: slice) -> Places:
        return replace(self, goals=self.goals[frames], weights=self.weights[frames])


@dataclass(frozen=True, eq=False)
class Picture:
    """Joints [S] of the body are seen at goals [T, S, 2] in pixels; weights [T, S] in 1/pixel."""

    joints: NDArray[np.int64]
    goals: Array
    weights: Array
    camera: Camera
    outlier: float = 10.0

    def __call__(self, state: State) -> tuple[Array, Slopes]:
        places = state.forward[0][:, self.joints]
        away = (self.camera.onto(places) - self.goals) * self.weights[..., None]
        weights = self.weights[..., None, None]
        return _robust(
            away,
            lambda: self.camera.derivative(places) @ state.place_slopes(self.joints) * weights,
            self.outlier,
        )

    def part(self, frames: slice) -> Picture:
        return replace(self, goals=self.goals[frames], weights=self.weights[frames])


@dataclass(frozen=True, eq=False)
class Turns:
    """Joints [B] of the body are turned as goals [T, B, 3, 3] say in the world; weights [T, B] in
    1/radian.
    """

    joints: tuple[int, ...]
    goals: Array
    weights: Array

    def __call__(self, state: State) -> tuple[Array, Slopes]:
        goals, joints = np.swapaxes(self.goals, 2, 3), list(self.joints)
        off = log(state.forward[1][:, joints] @ goals)
        weights = self.weights[..., None]

        def slopes() -> Array:
            turning = np.stack([state.turn_slopes(joint) for joint in joints], 1)
            out = (log_slope(off) @ turning) * weights[..., None]
            return out.reshape(len(out), -1, out.shape[-1])

        return (off * weights).reshape(len(off), -1), slopes

    def part(self, frames: slice) -> Turns:
        return replace(self, goals=self.goals[frames], weights=self.weights[frames])


@dataclass(frozen=True, eq=False)
class Limits:
    """Joints stay within `limits.LIMITS`; `weight` in 1/radian beyond."""

    found: tuple[Found, ...]
    axes: Array
    weight: float

    @classmethod
    def of(cls, body: Body, weight: float) -> Limits:
        found = tuple(f for f in joints_of(body) if f.name.split("_")[-1] in LIMITS)
        return cls(found, segment_axes(body), weight)

    @cached_property
    def signs(self) -> Array:
        """[F, 3]"""
        return np.array([found.joint.signs for found in self.found]).reshape(-1, 3)

    @cached_property
    def low(self) -> Array:
        """[F, 3] degrees"""
        return self._bounds[..., 0]

    @cached_property
    def high(self) -> Array:
        """[F, 3] degrees"""
        return self._bounds[..., 1]

    @property
    def _bounds(self) -> Array:
        rows = [LIMITS[found.name.split("_")[-1]] for found in self.found]
        return np.array(rows).reshape(-1, 3, 2)

    def __call__(self, state: State) -> tuple[Array, Slopes]:
        orientations = state.forward[1]
        if not self.found:
            count = len(state.root)
            return np.zeros((count, 0)), lambda: np.zeros(
                (count, 0, 3 + 3 * len(state.body.turning))
            )
        angles = np.stack(
            [
                decompose(relative(found, self.axes, orientations), found.joint.order)
                for found in self.found
            ],
            1,
        )  # [T, F, 3] degrees
        said = angles * self.signs
        excess = np.radians(said - said.clip(self.low, self.high)) * self.weight

        def slopes() -> Array:
            out = np.zeros((*excess.shape, 3 + 3 * len(state.body.turning)))
            for n in np.flatnonzero(excess.any((0, 2))):
                rates = self._rates(state, self.found[n], angles[:, n])
                out[:, n] = np.where((excess[:, n] != 0)[..., None], rates, 0)
            return out.reshape(len(out), -1, out.shape[-1])

        return excess.reshape(len(excess), -1), slopes

    def _rates(self, state: State, found: Found, angles: Array) -> Array:
        """[T, 3, P]: how a joint's residuals change."""
        base = state.forward[1][:, found.proximal] @ self.axes[found.proximal]
        turning = np.swapaxes(base, 1, 2) @ state.turn_slopes(found.distal, found.proximal)
        if found.mirrored:
            turning = turning * np.array([-1, -1, 1])[:, None]
        return _rates(np.radians(angles), turning) * (
            np.array(found.joint.signs)[:, None] * self.weight
        )

    def part(self, frames: slice) -> Limits:
        return self


def _rates(angles: Array, turning: Array) -> Array:
    """Angles [T, 3] of Z-X-Y in radians and turning [T, 3, P] in the first axes -> how the angles
    change [T, 3, P]. Near the pole of the middle angle, slopes stay finite.
    """
    a, b = angles[:, 0, None], angles[:, 1, None]
    x, y, z = turning[:, 0], turning[:, 1], turning[:, 2]
    cos = np.cos(b)
    second = np.cos(a) * x + np.sin(a) * y
    third = (np.cos(a) * y - np.sin(a) * x) / np.where(np.abs(cos) < 0.1, 0.1, cos)
    return np.stack([z - np.sin(b) * third, second, third], 1)


@dataclass(frozen=True, eq=False)
class Rest:
    """Joints [M] that turn something stay near rest; weights [M] in 1/radian."""

    weights: Array

    def __call__(self, state: State) -> tuple[Array, Slopes]:
        off = log(state.turns[:, list(state.body.turning)])

        def slopes() -> Array:
            slope = log_slope(off) * self.weights[:, None, None]
            count, joints = off.shape[:2]
            out = np.zeros((count, joints, 3, 3 + 3 * joints))
            for m in range(joints):
                out[:, m, :, 3 + 3 * m : 6 + 3 * m] = slope[:, m]
            return out.reshape(count, -1, out.shape[-1])

        return (off * self.weights[:, None]).reshape(len(off), -1), slopes

    def part(self, frames: slice) -> Rest:
        return self
