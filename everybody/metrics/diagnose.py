"""What the mistakes are, and what each costs (Ronchi & Perona 2017, "Benchmarking and Error
Diagnosis in Multi-Instance Pose Estimation").

Found people, best score first, take the free true person of the highest OKS, at least .1. Of a
pair, every labelled joint is sorted by its similarity ks = exp(-d² / 2s²κ²) to where it should be
(section 3.1 there):

    good       .85 ≤ ks
    jitter     .5 ≤ ks < .85
    inversion  else, if ks ≥ .5 to the mirrored joint of the same person
    swap       else, if ks ≥ .5 to this or the mirrored joint of another person
    miss       else

A gain is the AP that the results would have if one kind of mistake had not been made: joints put
where they belong, scores replaced by the OKS they stand for, false people taken away, overlooked
people not asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..geometry import Array, iou
from . import oks
from .matching import similarities
from .sensitivity import Slice, slices

Rows = NDArray[np.int64]

KINDS = ("good", "jitter", "inversion", "swap", "miss")
FOUND, GOOD, NEAR = 0.1, 0.85, 0.5  # of OKS; of ks


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """found [N]: the row found for each true person, -1 none. likeness [N]: their OKS, 0 where
    none.

    best [M]: the highest OKS of each found person with any person to find. paired [M]: stands for
    a true person. excused [M]: stands for none, but overlaps a person to ignore, or is not among
    the 20 best of the picture.
    """

    found: Rows
    likeness: Array
    best: Array
    paired: NDArray[np.bool_]
    excused: NDArray[np.bool_]

    @property
    def loose(self) -> NDArray[np.bool_]:
        """[M]: false positives."""
        return ~self.paired & ~self.excused


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """kinds [K, 5]: labelled joints of matched people by KINDS. gains: what AP gains without one
    kind of mistake.

    stairs: AP as one kind after the other is taken away. slices: recall by size, crowding … loss
    [P]: what each picture adds to the mistakes. overlooked true people; found people who are
    background or duplicates.
    """

    figures: dict[str, float]
    pairing: Pairing
    kinds: Array
    gains: dict[str, float]
    stairs: list[tuple[str, float]]
    slices: dict[str, list[Slice]]
    loss: Array
    overlooked: int
    background: int
    duplicates: int


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Truth and results on the way to being perfect. kept [M]: False for people taken away; their
    rows stay, so that row numbers keep their meaning.
    """

    truth: Dataset
    results: Dataset
    kept: NDArray[np.bool_]

    def precision(self) -> float:
        return oks.figures(self.truth, self.results.select(self.kept))["AP"]


Fix = Callable[[_State], _State]


def diagnose(truth: Dataset, results: Dataset) -> Diagnosis:
    """`results` are joined to the pictures of `truth` and have its skeleton."""
    pairing = pair(truth, results)
    kind = joint_kinds(truth, results, pairing)

    fixes: dict[str, Fix] = {
        name: partial(_put_right, source=truth, pairing=pairing, wrong=kind == number)
        for number, name in enumerate(KINDS)
        if number
    }
    fixes |= {
        "scores": _rank,
        "duplicates": _once,
        "background": _nobody_else,
        "overlooked": _nobody_missing,
    }

    figures = oks.figures(truth, results)
    start = _State(truth, results, np.ones(len(results.picture), bool))
    gains = {name: fix(start).precision() - figures["AP"] for name, fix in fixes.items()}
    stairs, now = [("as it is", figures["AP"])], start
    for name, fix in fixes.items():
        now = fix(now)
        stairs.append((name, now.precision()))
    counts = np.stack([(kind == number).sum(0) for number in range(len(KINDS))], 1).astype(
        np.float64
    )
    loose, overlooked = pairing.loose, ~truth.ignored & (pairing.found < 0)
    loss = np.zeros(len(truth))
    np.add.at(loss, truth.picture, np.where(truth.ignored, 0, 1 - pairing.likeness))
    np.add.at(loss, results.picture, np.where(loose, results.scores.clip(0, 1), 0))
    return Diagnosis(
        figures=figures,
        pairing=pairing,
        kinds=counts,
        gains=gains,
        stairs=stairs,
        slices=slices(truth, pairing.likeness),
        loss=loss,
        overlooked=int(overlooked.sum()),
        background=int((loose & (pairing.best < FOUND)).sum()),
        duplicates=int((loose & (pairing.best >= FOUND)).sum()),
    )


