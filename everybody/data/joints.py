"""Which skeleton the joint names of an annotation file mean, and skeletons that only data sets use.

AIC: sigmas of the AI Challenger keypoint track (Wu et al. 2017). PoseTrack18 (Andriluka et al.
2018) publishes none and takes, joint by joint, the COCO value.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import SAY_JOINTS_OF_DATA, DataError
from ..skeleton_file import mirrored, usual_sigmas
from ..skeletons import (
    ANIMAL20,
    CROWDPOSE14,
    HALPE26,
    HALPE136,
    SKELETONS,
    WHOLEBODY133,
    Skeleton,
)
from ..skeletons.names import plain_names


def skeleton_of(
    name: str,
    joints: Sequence[str],
    limbs: Sequence[tuple[int, int]] = (),
    sigmas: Sequence[float] = (),
) -> Skeleton:
    """A keypoint format from its joint names: left and right are partners, sigmas are those of the
    names.
    """
    return Skeleton(
        name=name,
        joints=tuple(joints),
        limbs=tuple(limbs),
        mirror=mirrored(joints),
        sigmas=tuple(sigmas or usual_sigmas(joints)),
    )


_RIGHT_AND_LEFT_ARMS = tuple(
    f"{side}_{part}" for side in ("right", "left") for part in ("shoulder", "elbow", "wrist")
)
_RIGHT_AND_LEFT_LEGS = tuple(
    f"{side}_{part}" for side in ("right", "left") for part in ("hip", "knee", "ankle")
)
AIC14 = skeleton_of(
    "aic-14",
    (*_RIGHT_AND_LEFT_ARMS, *_RIGHT_AND_LEFT_LEGS, "head_top", "neck"),
    (
        (2, 1),
        (1, 0),
        (0, 13),
        (13, 3),
        (3, 4),
        (4, 5),
        (8, 7),
        (7, 6),
        (6, 9),
        (9, 10),
        (10, 11),
        (12, 13),
        (0, 6),
        (3, 9),
    ),
    (
        0.01388152,
        0.01515228,
        0.01057665,
        0.01417709,
        0.01497891,
        0.01402144,
        0.03909642,
        0.03686941,
        0.01981803,
        0.03843971,
        0.03412318,
        0.02415081,
        0.01291456,
        0.01236173,
    ),
)
POSETRACK17 = skeleton_of(
    "posetrack-17",
    ("nose", "upper_neck", "head_top", *SKELETONS["coco-17"].joints[3:]),
    (
        *SKELETONS["coco-17"].limbs[:8],
        (0, 1),
        (0, 2),
        (1, 5),
        (1, 6),
        (5, 11),
        (6, 12),
        (5, 6),
        (11, 12),
    ),
)

# Animal-Pose in the order in which OpenMMLab writes it; the publisher's own is `ANIMAL20`.
_PLACES = tuple(
    ANIMAL20.joints.index(name)
    for name in (
        *("left_eye", "right_eye", "left_ear", "right_ear", "nose", "throat", "tailbase"),
        *("withers", *ANIMAL20.joints[5:17]),
    )
)
ANIMALPOSE20 = skeleton_of(
    "animal-pose-20",
    [ANIMAL20.joints[place] for place in _PLACES],
    [(_PLACES.index(a), _PLACES.index(b)) for a, b in ANIMAL20.limbs],
    [ANIMAL20.sigmas[place] for place in _PLACES],
)

_BY_NAMES = {s.joints: s for s in (*SKELETONS.values(), AIC14, POSETRACK17, ANIMALPOSE20)}
_BY_COUNT = {len(s): s for s in (HALPE26, WHOLEBODY133, HALPE136)}  # where a file names no joints


def known_joints(joints: Sequence[str]) -> Skeleton | None:
    """The skeleton with these joint names, however they are written; None if nobody knows it."""
    names = plain_names(joints)
    if names == (*CROWDPOSE14.joints[:12], "head", "neck"):
        return CROWDPOSE14
    return _BY_NAMES.get(names)


def recognise(
    joints: Sequence[str], count: int, where: Path, limbs: Sequence[Sequence[float]] = ()
) -> Skeleton:
    """The skeleton with these joint names, or a new one. `count` joints lie in each record; `limbs`
    are pairs of joints counted from 1.

    Raises DataError where names are missing and the count alone does not tell.
    """
    known = known_joints(joints)
    if known is not None:
        return known
    names = plain_names(joints)
    if names and len(names) == count and len(set(names)) == count:
        ends = [(int(pair[0]) - 1, int(pair[1]) - 1) for pair in limbs if _is_limb(pair, count)]
        return skeleton_of(f"{where.stem}-{count}", names, ends)
    if not names and count in _BY_COUNT:
        return _BY_COUNT[count]
    twice = sorted({name for name in names if names.count(name) > 1})
    said = (
        f"names the joint {', '.join(twice)} twice"
        if twice
        else f"has {len(names) or 'no'} joint names for {count} joints in each record"
    )
    raise DataError(
        f"{where}: {said}: correct 'keypoints' of its categories, or {SAY_JOINTS_OF_DATA}; "
        f"known are {', '.join(SKELETONS)}"
    )


def _is_limb(pair: Sequence[float], count: int) -> bool:
    return len(pair) == 2 and all(float(end).is_integer() and 0 < end <= count for end in pair)
