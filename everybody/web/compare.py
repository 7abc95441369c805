"""Two results of the same files, frame by frame."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..people import People
from ..results.records import Record, Results

WORST = 20  # frames that are listed
NEAR = 0.5  # of the larger box's diagonal: people farther apart are not the same person
SEEN = 0.3  # score of a joint in both, to be compared


def compare(a: Results, b: Results) -> dict[str, Any]:
    """How far apart two results are. Frames are matched by source and index, people by the mean
    distance of their joints (least in total), joints by name; distances in pixels.
    """
    theirs = {(record.source, record.index): record for record in b}
    counts = dict.fromkeys(("frames", "only_a", "only_b"), 0)
    people = dict.fromkeys(("a", "b", "matched"), 0)
    names = [name for name in a.skeleton.joints if name in b.skeleton.joints]
    sums, seen = np.zeros(len(names)), np.zeros(len(names), int)
    worst: list[tuple[float, int, str]] = []
    for ours in a:
        other = theirs.pop((ours.source, ours.index), None)
        if other is None:
            counts["only_a"] += 1
            continue
        counts["frames"] += 1
        people["a"] += len(ours.people)
        people["b"] += len(other.people)
        for apart, both in _pairs(ours, other, names, a, b):
            people["matched"] += 1
            sums += np.where(both, apart, 0)
            seen += both
            if both.any():
                heapq.heappush(worst, (float(apart[both].mean()), ours.index, ours.source))
        if len(worst) > WORST:
            worst = heapq.nlargest(WORST, worst)
            heapq.heapify(worst)
    counts["only_b"] = len(theirs)
    return {
        **counts,
        "people": people,
        "mean_distance": float(sums.sum() / seen.sum()) if seen.any() else None,
        "per_joint": {
            name: round(float(total / count), 3)
            for name, total, count in zip(names, sums, seen, strict=True)
            if count
        },
        "worst": [
            {"source": source, "frame": frame, "distance": round(distance, 3)}
            for distance, frame, source in heapq.nlargest(WORST, worst)
        ],
    }


def _pairs(
    ours: Record, other: Record, names: list[str], a: Results, b: Results
) -> Iterator[tuple[Any, Any]]:
    """Of each matched pair of people the distances of their joints [K], and which both show [K]."""
    left = _joints(ours.people, [a.skeleton.joints.index(name) for name in names])
    right = _joints(other.people, [b.skeleton.joints.index(name) for name in names])
    if not len(left) or not len(right) or not names:
        return
    apart = np.linalg.norm(left[:, None, :, :2] - right[None, :, :, :2], axis=3)  # [N, M, K]
    both = np.minimum(left[:, None, :, 2], right[None, :, :, 2]) >= SEEN
    mean = np.where(both, apart, 0).sum(2) / np.maximum(both.sum(2), 1)
    size = np.maximum(_diagonals(ours.people)[:, None], _diagonals(other.people)[None])
    cost = np.where(both.any(2), mean / np.maximum(size, 1e-6), 2 * NEAR)
    for n, m in zip(*linear_sum_assignment(cost), strict=True):
        if cost[n, m] <= NEAR:
            yield apart[n, m], both[n, m]


def _joints(people: People, places: list[int]) -> Any:
    return people.keypoints[:, places].astype(float)


def _diagonals(people: People) -> Any:
    return np.linalg.norm(people.boxes[:, 2:] - people.boxes[:, :2], axis=1)
