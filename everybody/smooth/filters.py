"""Smoothing with knowledge of what comes after: the value at one instant from the samples around
it.

Each filter takes the samples' true times [W] in seconds, points [W, M, 2], weights [W, M] in [0, 1]
(0: not seen) and the row of the instant, and returns [M, 2]. A constant stays the constant, and so
does a steady motion.

savitzky-golay: weighted local parabola (Savitzky and Golay 1964)
butterworth:    penalised least squares, Σ w (y - x)² + λ Σ (x'')² (Whittaker 1923): on even samples
                the zero-phase Butterworth filter of second order (Gómez 2001), but aware of
                weights, gaps and ends
kalman:         constant velocity, forwards and backwards (`everybody.kalman`)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..geometry import Array
from ..kalman import State

FAINT = 1e-6  # weight of an unseen sample: next to nothing, but a matrix stays invertible
PARABOLA = 0.12  # seconds on each side
CUTOFF = 5.0  # Hz, where the Butterworth filter halves an oscillation
DOUBT = 1e6  # variance of a first state

Filter = Callable[[Array, Array, Array, int], Array]


def savitzky_golay(
    times: Array, points: Array, weights: Array, place: int, *, reach: float = PARABOLA
) -> Array:
    away = (times - times[place]) / reach
    near = np.abs(away) <= 1 + 1e-6
    powers = away[near, None] ** np.arange(3)  # [w, 3]
    chosen = np.maximum(weights[near], FAINT)  # [w, M]
    products = (powers[:, :, None] * powers[:, None]).reshape(len(powers), 9)
    normal = (chosen.T @ products).reshape(-1, 3, 3)
    # Fewer than three samples make no parabola: its unknown coefficients are taken to be 0.
    normal += np.diag([0.0, 1e-9, 1e-9]) * chosen.sum(0)[:, None, None]
    origin = points[place]
    right = np.einsum("wi,wm,wmc->mic", powers, chosen, points[near] - origin)
    return origin + np.linalg.solve(normal, right)[:, 0]


def butterworth(
    times: Array, points: Array, weights: Array, place: int, *, cutoff: float = CUTOFF
) -> Array:
    count = len(times)
    if count < 3:
        return points[place]
    steps = np.diff(times)
    middle = (steps[1:] + steps[:-1]) / 2
    curve = np.zeros((count - 2, count))  # second divided differences
    inner = np.arange(count - 2)
    curve[inner, inner] = 1 / (steps[:-1] * middle)
    curve[inner, inner + 2] = 1 / (steps[1:] * middle)
    curve[inner, inner + 1] = -curve[inner, inner] - curve[inner, inner + 2]
    step = np.median(steps)
    strength = (2 * np.sin(min(np.pi * cutoff * step, np.pi / 2)) / step) ** -4.0
    penalty = strength * curve.T @ (curve * (middle / step)[:, None])
    matrices = np.broadcast_to(penalty, (weights.shape[1], count, count)).copy()
    chosen = np.maximum(weights, FAINT).T  # [M, W]
    matrices[:, np.arange(count), np.arange(count)] += chosen
    answer = np.zeros((weights.shape[1], count, 1))
    answer[:, place] = 1
    # The share of each sample in the value at `place`.
    row = np.linalg.solve(matrices, answer)[..., 0] * chosen
    origin = points[place]
    return origin + np.einsum("mw,wmc->mc", row, points - origin)


def kalman(
    times: Array, points: Array, weights: Array, place: int, *, manoeuvre: float = 2e4
) -> Array:
    """manoeuvre: spectral density of the acceleration over the variance of a sample of weight 1, in
    1/s³; a larger one follows more.
    """
    origin, count = points[place], points.shape[1]
    noise = 1 / np.maximum(weights, FAINT)
    start = np.outer((DOUBT, 0.0, 100 * DOUBT), np.ones(count))
    state = State(points[0] - origin, np.zeros_like(origin), start)

    steps = np.diff(times, prepend=times[0])
    filtered, predicted = [], []
    for n, step in enumerate(steps):
        predicted.append(state.ahead(step, manoeuvre))
        state = predicted[-1].corrected(points[n] - origin, noise[n])
        filtered.append(state)

    for n in range(len(times) - 1, place, -1):
        state = filtered[n - 1].smoothed(predicted[n], state, steps[n])
    return origin + state.position


FILTERS: dict[str, Filter] = {
    "butterworth": butterworth,
    "savitzky-golay": savitzky_golay,
    "kalman": kalman,
}
