"""People who lie, hang, dive or do handstands: which quarter turn of a crop shows a person as the network knows people.

A single-person estimator is sure of what it was trained on, and that is upright. So the turn in which its joints score
best is the person's own, whatever the network: no new weights, at up to four times the work. Turns count as np.rot90
does, quarters against the clock.

Both numbers were chosen on coco_train and its turned copies (TinyPose-256 and -128), never on coco_val.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .geometry import Array

Orientation = Literal["upright", "any"]
ORIENTATIONS: tuple[Orientation, ...] = get_args(Orientation)

UPRIGHT_BONUS = 0.05  # upright people are many and faint ones look alike every way: another turn must win by this much
SURE = 0.7  # who scores this upright is upright: trying the other turns too moved AP by .01 at most


def confidence(scores: Array) -> Array:
    """Joint scores [..., K] -> [...]: how sure the network is of the person, the mean."""
    return scores.mean(-1)


def unsure(keypoints: Array) -> NDArray[np.bool_]:
    """Keypoints [N, K, 3] found upright -> [N]: whose other turns are worth trying."""
    return confidence(keypoints[..., 2]) < SURE


def best_turn(keypoints: Array) -> NDArray[np.intp]:
    """Keypoints [4, N, K, 3] found in each turn -> [N]: the turn that scores best; upright if none wins clearly."""
    scores = confidence(keypoints[..., 2])
    scores[0] += UPRIGHT_BONUS
    return scores.argmax(0)
