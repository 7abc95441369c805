"""How well people are tracked, from true ids, found ids and the similarity of people, frame by
frame.

hota:     HOTA, DetA, AssA, LocA (Luiten et al. 2021, equations 11-17; matching as in section 5.1)
clear:    MOTA, MOTP, id switches, fragments (Bernardin and Stiefelhagen 2008)
identity: IDF1, IDP, IDR (Ristani et al. 2016)

All take `Scene`s: similarity is OKS (`scene`), so .5 means as much for poses as IoU .5 for boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..geometry import Array, area, oks
from ..people import People

ALPHAS = np.arange(1, 20) / 20
PREFERRED = 1000.0  # a match of the frame before is kept, whatever else would fit better


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One frame: ids of the true [T] and the found [F] people, and their similarity [T, F] in [0,
    1].
    """

    true: NDArray[np.int64]
    found: NDArray[np.int64]
    similarity: Array

    def __post_init__(self) -> None:
        if self.similarity.shape != (len(self.true), len(self.found)):
            raise ValueError(
                f"similarity must be [{len(self.true)}, {len(self.found)}], "
                f"got {list(self.similarity.shape)}"
            )
        for what, ids in (("true", self.true), ("found", self.found)):
            if len(np.unique(ids)) < len(ids):
                raise ValueError(f"{what} ids must differ within a frame, got {ids.tolist()}")


def scene(true: People, found: People, joint: int | None = None) -> Scene:
    """The same frame, true and found, both with ids; similarity is OKS over the labelled joints
    (score above 0) or over one of them, with the area of the true box. People without such a
    labelled joint are left out.
    """
    if true.ids is None or found.ids is None:
        raise ValueError("people need ids to be judged as tracks; run a tracker first")
    weights = (true.keypoints[..., 2] > 0).astype(float)
    if joint is not None:
        weights *= np.arange(len(true.skeleton)) == joint
    some = np.flatnonzero(weights.any(axis=1))
    true, weights = true[some], weights[some]
    likeness = oks(true.keypoints, found.keypoints, area(true.boxes), true.skeleton.sigmas, weights)
    assert true.ids is not None
    return Scene(true.ids, found.ids, likeness)  # type: ignore[arg-type]


def figures(pairs: Iterable[tuple[People, People]]) -> dict[str, float]:
    """All measures of true and found people, frame by frame."""
    scenes = [scene(true, found) for true, found in pairs]
    return hota(scenes) | clear(scenes) | identity(scenes)


def per_joint(
    pairs: Sequence[tuple[People, People]], threshold: float = 0.5
) -> dict[str, dict[str, float]]:
    """MOTA and MOTP of each joint, by name, as if people had only this joint; joints that are
    labelled nowhere are left out.
    """
    out = {}
    joints = pairs[0][0].skeleton.joints if pairs else ()
    for joint, name in enumerate(joints):
        scenes = [scene(true, found, joint) for true, found in pairs]
        if any(len(one.true) for one in scenes):
            # Where no true person has this joint in a frame, found ones cannot be called false.
            scenes = [_labelled(one) for one in scenes]
            out[name] = {
                key: value
                for key, value in clear(scenes, threshold).items()
                if key in ("MOTA", "MOTP")
            }
    return out


