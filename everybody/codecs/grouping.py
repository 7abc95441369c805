"""OpenPose's decoding: confidence maps and part affinity fields -> people.

Cao et al., "Realtime multi-person 2D pose estimation using part affinity fields", CVPR 2017: peaks
of the confidence maps; the line integral of a limb's field along each pair of peaks (Eq. 10-11);
greedy bipartite matching limb by limb (Sec. 2.4); limbs that share a peak are one person.
Thresholds and the rule of distance between peaks: Osokin 2018 (Lightweight OpenPose).

All limbs and all their pairs of peaks are one array, so the time of a crowd is that of a few calls
of numpy. A pair must have enough samples on the field; three samples reject most pairs before all
are read, without changing any answer. Time and memory are bounded by the number of pairs (PAIRS).

Coordinates are cells of the maps given here; a caller that shrinks or enlarges maps converts them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ModelError
from .peaks import Array, Peaks, Places, between_cells, check_maps, find_peaks, strongest

PAIRS = 400_000  # at most, of all limbs: as many as 145 people of all joints have
CHUNK = 50_000  # pairs looked at in one go: bounds the memory, not the answer


@dataclass(frozen=True, slots=True)
class Layout:
    """Which joints a net's fields connect, and in which channels.

    The first `tree` limbs reach each joint once, from joints that were reached before or that start
    a body of their own. The others close circles: they give a person a joint that it lacks.
    """

    joints: int
    limbs: tuple[tuple[int, int], ...]
    channels: tuple[int, ...]  # of the fields' x components; y follows
    tree: int

    def __post_init__(self) -> None:
        ends = [end for _, end in self.limbs[: self.tree]]
        starts = [start for start, _ in self.limbs]
        for place, end in enumerate(ends):
            if end in ends[:place] or end in starts[: place + 1]:
                raise ValueError(f"limb {place} reaches joint {end} a second time: order the limbs")


BODY18 = Layout(
    18,
    (
        (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11),
        (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
    ),
    (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26),
    tree=17,
)  # fmt: skip
BODY25 = Layout(
    25,
    (
        (1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11),
        (8, 12), (12, 13), (13, 14), (1, 0), (0, 15), (15, 17), (0, 16), (16, 18), (14, 19),
        (19, 20), (14, 21), (11, 22), (22, 23), (11, 24), (2, 17), (5, 18),
    ),
    (
        0, 14, 22, 16, 18, 24, 26, 6, 2, 4, 8, 10, 12, 30, 32, 36, 34, 38, 40, 42, 44, 46, 48,
        50, 20, 28,
    ),
    tree=24,
)  # fmt: skip


class Limbs(NamedTuple):
    """Pairs of peaks, by their places in `Peaks`."""

    limb: Places  # [C], place in the layout
    a: Places  # [C]
    b: Places  # [C]
    score: Array  # [C], mean of the field along the pair


class Bodies(NamedTuple):
    """People as peaks."""

    peaks: Places  # [P, K], places in `Peaks`, -1 where there is none
    score: Array  # [P], sum over peaks and limbs
    parts: Places  # [P], how many peaks the tree reached


@dataclass(frozen=True, slots=True)
class Integral:
    """How a limb's field is read along a pair of peaks (Cao et al. 2017, Eq. 10-11)."""

    samples: int = 10
    least: float = 0.05  # of a sample, the field's component along the pair
    share: float = 0.8  # more of the samples than this must reach `least`

    @property
    def misses(self) -> int:
        """How many samples may fail."""
        return self.samples - math.floor(self.share * self.samples + 1e-9) - 1


def affordable(peaks: Peaks, layout: Layout, pairs: int = PAIRS) -> Peaks:
    """The strongest peaks of each part, of each part as many as there may be for at most so many
    pairs of all limbs together; all peaks where they make no more.
    """
    counts = np.bincount(peaks.part, minlength=layout.joints)
    from_, to = np.array(layout.limbs).T
    kept = np.minimum(counts, np.arange(counts.max() + 1)[:, None])  # [most of a part, K]
    made = (kept[:, from_] * kept[:, to]).sum(1)
    return strongest(peaks, int(np.searchsorted(made, pairs, side="right")) - 1)


