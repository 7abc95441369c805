"""DeeperCut's candidates of joints, and how likely two of them are one person's.

Insafutdinov et al., "DeeperCut: a deeper, stronger, and faster multi-person pose estimation model",
ECCV 2016. A network says, at every cell, part scores, refinements from the cell to the joint, and
for every ordered pair of parts the offset from the one to the other. Two candidates are one
person's if the offset that each predicts agrees with where the other is: a logistic regression on
how far and at which angle they miss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from ..codecs.peaks import Array, Places, check_maps
from ..errors import ModelError, OptionError

LOCATION = 7.2801  # pixels per unit of the refinement maps, as published
# Pairs of parts that are compared, as published for COCO's 17 joints.
COCO_GRAPH = (
    (0, 1), (0, 2), (1, 2), (2, 4), (1, 3), (0, 4), (0, 3), (0, 6), (1, 6), (2, 6), (3, 6), (4, 6),
    (0, 5), (1, 5), (2, 5), (3, 5), (4, 5), (5, 6), (6, 8), (5, 7), (4, 8), (3, 7), (8, 10), (7, 9),
    (6, 10), (5, 9), (6, 12), (6, 11), (5, 12), (5, 11), (11, 12), (12, 14), (11, 13), (12, 13),
    (11, 14), (13, 14), (14, 16), (13, 15), (12, 16), (11, 15),
)  # fmt: skip


class Candidates(NamedTuple):
    """Ordered by part, then by falling score."""

    part: Places  # [N]
    place: Array  # [N,2], refined position in pixels
    cell: Array  # [N,2], the cell's centre in pixels
    score: Array  # [N]
    offsets: Array  # [N,K,2], to the person's other joints in pixels; to its own part 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the offsets between two parts over the training set, in pixels, [K,K,2] each."""

    mean: Array
    deviation: Array


@dataclass(frozen=True, slots=True)
class Pair:
    """The logistic regression of two parts: scales its eight features and weighs them."""

    low: Array  # [8]
    high: Array  # [8]
    weights: Array  # [9]; the last is of the constant

    def __call__(self, features: Array) -> Array:
        """[N,8] -> probabilities [N]"""
        return expit(scaled(features, self.low, self.high) @ self.weights)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which cells are candidates."""

    stride: int = 8  # pixels
    first: float = 4.0  # where the first cell is, in pixels
    threshold: float = 0.2  # of a candidate's score
    radius: float = 5.0  # cells; within it, one candidate per part
    most: int = 300  # the strongest are kept


def pair_channel(a: int, b: int, joints: int) -> int:
    """Where the offset from part a to part b is among the pairwise maps, in pairs of channels."""
    return (joints - 1) * a + b - (a < b)


def find_candidates(
    scores: Array,
    refinements: Array,
    pairwise: Array,
    statistics: Statistics,
    choice: Choice = Choice(),
) -> Candidates:
    """Part scores [K,h,w], refinements [2K,h,w], offsets [2K(K-1),h,w] (x and y of one vector are
    neighbours) -> candidates. Raises ModelError for maps that do not fit or are not finite.
    """
    joints = len(scores)
    check_maps(scores, joints, "part scores")
    check_maps(refinements, 2 * joints, "refinements")
    check_maps(pairwise, 2 * joints * (joints - 1), "pairwise offsets")
    for maps in (refinements, pairwise):
        if maps.shape[1:] != scores.shape[1:]:
            raise ModelError(
                f"part scores are {list(scores.shape[1:])}, other maps {list(maps.shape[1:])}: all "
                "must come from the same answer"
            )

    part, row, column = _separate(scores, choice)
    score = scores[part, row, column]
    cell = np.stack([column, row], 1) * choice.stride + choice.first
    shift = np.stack([refinements[2 * part + axis, row, column] for axis in (0, 1)], 1)

    offsets = np.zeros((len(part), joints, 2))
    for a in range(joints):
        of_a = np.flatnonzero(part == a)
        for b in range(joints):
            if a != b and len(of_a):
                first = 2 * pair_channel(a, b, joints)
                said = pairwise[first : first + 2, row[of_a], column[of_a]].T
                offsets[of_a, b] = said * statistics.deviation[a, b] + statistics.mean[a, b]
    return Candidates(part, cell + LOCATION * shift, cell, score, offsets)


def _separate(scores: Array, choice: Choice) -> tuple[Places, Places, Places]:
    """Cells of falling score, none within `radius` of a better one of its part."""
    found = []
    for part, maps in enumerate(scores):
        row, column = np.nonzero(maps >= choice.threshold)
        order = np.argsort(-maps[row, column], kind="stable")
        row, column = row[order], column[order]
        while len(row):
            found.append((part, row[0], column[0]))
            gaps = np.square(row - row[0]) + np.square(column - column[0])
            far = gaps > choice.radius**2
            row, column = row[far], column[far]

    places = np.array(found, np.intp).reshape(-1, 3)
    strongest = np.argsort(-scores[tuple(places.T)], kind="stable")[: choice.most]
    part, row, column = places[np.sort(strongest)].T
    return part, row, column


def pair_features(some: Candidates, a: Places, b: Places) -> Array:
    """Pairs of candidates of different parts [M], [M] -> features [M,8]: how far and at which angle
    each one's predicted offset misses the other, and exp(-x) of these four.
    """
    missed = []
    for here, there in ((a, b), (b, a)):
        real = some.place[there] - some.cell[here]
        predicted = some.offsets[here, some.part[there]]
        missed.append(np.linalg.norm(real - predicted, axis=1))
        turn = _angle(real) - _angle(predicted)
        missed.append(
            np.abs(np.where(np.abs(turn) > np.pi, turn - 2 * np.pi * np.sign(turn), turn))
        )
    four = np.stack(missed, 1)
    return np.concatenate([four, np.exp(-four)], 1)


def _angle(vectors: Array) -> Array:
    return np.arctan2(vectors[:, 1], vectors[:, 0])


def scaled(features: Array, low: Array, high: Array) -> Array:
    """[N,8] -> [N,9]: each feature's range over the training pairs is [0, 1]; a constant."""
    extent = np.where(high > low, high - low, 1)
    return np.concatenate([(features - low) / extent, np.ones((len(features), 1))], 1)