def precision(
    pairs: Iterable[tuple[People, People]], lengths: Iterable[Array] | None = None
) -> dict[str, float]:
    """PoseTrack's average precision of each joint, by name, and their mean, "mAP" (Andriluka et al.
    2018).

    A found person is matched to the true person that most of its joints agree with, one to one.
    A joint is right within half of the true person's head length (`lengths`: per frame [T], NaN
    unknown), or, where that is not known, at an OKS of .5; all joints of one kind are ranked by
    their scores. Joints that a true person lacks do not count.
    """
    ranked: list[list[tuple[Array, NDArray[np.bool_]]]] = []
    joints: tuple[str, ...] = ()
    total = np.zeros(0)
    known = iter(lengths) if lengths is not None else None
    for true, found in pairs:
        if not joints:
            joints, total = true.skeleton.joints, np.zeros(len(true.skeleton))
            ranked = [[] for _ in joints]
        length = np.full(len(true), np.nan) if known is None else next(known)
        labelled = true.keypoints[..., 2] > 0
        total += labelled.sum(0)
        right = _agreeing(true, found, length) & labelled[:, None]
        share = right.sum(2) / np.maximum(labelled.sum(1), 1)[:, None]
        rows, columns = linear_sum_assignment(share, maximize=True)
        taken = share[rows, columns] > 0
        owner = np.full(len(found), -1)
        owner[columns[taken]] = rows[taken]
        for k in range(len(joints)):
            counted = (owner < 0) | labelled[owner, k] if len(true) else np.ones(len(found), bool)
            hit = np.zeros(len(found), bool)
            hit[owner >= 0] = right[owner[owner >= 0], np.flatnonzero(owner >= 0), k]
            ranked[k].append((found.keypoints[counted, k, 2], hit[counted]))
    out = {name: _area(ranked[k], total[k]) for k, name in enumerate(joints) if total[k]}
    return {"mAP": float(np.mean(list(out.values()))) if out else 0.0, **out}


def _agreeing(true: People, found: People, length: Array) -> NDArray[np.bool_]:
    """[T, F, K]: which joints of which two are at the same place."""
    difference = true.keypoints[:, None, :, :2] - found.keypoints[None, :, :, :2]
    distance = np.linalg.norm(difference.astype(np.float64), axis=-1)
    scale = (
        np.sqrt(2 * np.log(2) * area(true.boxes))[:, None] * 2 * np.asarray(true.skeleton.sigmas)
    )  # OKS .5
    return distance <= np.where(np.isnan(length)[:, None], scale, length[:, None] / 2)[:, None]


def _area(ranked: list[tuple[Array, NDArray[np.bool_]]], total: float) -> float:
    """Under the precision-recall curve, precision made to fall."""
    scores, hits = (np.concatenate(parts) for parts in zip(*ranked, strict=True))
    hits = hits[np.argsort(-scores, kind="stable")]
    precisions = hits.cumsum() / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precisions[::-1])[::-1]
    return float(falling[hits].sum() / total)


def _labelled(one: Scene) -> Scene:
    return one if len(one.true) else Scene(one.true, one.found[:0], one.similarity[:, :0])


def hota(scenes: Sequence[Scene]) -> dict[str, float]:
    """HOTA, DetA, AssA and LocA, means over the thresholds .05, .10 … .95; 0 without people."""
    true, found, scenes = _numbered(scenes)
    potential = np.zeros((true, found))
    true_count, found_count = np.zeros(true), np.zeros(found)
    for one in scenes:
        total = one.similarity.sum(0) + one.similarity.sum(1)[:, None] - one.similarity
        potential[one.true[:, None], one.found] += one.similarity / np.maximum(total, 1e-9)
        true_count[one.true] += 1
        found_count[one.found] += 1
    alignment = potential / np.maximum(true_count[:, None] + found_count - potential, 1e-9)

    matches = np.zeros((len(ALPHAS), true, found))
    similarity = np.zeros(len(ALPHAS))
    for one in scenes:
        rows, columns = linear_sum_assignment(
            alignment[one.true[:, None], one.found] * one.similarity, maximize=True
        )
        values = one.similarity[rows, columns]
        counts = values >= ALPHAS[:, None] - np.finfo(float).eps
        for level, count in enumerate(counts):
            matches[level, one.true[rows[count]], one.found[columns[count]]] += 1
            similarity[level] += values[count].sum()
    hits = matches.sum((1, 2))
    det = hits / np.maximum(true_count.sum() + found_count.sum() - hits, 1)
    together = matches / np.maximum(true_count[:, None] + found_count - matches, 1)
    ass = (matches * together).sum((1, 2)) / np.maximum(hits, 1)
    loc = np.where(hits > 0, similarity / np.maximum(hits, 1), 1.0)
    means = {"HOTA": np.sqrt(det * ass), "DetA": det, "AssA": ass, "LocA": loc}
    return {name: float(values.mean()) for name, values in means.items()}


