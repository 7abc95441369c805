"""Feet, face and neck in space: the joints of H36M29 that the lifter does not know, put onto the 17
that it does, which stay what they are.

Feet and the head are rigid parts (`rigid.turned`) whose points are seen in the picture. Where that
does not tell how one is turned, it lies as it usually does: feet in the plane in which the leg
bends, heads straight ahead. The neck lies between the shoulders and the middle of the ears.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import Array
from ..people import Poses3D
from ..skeletons import H36M17, H36M29, HALPE26, Skeleton, mapping
from .anatomy import FACE, HEIGHT
from .rigid import turned
from .rotations import about

SIDES = ("left", "right")
# A left foot from its ankle, in heights of the body: forward along the sole, to the left, up. It is
# .152 long, .055 wide and its ankle .039 high (Drillis and Contini 1966); the tip of the big toe is
# .115 from the ankle, as CMU's is, and the small toe ends at four fifths of the length.
FOOT = {
    "ankle": (0.0, 0.0, 0.0),
    "heel": (-0.044, 0.0, -0.039),
    "big_toe": (0.108, 0.0, -0.039),
    "small_toe": (0.078, 0.028, -0.039),
}
# Degrees of a foot's mean turn against its shin, of CMU's subjects that the lifter has learnt from:
# the toes up from a right angle, and outward.
LIFTED, OUTWARD = 17.0, 7.0
# How many degrees parts usually turn from that about their axes forward, left and up. Feet: the
# same subjects, but their joints do not tell how soles tilt sideways: of the 55 degrees between the
# extremes (Boone and Azen 1979) a bit more than a fifth. Heads of CMU turn by 20 from where the
# shoulders look, and other people look around more; they tilt by what the lifter is off.
FOOT_TURNS = (12.0, 17.0, 13.0)
HEAD_TURNS = (15.0, 15.0, 40.0)
STRAIGHT = 0.3  # sine of the bend of a knee at which the hips tell as much of where a leg looks
NECK = 0.4  # of the way from shoulders to ears: as everybody-accurate sees people of coco_train
# How far off a joint in 2D may be along each axis, in heights of the body, where its score is 1:
# faces as `train/joint_errors.py` says of our networks, feet as ankles of people of coco_train and
# LSP-extended train whom the second head did not learn from; and with which power of the score that
# grows.
FACE_DOUBT, FOOT_DOUBT = 0.008, 0.016
DOUBTFUL = -1.5
LEAST = 0.02  # score: one that is lower says no less

_AT = {name: k for k, name in enumerate(H36M17.joints)}
_SEEN = {name: k for k, name in enumerate(HALPE26.joints)}


@dataclass(frozen=True, slots=True)
class Part:
    """A rigid part: the joint of H36M17 on which it hangs, its points by the names of HALPE26, in
    heights of the body, how far it usually turns, in degrees, and how far off its points are seen.
    """

    hangs: str
    points: dict[str, tuple[float, ...]]
    turns: tuple[float, float, float]
    doubt: float


def _foot(side: str) -> Part:
    sign = 1 if side == "left" else -1
    points = {f"{side}_{name}": (x, sign * y, z) for name, (x, y, z) in FOOT.items()}
    return Part(f"{side}_ankle", points, FOOT_TURNS, FOOT_DOUBT)


def _head() -> Part:
    points = {
        name: (forward / HEIGHT, left / HEIGHT, up / HEIGHT)
        for name, (left, up, forward) in FACE.items()
    }
    return Part("upper_neck", points, HEAD_TURNS, FACE_DOUBT)


PARTS = (*map(_foot, SIDES), _head())
_MOST = max(len(part.points) for part in PARTS)


def tells_feet(skeleton: Skeleton) -> bool:
    """Whether people of this skeleton have feet, so that more than 17 of their joints are put into
    space.
    """
    known = mapping(skeleton, HALPE26).copied
    return any(f"{side}_{name}" in known for side in SIDES for name in FOOT if name != "ankle")


def with_further(frames: Sequence[Poses3D], points: Array, height: float) -> list[Poses3D]:
    """Frames of people of H36M17 before the camera, and rays and scores [N, 26, 3] of HALPE26, of
    all of them -> the same frames and people, of H36M29 and of that height.
    """
    joints = _joints(np.concatenate([poses.joints for poses in frames]), points, height)
    ends = np.cumsum([len(poses) for poses in frames])[:-1]
    return [
        replace(poses, joints=part, skeleton=H36M29)
        for poses, part in zip(frames, np.split(joints, ends), strict=True)
    ]


def _joints(body: Array, points: Array, height: float) -> Array:
    """Joints [N, 17, 4] of H36M17, rays and scores [N, 26, 3] -> joints [N, 29, 4] of H36M29. Those
    that are not seen are zeros, with their score.
    """
    joints = np.zeros((len(body), len(H36M29), 4), np.float32)
    joints[:, : len(H36M17)] = body
    body, points = body[..., :3].astype(np.float64), points.astype(np.float64)
    scores = {name: points[:, k, 2] for name, k in _SEEN.items()}
    for side in SIDES:  # a foot hangs on its ankle
        for name in FOOT:
            scores[f"{side}_{name}"] = np.minimum(scores[f"{side}_{name}"], scores[f"{side}_ankle"])
    for name, places in _places(body, points, height).items():
        k, known = H36M29.joints.index(name), scores[name] > 0
        joints[known, k, :3] = places[known]
        joints[known, k, 3] = scores[name][known]
    return joints


def _places(body: Array, points: Array, height: float) -> dict[str, Array]:
    """Joints [N, 17, 3] in metres, rays and scores [N, 26, 3] -> by name, where joints are [N, 3],
    be they seen or not.
    """
    count = len(body)
    shapes = np.zeros((len(PARTS), count, _MOST, 3))
    rays, trust = np.zeros((*shapes.shape[:3], 2)), np.zeros(shapes.shape[:3])
    for n, part in enumerate(PARTS):
        seen, some = [_SEEN[name] for name in part.points], slice(len(part.points))
        shapes[n, :, some] = height * np.array(list(part.points.values()))
        rays[n, :, some] = points[:, seen, :2]
        trust[n, :, some] = _trust(points[:, seen, 2], height * part.doubt)
    base = np.stack([body[:, _AT[part.hangs]] for part in PARTS])
    axes = np.stack([*(foot_axes(body, side) for side in SIDES), head_axes(body)])
    spread = np.repeat(np.radians([part.turns for part in PARTS])[:, None], count, 1)

    arrays = (base, axes, shapes, rays, trust, spread)
    found = turned(*(array.reshape(-1, *array.shape[2:]) for array in arrays))
    found = found.reshape(shapes.shape)
    out = {
        name: found[n, :, k] for n, part in enumerate(PARTS) for k, name in enumerate(part.points)
    }
    thorax, ears = body[:, _AT["thorax"]], body[:, _AT["upper_neck"]]
    out["neck"] = thorax + NECK * (ears - thorax)
    return {name: places for name, places in out.items() if name not in _AT}


def _trust(scores: Array, doubt: float) -> Array:
    """By metres that a sure joint may be off: 1/metre; 0 where the score is 0."""
    off = doubt * np.clip(scores, LEAST, 1) ** DOUBTFUL
    return np.where(scores > 0, 1 / off, 0)


def foot_axes(body: Array, side: str) -> Array:
    """Joints [N, 17, 3] of H36M17 -> [N, 3, 3]: where a foot on such a leg usually points: columns
    forward along the sole, left, up. The leg bends forward; the hips tell the side where it is
    straight.
    """
    hip, knee, ankle = (body[:, _AT[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
    up = _unit(knee - ankle)
    bends = np.cross(_unit(hip - knee), up)
    shin = _axes(bends + STRAIGHT * _unit(body[:, _AT["left_hip"]] - body[:, _AT["right_hip"]]), up)
    outward = OUTWARD if side == "left" else -OUTWARD
    return shin @ about("z", np.array([outward])) @ about("y", np.array([-LIFTED]))


def head_axes(body: Array) -> Array:
    """Joints [N, 17, 3] of H36M17 -> [N, 3, 3]: a head's axes forward, left, up that looks where
    the shoulders do.
    """
    shoulders = body[:, _AT["left_shoulder"]] - body[:, _AT["right_shoulder"]]
    return _axes(shoulders, _unit(body[:, _AT["head_top"]] - body[:, _AT["upper_neck"]]))


def _axes(left: Array, up: Array) -> Array:
    """About so to the left [N, 3], exactly so up [N, 3] -> columns forward, left, up [N, 3, 3]."""
    left = _unit(left - (left * up).sum(-1, keepdims=True) * up)
    return np.stack([np.cross(left, up), left, up], -1)


def _unit(ways: Array) -> Array:
    return ways / np.maximum(np.linalg.norm(ways, axis=-1, keepdims=True), 1e-9)
