"""A second finder beside the detector: people whom the detector missed, and who were seen by a
method that looks for joints first, get a box, and so a pose.

After the hybrid of Li et al. (2018/19), whose bottom-up joints and top-down boxes are evaluated
together. Here the detector decides about everybody that it has found, as it would alone; the other
method's people count only where their joints are mostly in nobody's box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from .. import geometry, schedule
from ..geometry import Array
from ..method import BoxFinder, Method, Stage, enough
from ..people import Frame, People
from ..runtime import Session
from .orientation import UNKNOWN

MARGIN = 0.1  # of the extent of the joints, to each side of a box
TAKEN = 0.3  # share of a person's joints in one box of the detector's, from which it is that person


@dataclass(frozen=True, slots=True)
class SecondChance(BoxFinder):
    """A finder of boxes: those of `finder`, and those of people of `other` that it missed."""

    finder: Method
    other: Method

    @property
    def sessions(self) -> Mapping[str, Session]:
        more = {f"second {part}": session for part, session in self.other.sessions.items()}
        return {**self.finder.sessions, **more}

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (*self.finder.stages, Stage("finding people missed", self._add, enough(1)))

    def _add(self, frames: list[Frame]) -> list[Frame]:
        blank = [replace(frame, people=People.empty(self.skeleton)) for frame in frames]
        seen = schedule.at_once(self.other.stages, blank)
        return [
            replace(frame, people=joined(frame.people, more.people, frame.size))
            for frame, more in zip(frames, seen, strict=True)
        ]


def joined(found: People, seen: People, size: tuple[int, int]) -> People:
    """Boxes that were found, people with joints that were seen, in a picture of `size` (width,
    height) -> all boxes, the most confident first.
    """
    missed = seen[share_inside(seen.keypoints, found.boxes).max(1, initial=0) < TAKEN]
    boxes = geometry.box_around(missed.keypoints)
    margin = MARGIN * (boxes[:, 2:] - boxes[:, :2])
    boxes = geometry.clip(np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], 1), *size)
    more = People.from_boxes(boxes, missed.scores)
    if found.turns is not None:  # nobody has asked how they lie
        more = replace(more, turns=np.full((len(more), 4), UNKNOWN, np.float32))
    return People.concatenate([found, more]).by_score() if len(more) else found


def share_inside(keypoints: Array, boxes: Array) -> Array:
    """Joints [N, K, 3], boxes [M, 4] -> [N, M]: which share of each person's joints that score
    above 0 is in each box.
    """
    points, seen = keypoints[:, None, :, :2], keypoints[:, None, :, 2] > 0
    inside = (points >= boxes[:, None, :2]).all(-1) & (points <= boxes[:, None, 2:]).all(-1)
    return (inside & seen).sum(2) / np.maximum(seen.sum(2), 1)
