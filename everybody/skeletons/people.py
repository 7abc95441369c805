"""Formats of people's joints, of pictures and of captured motion."""

from __future__ import annotations

from dataclasses import replace

from .parts import BOX_TORSO, LIMBS, SPINE_TORSO, built, sides

CROWDPOSE_SIGMAS = (
    0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079,
    0.079,
)  # fmt: skip

_ARMS_AND_LEGS = "shoulder elbow wrist hip knee ankle"
COCO = ("nose", *sides(left_first=True, parts="eye ear " + _ARMS_AND_LEGS))
FEET = tuple(
    f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel")
)
HALPE = (*COCO, "head", "neck", "pelvis", *sides(left_first=True, parts="big_toe small_toe heel"))
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

COCO17 = built(
    "coco-17", COCO, LIMBS + BOX_TORSO + " left_ear-left_shoulder right_ear-right_shoulder"
)
CROWDPOSE14 = built(
    "crowdpose-14",
    (*sides(left_first=True, parts=_ARMS_AND_LEGS), "head_top", "neck"),
    LIMBS + BOX_TORSO + " head_top-neck neck-left_shoulder neck-right_shoulder",
    CROWDPOSE_SIGMAS,
)
MPII16 = built(
    "mpii-16",
    (*_LSP_LEGS, "pelvis", "thorax", "upper_neck", "head_top", *_LSP_ARMS),
    LIMBS + " pelvis-left_hip pelvis-right_hip pelvis-thorax thorax-upper_neck upper_neck-head_top"
    " thorax-left_shoulder thorax-right_shoulder",
)
LSP14 = built(
    "lsp-14",
    (*_LSP_LEGS, *_LSP_ARMS, "neck", "head_top"),
    LIMBS + " head_top-neck neck-left_shoulder neck-right_shoulder left_shoulder-left_hip"
    " right_shoulder-right_hip left_hip-right_hip",
)
# COCO's 17 decide, so that they are what they are alone.
HALPE26 = built("halpe-26", HALPE, LIMBS + SPINE_TORSO + " head-neck", deciding=len(COCO))
# What everybody's own networks answer for Halpe-26: its middle of the hips follows from the hips,
# and its small toes nobody teaches.
BODY23 = built(
    "body-23",
    (*COCO, "head", "neck", *sides(left_first=True, parts="big_toe heel")),
    LIMBS + SPINE_TORSO + " head-neck",
    deciding=len(COCO),
)
OPENPOSE18 = built(
    "openpose-18",
    ("nose", "neck", *_OPENPOSE_ARMS, *_OPENPOSE_LEGS, *_OPENPOSE_FACE),
    LIMBS + " nose-neck neck-left_shoulder neck-right_shoulder neck-left_hip neck-right_hip",
)
OPENPOSE25 = built(
    "openpose-25",
    ("nose", "neck", *_OPENPOSE_ARMS, "pelvis", *_OPENPOSE_LEGS, *_OPENPOSE_FACE, *FEET),
    LIMBS + SPINE_TORSO + " nose-neck",
)
BLAZEPOSE33 = built(
    "blazepose-33",
    (
        "nose",
        *(
            f"{side}_{part}"
            for side in ("left", "right")
            for part in ("eye_inner", "eye", "eye_outer")
        ),
        *sides(
            left_first=True,
            parts="ear mouth shoulder elbow wrist pinky index thumb hip knee ankle heel foot_index",
        ),
    ),
    LIMBS
    + BOX_TORSO
    + " left_mouth-right_mouth left_wrist-left_thumb right_wrist-right_thumb left_wrist-left_index"
    " right_wrist-right_index left_index-left_pinky right_index-right_pinky"
    " left_heel-left_foot_index right_heel-right_foot_index",
)
_H36M_TRUNK = (
    " pelvis-left_hip pelvis-right_hip pelvis-spine spine-thorax thorax-upper_neck"
    " upper_neck-head_top thorax-left_shoulder thorax-right_shoulder"
)
H36M17 = replace(
    built(
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
        LIMBS + _H36M_TRUNK,
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)
# Human3.6M's joints and the others of Halpe-26, whose head is the top of the head, and whose neck
# lies below the upper neck, which is between the ears: what is lifted of people who have feet.
H36M29 = replace(
    built(
        "h36m-29",
        (*H36M17.joints, *COCO[:5], "neck", *HALPE[-6:]),
        LIMBS + _H36M_TRUNK + " upper_neck-nose",
    ),
    parents=(*H36M17.parents, *[9] * 5, 8, *[6, 3] * 3),
)

_CMU_LEG = ("hip", "knee", "ankle", "ball", "toe")
_CMU_ARM = ("shoulder", "elbow", "wrist", "hand")
CMU24 = replace(
    built(
        "cmu-24",
        (
            "pelvis",
            *(f"{side}_{part}" for side in ("left", "right") for part in _CMU_LEG),
            *("spine", "chest", "neck", "head", "head_top"),
            *(f"{side}_{part}" for side in ("left", "right") for part in _CMU_ARM),
        ),
        LIMBS + " pelvis-left_hip pelvis-right_hip pelvis-spine spine-chest chest-neck neck-head"
        " head-head_top neck-left_shoulder neck-right_shoulder left_ankle-left_ball"
        " left_ball-left_toe right_ankle-right_ball right_ball-right_toe left_wrist-left_hand"
        " right_wrist-right_hand",
    ),
    parents=(-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 13, 16, 17, 18, 13, 20, 21, 22),
)
