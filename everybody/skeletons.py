"""The keypoint formats of the field, as pure data, and the maps between them.

Joint names are shared by all formats, so that the same joint of two formats has the same name, and
what is copied, derived or missing from one format to another follows from the names alone
(`mapping`). Left and right are the person's.

OKS sigmas: COCO (Lin et al. 2014, and its keypoint evaluation page), CrowdPose (Li et al. 2019),
COCO-WholeBody (Jin et al. 2020), Halpe-26 (Fang et al. 2022, as published with Halpe-FullBody).
AP-10K (Yu et al. 2021) publishes its own. Formats that publish none (MPII, LSP, OpenPose,
BlazePose, H36M) take, joint by joint, the COCO value of the nearest joint; Animal-Pose (Cao et al.
2019) takes those with which others judge it: COCO's by the height at which a joint lies, .1 for
throat, withers and tail base.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """A keypoint format: pure data, one value per format (`everybody.skeletons`)."""

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    mirror: tuple[int, ...]  # joint k of a mirrored picture is joint mirror[k] of the picture
    sigmas: tuple[
        float, ...
    ]  # OKS fall-off per joint, relative to the square root of the person's area
    # The joint that each joint hangs on, -1 for the root; () where the format is no tree.
    parents: tuple[int, ...] = ()
    # How many joints, from the first on, decide: in which turn somebody is seen best, how surely,
    # and who is there twice. 0: all. The others are found on the way and change nothing of these.
    deciding: int = 0

    def __post_init__(self) -> None:
        count = len(self.joints)
        if not (len(self.mirror) == len(self.sigmas) == count):
            raise ValueError(
                f"skeleton '{self.name}': {count} joints need {count} mirror entries and sigmas, "
                f"got {len(self.mirror)} and {len(self.sigmas)}"
            )
        if self.parents and len(self.parents) != count:
            raise ValueError(
                f"skeleton '{self.name}': {count} joints need {count} parents, "
                f"got {len(self.parents)}"
            )
        if not 0 <= self.deciding <= count:
            raise ValueError(
                f"skeleton '{self.name}': of {count} joints {self.deciding} cannot decide"
            )

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def leading(self) -> slice:
        """The joints that decide."""
        return slice(self.deciding or None)

    @property
    def core(self) -> Skeleton:
        """The skeleton of the joints that decide alone: what trackers follow."""
        return _core(self)

    @property
    def fine(self) -> tuple[bool, ...]:
        """Which joints are points of a face or a hand within a whole body: closer together than
        others, and less sure.
        """
        parts = [joint.startswith("face_") or "_hand_" in joint for joint in self.joints]
        return tuple(part and not all(parts) for part in parts)

    def __repr__(self) -> str:
        return f"Skeleton({self.name})"

    @property
    def sides(self) -> tuple[str, ...]:
        """'left', 'right' or 'centre', per joint."""
        sides = []
        for joint, partner in enumerate(self.mirror):
            side = self.joints[joint].partition("_")[0]
            if side not in ("left", "right"):  # points of a face: its own right side first, mostly
                first = joint < partner if self.joints[joint] not in _LOWER_LIP else joint > partner
                side = "centre" if joint == partner else "right" if first else "left"
            sides.append(side)
        return tuple(sides)


@lru_cache(maxsize=64)
def _core(whole: Skeleton) -> Skeleton:
    count = whole.deciding
    if count in (0, len(whole)):
        return whole
    return Skeleton(
        name=f"{whole.name}'s {count}",
        joints=whole.joints[:count],
        limbs=tuple(limb for limb in whole.limbs if max(limb) < count),
        mirror=whole.mirror[:count],
        sigmas=whole.sigmas[:count],
    )


# A person that has been found but has no joints yet: what detectors return.
BOX = Skeleton(name="box", joints=(), limbs=(), mirror=(), sigmas=())


SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089, "head": 0.026, "head_top": 0.026, "neck": 0.026,
    "upper_neck": 0.026, "thorax": 0.079, "spine": 0.107, "pelvis": 0.066, "big_toe": 0.079,
    "small_toe": 0.079, "heel": 0.079, "mouth": 0.025, "eye_inner": 0.025, "eye_outer": 0.025,
    "pinky": 0.062, "index": 0.062, "thumb": 0.062, "foot_index": 0.079,
    "ball": 0.079, "toe": 0.079, "chest": 0.079, "hand": 0.062,
}  # fmt: skip

CROWDPOSE_SIGMAS = (
    0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079,
    0.079,
)  # fmt: skip
FOOT_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
FACE_SIGMAS = (
    0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020, 0.023, 0.029, 0.032, 0.037,
    0.038, 0.043, 0.041, 0.045, 0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013,
    0.015, 0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010, 0.017, 0.011, 0.009,
    0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034, 0.008, 0.008, 0.009, 0.008,
    0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007, 0.007, 0.008, 0.011, 0.008, 0.008,
    0.008, 0.010, 0.008,
)  # fmt: skip
HAND_SIGMAS = (
    0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024, 0.022, 0.026,
    0.017, 0.021, 0.021, 0.032, 0.020, 0.019, 0.022, 0.031,
)  # fmt: skip

# The 68 face points (iBUG order): which point a mirror puts in which place.
_FACE_MIRROR = (
    list(range(16, -1, -1))
    + list(range(26, 16, -1))
    + [27, 28, 29, 30]
    + list(range(35, 30, -1))
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    + [69, 68]  # the pupils, which OpenPose adds
)
# The contours of the lips go round: below, the person's left side comes first.
_LOWER_LIP = {f"face_{i}" for i in (55, 56, 57, 58, 59, 65, 66, 67)}
_FACE_CHAINS = (
    (0, 17), (17, 22), (22, 27), (27, 31), (31, 36), (36, 42), (42, 48), (48, 60), (60, 68),
)  # fmt: skip
_FACE_CLOSED = {36, 42, 48, 60}

_LIMBS = """
left_ankle-left_knee left_knee-left_hip right_ankle-right_knee right_knee-right_hip
left_shoulder-left_elbow left_elbow-left_wrist right_shoulder-right_elbow right_elbow-right_wrist
nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear
left_ankle-left_heel right_ankle-right_heel left_ankle-left_big_toe right_ankle-right_big_toe
left_big_toe-left_small_toe right_big_toe-right_small_toe
"""
_BOX_TORSO = (
    "left_shoulder-right_shoulder left_hip-right_hip left_shoulder-left_hip"
    " right_shoulder-right_hip"
)
_SPINE_TORSO = "neck-left_shoulder neck-right_shoulder neck-pelvis pelvis-left_hip pelvis-right_hip"


def _body(*, left_first: bool, parts: str) -> tuple[str, ...]:
    """Side by side: 'shoulder elbow' -> left_shoulder, right_shoulder, left_elbow, right_elbow."""
    sides = ("left", "right") if left_first else ("right", "left")
    return tuple(f"{side}_{part}" for part in parts.split() for side in sides)


def _sigma(joint: str) -> float:
    return SIGMAS[joint.removeprefix("left_").removeprefix("right_")]


def _mirror(joints: tuple[str, ...]) -> tuple[int, ...]:
    """The permutation that exchanges left and right: joints that have no partner stay."""
    place = {joint: index for index, joint in enumerate(joints)}
    partner = dict(place)
    for joint in joints:
        for side, other in (("left_", "right_"), ("right_", "left_")):
            if joint.startswith(side):
                partner[joint] = place[other + joint.removeprefix(side)]
        if joint.startswith("face_"):
            partner[joint] = place[f"face_{_FACE_MIRROR[int(joint[5:])]}"]
    return tuple(partner[joint] for joint in joints)


def _skeleton(
    name: str,
    joints: tuple[str, ...],
    limbs: str,
    sigmas: tuple[float, ...] | None = None,
    *,
    hands: bool = False,
    deciding: int = 0,
) -> Skeleton:
    place = {joint: index for index, joint in enumerate(joints)}
    pairs = [pair.split("-") for pair in limbs.split()]
    edges = [(place[a], place[b]) for a, b in pairs if a in place and b in place]
    if hands:
        for start, end in _FACE_CHAINS:
            chain = [place[f"face_{i}"] for i in range(start, end)]
            edges += zip(chain, chain[1:] + chain[:1] * (start in _FACE_CLOSED), strict=False)
        for side in ("left", "right"):
            wrist = place[f"{side}_wrist"]
            hand = [place.get(f"{side}_hand_{i}", wrist) for i in range(21)]
            edges += [(wrist, hand[0])] if hand[0] != wrist else []
            edges += [(hand[i - 1] if i % 4 != 1 else hand[0], hand[i]) for i in range(1, 21)]
    sigmas = sigmas or tuple(_sigma(joint) for joint in joints)
    return Skeleton(
        name=name,
        joints=joints,
        limbs=tuple(edges),
        mirror=_mirror(joints),
        sigmas=sigmas,
        deciding=deciding,
    )


_ARMS_AND_LEGS = "shoulder elbow wrist hip knee ankle"
_COCO = ("nose", *_body(left_first=True, parts="eye ear " + _ARMS_AND_LEGS))
_FEET = tuple(
    f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel")
)
_FACE = tuple(f"face_{i}" for i in range(68))
_HANDS = tuple(f"{side}_hand_{i}" for side in ("left", "right") for i in range(21))
_HALPE = (*_COCO, "head", "neck", "pelvis", *_body(left_first=True, parts="big_toe small_toe heel"))
_OPENPOSE_ARMS = (
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)
_OPENPOSE_LEGS = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
_OPENPOSE_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")
_LSP_LEGS = ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle")
_LSP_ARMS = (
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)

COCO17 = _skeleton(
    "coco-17", _COCO, _LIMBS + _BOX_TORSO + " left_ear-left_shoulder right_ear-right_shoulder"
)
CROWDPOSE14 = _skeleton(
    "crowdpose-14",
    (*_body(left_first=True, parts=_ARMS_AND_LEGS), "head_top", "neck"),
    _LIMBS + _BOX_TORSO + " head_top-neck neck-left_shoulder neck-right_shoulder",
    CROWDPOSE_SIGMAS,
)
MPII16 = _skeleton(
    "mpii-16",
    (*_LSP_LEGS, "pelvis", "thorax", "upper_neck", "head_top", *_LSP_ARMS),
    _LIMBS + " pelvis-left_hip pelvis-right_hip pelvis-thorax thorax-upper_neck upper_neck-head_top"
    " thorax-left_shoulder thorax-right_shoulder",
)
LSP14 = _skeleton(
    "lsp-14",
    (*_LSP_LEGS, *_LSP_ARMS, "neck", "head_top"),
    _LIMBS + " head_top-neck neck-left_shoulder neck-right_shoulder left_shoulder-left_hip"
    " right_shoulder-right_hip left_hip-right_hip",
)
# COCO's 17 decide, so that they are what they are alone.
HALPE26 = _skeleton("halpe-26", _HALPE, _LIMBS + _SPINE_TORSO + " head-neck", deciding=len(_COCO))
# What everybody's own networks answer for Halpe-26: its middle of the hips follows from the hips,
# and its small toes nobody teaches.
BODY23 = _skeleton(
    "body-23",
    (*_COCO, "head", "neck", *_body(left_first=True, parts="big_toe heel")),
    _LIMBS + _SPINE_TORSO + " head-neck",
    deciding=len(_COCO),
)
# Of whole bodies, the body and its feet decide: a hundred points of faces and hands, which may be
# turned away or hidden, say little about how surely somebody is there.
HALPE136 = _skeleton(
    "halpe-136",
    (*_HALPE, *_FACE, *_HANDS),
    _LIMBS + _SPINE_TORSO + " head-neck",
    tuple(_sigma(joint) for joint in _HALPE) + FACE_SIGMAS + HAND_SIGMAS * 2,
    hands=True,
    deciding=len(_HALPE),
)
WHOLEBODY133 = _skeleton(
    "wholebody-133",
    (*_COCO, *_FEET, *_FACE, *_HANDS),
    _LIMBS + _BOX_TORSO,
    tuple(_sigma(joint) for joint in _COCO) + FOOT_SIGMAS + FACE_SIGMAS + HAND_SIGMAS * 2,
    hands=True,
    deciding=len(_COCO) + len(_FEET),
)
OPENPOSE18 = _skeleton(
    "openpose-18",
    ("nose", "neck", *_OPENPOSE_ARMS, *_OPENPOSE_LEGS, *_OPENPOSE_FACE),
    _LIMBS + " nose-neck neck-left_shoulder neck-right_shoulder neck-left_hip neck-right_hip",
)
OPENPOSE25 = _skeleton(
    "openpose-25",
    ("nose", "neck", *_OPENPOSE_ARMS, "pelvis", *_OPENPOSE_LEGS, *_OPENPOSE_FACE, *_FEET),
    _LIMBS + _SPINE_TORSO + " nose-neck",
)
BLAZEPOSE33 = _skeleton(
    "blazepose-33",
    (
        "nose",
        *(
            f"{side}_{part}"
            for side in ("left", "right")
            for part in ("eye_inner", "eye", "eye_outer")
        ),
        *_body(
            left_first=True,
            parts="ear mouth shoulder elbow wrist pinky index thumb hip knee ankle heel foot_index",
        ),
    ),
    _LIMBS
    + _BOX_TORSO
    + " left_mouth-right_mouth left_wrist-left_thumb right_wrist-right_thumb left_wrist-left_index"
    " right_wrist-right_index left_index-left_pinky right_index-right_pinky"
    " left_heel-left_foot_index right_heel-right_foot_index",
)
H36M17 = replace(
    _skeleton(
        "h36m-17",
        (
            "pelvis",
            "right_hip",
            "right_knee",
            "right_ankle",
            "left_hip",
            "left_knee",
            "left_ankle",
            "spine",
            "thorax",
            "upper_neck",
            "head_top",
            "left_shoulder",
            "left_elbow",
            "left_wrist",
            "right_shoulder",
            "right_elbow",
            "right_wrist",
        ),
        _LIMBS + " pelvis-left_hip pelvis-right_hip pelvis-spine spine-thorax thorax-upper_neck"
        " upper_neck-head_top thorax-left_shoulder thorax-right_shoulder",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)

_CMU_LEG = ("hip", "knee", "ankle", "ball", "toe")
_CMU_ARM = ("shoulder", "elbow", "wrist", "hand")
CMU24 = replace(
    _skeleton(
        "cmu-24",
        (
            "pelvis",
            *(f"{side}_{part}" for side in ("left", "right") for part in _CMU_LEG),
            *("spine", "chest", "neck", "head", "head_top"),
            *(f"{side}_{part}" for side in ("left", "right") for part in _CMU_ARM),
        ),
        _LIMBS + " pelvis-left_hip pelvis-right_hip pelvis-spine spine-chest chest-neck neck-head"
        " head-head_top neck-left_shoulder neck-right_shoulder left_ankle-left_ball"
        " left_ball-left_toe right_ankle-right_ball right_ball-right_toe left_wrist-left_hand"
        " right_wrist-right_hand",
    ),
    parents=(-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 13, 16, 17, 18, 13, 20, 21, 22),
)

_FRONT_LEG, _BACK_LEG = ("shoulder", "elbow", "front_paw"), ("hip", "knee", "back_paw")
ANIMAL20 = Skeleton(
    name="animal-20",
    joints=(
        *("left_eye", "right_eye", "nose", "left_ear", "right_ear"),
        *(
            f"{side}_{pair}_{part}"
            for part in ("elbow", "knee", "paw")
            for pair in ("front", "back")
            for side in ("left", "right")
        ),
        *("throat", "withers", "tailbase"),
    ),
    limbs=(
        *((0, 1), (0, 2), (1, 2), (0, 3), (1, 4), (2, 17), (17, 18), (18, 19)),
        *((17, 5), (17, 6), (19, 7), (19, 8)),
        *((5, 9), (6, 10), (7, 11), (8, 12), (9, 13), (10, 14), (11, 15), (12, 16)),
    ),
    mirror=(1, 0, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 17, 18, 19),
    sigmas=(
        *(0.025, 0.025, 0.026, 0.035, 0.035),
        *(0.107,) * 4,
        *(0.087,) * 4,
        *(0.089,) * 4,
        *(0.1,) * 3,
    ),
)

AP10K17 = Skeleton(
    name="ap-10k-17",
    joints=(
        *("left_eye", "right_eye", "nose", "neck", "root_of_tail"),
        *(f"{side}_{part}" for side in ("left", "right") for part in _FRONT_LEG),
        *(f"{side}_{part}" for side in ("left", "right") for part in _BACK_LEG),
    ),
    limbs=(
        *((0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (5, 6), (6, 7), (3, 8), (8, 9), (9, 10)),
        *((4, 11), (11, 12), (12, 13), (4, 14), (14, 15), (15, 16)),
    ),
    mirror=(1, 0, 2, 3, 4, 8, 9, 10, 5, 6, 7, 14, 15, 16, 11, 12, 13),
    sigmas=(
        *(0.025, 0.025, 0.026, 0.035, 0.035),
        *(0.079, 0.072, 0.062) * 2,
        *(0.107, 0.087, 0.089) * 2,
    ),
)


def union(*formats: Skeleton) -> Skeleton:
    """The joints of several formats, each once by its name, for pictures of several kinds of
    bodies: what a body does not have scores 0 on it. Where formats differ about a joint, the first
    is right.
    """
    joints = tuple(dict.fromkeys(joint for one in formats for joint in one.joints))
    place = {joint: index for index, joint in enumerate(joints)}
    mirror, sigmas, limbs = list(range(len(joints))), [0.0] * len(joints), {}
    for one in reversed(formats):
        own = [place[joint] for joint in one.joints]
        for index, partner, sigma in zip(own, one.mirror, one.sigmas, strict=True):
            mirror[index], sigmas[index] = own[partner], sigma
    for one in formats:
        own = [place[joint] for joint in one.joints]
        limbs |= dict.fromkeys(tuple(sorted((own[a], own[b]))) for a, b in one.limbs)
    return Skeleton(
        name="+".join(one.name for one in formats),
        joints=joints,
        limbs=tuple(limbs),
        mirror=tuple(mirror),
        sigmas=tuple(sigmas),
    )


# Parts, as networks of a part answer them in its crop. Points 68 and 69 of a face are the pupils.
HAND21 = Skeleton(
    name="hand-21",
    joints=tuple(f"hand_{i}" for i in range(21)),
    limbs=tuple((i - 1 if i % 4 != 1 else 0, i) for i in range(1, 21)),
    mirror=tuple(range(21)),
    sigmas=HAND_SIGMAS,
)
_FACE_70 = tuple(f"face_{i}" for i in range(70))
FACE70 = Skeleton(
    name="face-70",
    joints=_FACE_70,
    limbs=tuple(
        (a - len(_HALPE), b - len(_HALPE))
        for a, b in HALPE136.limbs
        if min(a, b) >= len(_HALPE) and max(a, b) < len(_HALPE) + len(_FACE)
    ),
    mirror=_mirror(_FACE_70),
    sigmas=(*FACE_SIGMAS, SIGMAS["eye"], SIGMAS["eye"]),
)
# MediaPipe's mesh: the surface of a face, of which `methods.parts` takes the 70 points.
FACE_MESH468 = Skeleton(
    name="face-mesh-468",
    joints=tuple(f"mesh_{i}" for i in range(468)),
    limbs=(),
    mirror=tuple(range(468)),
    sigmas=(SIGMAS["eye"],) * 468,
)
# OpenPose's body, face and hands; a hand's first point is the body's wrist.
OPENPOSE135 = _skeleton(
    "openpose-135",
    (
        *OPENPOSE25.joints,
        *_FACE_70,
        *(f"{side}_hand_{i}" for side in ("left", "right") for i in range(1, 21)),
    ),
    _LIMBS + _SPINE_TORSO + " nose-neck",
    (*OPENPOSE25.sigmas, *FACE70.sigmas, *HAND_SIGMAS[1:], *HAND_SIGMAS[1:]),
    hands=True,
    deciding=len(OPENPOSE25),
)

SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (
        COCO17,
        CROWDPOSE14,
        MPII16,
        LSP14,
        HALPE26,
        BODY23,
        HALPE136,
        WHOLEBODY133,
        OPENPOSE18,
        OPENPOSE25,
        BLAZEPOSE33,
        H36M17,
        CMU24,
        ANIMAL20,
        AP10K17,
        union(COCO17, ANIMAL20),
        HAND21,
        FACE70,
        FACE_MESH468,
        OPENPOSE135,
    )
}

# Joints that a format may lack and that lie midway between two that it has.
MIDPOINTS = {
    "neck": ("left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "pelvis": ("left_hip", "right_hip"),
}
# Two names that different data sets give to what is, within their noise, the same point.
SYNONYMS = {"neck": "upper_neck", "upper_neck": "neck", "head_top": "head", "head": "head_top"}
# Joints of one name that two data sets put in two places, by source and target: the source's joints
# on the same side ("own_") and on the other, by weights that add up to 1, so that the sum turns,
# moves and grows with the body. LSP's hips lie further out and higher than COCO's: fitted on
# lspet/train by `benchmarks/placement.py`.
PLACED = {
    ("coco-17", "lsp-14"): {"hip": {"own_hip": 1.08, "other_hip": -0.16, "own_shoulder": 0.08}}
}
# What one format calls a joint and another one otherwise, by source and target. AP-10K counts three
# joints down a leg by people's names, Animal-Pose by its own; seen on samples of both, they are the
# same. AP-10K's neck is neither Animal-Pose's throat nor its withers.
_AP10K_OF_ANIMAL = {"root_of_tail": "tailbase"} | {
    f"{side}_{theirs}": f"{side}_{own}"
    for side in ("left", "right")
    for theirs, own in (
        ("shoulder", "front_elbow"),
        ("elbow", "front_knee"),
        ("hip", "back_elbow"),
        ("knee", "back_knee"),
    )
}
CALLED = {
    ("animal-20", "ap-10k-17"): _AP10K_OF_ANIMAL,
    ("ap-10k-17", "animal-20"): {own: theirs for theirs, own in _AP10K_OF_ANIMAL.items()},
}


def skeleton(name: str) -> Skeleton:
    """The skeleton of that name, or the union of several ("halpe-26+animal-20"). Raises OptionError
    that lists the known ones.
    """
    try:
        if name in SKELETONS:
            return SKELETONS[name]
        return union(*(SKELETONS[part] for part in name.split("+")))
    except KeyError:
        raise OptionError(f"unknown skeleton '{name}': known are {', '.join(SKELETONS)}") from None


@dataclass(frozen=True, slots=True)
class Mapping:
    """How each joint of the target comes from the source: by copy, as a midpoint, or not at all.
    Some copies are moved to where the target's data put that joint (`PLACED`).
    """

    source: Skeleton
    target: Skeleton
    parents: tuple[
        tuple[int, ...], ...
    ]  # per target joint: source joints to average; () where missing
    placed: tuple[
        tuple[int, tuple[int, ...], tuple[float, ...]], ...
    ] = ()  # target joint, source joints, weights

    def _named(self, count: int) -> tuple[str, ...]:
        return tuple(
            j for j, p in zip(self.target.joints, self.parents, strict=True) if len(p) == count
        )

    @property
    def copied(self) -> tuple[str, ...]:
        return self._named(1)

    @property
    def derived(self) -> tuple[str, ...]:
        return self._named(2)

    @property
    def missing(self) -> tuple[str, ...]:
        return self._named(0)

    def __call__(self, keypoints: NDArray[np.floating]) -> NDArray[np.floating]:
        """[..., K, 3] of the source -> [..., K', 3] of the target; a midpoint scores as its worse
        parent, a joint that the source lacks is all zeros. A joint that is moved keeps its score,
        and its place where one of the joints that say whereto scores 0.
        """
        out = np.zeros((*keypoints.shape[:-2], len(self.parents), 3), keypoints.dtype)
        for joint, parents in enumerate(self.parents):
            if parents:
                chosen = keypoints[..., list(parents), :]
                out[..., joint, :2] = chosen[..., :2].mean(-2)
                out[..., joint, 2] = chosen[..., 2].min(-1)
        for joint, parents, weights in self.placed:
            chosen = keypoints[..., list(parents), :]
            known = np.asarray((chosen[..., 2] > 0).all(-1))
            moved = np.einsum(
                "...pc,p->...c", chosen[..., :2], np.asarray(weights, keypoints.dtype)
            )
            out[..., joint, :2] = np.where(known[..., None], moved, out[..., joint, :2])
        return out


@lru_cache(maxsize=64)
def mapping(source: Skeleton, target: Skeleton) -> Mapping:
    """How to turn keypoints of `source` into keypoints of `target`, joint by joint, by name."""

    called = CALLED.get((source.name, target.name), {})

    def parents(joint: str) -> tuple[int, ...]:
        for name in (called.get(joint, joint), SYNONYMS.get(joint)):
            if name in source.joints:
                return (source.joints.index(name),)
        side, _, part = joint.partition("_")
        if part == "hand_0" and f"{side}_hand_1" in source.joints:  # a hand without its root
            return (source.joints.index(f"{side}_wrist"),)
        pair = MIDPOINTS.get(joint, ())
        if pair and all(name in source.joints for name in pair):
            return tuple(source.joints.index(name) for name in pair)
        return ()

    placed = []
    for part, weights in PLACED.get((source.name, target.name), {}).items():
        for own, other in (("left", "right"), ("right", "left")):
            names = [name.replace("own", own).replace("other", other) for name in weights]
            places = tuple(source.joints.index(name) for name in names)
            placed.append((target.joints.index(f"{own}_{part}"), places, tuple(weights.values())))
    return Mapping(source, target, tuple(parents(joint) for joint in target.joints), tuple(placed))
