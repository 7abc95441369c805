"""Tracking as Simple Baselines does it (Xiao et al. 2018, section 3): poses are carried from frame
to frame by optical flow, and people are linked to them greedily.

Two ideas. A person whom the detector misses is looked for where the flow has carried the last pose
(`carried`: boxes around the carried joints, 15 % larger). And two poses of different frames are
compared after the flow has brought the older one to the newer frame: their OKS says who is who. The
most alike pair is linked first, then the next (greedy matching); who is like nobody gets a new id.
The last `queue` frames in which each id was seen take part, so that somebody may be hidden shortly.

The paper's flow is a network's; ours is that of Lucas and Kanade (1981; in pyramids, Bouguet 2001)
at the joints. A joint that cannot be followed goes as the person's others do. There is no motion
model, no appearance, and no second chance for low scores: this is the baseline that `Tracker` is
measured against.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry import Array, area, oks
from ..media.clock import Films
from ..people import Frame, Image, People
from ..skeletons import BOX

QUEUE = 10  # frames
ALIKE = 0.3  # least OKS of two poses of one person
GROWN = 0.15  # of the joints' extent, to each side: the box of a carried pose
BELIEF = 0.5  # share of its last score that a carried box keeps, so that detections win
WINDOW, LEVELS = 21, 3  # of the flow: pixels, halvings


class Propagation:
    """Gives people ids: 1, 2, 3 … in the order of their appearance. first: the first id."""

    def __init__(self, *, queue: int = QUEUE, alike: float = ALIKE, first: int = 1) -> None:
        self.queue, self.alike, self._next = queue, alike, first
        self._grey: Any = None  # of the last picture
        self._films, self._film = Films(), ""
        self._forget()

    def __call__(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Frames with people -> the same frames, in order, with ids."""
        try:
            for frame in frames:
                self.carried(frame)
                yield self.track(frame)
        finally:
            if isinstance(frames, Generator):
                frames.close()

    def carried(self, frame: Frame) -> People:
        """Boxes of the people of the last frames, where the flow to this one has carried them; to
        be called once for each frame, before `track`. Another film forgets everybody.
        """
        film = self._films(frame.source, frame.index)
        if film != self._film:
            self._forget()
            self._film = film
        grey: Any = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        if self._grey is not None and self._grey.shape == grey.shape and len(self._ids):
            self._poses = flowed(self._grey, grey, self._poses)
        self._grey = grey
        return People.from_boxes(around(self._poses), BELIEF * self._scores)

    def track(self, frame: Frame) -> Frame:
        """The frame with its people's ids."""
        people, core = frame.people, frame.people.core
        sigmas, areas = core.skeleton.sigmas, area(people.boxes)
        if not len(self._ids):
            self._poses = np.zeros((0, len(core.skeleton), 3), np.float32)
        likeness = np.zeros((len(people), 0))
        if people.skeleton != BOX and len(self._ids):
            likeness = oks(core.keypoints, self._poses, areas, sigmas)
        ids = np.zeros(len(people), np.int64)
        for person, known in greedy(likeness, self.alike):
            ids[person] = self._ids[known]
        new = ids == 0
        ids[new] = np.arange(self._next, self._next + new.sum())
        self._next += int(new.sum())
        self._remember(people, ids)
        return replace(frame, people=replace(people, ids=ids))

    def _remember(self, people: People, ids: NDArray[np.int64]) -> None:
        """These people as they are now; the others as carried, for `queue` frames in all."""
        self._ages = self._ages + 1
        kept = ~np.isin(self._ids, ids) & (self._ages < self.queue)
        self._ids = np.concatenate([ids, self._ids[kept]])
        self._ages = np.concatenate([np.zeros(len(ids), int), self._ages[kept]])
        self._scores = np.concatenate([people.scores, self._scores[kept]])
        self._poses = np.concatenate([people.core.keypoints, self._poses[kept]])

    def _forget(self) -> None:
        self._grey = None
        self._ids = np.zeros(0, np.int64)
        self._ages = np.zeros(0, int)
        self._scores = np.zeros(0, np.float32)
        self._poses = np.zeros((0, 1, 3), np.float32)


def flowed(before: Image, after: Image, poses: Array) -> Array:
    """Two grey pictures [H, W], poses [N, K, 3] on the first -> the same on the second, by the flow
    at each joint.
    """
    if not len(poses):
        return poses
    points = poses[..., :2].reshape(-1, 1, 2).astype(np.float32)
    begun: Any = points.copy()
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, begun, winSize=(WINDOW, WINDOW), maxLevel=LEVELS
    )
    steps = (moved - points).reshape(*poses.shape[:2], 2)
    height, width = before.shape[:2]
    inside = ((points >= 0) & (points < [width, height])).reshape(*poses.shape[:2], 2).all(-1)
    known = inside & (found.reshape(poses.shape[:2]) > 0)
    steps = np.where(known[..., None], steps, np.nan)
    usual = np.zeros((len(poses), 1, 2), np.float32)
    some = known.any(1)
    usual[some, 0] = np.nanmedian(steps[some], axis=1)
    steps = np.where(known[..., None], steps, usual)
    return np.concatenate([poses[..., :2] + steps, poses[..., 2:]], -1).astype(np.float32)


def around(poses: Array) -> Array:
    """[N, K, 3] -> boxes [N, 4] around the joints, `GROWN` larger to each side."""
    if not poses.size:
        return np.zeros((len(poses), 4), np.float32)
    low, high = poses[..., :2].min(1), poses[..., :2].max(1)
    margin = GROWN * (high - low)
    return np.concatenate([low - margin, high + margin], -1)


def greedy(likeness: Array, least: float) -> list[tuple[int, int]]:
    """[N, M] -> pairs (n, m), the most alike first, each row and column once, from `least`."""
    pairs: list[tuple[int, int]] = []
    left = np.array(likeness, np.float64)
    while left.size and left.max() >= least:
        n, m = (int(index) for index in np.unravel_index(left.argmax(), left.shape))
        pairs.append((n, m))
        left[n], left[:, m] = -1, -1
    return pairs
