"""Levenberg and Marquardt's steps for postures that depend on each other from frame to frame.

The unknowns of a frame touch those of the next two, by the squares of accelerations; the normal
equations of a whole window are a band, which one Cholesky factorisation solves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

from ..geometry import Array
from .body import Body
from .rotations import log
from .rules import Rules
from .terms import State, Term

FREE = 30.0  # added to the slopes' squares where these are damped, in 1/radian²


def least(state: State, terms: Sequence[Term], times: Array, rules: Rules) -> State:
    """Levenberg and Marquardt's steps, with Nielsen's damping (1999)."""
    smooth = Smooth.of(state.body, times, rules)
    cost = costs(state, terms, smooth).sum()
    normal, damping, growth = _normal(state, terms, smooth), 1e-2, 2.0
    for _ in range(rules.steps):
        moves = _step(*normal, damping, smooth)
        tried = state.moved(moves)
        gain = cost - costs(tried, terms, smooth).sum()
        if gain < 0:
            damping, growth = damping * growth, growth * 2
            continue
        hoped = -(moves * normal[1]).sum()
        damping *= max(1 / 5, 1 - (2 * gain / max(hoped, 1e-12) - 1) ** 3)
        growth = 2.0
        state, cost = tried, cost - gain
        if gain <= rules.enough * cost:
            break
        normal = _normal(state, terms, smooth)
    return state


def costs(state: State, terms: Sequence[Term], smooth: Smooth | None) -> Array:
    """[T]: sums of squares about each frame."""
    squares = [np.square(term(state)[0]).sum(1) for term in terms]
    if smooth is not None:
        squares.append(smooth.squares(state))
    return np.sum(squares, axis=0)


def _normal(state: State, terms: Sequence[Term], smooth: Smooth | None) -> tuple[Array, Array]:
    """Hessians [T, P, P], without what couples frames, and gradients [T, P]."""
    size = 3 + 3 * len(state.body.turning)
    hessian = np.zeros((len(state.root), size, size))
    gradient = np.zeros((len(state.root), size))
    for term in terms:
        residuals, slopes = term(state)
        values = slopes()
        across = np.swapaxes(values, 1, 2)
        hessian += across @ values
        gradient += (across @ residuals[..., None])[..., 0]
    if smooth is not None:
        gradient += smooth.gradient(state)
    return hessian, gradient


@dataclass(frozen=True, eq=False)
class Smooth:
    """Second differences of frames at even times, by weights [P] of the unknowns."""

    weights: Array

    @classmethod
    def of(cls, body: Body, times: Array, rules: Rules) -> Smooth | None:
        if len(times) < 3 or not rules.turning > 0:
            return None
        step = float(np.median(np.diff(times)))
        weights = np.full(3 + 3 * len(body.turning), 1 / (rules.turning * step**2))
        weights[:3] = 1 / (rules.moving * step**2)
        return cls(weights)

    def _bends(self, state: State) -> Array:
        """[T - 2, P]: the residuals."""
        turns = state.turns[:, list(state.body.turning)]
        steps = log(turns[1:] @ np.swapaxes(turns[:-1], 2, 3)).reshape(len(turns) - 1, -1)
        steps = np.concatenate([np.diff(state.root, axis=0), steps], 1)
        return np.diff(steps, axis=0) * self.weights

    def squares(self, state: State) -> Array:
        """[T]: sums of squares; each is shared by its three frames."""
        shares = np.square(self._bends(state)).sum(1) / 3
        out = np.zeros(len(state.root))
        for first in range(3):
            out[first : first + len(shares)] += shares
        return out

    def gradient(self, state: State) -> Array:
        """[T, P]"""
        pull = self._bends(state) * self.weights
        out = np.zeros((len(state.root), len(self.weights)))
        for first, factor in enumerate((1, -2, 1)):
            out[first : first + len(pull)] += factor * pull
        return out

    def bands(self, count: int) -> tuple[Array, Array, Array]:
        """What the squares of second differences put on the diagonal, beside it and beyond, for
        each frame [T]; to be multiplied by the weights' squares.
        """
        second = np.diff(np.eye(count), 2, axis=0)
        whole = second.T @ second
        return (
            np.diag(whole),
            np.append(np.diag(whole, 1), 0),
            np.append(np.diag(whole, 2), (0, 0)),
        )


def _step(hessian: Array, gradient: Array, damping: float, smooth: Smooth | None) -> Array:
    """[T, P]: Levenberg and Marquardt's step."""
    count, size = gradient.shape
    diagonal = np.einsum("tpp->tp", hessian)
    # Turns that nothing holds, as of straight limbs about themselves, go in small steps as well.
    damped = hessian + np.eye(size) * (damping * (diagonal + FREE) + 1e-9)[:, None]
    if smooth is None:
        return -np.linalg.solve(damped, gradient[..., None])[..., 0]
    square = smooth.weights**2
    near, next_, beyond = smooth.bands(count)
    damped += np.eye(size) * (near[:, None] * square * (1 + damping))[:, None]
    # LAPACK's lower form: row r holds the r-th diagonal below the main one
    band = np.zeros((2 * size + 1, count, size))
    for below in range(size):
        band[below, :, : size - below] = np.diagonal(damped, -below, 1, 2)
    band[size] = next_[:, None] * square
    band[2 * size] = beyond[:, None] * square
    moves = solveh_banded(
        band.reshape(2 * size + 1, -1), -gradient.ravel(), lower=True, overwrite_ab=True,
        check_finite=False,
    )  # fmt: skip
    return moves.reshape(count, size)
