"""The people that a tracker knows of, one row each: where they are, and all that is remembered."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from .gallery import Known
from .motion import Motion, boxes, size
from .observation import Observation

LEARNING = 0.2  # share of the present frame in the remembered scores and looks
EDGE = 0.1  # of a box's width: nearer to the left or right edge, people may come in or go out


@dataclass(slots=True, eq=False)
class Tracks:
    """One row per track; those of id 0 have no id yet."""

    motion: Motion
    ids: NDArray[np.int64]
    hits: NDArray[np.int64]
    misses: NDArray[np.int64]  # frames since last seen
    seen: Array  # [T] seconds, by the tracker's clock, when last seen
    joints: Array  # [T, K] scores
    boxes: Array  # [T] scores
    looks: Array  # [T, D]
    kinds: NDArray[np.str_]  # [T] categories, as last seen

    @classmethod
    def starting(cls, seen: Observation, *, now: float) -> Tracks:
        """A track of each person, without an id. now: by the tracker's clock."""
        ids, hits, misses = np.zeros((3, len(seen)), np.int64)
        motion, times = Motion.starting(seen.points, seen.variances), np.full(len(seen), now)
        scores = seen.joints, seen.box_scores
        return cls(motion, ids, hits, misses, times, *scores, seen.looks, seen.kinds)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: NDArray[Any]) -> Tracks:
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def joined(self, other: Tracks) -> Tracks:
        both = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in _COLUMNS[1:]
        }
        return Tracks(self.motion.joined(other.motion), **both)

    def correct(
        self, rows: NDArray[np.intp], seen: Observation, *, now: float, detected: bool
    ) -> None:
        """Correct some tracks by the people assigned to them; all others have missed a frame.
        now: by the tracker's clock. detected: a detector looked for everybody.
        """
        # Without a detection, tracks without an id were not looked for.
        self.misses += detected | (self.ids > 0)
        self.misses[rows] = 0
        self.seen[rows] = now
        whole = len(rows) == len(self) and bool((rows == np.arange(len(rows))).all())
        if whole:  # the usual case needs no copies
            self.motion = self.motion.corrected(seen.points, seen.variances)
        else:
            corrected = self.motion[rows].corrected(seen.points, seen.variances)
            self.motion = self.motion.replaced(rows, corrected)

        self.joints[rows] += LEARNING * (seen.joints - self.joints[rows])
        self.boxes[rows] += LEARNING * (seen.box_scores - self.boxes[rows])
        self.kinds = self.kinds.astype(np.result_type(self.kinds, seen.kinds))
        self.kinds[rows] = seen.kinds
        if seen.looks.shape[1]:
            before = self.looks[rows]
            share = np.where(before.any(1, keepdims=True), LEARNING, 1.0)
            self.looks[rows] = units(before + share * (seen.looks - before))

    def known(self, width: float) -> Known:
        """What is remembered of them when they end; width: of the picture."""
        points = self.motion.position
        places = points[:, 0], size(points), inside(boxes(points), width)
        return Known(self.ids, self.seen, self.looks, *places)


_COLUMNS = tuple(field.name for field in fields(Tracks))


def inside(boxes: Array, width: float) -> NDArray[np.bool_]:
    """[N, 4] xyxy -> [N]: away from the left and the right edge of a picture."""
    margin = EDGE * (boxes[:, 2] - boxes[:, 0])
    return (boxes[:, 0] > margin) & (boxes[:, 2] < width - 1 - margin)


def units(vectors: Array) -> Array:
    """[N, D] -> [N, D] of length 1; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
