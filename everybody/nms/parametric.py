"""Parametric pose NMS: how alike two poses must be to count as one is learned from data.

Fang et al., "RMPE: Regional Multi-Person Pose Estimation" (ICCV 2017), section 3.3, equations 8–11;
also Fang et al., "AlphaPose" (TPAMI 2022). The likeness of a more confident pose i and a less
confident pose j, over their joints k:

    K_sim = Σ_k [Δ_k ≤ 1] · tanh(c_i / σ1) · tanh(c_j / σ1)     confidence of matched joints
    H_sim = Σ_k exp(-Δ_k² / σ2)                                 nearness of all joints
    d     = K_sim + λ · H_sim                                   i eliminates j where d ≥ η

Δ_k is the distance of the two joints divided by a tenth of the longer side of i's box, so that no
parameter is in pixels. (The paper prints the inequality the other way round, though d is large for
similar poses. It matches within a box around each joint; we match within a disc of that reach,
which is the same however the picture is turned.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..people import Floats, People
from ..skeletons import Skeleton

PUBLISHED_JOINTS = 17  # of the skeleton that η is given for
BLOCK = 1 << 16  # numbers of an array at a time: few calls, on arrays that fit the caches
FAR = 50.0  # exp(-FAR) is next to 0, and beyond it floats become denormal, which is slow


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseNms:
    """People -> people, duplicates removed, most confident first, whatever the order of the input.

    sigma1, sigma2, lam, eta: as above; eta is given for 17 joints and scaled to the weight of other
    skeletons. share: the reach of a joint, as a share of the longer side of the box. matched: so
    many matched joints eliminate too, whatever d is (AlphaPose's addition; scaled like eta; 0: no
    such rule). merge: a kept pose becomes the average of itself and the poses it eliminates, joint
    by joint, weighted by confidence; joints out of reach do not count. weights: of the joints, by
    default `part_weights`. Raises OptionError for parameters that make no sense.

    An exact duplicate goes if Σ w tanh²(c / σ1) + λ Σ w ≥ η Σ w / 17: always if η ≤ 17 λ, else if
    its joints are confident (the mean of tanh²(c / σ1) is at least η / 17 - λ).

    Defined for all input: a box without area (or not finite) counts as one pixel, a confidence that
    is NaN or negative as 0, a joint whose place is not finite as far from all others.
    """

    # Learned on ../shared/data/coco_train with the detector rtmdet-nano-person and the SPPE
    # tinypose-256x192: by what `everybody tune-nms ../shared/data/coco_train --start
    # alphapose,matched=0,merge=1` runs, on cached poses.
    sigma1: float = 12.96
    sigma2: float = 0.53
    lam: float = 5.508
    eta: float = 18.21
    share: float = 0.1
    matched: float = 0.0
    merge: bool = True
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("sigma1", "sigma2", "eta", "share", "lam", "matched"):
            value, zero = getattr(self, name), name in ("lam", "matched")
            if not (0 < value < np.inf or (zero and value == 0)):
                least = "of at least" if zero else "above"
                raise OptionError(f"pose NMS: {name} must be a number {least} 0, got {value}")

    def __call__(self, people: People) -> People:
        order = confident_first(people)
        weights = self.weigh(people.skeleton)
        if len(people) < 2 or not weights.any():
            return people[order]
        poses = self._poses(people, order)
        with np.errstate(invalid="ignore", over="ignore"):  # of joints whose place is not finite
            owners = self._owners(poses, weights)
            kept = (owners == np.arange(len(order))).nonzero()[0]
            rows = order[kept]
            merges = self.merge and len(kept) < len(order)
            keypoints = _merged(poses, owners, kept) if merges else people.keypoints[rows]
        return replace(people[rows], keypoints=keypoints)

    def likeness(self, people: People) -> Floats:
        """[N] people -> d [N, N] of a kept pose (row) with each pose (column)."""
        every = np.arange(len(people))
        poses = self._poses(people, every)
        with np.errstate(invalid="ignore", over="ignore"):
            return self._compare(poses, self.weigh(people.skeleton), every, every)[0]

    def weigh(self, skeleton: Skeleton) -> Floats:
        """The joints' weights [K]. Raises OptionError if `weights` are of another skeleton."""
        if self.weights is None:
            return part_weights(skeleton)
        weights = np.asarray(self.weights, np.float32)
        if weights.shape != (len(skeleton),) or not (np.isfinite(weights) & (weights >= 0)).all():
            needed = f"{skeleton.name} needs {len(skeleton)} weights, none below 0"
            raise OptionError(f"pose NMS: {needed}, got {self.weights}")
        return weights

    def _poses(self, people: People, rows: NDArray[np.intp]) -> _Poses:
        columns = people.keypoints.transpose(2, 1, 0).take(rows, 2)
        width, height = (people.boxes[rows, 2:] - people.boxes[rows, :2]).T
        sides = np.maximum(width, height)
        reach = np.where(sides < np.inf, np.maximum(sides, 1), 1) * np.float32(self.share)
        sure = np.tanh(np.fmax(columns[2], 0) / np.float32(self.sigma1))
        return _Poses(columns, sure, reach)

    def _owners(self, poses: _Poses, weights: Floats) -> NDArray[np.intp]:
        """Poses, most confident first -> [N]: the pose that eliminates each; itself if it stays."""
        joints, count = poses.sure.shape
        scale = weights.sum() / PUBLISHED_JOINTS
        owners = np.full(count, -1)
        waiting = np.arange(count)
        while len(waiting):
            rows = waiting[: max(1, BLOCK // (joints * len(waiting)))]
            likeness, matched = self._compare(poses, weights, rows, waiting)
            goes = likeness >= self.eta * scale
            if self.matched:
                goes |= matched >= self.matched * scale
            theirs = np.full(len(waiting), -1)
            for place in goes.any(1).nonzero()[0].tolist():
                if theirs[place] < 0:
                    less = theirs[place + 1 :]  # only the less confident ones
                    less[goes[place, place + 1 :] & (less < 0)] = rows[place]
            stays = (theirs[: len(rows)] < 0).nonzero()[0]
            theirs[stays] = rows[stays]
            owners[waiting] = theirs
            waiting = waiting[len(rows) :][theirs[len(rows) :] < 0]
        return owners

    def _compare(
        self, poses: _Poses, weights: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[Floats, Floats]:
        """R and C of the poses -> d of each row with each column [R, C], and the summed weight of
        their matched joints [R, C].
        """
        here, there = (poses.columns[:2].take(who, 2) for who in (rows, columns))
        apart = here[..., None] - there[..., None, :]  # [2, K, R, C]
        nearness, across = np.square(apart, out=apart)
        nearness += across
        nearness *= (-1 / (poses.reach[rows] ** 2 * np.float32(self.sigma2)))[:, None]
        near = nearness >= -1 / self.sigma2
        np.exp(np.fmax(nearness, -FAR, out=nearness), out=nearness)  # fmax takes NaN for far, too
        nearness *= np.float32(self.lam)
        sure = poses.sure.take(rows, 1)[..., None] * poses.sure.take(columns, 1)[:, None]
        sure *= near
        sure += nearness
        joints, shape = len(weights), near.shape[1:]
        likeness = (weights @ sure.reshape(joints, -1)).reshape(shape)
        if not self.matched:
            return likeness, likeness
        return likeness, (weights @ near.reshape(joints, -1)).reshape(shape)


class _Poses(NamedTuple):
    """N people, in the last axis so that the inner loops run over them."""

    columns: Floats  # [3, K, N]: x, y and confidence
    sure: Floats  # [K, N]: tanh(c / σ1)
    reach: Floats  # [N]


def confident_first(people: People) -> NDArray[np.intp]:
    """The places of the people [N], best score first. Equal scores are ordered by the joints, so
    that the order of the input does not matter. A score that is NaN comes last.
    """
    scores = -np.fmax(people.scores, -1)
    order = scores.argsort(kind="stable")
    ranked = scores[order]
    if (ranked[1:] == ranked[:-1]).any():
        sums = np.nan_to_num(people.keypoints.sum(1, dtype=np.float64))  # [N, 3]
        order = np.lexsort((sums[:, 0], sums[:, 1], -sums[:, 2], scores))
    return order


@lru_cache(maxsize=64)
def part_weights(skeleton: Skeleton) -> Floats:
    """[K]: each joint of the body counts 1. A face, a hand or the points of a foot together count
    as much as one joint, so that a hundred points of faces and hands do not outvote the body.
    Joints that do not decide count nothing.
    """
    parts = [_part(joint) for joint in skeleton.joints]
    weights = np.array([1 / parts.count(part) if part else 1 for part in parts], np.float32)
    weights[len(skeleton.joints[skeleton.leading]) :] = 0
    return weights


def _part(joint: str) -> str:
    """'face', 'left hand', 'right foot' …; '' for the body."""
    side, _, name = joint.partition("_")
    if side == "face":
        return "face"
    if name.startswith("hand_"):
        return f"{side} hand"
    return f"{side} foot" if name in ("big_toe", "small_toe", "heel", "foot_index") else ""


def _merged(poses: _Poses, owners: NDArray[np.intp], kept: NDArray[np.intp]) -> Floats:
    """Poses, the pose that eliminates each [N], kept poses [M] -> keypoints [M, K, 3]: the mean of
    each kept pose and those it eliminates.
    """
    gone = (owners != np.arange(len(owners))).nonzero()[0]
    theirs = owners[gone]
    # [L, M]: a product with it sums the eliminated poses of each kept one.
    given = (theirs[:, None] == kept).astype(np.float32)
    joints = len(poses.sure)
    summands = np.empty((4, joints, len(gone)), np.float32)
    shift, weight = summands[:3], summands[3]
    poses.columns.take(gone, 2, out=shift)
    np.fmax(shift[2], 0, out=weight)
    shift -= poses.columns.take(theirs, 2)
    x, y = shift[0], shift[1]
    far = ~(x * x + y * y <= poses.reach[theirs] ** 2)
    shift *= weight
    np.copyto(summands, 0, where=far)  # also of joints whose place is not finite
    sums = (summands.reshape(-1, len(gone)) @ given).reshape(4, joints, -1)
    merged = poses.columns.take(kept, 2)
    own = np.fmax(merged[2], 0) + np.float32(1e-9)  # joints without any confidence stay in place
    merged += sums[:3] / (own + sums[3])
    return merged.transpose(2, 1, 0)


# As published with AlphaPose, whose δ1, μ, δ2 and γ are our σ1, λ, σ2 and η.
ALPHAPOSE = PoseNms(sigma1=1, lam=1.7, sigma2=2.65, eta=22.48, matched=5, merge=True)