def clear(scenes: Sequence[Scene], threshold: float = 0.5) -> dict[str, float]:
    """MOTA, MOTP (mean similarity of matches), and counts: hits, misses, false, switches, and
    fragments: how often somebody who had been followed is taken up again.
    """
    true, _, scenes = _numbered(scenes)
    last = np.full(true, -1)  # found id that each was matched with most recently
    before = np.full(true, -1)  # and in the frame before
    tracked = np.zeros(true)  # how often each was taken up
    hits = misses = false = switches = 0
    total = 0.0
    for one in scenes:
        if (
            not one.similarity.size
        ):  # as in TrackEval, a frame that lacks one side interrupts nothing
            misses, false = misses + len(one.true), false + len(one.found)
            continue
        score = np.where(before[one.true][:, None] == one.found, PREFERRED, 0.0) + one.similarity
        score[one.similarity < threshold - np.finfo(float).eps] = 0
        rows, columns = linear_sum_assignment(score, maximize=True)
        kept = score[rows, columns] > 0
        rows, columns = rows[kept], columns[kept]
        who, what = one.true[rows], one.found[columns]
        switches += int(((last[who] >= 0) & (last[who] != what)).sum())
        tracked[who] += before[who] < 0
        before[:] = -1
        before[who] = last[who] = what
        hits += len(who)
        misses += len(one.true) - len(who)
        false += len(one.found) - len(who)
        total += float(one.similarity[rows, columns].sum())
    fragments = (tracked - 1).clip(0).sum()
    mota = (hits - false - switches) / max(1, hits + misses)
    counts = {
        "hits": hits,
        "misses": misses,
        "false": false,
        "switches": switches,
        "fragments": fragments,
    }
    return {
        "MOTA": float(mota),
        "MOTP": total / max(1, hits),
        **{name: float(n) for name, n in counts.items()},
    }


def identity(scenes: Sequence[Scene], threshold: float = 0.5) -> dict[str, float]:
    """IDF1, IDP and IDR: of the one-to-one assignment of whole tracks that shares most frames."""
    true, found, scenes = _numbered(scenes)
    shared = np.zeros((true, found))
    for one in scenes:
        rows, columns = np.nonzero(one.similarity >= threshold)
        shared[one.true[rows], one.found[columns]] += 1
    hits = shared[linear_sum_assignment(shared, maximize=True)].sum()
    there, told = sum(len(one.true) for one in scenes), sum(len(one.found) for one in scenes)
    return {
        "IDF1": float(2 * hits / max(1, there + told)),
        "IDP": float(hits / max(1, told)),
        "IDR": float(hits / max(1, there)),
    }


def jitter(true: Array, found: Array, times: Array) -> float:
    """Acceleration error (as Kanazawa et al. 2019 measure smoothness): the mean length of the
    difference of the second derivatives of true and found points [F, K, 2] at `times` [F], in
    pixels / s²; NaN for fewer than three frames.
    """
    if len(times) < 3:
        return float("nan")
    return float(
        np.linalg.norm(acceleration(found, times) - acceleration(true, times), axis=-1).mean()
    )


def acceleration(points: Array, times: Array) -> Array:
    """[F, ..., 2] at times [F] -> [F - 2, ..., 2]: second divided differences."""
    steps = np.diff(times).reshape(-1, *[1] * (points.ndim - 1))
    velocity = np.diff(points, axis=0) / steps
    return np.diff(velocity, axis=0) / ((steps[1:] + steps[:-1]) / 2)


def _numbered(scenes: Sequence[Scene]) -> tuple[int, int, list[Scene]]:
    """How many true and found ids there are, and the scenes with ids 0, 1, 2 …"""
    empty = np.zeros(0, np.int64)
    true, found = (
        np.unique(np.concatenate([empty, *(getattr(s, name) for s in scenes)]))
        for name in ("true", "found")
    )
    numbered = [
        Scene(np.searchsorted(true, s.true), np.searchsorted(found, s.found), s.similarity)
        for s in scenes
    ]
    return len(true), len(found), numbered
