"""How wrong our 2D models are, and how sure of it, as `benchmarks/joint_errors.py` measures it on
labelled pictures: figures alone. Errors are in the root mean square distance of a person's joints
from their centre.
"""

from __future__ import annotations

import numpy as np

# Scores at the 5th, 25th, 50th, 75th and 95th of a hundred, per kind of joint; `hidden`: joints
# that nobody could label.
SCORES = {
    "face": (0.53, 0.79, 0.89, 0.95, 1.00),
    "shoulder": (0.28, 0.61, 0.79, 0.89, 0.95),
    "elbow": (0.25, 0.63, 0.79, 0.89, 0.95),
    "wrist": (0.19, 0.58, 0.81, 0.88, 0.95),
    "hip": (0.18, 0.47, 0.66, 0.79, 0.89),
    "knee": (0.17, 0.51, 0.73, 0.86, 0.93),
    "ankle": (0.21, 0.55, 0.76, 0.86, 0.94),
    "hidden": (0.03, 0.09, 0.32, 0.61, 0.86),
}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# The median error at scores of .05, .15 … .95.
MEDIANS = (1.00, 0.48, 0.27, 0.21, 0.16, 0.123, 0.102, 0.071, 0.050, 0.034)
TAIL = 0.5  # spread of the logarithm of the error's scale: 1 in 10 errs by 2.4 medians
SWAPPED = 0.015  # share of pairs whose left and right are exchanged


def kind(joint: str) -> str:
    """The row of `SCORES` of a joint of COCO."""
    part = joint.split("_")[-1]
    return part if part in SCORES else "face"


def score_table(name: str, steps: int = 128) -> np.ndarray:
    """[steps]: the scores of a kind of joint, the lowest first."""
    at = (np.arange(steps) + 0.5) / steps
    knots, values = (0.0, *QUANTILES, 1.0), SCORES[name]
    return np.interp(at, knots, (0.5 * values[0], *values, min(1.02 * values[-1], 1.0)))


def deviation_table(steps: int = 128) -> np.ndarray:
    """[steps]: the standard deviation of an error along each axis, by the score."""
    at = (np.arange(steps) + 0.5) / steps
    medians = np.interp(at, np.arange(0.05, 1, 0.1), MEDIANS)
    return medians / np.sqrt(2 * np.log(2))  # the median of Rayleigh's distribution
