"""The keypoint formats of the field, as pure data, and the maps between them.

Joint names are shared by all formats, so that the same joint of two formats has the same name, and
what is copied, derived or missing from one format to another follows from the names alone
(`mapping`). Left and right are the person's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, permutations

from ..errors import OptionError
from .animals import ANIMAL20, AP10K17
from .format import BOX, Skeleton, union
from .mapping import MIDPOINTS, PLACED, Mapping, mapping
from .parts import SIGMAS
from .people import (
    BLAZEPOSE33,
    BODY23,
    CMU24,
    COCO17,
    CROWDPOSE14,
    H36M17,
    H36M29,
    HALPE26,
    LSP14,
    MPII16,
    OPENPOSE18,
    OPENPOSE25,
)
from .whole import FACE70, FACE_MESH468, HALPE136, HAND21, OPENPOSE135, WHOLEBODY133

__all__ = [
    "ANIMAL20", "AP10K17", "BLAZEPOSE33", "BODY23", "BOX", "CMU24", "COCO17", "CROWDPOSE14",
    "FACE70", "FACE_MESH468", "H36M17", "H36M29", "HALPE26", "HALPE136", "HAND21", "LSP14",
    "MIDPOINTS", "MPII16", "OPENPOSE18", "OPENPOSE25", "OPENPOSE135", "PLACED", "SIGMAS",
    "SKELETONS", "WHOLEBODY133", "Mapping", "Skeleton", "mapping", "of_joints", "skeleton", "union",
]  # fmt: skip

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
        H36M29,
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


def of_joints(joints: Sequence[str]) -> Skeleton | None:
    """The known skeleton, or the union of two, with joints of exactly these names, best in their
    order; None if there is none.
    """
    pairs = (union(*pair) for pair in permutations(SKELETONS.values(), 2))
    alike = None
    for skeleton in chain(SKELETONS.values(), pairs):
        if skeleton.joints == tuple(joints):
            return skeleton
        if alike is None and set(skeleton.joints) == set(joints):
            alike = skeleton
    return alike
