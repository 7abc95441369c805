"""A frame's people as the arrays that a tracker works on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..people import People
from .motion import BOX_NOISE, middles, size
from .motion import boxes as boxes_of

FAINT = 0.1  # scores of joints below this are as uncertain as this
VOTES = 0.2  # least score of joints that count when people are matched


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """N people of P = 2 + K points (centre and half size of the box, then the joints)."""

    points: Array  # [N, P, 2] pixels
    variances: Array  # [N, P] pixels², infinite for what is not seen
    joints: Array  # [N, K] scores
    scores: Array  # [N]
    looks: Array  # [N, D] unit vectors of appearance, or D = 0
    kinds: NDArray[np.str_]  # [N] categories

    def __getitem__(self, rows: NDArray[Any]) -> Observation:
        return Observation(
            self.points[rows],
            self.variances[rows],
            self.joints[rows],
            self.scores[rows],
            self.looks[rows],
            self.kinds[rows],
        )

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def boxes(self) -> Array:
        """[N, 4] xyxy."""
        return boxes_of(self.points)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """[N] bool: True where the box is of finite numbers."""
        return np.isfinite(self.variances[:, 0])

    @property
    def box_scores(self) -> Array:
        """[N]: the detector's score of the box, recovered from the person's score, which is its
        product with the mean joint score (`methods.sppe.person_scores`).
        """
        seen = self.joints > VOTES
        mean = (self.joints * seen).sum(1) / np.maximum(seen.sum(1), 1)
        detected = np.minimum(self.scores / np.maximum(mean, FAINT), 1.0)
        return np.where(mean > 0, detected, self.scores)


def observe(people: People, looks: Array | None = None) -> Observation:
    """The standard deviation of a joint is its OKS sigma (how well annotators agree on it) divided
    by its score.
    """
    keypoints, boxes = people.keypoints.astype(np.float64), people.boxes.astype(np.float64)
    unseen = np.zeros((len(people), 2 + keypoints.shape[1]), bool)
    unseen[:, :2] = ~np.isfinite(boxes).all(axis=1, keepdims=True)
    unseen[:, 2:] = ~np.isfinite(keypoints).all(axis=2)
    boxes[unseen[:, 0]] = 0
    points = np.concatenate([middles(boxes), keypoints[..., :2]], axis=1)
    points[unseen] = 0
    scores = np.nan_to_num(keypoints[..., 2])
    deviation = np.full(points.shape[:2], BOX_NOISE)
    deviation[:, 2:] = np.asarray(people.skeleton.sigmas) / np.maximum(scores, FAINT)
    variances = np.square(deviation * size(points)[:, None])
    unseen[:, 2:] |= scores <= 0
    variances[unseen] = np.inf
    if looks is None:
        looks = np.zeros((len(people), 0))
    return Observation(
        points,
        variances,
        np.where(unseen[:, 2:], 0.0, scores),
        people.scores.astype(np.float64),
        looks,
        people.called,
    )


def refitted(seen: Observation, expected: Array) -> Observation:
    """The same people with boxes that fit their poses, for boxes that were predicted rather than
    detected.

    expected [N, P, 2]: the prediction of each person's points. The box follows the joints' mean
    shift and growth, and holds all joints that are seen.
    """
    weight = np.where(seen.joints > VOTES, seen.joints, 0.0)[..., None]
    total = weight.sum(1, keepdims=True)
    known = (total > 0).all((1, 2))
    share = weight / np.maximum(total, FAINT)
    new, old = seen.points[:, 2:], expected[:, 2:]
    to, origin = (np.sum(share * points, axis=1, keepdims=True) for points in (new, old))
    spread, before = (
        np.sqrt(np.sum(share * np.square(points - middle), axis=(1, 2), keepdims=True)) + 1.0
        for points, middle in ((new, to), (old, origin))
    )
    growth = (spread / before).clip(0.9, 1.1)
    centre, half = (expected[:, :1] - origin) * growth + to, expected[:, 1:2] * growth
    inside = weight > 0
    least = np.where(inside, new, np.inf).min(1, initial=np.inf, keepdims=True)
    most = np.where(inside, new, -np.inf).max(1, initial=-np.inf, keepdims=True)
    low, high = np.minimum(centre - half, least), np.maximum(centre + half, most)
    fitted = np.concatenate([(low + high) / 2, (high - low) / 2], axis=1)
    fitted = np.where(known[:, None, None], fitted, expected[:, :2])
    points = np.concatenate([fitted, new], axis=1)
    return replace(seen, points=points)
