"""The one Kalman filter: equal to the textbook's matrices, and its smoother to least squares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.kalman import State

DENSITY = 3.0


def transition(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """F and Q of (position, velocity) under white acceleration."""
    noise = [[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]]
    return np.array([[1, seconds], [0, 1]]), DENSITY * np.array(noise)


def state(random: np.random.Generator, points: int) -> State:
    pp, vv = random.uniform(1, 5, (2, points))
    return State(
        random.normal(size=(points, 2)),
        random.normal(size=(points, 2)),
        np.stack([pp, random.uniform(-0.9, 0.9, points) * np.sqrt(pp * vv), vv]),
    )


def matrix(state: State, point: int) -> np.ndarray:
    pp, pv, vv = state.covariance[:, point]
    return np.array([[pp, pv], [pv, vv]])


@given(st.integers(0, 2**16), st.floats(0.001, 2.0), st.floats(0.1, 100.0))
def test_prediction_and_correction_are_the_textbooks(seed, seconds, variance):
    before = state(np.random.default_rng(seed), 3)
    ahead = before.ahead(seconds, DENSITY)
    seen = np.array([[1.0, 2.0], [-3.0, 0.5], [0.0, 0.0]])
    after = ahead.corrected(seen, np.full(3, variance))
    f, q = transition(seconds)
    for point in range(3):
        covariance = f @ matrix(before, point) @ f.T + q
        np.testing.assert_allclose(matrix(ahead, point), covariance, rtol=1e-9)
        gain = covariance[:, 0] / (covariance[0, 0] + variance)
        expected = covariance - np.outer(gain, covariance[0])
        np.testing.assert_allclose(matrix(after, point), expected, rtol=1e-7, atol=1e-9)
        mean = f @ np.stack([before.position[point], before.velocity[point]])
        mean = mean + np.outer(gain, seen[point] - mean[0])
        np.testing.assert_allclose(after.position[point], mean[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(after.velocity[point], mean[1], rtol=1e-9, atol=1e-9)


def test_what_is_not_seen_changes_nothing():
    before = state(np.random.default_rng(1), 4)
    after = before.corrected(np.full((4, 2), 99.0), np.full(4, np.inf))
    np.testing.assert_array_equal(after.position, before.position)
    np.testing.assert_array_equal(after.velocity, before.velocity)
    np.testing.assert_array_equal(after.covariance, before.covariance)


@pytest.mark.parametrize("place", [0, 3, 7])
def test_the_smoother_is_the_least_squares_of_all_samples(place):
    """Rauch, Tung and Striebel give the mean of the whole trajectory's Gaussian at each instant."""
    random = np.random.default_rng(2)
    steps = np.array([0.0, 0.1, 0.2, 0.05, 0.4, 0.1, 0.1, 0.3])
    seen, variance = random.normal(size=(8, 1, 2)), random.uniform(0.1, 2.0, (8, 1))
    one = state(random, 1)

    # The precision of all 8 states, and its product with their mean.
    precision, right = np.zeros((16, 16)), np.zeros((16, 2))
    first = np.linalg.inv(matrix(one, 0))
    precision[:2, :2] += first
    right[:2] += first @ np.stack([one.position[0], one.velocity[0]])
    for n in range(8):
        precision[2 * n, 2 * n] += 1 / variance[n, 0]
        right[2 * n] += seen[n, 0] / variance[n, 0]
        if n:
            f, q = transition(steps[n])
            row = np.hstack([-f, np.eye(2)])
            precision[2 * n - 2 : 2 * n + 2, 2 * n - 2 : 2 * n + 2] += (
                row.T @ np.linalg.inv(q) @ row
            )
    expected = np.linalg.solve(precision, right).reshape(8, 2, 2)

    filtered, predicted = [], []
    for n in range(8):
        predicted.append(one.ahead(steps[n], DENSITY) if n else one)
        one = predicted[-1].corrected(seen[n], variance[n])
        filtered.append(one)
    for n in range(7, place, -1):
        one = filtered[n - 1].smoothed(predicted[n], one, steps[n])
    np.testing.assert_allclose(one.position[0], expected[place, 0], rtol=1e-7)
    np.testing.assert_allclose(one.velocity[0], expected[place, 1], rtol=1e-7)