def pair(truth: Dataset, results: Dataset, *, most: int = oks.MAX_PEOPLE) -> Pairing:
    """Pair found with true people greedily, best score first; at most `most` found people of a
    picture.
    """
    found, likeness = np.full(len(truth.picture), -1), np.zeros(len(truth.picture))
    best, paired, excused = (np.zeros(len(results.picture), kind) for kind in (float, bool, bool))
    for true, rows in zip(truth.rows(), results.rows(), strict=True):
        rows = rows[np.argsort(-results.scores[rows], kind="stable")]
        excused[rows[most:]] = True
        rows = rows[:most]
        if not len(true) or not len(rows):
            continue
        wanted, ignored = true[~truth.ignored[true]], true[truth.ignored[true]]
        if len(wanted):
            table = similarities(truth, results, wanted, rows)
            best[rows] = table.max(0)
            free = np.ones(len(wanted), bool)
            for column, row in enumerate(rows):
                n = int(np.argmax(np.where(free, table[:, column], -1)))
                if free[n] and table[n, column] >= FOUND:
                    free[n] = False
                    found[wanted[n]], likeness[wanted[n]], paired[row] = row, table[n, column], True
        if len(ignored):
            excused[rows] = ~paired[rows] & (
                iou(truth.boxes[ignored], results.boxes[rows]).max(0) > FOUND
            )
    return Pairing(found, likeness, best, paired, excused)


def joint_kinds(truth: Dataset, results: Dataset, pairing: Pairing) -> NDArray[np.int8]:
    """[N, K]: the place in KINDS of every labelled joint of every pair, -1 elsewhere."""
    out = np.full(truth.labelled.shape, -1, np.int8)
    joints, mirror = np.arange(len(truth.skeleton)), np.array(truth.skeleton.mirror, int)
    by_picture = truth.rows()
    for n in np.flatnonzero(pairing.found >= 0):
        points = results.keypoints[pairing.found[n], :, :2]
        own = _similarity(truth, points, np.array([n]), joints)[0]
        inverted = np.where(
            mirror == joints, 0, _similarity(truth, points, np.array([n]), mirror)[0]
        )
        others = by_picture[truth.picture[n]]
        others = others[(others != n) & ~truth.crowd[others]]
        swapped = np.zeros(len(joints))
        if len(others):
            swapped = np.maximum(
                _similarity(truth, points, others, joints).max(0),
                _similarity(truth, points, others, mirror).max(0),
            )
        far = np.where(np.maximum(inverted, swapped) < NEAR, 4, np.where(inverted >= swapped, 2, 3))
        kind = np.where(own >= GOOD, 0, np.where(own >= NEAR, 1, far))
        out[n] = np.where(truth.labelled[n], kind, -1)
    return out


def _similarity(truth: Dataset, points: Array, people: Rows, joints: NDArray[np.int64]) -> Array:
    """ks of found joints [K, 2] to the given joints of some true people -> [people, K]; 0 where not
    labelled.
    """
    goal = truth.keypoints[people][:, joints]
    gaps = np.linalg.norm(goal[..., :2] - points, axis=-1)
    return oks.likeness(gaps, truth.areas[people], np.array(truth.skeleton.sigmas)[joints]) * (
        goal[..., 2] > 0
    )  # type: ignore[arg-type]


def _once(state: _State) -> _State:
    now = pair(state.truth, state.results)
    return replace(state, kept=state.kept & ~(now.loose & (now.best >= FOUND)))


def _nobody_else(state: _State) -> _State:
    now = pair(state.truth, state.results)
    return replace(state, kept=state.kept & ~(now.loose & (now.best < FOUND)))


def _nobody_missing(state: _State) -> _State:
    missing = pair(state.truth, state.results.select(state.kept)).found < 0
    return replace(state, truth=replace(state.truth, ignored=state.truth.ignored | missing))


def _rank(state: _State) -> _State:
    """Every score is the OKS with the person it stands for, 0 if for nobody (section 3.2 there)."""
    truth, results = state.truth, state.results
    best = replace(results, scores=pair(truth, results, most=len(results.picture)).best)
    pairing, scores = pair(truth, best, most=len(results.picture)), np.zeros(len(results.picture))
    some = pairing.found >= 0
    scores[pairing.found[some]] = pairing.likeness[some]
    return replace(state, results=replace(results, scores=scores))


def _put_right(
    state: _State, source: Dataset, pairing: Pairing, wrong: NDArray[np.bool_]
) -> _State:
    people, joints = np.nonzero(wrong)
    keypoints = state.results.keypoints.copy()
    keypoints[pairing.found[people], joints, :2] = source.keypoints[people, joints, :2]
    return replace(state, results=replace(state.results, keypoints=keypoints))
