"""A cascade of regressors (DeepPose, Toshev & Szegedy 2014, section 3.2): a poser around a poser.

The inner poser says where each joint is. The outer one looks again at a square around each of these
places, as wide as the person's diameter (left shoulder to right hip), at a higher resolution than
the first look had, and says where in it the joint is. Of its K answers only that of the joint it
looks at counts. Cascades nest: each stage is a poser around the one before.

How far the crop grows the square is the stage's own `padding`; the paper's σ. Scores stay those of
the first stage, because a regressor of coordinates has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import Array
from ..people import Frame, Image, People
from ..runtime import Session
from ..skeletons import Skeleton
from .sppe import LookingAgain

DIAMETER = ("left_shoulder", "right_hip")
# Least diameter, of the box's longer side: a trunk seen from its end has none.
LEAST = 0.2


@dataclass(frozen=True, slots=True)
class Cascade(LookingAgain):
    """A `Poser`: what `poser` found, each joint looked at again by `stage`."""

    @property
    def sessions(self) -> Mapping[str, Session]:
        earlier = dict(self.poser.sessions)
        number = 1 + sum(name.startswith("refine") for name in earlier)
        return earlier | {f"refine {number}": self.stage.session}

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        posed = self.poser(frames)
        return [replace(frame, people=self.refined(frame)) for frame in posed]

    def refined(self, frame: Frame) -> People:
        """A frame's people, their joints where the stage sees them."""
        people = frame.people
        count, joints = people.keypoints.shape[:2]
        boxes = joint_boxes(people.keypoints, people.boxes, self.skeleton)
        pictures: list[Image] = [frame.image] * (count * joints)
        found = self.stage.posed(pictures, boxes.reshape(-1, 4), np.zeros(count * joints))
        own = found.reshape(count, joints, joints, 3)[:, range(joints), range(joints)]
        places = np.concatenate([own[..., :2], people.keypoints[..., 2:]], -1)
        return replace(people, keypoints=places.astype(np.float32))


def diameters(keypoints: Array, boxes: Array, skeleton: Skeleton) -> Array:
    """[N, K, 3], [N, 4] -> [N]: left shoulder to right hip, at least `LEAST` of the box's longer
    side; half of that side for skeletons without these joints.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1, initial=0)
    if not set(DIAMETER) <= set(skeleton.joints):
        return sides / 2
    shoulder, hip = (skeleton.joints.index(name) for name in DIAMETER)
    trunk = np.hypot(*(keypoints[:, shoulder, :2] - keypoints[:, hip, :2]).T)
    return np.maximum(trunk, LEAST * sides)


def joint_boxes(keypoints: Array, boxes: Array, skeleton: Skeleton) -> Array:
    """[N, K, 3], [N, 4] -> [N, K, 4]: a square around each joint, the person's diameter wide."""
    half = diameters(keypoints, boxes, skeleton)[:, None, None] / 2
    return np.concatenate([keypoints[..., :2] - half, keypoints[..., :2] + half], -1)
