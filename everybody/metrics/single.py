"""Measures made for one person per picture, by name: PCK and its kin, PCP, OKS, AUC, NME."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import OptionError
from ..geometry import Array
from . import oks, pck
from .figure import Figure
from .matching import By, match

DEFAULT_ALPHA = {
    "PCKh": 0.5, "PCK": 0.2, "PCKb": 0.2, "PDJ": 0.2, "PCP": 0.5, "PCPl": 0.5, "AUC": 0.5,
}  # fmt: skip
WITHOUT = {"PCKh": ("pelvis", "thorax"), "AUC": ("pelvis", "thorax")}  # as in MPII's own tables


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Every true person next to the one found for them; keypoints of nobody are NaN."""

    truth: Dataset
    found: Array  # [N, K, 3]
    counted: NDArray[np.bool_]  # [N, K]
    distance: Array  # [N, K]

    @classmethod
    def of(cls, truth: Dataset, results: Dataset, by: By) -> Pairs:
        rows = match(truth, results, by)
        found = np.full(truth.keypoints.shape, np.nan)
        found[rows >= 0] = results.keypoints[rows[rows >= 0]]
        counted = truth.labelled & ~truth.ignored[:, None]
        return cls(truth, found, counted, pck.distances(found, truth.keypoints))

    def select(self, rows: NDArray[np.bool_]) -> Pairs:
        """Some of the true people, with those found for them."""
        return replace(
            self,
            truth=self.truth.select(rows),
            found=self.found[rows],
            counted=self.counted[rows],
            distance=self.distance[rows],
        )

    def reference(self, name: str) -> tuple[Array, str]:
        """[N] in pixels, and how it is called."""
        truth = self.truth
        if name in ("PCKh", "AUC", "NME") and np.isfinite(truth.heads).any():
            return truth.heads, "0.6 of the head box's diagonal"
        if name == "PCKb":
            return pck.box_length(truth.boxes), "longer side of the box"
        if name == "PCKh":
            return pck.head_length(
                truth.keypoints, truth.labelled, truth.skeleton
            ), "neck to head top (no head boxes)"
        if name == "NME":
            return np.sqrt(truth.areas), "square root of the area"
        return pck.torso_length(
            truth.keypoints, truth.labelled, truth.skeleton
        ), "left shoulder to right hip"


def single(name: str, alpha: float, pairs: Pairs) -> list[Figure]:
    """The figures of a measure that was made for one person per picture."""
    if name in ("PCP", "PCPl"):
        return _parts(name, alpha, pairs)
    if name == "OKS":
        return _similarity(pairs)
    truth = pairs.truth
    reference, called = pairs.reference(name)
    counted = pck.without(pairs.counted, truth.skeleton, WITHOUT.get(name, ()))
    usable = pck.countable(counted, reference)
    if counted.any() and not usable.any():
        raise OptionError(
            f"{name} divides by {called}, which {truth.name} gives for nobody: "
            "choose another measure"
        )
    left_out = int((counted.any(1) & ~usable.any(1)).sum())
    if left_out:
        called += f"; {left_out} people without that length are left out"
    if name == "NME":
        return _errors(pairs, counted, reference, called)
    if name == "AUC":
        return [_auc(alpha, pairs, counted, reference, called)]
    return _correct(name, alpha, pairs, counted, reference, called)


def _parts(name: str, alpha: float, pairs: Pairs) -> list[Figure]:
    truth = pairs.truth
    parts, ends, known = pck.limb_ends(truth.keypoints, pairs.counted, truth.skeleton)
    _, found, _ = pck.limb_ends(pairs.found, pairs.counted, truth.skeleton)
    right, counted = pck.limb_hits(found, ends, known, alpha, strict=name == "PCP")
    which = "both ends" if name == "PCP" else "the mean of both ends"
    says = f"{which} within {alpha:g} × the limb, over all limbs"
    hits = (right & counted).astype(float)
    return _rates(f"{name}@{alpha:g}", parts, hits, counted, truth, says)


def _similarity(pairs: Pairs) -> list[Figure]:
    truth = pairs.truth
    likeness = oks.likeness(pairs.distance, truth.areas, truth.skeleton.sigmas)
    says = "exp(-d² / 2s²κ²) to the person matched, 0 if nobody is, over all labelled joints"
    summands = np.where(pairs.counted, likeness, 0)
    return _rates("OKS", list(truth.skeleton.joints), summands, pairs.counted, truth, says)


def _errors(
    pairs: Pairs, counted: NDArray[np.bool_], reference: Array, called: str
) -> list[Figure]:
    ratios, found = pck.errors(pairs.distance, counted, reference)
    missed = 1 - found.sum() / max(pck.countable(counted, reference).sum(), 1)
    says = (
        f"distance / {called}, over all joints of people found "
        f"({missed:.1%} of joints are of people missed)"
    )
    return _rates("NME", list(pairs.truth.skeleton.joints), ratios, found, pairs.truth, says)


def _correct(
    name: str,
    alpha: float,
    pairs: Pairs,
    counted: NDArray[np.bool_],
    reference: Array,
    called: str,
) -> list[Figure]:
    joints = list(pairs.truth.skeleton.joints)
    right, usable = pck.hits(pairs.distance, counted, reference, alpha)
    says = f"within {alpha:g} × {called}, over all labelled joints"
    if set(WITHOUT.get(name, ())) & set(joints):
        says += f", without {' and '.join(WITHOUT[name])}"
    shares = pck.curve(pairs.distance, counted, reference, max(alpha, 0.5))
    hits = right.astype(float)
    return _rates(f"{name}@{alpha:g}", joints, hits, usable, pairs.truth, says, shares)


def _rates(
    name: str,
    parts: list[str],
    top: Array,
    counted: NDArray[np.bool_],
    truth: Dataset,
    says: str,
    curve: Any = None,
) -> list[Figure]:
    """Two figures, over all and over parts, from summands [N, K] and which of them count."""
    sums = np.zeros((2, len(truth), len(parts)))
    np.add.at(sums[0], truth.picture, top)
    np.add.at(sums[1], truth.picture, counted.astype(float))
    rates = pck.Rates(sums[0].sum(0), sums[1].sum(0))
    each = {
        part: float(rate)
        for part, rate in zip(parts, rates.each, strict=True)
        if not np.isnan(rate)
    }

    def again(weights: Array) -> pck.Rates:
        return pck.Rates(*np.einsum("p,spk->sk", weights, sums))

    mean = f"{name} mean of {'limbs' if name.startswith('PCP') else 'joints'}"
    return [
        Figure(name, rates.over_all, lambda weights: again(weights).over_all, each, says, curve),
        Figure(mean, rates.over_joints, lambda weights: again(weights).over_joints),
    ]


def _auc(
    alpha: float, pairs: Pairs, counted: NDArray[np.bool_], reference: Array, called: str
) -> Figure:
    rows = pairs.truth.picture
    value = pck.auc(pairs.distance, counted, reference, alpha)

    def again(weights: Array) -> float:
        drawn = np.repeat(np.arange(len(rows)), weights[rows].astype(int))
        return pck.auc(pairs.distance[drawn], counted[drawn], reference[drawn], alpha)

    says = f"area under PCK from 0 to {alpha:g} × {called}"
    return Figure(
        f"AUC@{alpha:g}",
        value,
        again,
        {},
        says,
        pck.curve(pairs.distance, counted, reference, alpha),
    )