def find_limbs(
    peaks: Peaks, fields: Array, layout: Layout, integral: Integral = Integral()
) -> Limbs:
    """Fields [2L,H,W] -> the pairs of peaks that belong together, ordered by limb, best first."""
    limb, a, first, second = _rows(peaks.part, layout)
    counts, found = second - first, []
    ends = np.cumsum(counts)

    start = 0
    while start < len(a):  # one round, except in crowds of thousands of pairs
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + CHUNK, side="right")))
        rows = np.repeat(np.arange(start, stop), counts[start:stop])
        b = np.arange(len(rows)) - (ends - counts)[rows] + done + first[rows]
        found.append(_scored(peaks, fields, layout, integral, Limbs(limb[rows], a[rows], b, b)))
        start = stop
    if not found:
        none = np.zeros(0, np.intp)
        return Limbs(none, none, none, np.zeros(0, np.float32))

    limbs = Limbs(*(np.concatenate(column) for column in zip(*found, strict=True)))
    return _matched(limbs, len(peaks.x))


def _rows(part: Places, layout: Layout) -> tuple[Places, Places, Places, Places]:
    """For each limb and each peak of its first joint: limb, peak, and the range of peaks of its
    second joint, all [R].
    """
    counts = np.bincount(part, minlength=layout.joints)
    starts = np.cumsum(counts) - counts
    from_, to = np.array(layout.limbs).T

    rows = counts[from_]
    limb = np.repeat(np.arange(len(from_)), rows)
    a = np.arange(len(limb)) - (np.cumsum(rows) - rows)[limb] + starts[from_][limb]
    first = starts[to][limb]
    return limb, a, first, first + counts[to][limb]


def _scored(peaks: Peaks, fields: Array, layout: Layout, integral: Integral, pairs: Limbs) -> Limbs:
    """The pairs that enough samples support, with the mean of those samples."""
    _, height, width = fields.shape
    flat, size = fields.ravel(), height * width
    base = (np.array(layout.channels) * size)[pairs.limb]
    base += (peaks.y * width + peaks.x)[pairs.a]
    dx, dy = ((at[pairs.b] - at[pairs.a]).astype(np.float32) for at in (peaks.x, peaks.y))
    length = np.maximum(np.sqrt(dx * dx + dy * dy), np.float32(1e-9))
    steps = np.linspace(0, 1, integral.samples, dtype=np.float32)[:, None]

    def read(some: Places | slice, at: Array) -> Array:
        """Samples [n,1] of the pairs [m] -> the field's component along the pair [n,m]."""
        along_x, along_y = dx[some], dy[some]
        shift = np.rint(along_y * at) * np.float32(width) + np.rint(along_x * at)
        cell = shift.astype(np.intp) + base[some]
        along = flat.take(cell) * along_x + flat.take(cell + size) * along_y
        return along / length[some]

    probes = steps[np.linspace(1, integral.samples - 2, integral.misses + 2).astype(int)]
    reached = read(slice(None), probes) > integral.least
    some = np.flatnonzero(reached.sum(0) >= len(probes) - integral.misses)

    values = read(some, steps)
    reached = values > integral.least
    number = reached.sum(0)
    score = np.where(reached, values, 0).sum(0) / np.maximum(number, 1)
    kept = (number >= integral.samples - integral.misses) & (score > 0)
    some = some[kept]
    return Limbs(pairs.limb[some], pairs.a[some], pairs.b[some], score[kept])


def _matched(limbs: Limbs, peaks: int) -> Limbs:
    """Greedy bipartite matching of every limb: best pair first, each peak once per limb.

    A pair that is the best left of both its peaks is taken in any case, so all such pairs are
    taken in one round; few rounds are enough.
    """
    order = np.argsort(-limbs.score, kind="stable")
    limb, a, b, score = (column[order] for column in limbs)
    key_a, key_b = limb * peaks + a, limb * peaks + b
    best_a, best_b = np.empty((2, (int(limb.max(initial=-1)) + 1) * peaks), np.intp)

    left, taken = np.arange(len(order)), []
    while len(left):
        best_a[key_a[left[::-1]]] = left[::-1]  # the last one written is the best
        best_b[key_b[left[::-1]]] = left[::-1]
        now = left[(best_a[key_a[left]] == left) & (best_b[key_b[left]] == left)]
        taken.append(now)

        best_a[key_a[now]] = best_b[key_b[now]] = -1
        left = left[(best_a[key_a[left]] >= 0) & (best_b[key_b[left]] >= 0)]

    every = np.sort(np.concatenate(taken)) if taken else left
    every = every[np.argsort(limb[every], kind="stable")]
    return Limbs(limb[every], a[every], b[every], score[every])


