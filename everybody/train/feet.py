"""BlazePose teaches where heels and big toes are, on people whose joints are labelled.

A label of somebody else's network is worth what speaks for it (distillation by agreement,
Radosavovic et al. 2018): BlazePose looks three times, at a square about the labelled body with the
neck above the hips, at a larger one turned a little, and at the mirror image of the first. The
label is the mean of the three, weighted by how sure each was. It counts

    mean score · exp(-d² / 2 s²) · exp(-a² / 2 r²)

with d the spread of the three, s = `SPREAD` and r = `ANKLE` of the body's height, and a the
distance of its ankle from the labelled one. Feet without a labelled ankle are left unlabelled. What
people have labelled stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import geometry
from ..data.dataset import Array, Dataset
from ..media.images import decode
from ..methods.blazepose import LANDMARKS, Landmarks, squares
from ..people import Image
from ..skeletons import BLAZEPOSE33, BODY23
from .distill import ALMOST

TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
ANKLES = ("left_ankle", "right_ankle")
FEET = {  # the joint of BODY23, and what BlazePose calls it
    f"{side}_{own}": f"{side}_{theirs}"
    for side in ("left", "right")
    for own, theirs in (("heel", "heel"), ("big_toe", "foot_index"))
}
ROOM = 1.15  # radius of the circle, of the farthest labelled joint's distance from the hips
WIDER, TILT = 1.2, np.radians(12)  # of the second look
SPREAD, ANKLE = 0.02, 0.05  # of the body's height


def circles(keypoints: Array) -> tuple[Array, Array]:
    """People [N, 23, 3] with labelled trunks -> the middle of the hips [N, 2], and from there to
    the top of the circle about all labelled joints [N, 2].
    """
    left, right, left_hip, right_hip = (
        keypoints[:, BODY23.joints.index(name), :2] for name in TRUNK
    )
    hips = (left_hip + right_hip) / 2
    up = (left + right) / 2 - hips
    up /= np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-9)
    away = np.linalg.norm(keypoints[..., :2] - hips[:, None], axis=2)
    radius = ROOM * (away * (keypoints[..., 2] > 0)).max(1)
    return hips, up * radius[:, None]


def looks(hips: Array, up: Array) -> list[Array]:
    """[N, 2], [N, 2] -> the transforms [N, 2, 3] of the three looks to the network's crop."""
    cos, sin = WIDER * np.cos(TILT), WIDER * np.sin(TILT)
    tilted = up @ np.array([[cos, sin], [-sin, cos]])
    plain = squares(hips, hips + up, LANDMARKS.size)
    wider = squares(hips, hips + tilted, LANDMARKS.size)
    mirror = geometry.mirrored(plain, (LANDMARKS.size[0] - 1) / 2)
    return [np.asarray(look, np.float64) for look in (plain, wider, mirror)]


def agreed(views: Sequence[Array], truth: Array, height: Array) -> Array:
    """What each look has found [V × [N, 33, 3]], the labels [N, 23, 3] and the bodies' heights [N]
    -> the labels with heels and big toes, whose third value is how much they count.
    """
    seen = np.stack(views)  # [V, N, 33, 3]
    weight = seen[..., 2:] + 1e-6
    mean = (seen[..., :2] * weight).sum(0) / weight.sum(0)
    share = weight[..., 0] / weight[..., 0].sum(0)
    spread = (np.square(seen[..., :2] - mean).sum(-1) * share).sum(0)
    out = truth.copy()
    for own, theirs in FEET.items():
        ankle = f"{own.partition('_')[0]}_ankle"
        joint, place = BODY23.joints.index(own), BLAZEPOSE33.joints.index(theirs)
        labelled = truth[:, BODY23.joints.index(ankle)]
        away = np.square(mean[:, BLAZEPOSE33.joints.index(ankle)] - labelled[:, :2]).sum(-1)
        agree = np.exp(-spread[:, place] / (2 * np.square(SPREAD * height)))
        agree *= np.exp(-away / (2 * np.square(ANKLE * height))) * (labelled[:, 2] > 0)
        out[:, joint, :2] = mean[:, place]
        out[:, joint, 2] = (seen[..., place, 2].mean(0) * agree).clip(max=ALMOST)
    return out


def with_feet(labels: Dataset, teacher: Landmarks) -> Dataset:
    """Labels of any joints that BODY23 has -> BODY23, with heels and big toes where BlazePose is to
    be believed. People without a labelled trunk and ankle have none. A neck between the shoulders
    is no label: LSP's lies higher.
    """
    data = labels.to(BODY23)
    keypoints = data.keypoints.copy()
    if "neck" not in labels.skeleton.joints:
        keypoints[:, BODY23.joints.index("neck"), 2] = 0
    seen = {name: keypoints[:, BODY23.joints.index(name), 2] > 0 for name in (*TRUNK, *ANKLES)}
    whole = np.all([seen[name] for name in TRUNK], 0) & np.any([seen[name] for name in ANKLES], 0)
    for picture, rows in enumerate(data.rows()):
        rows = rows[whole[rows] & ~data.ignored[rows]]
        if len(rows):
            path = data.path(picture)
            image = decode(path.read_bytes(), str(path))
            keypoints[rows] = taught(image, keypoints[rows], teacher)
    return replace(data, keypoints=keypoints)


def taught(image: Image, truth: Array, teacher: Landmarks) -> Array:
    """A picture and people [N, 23, 3] on it with labelled trunks -> the same with feet."""
    hips, up = circles(truth)
    views: list[Any] = [
        teacher.look([image] * len(truth), matrices).keypoints for matrices in looks(hips, up)
    ]
    views[2] = views[2][:, list(BLAZEPOSE33.mirror)]
    return agreed(views, truth, 2 * np.linalg.norm(up, axis=1) / ROOM)
