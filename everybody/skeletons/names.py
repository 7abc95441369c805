"""The names of joints, however somebody writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SHORT = {"l": "left_", "r": "right_", "f": "front_", "b": "back_"}
_OTHER_NAMES = {"head_bottom": "upper_neck", "hear_top": "head_top"}  # of the same points


def plain_names(joints: Sequence[str]) -> tuple[str, ...]:
    """Names of joints as this library writes them: Left Eye, L_Eye and Eye_Left are left_eye, and
    Animal-Pose's L_F_EarBase would be left_front_ear.
    """
    names = []
    for joint in joints:
        name = re.sub(r"[\s-]+", "_", joint.strip().lower())
        name = re.sub(r"^(.+)_(left|right)$", r"\2_\1", name)
        name = re.sub(r"^(l|r)_", lambda side: _SHORT[side[1]], name)
        name = re.sub(r"^(left|right)_(f|b)_", lambda m: f"{m[1]}_{_SHORT[m[2]]}", name)
        name = re.sub(r"_earbase$", "_ear", name)
        names.append(_OTHER_NAMES.get(name, name))
    return tuple(names)