def assemble(
    peaks: Peaks, limbs: Limbs, layout: Layout, *, least_parts: int = 3, least_score: float = 0.2
) -> Bodies:
    """Limbs that share a peak are one person; people of fewer than `least_parts` peaks or of a
    score per peak below `least_score` are dropped. In the order in which limbs found them.
    """
    in_tree = limbs.limb < layout.tree
    a, b = limbs.a[in_tree], limbs.b[in_tree]

    root = np.arange(len(peaks.x))  # the tree's limbs reach a peak once: follow them back
    root[b] = a
    while not np.array_equal(further := root[root], root):
        root = further

    first = np.unique(root[a], return_index=True)
    roots = first[0][np.argsort(first[1])]
    person = np.full(len(root), -1)
    person[roots] = np.arange(len(roots))
    members = np.unique(np.concatenate([a, b]))
    whose = person[root[members]]

    table = np.full((len(roots), layout.joints), -1)
    table[whose, peaks.part[members]] = members
    parts = np.bincount(whose, minlength=len(roots))
    score = np.bincount(whose, peaks.score[members], len(roots))
    score += np.bincount(person[root[a]], limbs.score[in_tree], len(roots))

    _close(table, limbs, layout, len(root))
    kept = (parts >= least_parts) & (score >= least_score * parts)
    return Bodies(table[kept], score[kept], parts[kept])


def _close(table: Places, limbs: Limbs, layout: Layout, peaks: int) -> None:
    """Limbs beyond the tree give people a joint that they lack; in place."""
    for place in range(layout.tree, len(layout.limbs)):
        here = limbs.limb == place
        from_, to = layout.limbs[place]
        a, b = limbs.a[here], limbs.b[here]

        for one, other, start, end in ((from_, to, a, b), (to, from_, b, a)):
            partner = np.full(peaks, -1)
            partner[start] = end
            lacking = (table[:, other] < 0) & (table[:, one] >= 0)
            table[lacking, other] = partner[table[lacking, one]]


def group(
    heatmaps: Array, fields: Array, layout: Layout, integral: Integral = Integral()
) -> tuple[Array, Array]:
    """Maps [K,H,W] or [K+1,H,W] (with the background), fields [2L,H,W] -> keypoints [P,K,3] in
    cells, scores [P] in [0,1].

    Joints without a peak are zeros. A person's score is the mean of its peaks and limbs. Of a
    part, the 500 strongest peaks count; fewer where all parts have so many that they would make
    more than PAIRS pairs. Raises ModelError for maps of another layout or size and for values that
    are not finite.
    """
    check_maps(heatmaps, layout.joints + (len(heatmaps) == layout.joints + 1), "confidence maps")
    check_maps(fields, 2 * len(layout.limbs), "part affinity fields")
    if heatmaps.shape[1:] != fields.shape[1:]:
        raise ModelError(
            f"confidence maps are {list(heatmaps.shape[1:])}, part affinity fields "
            f"{list(fields.shape[1:])}: both must come from the same answer"
        )

    heatmaps = heatmaps[: layout.joints]
    peaks = affordable(find_peaks(heatmaps), layout)
    bodies = assemble(peaks, find_limbs(peaks, fields, layout, integral), layout)

    some = np.column_stack([between_cells(heatmaps, peaks), peaks.score])
    some = np.concatenate([some, np.zeros((1, 3))])  # the place -1: no peak
    mean = bodies.score / (2 * bodies.parts - 1)
    return some[bodies.peaks].astype(np.float32), np.clip(mean, 0, 1).astype(np.float32)
