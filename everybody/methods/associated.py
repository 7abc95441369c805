"""People who overlap are judged together: every peak of their maps is a candidate, and each
candidate goes to one person. Bottom-up joints and top-down boxes, evaluated together: Li, Zhou et
al. 2018 (arXiv 1807.09972) group joints within the boxes of people; Li, Wang et al. 2019
(CrowdPose, arXiv 1812.00324) match the joints of all boxes with all people at once, as is done
here.

A box that holds two people gives maps with peaks on both. Alone, each box takes the highest peak,
so two boxes may take one person's joint. Here the peaks of all boxes that overlap are gathered;
peaks of one joint that lie as near to each other as labels of one place do are one node of a
graph. An edge from a person to a node weighs what the person's own map says there, and the edges
of the largest sum, of which no two share a person or a node, say whose joint is where.

The published network is trained to mark the joints of others, too, more faintly; any network of
heatmaps does so a little, and can be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components

from .. import geometry
from ..codecs.heatmap import Heatmap
from ..errors import OptionError
from ..geometry import Array
from ..people import Frame, People
from ..runtime import Session
from .conditioned import OVERLAP, with_poses
from .orientation import trunks
from .sppe import LookingAgain

NEAR = 2.0  # OKS sigmas of the smaller person: peaks nearer to each other are one place
FILLED = 0.53  # area of a person, of its box

Candidates = list[list[Array]]  # of each person, of each joint: peaks [M, 3] in picture pixels


@dataclass(frozen=True, slots=True)
class Associated(LookingAgain):
    """A `Poser`: what `poser` found; people who overlap by more than `overlap` (IoU) are looked at
    again by `stage`, for all peaks. Scores of people stay those of the first look.
    """

    overlap: float = OVERLAP

    def __post_init__(self) -> None:
        LookingAgain.__post_init__(self)
        if not isinstance(self.stage.codec, Heatmap):
            raise OptionError(
                f"{self.stage.session.path}: has no heatmaps, whose peaks people who overlap could "
                "share out: leave --associate out, or choose a model with codec heatmap"
            )

    @property
    def sessions(self) -> Mapping[str, Session]:
        return self.poser.sessions

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        return [self._shared_out(frame) for frame in self.poser(frames)]

    def _shared_out(self, frame: Frame) -> Frame:
        people = frame.people
        for rows in groups(people.boxes, self.overlap):
            some = people[rows]
            turns = np.nan_to_num(trunks(some)).round()
            seen = self.stage.candidates([frame.image] * len(rows), some.boxes, turns)
            people = with_poses(people, rows, shared_out(some, seen))
        return replace(frame, people=people)


def groups(boxes: Array, overlap: float) -> list[NDArray[np.intp]]:
    """Boxes [N, 4] of one picture -> the rows of those who overlap (IoU), directly or by others."""
    if len(boxes) < 2:
        return []
    near = geometry.iou(boxes, boxes) > overlap
    count, label = connected_components(near, directed=False)
    found = (np.flatnonzero(label == number) for number in range(count))
    return [rows for rows in found if len(rows) > 1]


def shared_out(people: People, candidates: Candidates) -> Array:
    """N people who overlap, and the candidates of each -> keypoints [N, K, 3]: each candidate is
    one person's. Who is left without one keeps the joint that it had.
    """
    keypoints = people.keypoints.copy()
    sides = people.boxes[:, 2:] - people.boxes[:, :2]
    size = np.sqrt(FILLED * sides.prod(1).min())
    reach = NEAR * size * np.array(people.skeleton.sigmas)
    for joint, radius in enumerate(reach.tolist()):
        own = [peaks[joint] for peaks in candidates]
        peaks = np.concatenate(own)
        person = np.repeat(np.arange(len(own)), [len(some) for some in own])
        node = nodes(peaks, radius)

        weight = np.zeros((len(own), node.max(initial=-1) + 1))
        np.maximum.at(weight, (person, node), peaks[:, 2])
        for who, where in zip(*linear_sum_assignment(weight, maximize=True), strict=True):
            mine = np.flatnonzero((person == who) & (node == where))
            if len(mine):
                keypoints[who, joint] = peaks[mine[peaks[mine, 2].argmax()]]
    return keypoints


def nodes(peaks: Array, radius: float) -> NDArray[np.intp]:
    """Peaks [M, 3] -> [M]: which place each is; the strongest of a place is its middle."""
    found, count = np.full(len(peaks), -1), 0
    for first in np.argsort(-peaks[:, 2], kind="stable"):
        if found[first] < 0:
            away = np.hypot(*(peaks[:, :2] - peaks[first, :2]).T)
            found[(away <= radius) & (found < 0)] = count
            count += 1
    return found
