"""Smoothing with knowledge of what comes after: the value at one instant from the samples around
it.

Each takes the samples' true times [W] in seconds, points [W, M, 2], weights [W, M] in [0, 1] (0:
not seen) and the place of the instant, and returns [M, 2]. A constant stays the constant, and so
does a steady motion.

savitzky-golay: weighted local parabola (Savitzky and Golay 1964)
butterworth:    penalised least squares, Σ w (y - x)² + λ Σ (x'')² (Whittaker 1923), which on even samples is the
                zero-phase Butterworth filter of second order (Gómez 2001), and which knows weights, gaps and ends
kalman:         constant velocity, forwards and backwards (Rauch, Tung and Striebel 1965)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..geometry import Array

FAINT = 1e-6  # what a sample that was not seen weighs: nothing, but a matrix stays invertible
PARABOLA = 0.12  # seconds on each side
CUTOFF = 5.0  # Hz, where the Butterworth filter halves an oscillation
DOUBT = 1e6  # variance of a first state

Method = Callable[[Array, Array, Array, int], Array]


def savitzky_golay(
    times: Array, points: Array, weights: Array, place: int, *, reach: float = PARABOLA
) -> Array:
    away = (times - times[place]) / reach
    near = np.abs(away) <= 1 + 1e-6
    powers = away[near, None] ** np.arange(3)  # [w, 3]
    chosen = np.maximum(weights[near], FAINT)  # [w, M]
    products = (powers[:, :, None] * powers[:, None]).reshape(len(powers), 9)
    normal = (chosen.T @ products).reshape(-1, 3, 3)
    # Fewer than three samples make no parabola: what they do not tell is taken to be 0.
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
    row = (
        np.linalg.solve(matrices, answer)[..., 0] * chosen
    )  # what each sample adds to the value at `place`
    origin = points[place]
    return origin + np.einsum("mw,wmc->mc", row, points - origin)


def kalman(
    times: Array, points: Array, weights: Array, place: int, *, manoeuvre: float = 2e4
) -> Array:
    """manoeuvre: how restless people are, the spectral density of acceleration over the variance of
    a sample, in 1/s³ squared over pixels: larger follows more.
    """
    origin = points[place]
    noise = 1 / np.maximum(weights, FAINT)
    states: list[tuple[Any, ...]] = []
    x, v = points[0] - origin, np.zeros_like(origin)
    pp, pv, vv = (
        np.full(len(origin), DOUBT),
        np.zeros(len(origin)),
        np.full(len(origin), DOUBT * 100),
    )
    for n in range(len(times)):
        step = times[n] - times[n - 1] if n else 0.0
        before = x, v, pp, pv, vv
        x = x + step * v
        pp, pv, vv = (
            pp + 2 * step * pv + step**2 * vv + manoeuvre * step**3 / 3,
            pv + step * vv + manoeuvre * step**2 / 2,
            vv + manoeuvre * step,
        )
        states.append((*before, x, v, pp, pv, vv, step))
        gain_p, gain_v = pp / (pp + noise[n]), pv / (pp + noise[n])
        surprise = points[n] - origin - x
        x, v = x + gain_p[:, None] * surprise, v + gain_v[:, None] * surprise
        pp, pv, vv = (1 - gain_p) * pp, (1 - gain_p) * pv, vv - gain_v * pv
    for n in range(
        len(times) - 1, place, -1
    ):  # back to the instant: the state before n, knowing the one at n
        bx, bv, bpp, bpv, bvv, ax, av, app, apv, avv, step = states[n]
        # gain = P_before Fᵀ (P_after)⁻¹
        det = app * avv - apv * apv
        cpp, cpv, cvp, cvv = bpp + step * bpv, bpv, bpv + step * bvv, bvv
        g00, g01 = (cpp * avv - cpv * apv) / det, (cpv * app - cpp * apv) / det
        g10, g11 = (cvp * avv - cvv * apv) / det, (cvv * app - cvp * apv) / det
        dx, dv = x - ax, v - av
        x = bx + g00[:, None] * dx + g01[:, None] * dv
        v = bv + g10[:, None] * dx + g11[:, None] * dv
    return origin + x


METHODS: dict[str, Method] = {
    "butterworth": butterworth,
    "savitzky-golay": savitzky_golay,
    "kalman": kalman,
}
