"""All measures by name: from truth and results to figures that know their parts and can be drawn
again (bootstrap).

Names are written as the field writes them: AP, OKS, PCKh@0.5, PCK@0.2, PCKb@0.2 (box), PDJ@0.2,
PCP@0.5 (strict), PCPl@0.5 (loose), AUC@0.5, NME. What is after the @ can be any number. Of tracked
people: HOTA, DetA, AssA, MOTA, MOTP, IDF1 and PoseTrackAP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import OptionError
from . import oks, pck, tracks
from .matching import By, match

if TYPE_CHECKING:
    import hotcoco

Array = NDArray[np.floating]

DEFAULT_ALPHA = {
    "PCKh": 0.5, "PCK": 0.2, "PCKb": 0.2, "PDJ": 0.2, "PCP": 0.5, "PCPl": 0.5, "AUC": 0.5,
}  # fmt: skip
WITHOUT = {"PCKh": ("pelvis", "thorax"), "AUC": ("pelvis", "thorax")}  # as in MPII's own tables


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A number with a name. Called with how often each picture counts [P], it is the number of that
    draw.

    parts: the same per joint, limb or size. says: what it divides by and averages over, in words.
    """

    name: str
    value: float
    again: Callable[[Array], float]
    parts: dict[str, float] = field(default_factory=dict)
    says: str = ""
    curve: tuple[Array, Array] | None = None

    def __call__(self, weights: Array) -> float:
        return self.again(weights)


def defaults(truth: Dataset) -> list[str]:
    """What the field reports on such data."""
    if truth.format == "LSP":
        return ["PCK@0.2", "PCP@0.5"]
    if np.isfinite(truth.heads).any() and truth.format.startswith("MPII"):
        return ["PCKh@0.5", "AUC@0.5"]
    if truth.format == "MPII":
        return ["PCKh@0.5", "PCK@0.2"]
    return ["AP"]


def parse(names: Sequence[str]) -> list[tuple[str, float]]:
    """['pckh@0.5', 'AP'] -> [('PCKh', 0.5), ('AP', 0)], upper and lower case alike. Raises
    OptionError.
    """
    known = {name.lower(): name for name in ("AP", "OKS", "NME", *DEFAULT_ALPHA, *tracks.NAMES)}
    out = []
    for text in names:
        kind, _, number = text.strip().partition("@")
        name = known.get(kind.lower())
        try:
            alpha = float(number) if number else DEFAULT_ALPHA.get(name or "", 0.0)
        except ValueError:
            alpha = -1.0
        if name is None or alpha < 0 or (number and name not in DEFAULT_ALPHA):
            raise OptionError(
                f"unknown measure '{text}': known are {', '.join(known.values())}, with @ and a number"
            )
        out.append((name, alpha))
    return out


def judge(
    truth: Dataset, results: Dataset, names: Sequence[str] = (), *, by: By = "oks"
) -> list[Figure]:
    """The figures of these names, by default those that the field reports on such data.

    `results` are joined to the pictures of `truth` and have its skeleton. Raises OptionError for
    measures that these data do not allow, and says which they lack.
    """
    wanted = parse(names or defaults(truth))
    figures: list[Figure] = []
    pairs, films = None, None
    for name, alpha in wanted:
        if name in tracks.NAMES:
            films = films or tracks.tracked(truth, results)
            figures.append(_tracking(name, films[name]))
            continue
        if name == "AP":
            figures += average_precision(truth, results)
            continue
        pairs = pairs or Pairs.of(truth, results, by)
        figures += _single(name, alpha, pairs)
    return figures


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


def _tracking(name: str, values: dict[str, float]) -> Figure:
    """Frames of a film cannot be drawn one by one: no intervals."""
    says = (
        "mean of the APs of joints (PoseTrack)"
        if name == "PoseTrackAP"
        else "similarity is OKS, a match .5"
    )
    parts = {joint: value for joint, value in values.items() if joint != "all"}
    return Figure(name, values["all"], lambda weights: float("nan"), parts, says)


