"""Formats of whole bodies, with the points of faces and hands, and of these parts alone."""

from __future__ import annotations

from .format import Skeleton
from .parts import (
    BOX_TORSO,
    FACE_SIGMAS,
    FOOT_SIGMAS,
    HAND_SIGMAS,
    LIMBS,
    SIGMAS,
    SPINE_TORSO,
    built,
    mirrored,
    sigma,
)
from .people import COCO, FEET, HALPE, OPENPOSE25

_FACE = tuple(f"face_{i}" for i in range(68))
_HANDS = tuple(f"{side}_hand_{i}" for side in ("left", "right") for i in range(21))

# Of whole bodies, the body and its feet decide: a hundred points of faces and hands, which may be
# turned away or hidden, say little about how surely somebody is there.
HALPE136 = built(
    "halpe-136",
    (*HALPE, *_FACE, *_HANDS),
    LIMBS + SPINE_TORSO + " head-neck",
    tuple(sigma(joint) for joint in HALPE) + FACE_SIGMAS + HAND_SIGMAS * 2,
    hands=True,
    deciding=len(HALPE),
)
WHOLEBODY133 = built(
    "wholebody-133",
    (*COCO, *FEET, *_FACE, *_HANDS),
    LIMBS + BOX_TORSO,
    tuple(sigma(joint) for joint in COCO) + FOOT_SIGMAS + FACE_SIGMAS + HAND_SIGMAS * 2,
    hands=True,
    deciding=len(COCO) + len(FEET),
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
        (a - len(HALPE), b - len(HALPE))
        for a, b in HALPE136.limbs
        if min(a, b) >= len(HALPE) and max(a, b) < len(HALPE) + len(_FACE)
    ),
    mirror=mirrored(_FACE_70),
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
OPENPOSE135 = built(
    "openpose-135",
    (
        *OPENPOSE25.joints,
        *_FACE_70,
        *(f"{side}_hand_{i}" for side in ("left", "right") for i in range(1, 21)),
    ),
    LIMBS + SPINE_TORSO + " nose-neck",
    (*OPENPOSE25.sigmas, *FACE70.sigmas, *HAND_SIGMAS[1:], *HAND_SIGMAS[1:]),
    hands=True,
    deciding=len(OPENPOSE25),
)
