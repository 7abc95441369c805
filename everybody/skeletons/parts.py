"""What formats are put together from: OKS sigmas by the name of a joint, limbs by their ends, who
is whose mirror image, and the points of faces and hands.

OKS sigmas: COCO (Lin et al. 2014, and its keypoint evaluation page), COCO-WholeBody (Jin et al.
2020), Halpe-26 (Fang et al. 2022, as published with Halpe-FullBody). Formats that publish none
(MPII, LSP, OpenPose, BlazePose, H36M) take, joint by joint, the COCO value of the nearest joint.
"""

from __future__ import annotations

from .format import Skeleton

SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089, "head": 0.026, "head_top": 0.026, "neck": 0.026,
    "upper_neck": 0.026, "thorax": 0.079, "spine": 0.107, "pelvis": 0.066, "big_toe": 0.079,
    "small_toe": 0.079, "heel": 0.079, "mouth": 0.025, "eye_inner": 0.025, "eye_outer": 0.025,
    "pinky": 0.062, "index": 0.062, "thumb": 0.062, "foot_index": 0.079,
    "ball": 0.079, "toe": 0.079, "chest": 0.079, "hand": 0.062,
}  # fmt: skip

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
FACE_MIRROR = (
    list(range(16, -1, -1))
    + list(range(26, 16, -1))
    + [27, 28, 29, 30]
    + list(range(35, 30, -1))
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    + [69, 68]  # the pupils, which OpenPose adds
)
FACE_CHAINS = (
    (0, 17), (17, 22), (22, 27), (27, 31), (31, 36), (36, 42), (42, 48), (48, 60), (60, 68),
)  # fmt: skip
FACE_CLOSED = {36, 42, 48, 60}

LIMBS = """
left_ankle-left_knee left_knee-left_hip right_ankle-right_knee right_knee-right_hip
left_shoulder-left_elbow left_elbow-left_wrist right_shoulder-right_elbow right_elbow-right_wrist
nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear
left_ankle-left_heel right_ankle-right_heel left_ankle-left_big_toe right_ankle-right_big_toe
left_big_toe-left_small_toe right_big_toe-right_small_toe
"""
BOX_TORSO = (
    "left_shoulder-right_shoulder left_hip-right_hip left_shoulder-left_hip"
    " right_shoulder-right_hip"
)
SPINE_TORSO = "neck-left_shoulder neck-right_shoulder neck-pelvis pelvis-left_hip pelvis-right_hip"


def sides(*, left_first: bool, parts: str) -> tuple[str, ...]:
    """Side by side: 'shoulder elbow' -> left_shoulder, right_shoulder, left_elbow, right_elbow."""
    sides = ("left", "right") if left_first else ("right", "left")
    return tuple(f"{side}_{part}" for part in parts.split() for side in sides)


def sigma(joint: str) -> float:
    return SIGMAS[joint.removeprefix("left_").removeprefix("right_")]


def mirrored(joints: tuple[str, ...]) -> tuple[int, ...]:
    """The permutation that exchanges left and right: joints that have no partner stay."""
    place = {joint: index for index, joint in enumerate(joints)}
    partner = dict(place)
    for joint in joints:
        for side, other in (("left_", "right_"), ("right_", "left_")):
            if joint.startswith(side):
                partner[joint] = place[other + joint.removeprefix(side)]
        if joint.startswith("face_"):
            partner[joint] = place[f"face_{FACE_MIRROR[int(joint[5:])]}"]
    return tuple(partner[joint] for joint in joints)


def built(
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
        for start, end in FACE_CHAINS:
            chain = [place[f"face_{i}"] for i in range(start, end)]
            edges += zip(chain, chain[1:] + chain[:1] * (start in FACE_CLOSED), strict=False)
        for side in ("left", "right"):
            wrist = place[f"{side}_wrist"]
            hand = [place.get(f"{side}_hand_{i}", wrist) for i in range(21)]
            edges += [(wrist, hand[0])] if hand[0] != wrist else []
            edges += [(hand[i - 1] if i % 4 != 1 else hand[0], hand[i]) for i in range(1, 21)]
    sigmas = sigmas or tuple(sigma(joint) for joint in joints)
    return Skeleton(
        name=name,
        joints=joints,
        limbs=tuple(edges),
        mirror=mirrored(joints),
        sigmas=sigmas,
        deciding=deciding,
    )
