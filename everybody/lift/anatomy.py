"""Where the joints of one format lie in another one, in space, and how tall a body is.

CMU's `neck` is where the shoulders hang (Human3.6M's thorax), its `head` lies between the ears
(upper neck), and it has no face: nose, eyes and ears are put around `head` by where the head looks,
at an adult's mean distances (Farkas 1994: the ears 15 cm apart, the pupils 6.5 cm). Its wrists lie
within the forearm, at another place in each subject: they are put where anatomy has them.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array
from ..skeletons import CMU24, COCO17, H36M17, Skeleton

# Joints of Human3.6M whose names or places CMU's bodies do not share: what they are the mean of.
H36M_OF_CMU = {
    "spine": ("spine", "chest"),
    "thorax": ("neck",),
    "upper_neck": ("head",),
}
# Metres from CMU's `head`: to the left, up, to where the head looks.
FACE = {
    "nose": (0.0, -0.03, 0.115),
    "left_eye": (0.0325, 0.01, 0.09),
    "right_eye": (-0.0325, 0.01, 0.09),
    "left_ear": (0.075, -0.01, 0.0),
    "right_ear": (-0.075, -0.01, 0.0),
}
FOREARM = 0.146 / 0.186  # by the upper arm (Drillis and Contini 1966)
# Standing height by the length of thigh, shin, trunk, neck and head together: the median of CMU's
# subjects, from their toes.
STATURE = 1.1
HEIGHT = 1.70  # metres, of people about whom nothing else is known
# Bones by the standing height, in the order of H36M17: the mean of CMU's subjects.
PROPORTIONS = np.array(
    (1, 0.086, 0.246, 0.268, 0.086, 0.246, 0.268, 0.108, 0.108, 0.119, 0.061, 0.120, 0.181, 0.142,
     0.120, 0.181, 0.142)
)  # fmt: skip

_CHAIN = (("pelvis", "spine"), ("spine", "thorax"), ("thorax", "upper_neck"))
_CHAIN += (("upper_neck", "head_top"),)
_LEGS = tuple((f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for a, b in
              (("hip", "knee"), ("knee", "ankle")))  # fmt: skip


def with_wrists(joints: Array) -> Array:
    """Joints [..., 24, 3] of CMU24 -> the same, the wrists at the ends of the forearms."""
    joints = joints.copy()
    for side in ("left", "right"):
        shoulder, elbow, wrist = (
            CMU24.joints.index(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist")
        )
        upper = joints[..., elbow, :] - joints[..., shoulder, :]
        lower = joints[..., wrist, :] - joints[..., elbow, :]
        wanted = FOREARM * np.linalg.norm(upper, axis=-1, keepdims=True)
        longer = wanted / np.maximum(np.linalg.norm(lower, axis=-1, keepdims=True), 1e-6)
        joints[..., wrist, :] = joints[..., elbow, :] + longer * lower
    return joints


def h36m_of_cmu() -> Array:
    """[17, 24]: rows of weights that make Human3.6M's joints of CMU's."""
    weights = np.zeros((len(H36M17), len(CMU24)))
    for k, name in enumerate(H36M17.joints):
        parts = H36M_OF_CMU.get(name, (name,))
        weights[k, [CMU24.joints.index(part) for part in parts]] = 1 / len(parts)
    return weights


def coco_of_cmu() -> Array:
    """[17, 27]: rows of weights that make COCO's joints of CMU's 24 and the head's three axes."""
    weights = np.zeros((len(COCO17), len(CMU24) + 3))
    for k, name in enumerate(COCO17.joints):
        if name in FACE:
            weights[k, CMU24.joints.index("head")] = 1
            weights[k, len(CMU24) :] = FACE[name]
        else:
            weights[k, CMU24.joints.index(name)] = 1
    return weights


def head_axes(joints: Array, forward: Array) -> Array:
    """Joints [..., 24, 3] of CMU24, where the head looks [..., 3] -> unit vectors [..., 3, 3]: to
    the head's left, up, forward.
    """
    head, top = (joints[..., CMU24.joints.index(name), :] for name in ("head", "head_top"))
    up = top - head
    up = up / np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-6)
    left = np.cross(up, forward)
    left = left / np.maximum(np.linalg.norm(left, axis=-1, keepdims=True), 1e-6)
    return np.stack([left, up, np.cross(left, up)], -2)


def bones(joints: Array, skeleton: Skeleton = H36M17) -> Array:
    """[..., K, 3] -> [..., K]: the length of the bone that ends at each joint; 0 at the root."""
    parents = np.array(skeleton.parents)
    lengths = np.linalg.norm(joints - joints[..., parents, :], axis=-1)
    return np.where(parents < 0, 0.0, lengths)


def stature(joints: Array) -> Array:
    """Poses [..., 17, 3] of H36M17 -> [...]: how tall each stands, by the lengths of its bones."""
    place = {name: k for k, name in enumerate(H36M17.joints)}

    def length(pairs: tuple[tuple[str, str], ...]) -> Array:
        a, b = ([place[pair[end]] for pair in pairs] for end in (0, 1))
        return np.linalg.norm(joints[..., a, :] - joints[..., b, :], axis=-1).sum(-1)

    return STATURE * (length(_CHAIN) + length(_LEGS) / 2)
