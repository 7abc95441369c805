"""How likely a track and a person are the same: pose, overlap, motion and appearance, each in [0,
1], and their mean.

OKS (Lin et al. 2014) compares the predicted with the observed pose, as PoseFlow (Xiu et al. 2018)
and LightTrack (Ning and Huang 2020) do between frames. Here its fall-off grows with the filter's
uncertainty, so that a person who was hidden for a moment may come back a bit beside the prediction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..geometry import Array, iou
from .motion import BOX_NOISE, Motion, size
from .observation import VOTES, Observation
from .rules import Rules

DOUBT = 0.04  # greatest variance of a joint's place, body sizes²: with more, any pose would match
NOWHERE = 0.02  # affinity by place and pose, up to which looks do not count
DIFFERENT, ALIKE = 0.4, 0.9  # cosines of two embeddings that speak against and for one person


def affinity(
    motion: Motion, joints: Array, seen: Observation, sigmas: Array, rules: Rules
) -> Array:
    """Predicted tracks (`joints` [T, K]: their joints' usual scores) and people -> [T, N] in [0, 1]
    by place and pose; 0 for people without a usable box.
    """
    areas = size(motion.position)[:, None] * size(seen.points)
    terms = [
        (rules.overlap, iou(motion.boxes, seen.boxes)),
        (rules.motion, _expected(motion, seen.points, areas)),
    ]
    if len(sigmas):
        terms.append((rules.pose, _alike(motion, joints, seen, sigmas, areas)))
    total = sum(weight for weight, _ in terms)
    evidence = sum((weight * term for weight, term in terms), np.zeros_like(areas))
    return evidence / total * seen.usable


def with_appearance(affinities: Array, looks: Array, seen: Array, rules: Rules) -> Array:
    """Affinities [T, N] and unit vectors [T, D], [N, D] -> [T, N]; the same where either vector is
    unknown (zeros).

    Looks alone match nobody: a person whose affinity by place is at most `NOWHERE` is not the
    track's, whatever the clothes. People who come back elsewhere are left to the gallery, which
    asks whether they can have got there.
    """
    known = rules.appearance * np.logical_and.outer(looks.any(1), seen.any(1))
    place = rules.overlap + rules.motion + rules.pose
    both = (place * affinities + known * likeness(looks, seen)) / (place + known)
    return np.where(affinities > NOWHERE, both, 0.0)


def likeness(a: Array, b: Array) -> Array:
    """[T, D], [N, D] unit vectors -> [T, N] in [0, 1]."""
    return ((a @ b.T - DIFFERENT) / (ALIKE - DIFFERENT)).clip(0, 1)


def _expected(motion: Motion, points: Array, areas: Array) -> Array:
    """[T, N]: exp(-d²/4) of centre and half size, d in standard deviations of the prediction."""
    variance = motion.covariance[0][:, None, :2] + areas[..., None] * BOX_NOISE**2
    variance = np.minimum(variance, areas[..., None])
    difference = motion.position[:, None, :2] - points[None, :, :2]
    distance = np.einsum("tnpc,tnpc->tnp", difference, difference)
    return np.exp(-0.25 * (distance / variance).sum(-1))


def _alike(motion: Motion, joints: Array, seen: Observation, sigmas: Array, areas: Array) -> Array:
    """[T, N]: OKS of predicted and observed joints, each weighted by its score in both."""
    difference = motion.position[:, None, 2:] - seen.points[None, :, 2:]
    distance = np.einsum("tnkc,tnkc->tnk", difference, difference)
    doubt = np.minimum(motion.covariance[0][:, None, 2:], DOUBT * areas[..., None])
    similarity = np.exp(distance / (-2 * (areas[..., None] * np.square(2 * sigmas) + doubt)))
    weight = np.sqrt(joints[:, None] * (seen.joints * (seen.joints > VOTES)))
    total = weight.sum(-1)
    return np.einsum("tnk,tnk->tn", similarity, weight) / np.maximum(total, 1e-9)


def assigned(affinities: Array, least: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """[T, N] -> rows and columns of the assignment (Kuhn 1955) of greatest sum over pairs of at
    least `least`.
    """
    possible = np.where(affinities >= least, affinities, 0.0)
    rows, columns = linear_sum_assignment(possible, maximize=True)
    kept = possible[rows, columns] > 0
    return rows[kept], columns[kept]