def _single(name: str, alpha: float, pairs: Pairs) -> list[Figure]:
    truth = pairs.truth
    if name in ("PCP", "PCPl"):
        parts, ends, known = pck.limb_ends(truth.keypoints, pairs.counted, truth.skeleton)
        _, found, _ = pck.limb_ends(pairs.found, pairs.counted, truth.skeleton)
        right, counted = pck.limb_hits(found, ends, known, alpha, strict=name == "PCP")
        says = f"{'both ends' if name == 'PCP' else 'the mean of both ends'} within {alpha:g} × the limb, over all limbs"
        return _rates(
            f"{name}@{alpha:g}", parts, (right & counted).astype(float), counted, truth, says
        )
    if name == "OKS":
        likeness = np.where(
            pairs.counted, oks.likeness(pairs.distance, truth.areas, truth.skeleton.sigmas), 0
        )
        says = "exp(-d² / 2s²κ²) of the person matched, 0 if nobody is, over all labelled joints"
        return _rates("OKS", list(truth.skeleton.joints), likeness, pairs.counted, truth, says)
    reference, called = pairs.reference(name)
    counted = pck.without(pairs.counted, truth.skeleton, WITHOUT.get(name, ()))
    usable = pck.countable(counted, reference)
    joints = list(truth.skeleton.joints)
    if counted.any() and not usable.any():
        raise OptionError(
            f"{name} divides by {called}, which {truth.name} gives for nobody: choose another measure"
        )
    left_out = int((counted.any(1) & ~usable.any(1)).sum())
    also = f"; {left_out} people without that length are left out" if left_out else ""
    if name == "NME":
        ratios, found = pck.errors(pairs.distance, counted, reference)
        missed = 1 - found.sum() / max(usable.sum(), 1)
        says = f"distance / {called}, over all joints of people found ({missed:.1%} of joints are of people missed){also}"
        return _rates("NME", joints, ratios, found, truth, says)
    if name == "AUC":
        return [_auc(alpha, pairs, counted, reference, called + also)]
    right, usable = pck.hits(pairs.distance, counted, reference, alpha)
    says = f"within {alpha:g} × {called}, over all labelled joints{also}"
    if name in WITHOUT and set(WITHOUT[name]) & set(joints):
        says += f", without {' and '.join(WITHOUT[name])}"
    shares = pck.curve(pairs.distance, counted, reference, max(alpha, 0.5))
    return _rates(f"{name}@{alpha:g}", joints, right.astype(float), usable, truth, says, shares)


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


def average_precision(truth: Dataset, results: Dataset) -> list[Figure]:
    """The ten COCO figures; where pictures have crowd indices, AP by crowding; of whole bodies, AP
    by part.
    """
    figures = precision_figures(oks.evaluation(truth, results), truth)
    for label, pictures, joints in oks.divisions(truth):
        part = [data.only(joints).subset(pictures) for data in (truth, results)]
        first = precision_figures(oks.evaluation(part[0], part[1]), truth, pictures)[0]
        figures.append(replace(first, name=f"AP {label}", says=""))
    return figures


def precision_figures(
    evaluator: hotcoco.COCOeval, truth: Dataset, pictures: NDArray[np.int64] | None = None
) -> list[Figure]:
    """The ten figures of what was evaluated: `truth`, or only these of its pictures."""
    matches: list[oks.Matches] = []  # made when somebody asks for draws

    def again(name: str) -> Callable[[Array], float]:
        def figure(weights: Array) -> float:
            if not matches:
                matches.append(oks.Matches(evaluator, truth, pictures))
            return matches[0](weights)[name]

        return figure

    says = {
        "AP": "area under precision-recall, mean of OKS .50, .55 … .95",
        "AR": "highest recall, mean of the same",
    }
    values = oks.summary(evaluator.eval or {})
    return [
        Figure(name, value, again(name), {}, says.get(name, "")) for name, value in values.items()
    ]
