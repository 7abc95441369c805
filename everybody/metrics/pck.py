"""Single-person measures: PCK, PCKh, PDJ, PCP, AUC, NME, as functions of distances.

All count a joint as right where d ≤ α · reference; they differ in the reference:
  torso  left shoulder to right hip: PDJ, and PCK as LSP reports it (Sapp & Taskar 2013; Toshev &
         Szegedy 2014)
  head   0.6 × the diagonal of the head box: PCKh (Andriluka et al. 2014)
  box    the longer side of the person's box: PCK as first defined (Yang & Ramanan 2013)
  a number, in pixels, or in millimetres for 3D
PCP asks for limbs instead, relative to their own length (Ferrari et al. 2008). The distance of a
person who was not found is infinite: a miss. Rates average over the labelled joints of all people
(`over_all`), or first per joint (`over_joints`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import Array
from ..skeletons import Skeleton

Mask = NDArray[np.bool_]

TORSO = ("left_shoulder", "right_hip")
STEPS = 51  # thresholds of a curve, both ends included


@dataclass(frozen=True, slots=True)
class Rates:
    """How many of how many, per joint (or limb): right [K] and counted [K]."""

    right: Array
    counted: Array

    @property
    def each(self) -> Array:
        """[K], NaN where nothing is counted."""
        return np.divide(
            self.right, self.counted, out=np.full(len(self.right), np.nan), where=self.counted > 0
        )

    @property
    def over_all(self) -> float:
        """Every labelled joint of every person weighs the same: what MPII's and LSP's tables call
        the mean or total.
        """
        return float(self.right.sum() / self.counted.sum()) if self.counted.sum() else float("nan")

    @property
    def over_joints(self) -> float:
        """Every joint weighs the same, however often it is labelled."""
        each = self.each[self.counted > 0]
        return float(each.mean()) if len(each) else float("nan")


def distances(predicted: Array, truth: Array) -> Array:
    """[N, K, D+], [N, K, D+] -> [N, K] Euclidean, of x and y; infinite where the prediction is NaN
    (nobody found).
    """
    gap = predicted[..., :2] - truth[..., :2]
    np.square(gap, out=gap)
    length = np.sqrt(gap[..., 0] + gap[..., 1])
    length[np.isnan(length)] = np.inf
    return length


def torso_length(truth: Array, labelled: Mask, skeleton: Skeleton) -> Array:
    """[N, K, 2+], [N, K] -> [N] left shoulder to right hip; NaN where one is not labelled or not of
    the format.
    """
    if not set(TORSO) <= set(skeleton.joints):
        return np.full(len(truth), np.nan)
    shoulder, hip = (skeleton.joints.index(name) for name in TORSO)
    length = np.hypot(*(truth[:, shoulder, :2] - truth[:, hip, :2]).T)
    return np.where(labelled[:, shoulder] & labelled[:, hip], length, np.nan)


def head_length(truth: Array, labelled: Mask, skeleton: Skeleton) -> Array:
    """[N, K, 2+], [N, K] -> [N] neck to head top, for data without head boxes: near what PCKh
    takes, not the same.
    """
    neck = next((name for name in ("upper_neck", "neck") if name in skeleton.joints), None)
    if neck is None or "head_top" not in skeleton.joints:
        return np.full(len(truth), np.nan)
    low, high = skeleton.joints.index(neck), skeleton.joints.index("head_top")
    length = np.hypot(*(truth[:, low, :2] - truth[:, high, :2]).T)
    return np.where(labelled[:, low] & labelled[:, high], length, np.nan)


def box_length(boxes: Array) -> Array:
    """[N, 4] xyxy -> [N], the longer side."""
    return (boxes[:, 2:] - boxes[:, :2]).max(1)


def countable(counted: Mask, reference: ArrayLike) -> Mask:
    """[N, K], [N] or a number -> [N, K]: joints of people whose reference is known and longer than
    0.
    """
    lengths = np.broadcast_to(np.asarray(reference, np.float64), len(counted))
    return counted & (lengths > 0)[:, None]


def hits(distance: Array, counted: Mask, reference: ArrayLike, alpha: float) -> tuple[Mask, Mask]:
    """[N, K], [N, K], [N] or a number -> which joints are right, and which count, [N, K] each. d ≤
    α · reference.
    """
    counted = countable(counted, reference)
    limit = alpha * np.broadcast_to(np.asarray(reference, np.float64), len(counted))
    return (distance <= limit[:, None]) & counted, counted


def pck(distance: Array, counted: Mask, reference: ArrayLike, alpha: float) -> Rates:
    """The percentage of correct keypoints, as a share per joint [K]: Σ [d ≤ α · reference] / Σ 1
    over what counts.
    """
    right, counted = hits(distance, counted, reference, alpha)
    return Rates(right.sum(0).astype(np.float64), counted.sum(0).astype(np.float64))


def curve(
    distance: Array, counted: Mask, reference: ArrayLike, alpha: float
) -> tuple[Array, Array]:
    """Thresholds [51] from 0 to α and the share right over all counted joints at each [51]; NaN if
    none count.
    """
    counted = countable(counted, reference)
    lengths = np.broadcast_to(np.asarray(reference, np.float64), len(counted))
    ratios = np.sort((distance / np.where(lengths > 0, lengths, 1)[:, None])[counted])
    alphas = np.linspace(0, alpha, STEPS)
    if not len(ratios):
        return alphas, np.full(STEPS, np.nan)
    return alphas, np.searchsorted(ratios, alphas, side="right") / len(ratios)


def auc(distance: Array, counted: Mask, reference: ArrayLike, alpha: float) -> float:
    """The area under the curve of PCK from 0 to α (trapezia), divided by α: 1 where every joint is
    exact.
    """
    _, shares = curve(distance, counted, reference, alpha)
    return float((shares[1:] + shares[:-1]).mean() / 2)


def errors(distance: Array, counted: Mask, reference: ArrayLike) -> tuple[Array, Mask]:
    """[N, K], [N, K], [N] or a number -> d / reference, and which count, [N, K] each: joints of
    people found.
    """
    counted = countable(counted, reference) & np.isfinite(distance)
    lengths = np.broadcast_to(np.asarray(reference, np.float64), len(counted))
    return np.where(counted, distance, 0) / np.where(lengths > 0, lengths, 1)[:, None], counted


_PAIRS = (
    ("upper_arm", "shoulder", "elbow"),
    ("forearm", "elbow", "wrist"),
    ("thigh", "hip", "knee"),
    ("shin", "knee", "ankle"),
)
LIMBS = (
    *(
        (f"{side}_{limb}", (f"{side}_{a}",), (f"{side}_{b}",))
        for limb, a, b in _PAIRS
        for side in ("left", "right")
    ),
    ("torso", ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")),
    ("head", ("upper_neck",), ("head_top",)),
    ("head", ("neck",), ("head_top",)),
)


def limb_ends(
    keypoints: Array, labelled: Mask, skeleton: Skeleton
) -> tuple[list[str], Array, Mask]:
    """[N, K, 2+], [N, K] -> names of the L limbs, their ends [N, L, 2, 2] and whether both are
    labelled [N, L].

    The ten parts of the literature: upper arms, forearms, thighs, shins, torso (between the
    midpoints of shoulders and hips) and head (neck to top), as far as the format has their joints.
    """
    place = {joint: i for i, joint in enumerate(skeleton.joints)}
    limbs = [
        (name, ends)
        for name, *ends in LIMBS
        if all(joint in place for end in ends for joint in end)
    ]
    points = np.zeros((len(keypoints), len(limbs), 2, 2))
    known = np.ones((len(keypoints), len(limbs)), bool)
    for i, (_, ends) in enumerate(limbs):
        for j, end in enumerate(ends):
            some = [place[joint] for joint in end]
            points[:, i, j] = keypoints[:, some, :2].mean(1)
            known[:, i] &= labelled[:, some].all(1)
    return [name for name, _ in limbs], points, known


def limb_hits(
    predicted: Array, truth: Array, counted: Mask, alpha: float = 0.5, *, strict: bool = True
) -> tuple[Mask, Mask]:
    """Ends [N, L, 2, 2] found and true, [N, L] -> which limbs are right and which count.
    Zero-length limbs do not.

    strict: both ends within α × the true length. Loose: the mean of the two distances is, which
    lets a good end pay for a bad one; older papers report this and call both PCP (the confusion:
    Yang & Ramanan 2013, section 6).
    """
    length = np.hypot(*np.moveaxis(truth[:, :, 0] - truth[:, :, 1], -1, 0))
    gaps = distances(predicted, truth)  # [N, L, 2]
    counted = counted & (length > 0)
    return (gaps.max(-1) if strict else gaps.mean(-1)) <= alpha * length, counted


def pcp(
    predicted: Array, truth: Array, counted: Mask, alpha: float = 0.5, *, strict: bool = True
) -> Rates:
    """The percentage of correct parts, as a share per limb [L]; arguments as of `limb_hits`."""
    right, counted = limb_hits(predicted, truth, counted, alpha, strict=strict)
    return Rates((right & counted).sum(0).astype(np.float64), counted.sum(0).astype(np.float64))


def without(counted: Mask, skeleton: Skeleton, names: Sequence[str]) -> Mask:
    """[N, K] -> [N, K] with these joints not counted."""
    return counted & ~np.isin(skeleton.joints, names)