def same_part(distance: Array) -> Array:
    """Pixels between two candidates of one part -> how likely they are one person's."""
    return expit(7.5 - 0.2 * distance)


def fit_pair(features: Array, together: Array, *, decay: float = 1e-3) -> Pair:
    """Training pairs [N,8], whether each is one person [N] -> their logistic regression, by maximum
    likelihood with a penalty of `decay` on the square of the weights.
    """
    if not len(features) or together.all() or not together.any():
        raise OptionError("logistic regression needs pairs of one person and of two: add pictures")
    low, high = features.min(0), features.max(0)
    inputs = scaled(features, low, high)
    sign = np.where(together, 1.0, -1.0)

    def loss(weights: Array) -> tuple[float, Array]:
        margin = sign * (inputs @ weights)
        value = np.logaddexp(0, -margin).mean() + decay * weights @ weights / 2
        slope = -(sign * expit(-margin)) @ inputs / len(inputs) + decay * weights
        return float(value), slope

    found = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B")
    return Pair(low, high, found.x)


def compare(some: Candidates, pairs: Mapping[tuple[int, int], Pair]) -> tuple[Places, Array]:
    """-> edges [E,2] between candidates of one part or of two parts in `pairs`, and how likely
    the ends of each are one person's [E]. Parts of a pair are in the skeleton's order.
    """
    if any(first >= second for first, second in pairs):
        raise OptionError(f"pairs of parts must be (a, b) with a < b, got {sorted(pairs)}")
    a, b = np.triu_indices(len(some.part), 1)
    edges, likely = [np.zeros((0, 2), np.intp)], [np.zeros(0)]

    alike = some.part[a] == some.part[b]
    gaps = some.place[a[alike]] - some.place[b[alike]]
    edges.append(np.stack([a[alike], b[alike]], 1))
    likely.append(same_part(np.linalg.norm(gaps, axis=1)))

    for (first, second), regression in pairs.items():
        chosen = np.flatnonzero((some.part[a] == first) & (some.part[b] == second))
        if len(chosen):
            edges.append(np.stack([a[chosen], b[chosen]], 1))
            likely.append(regression(pair_features(some, a[chosen], b[chosen])))
    return np.concatenate(edges), np.concatenate(likely)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is learned beside the network: statistics and the regressions of the pairs compared."""

    statistics: Statistics
    pairs: Mapping[tuple[int, int], Pair]

    def save(self, path: Path) -> None:
        """Writes an .npz that `load_terms` reads."""
        names = sorted(self.pairs)
        columns = {
            what: np.array([getattr(self.pairs[name], what) for name in names])
            for what in ("low", "high", "weights")
        }
        np.savez(
            path,
            mean=self.statistics.mean,
            deviation=self.statistics.deviation,
            parts=np.array(names, np.intp).reshape(-1, 2),
            **columns,  # type: ignore[arg-type]
        )


def load_terms(path: Path, joints: int) -> Terms:
    """What `Terms.save` wrote, for so many joints. Raises ModelError."""
    try:
        with np.load(path) as file:
            said = {name: file[name] for name in file.files}
        wanted = {"mean": (joints, joints, 2), "deviation": (joints, joints, 2)}
        wanted |= {"parts": (len(said["parts"]), 2), "low": (len(said["parts"]), 8)}
        wanted |= {"high": (len(said["parts"]), 8), "weights": (len(said["parts"]), 9)}
        for name, shape in wanted.items():
            if said[name].shape != shape:
                raise ValueError(f"'{name}' is {list(said[name].shape)}, not {list(shape)}")
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(
            f"{path}: not the statistics and regressions of a DeepCut model of {joints} joints "
            f"({error}): put the file that came with the model beside it"
        ) from error
    columns = zip(said["low"], said["high"], said["weights"], strict=True)
    names = [(int(a), int(b)) for a, b in said["parts"]]
    pairs = {name: Pair(*column) for name, column in zip(names, columns, strict=True)}
    return Terms(Statistics(said["mean"], said["deviation"]), pairs)
