"""What files of motion call the joints that our formats have: ASF, BVH of several makers, markers.

A bone of ASF or BVH is called by its start: femur and UpLeg lie at the hip.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# name without its side, in small letters without separators -> ours
_SIDED = {
    "hip": "hip upleg femur thigh upperleg hipjc",
    "knee": "knee leg tibia lowleg lowerleg shin",
    "ankle": "ankle foot",
    "ball": "ball toebase toes toe",
    "toe": "toebaseend toesend toetip",
    "collar": "collar clavicle",
    "shoulder": "arm humerus uparm upperarm",
    "elbow": "elbow forearm radius lowarm lowerarm",
    "wrist": "wrist hand",
    "hand": "fingers handindex1 knuckle",
    "big_toe": "bigtoe",
    "small_toe": "smalltoe",
    "heel": "heel",
    "eye": "eye",
    "ear": "ear",
}
_MIDDLE = {
    "pelvis": "pelvis hips root midhip",
    "torso": "torso lowerback tospine",
    "spine": "spine upperback",
    "chest": "chest thorax spine1",
    "neck": "neck lowerneck",
    "head": "head",
    "head_top": "headend headtop headtopend",
    "nose": "nose",
}
_OURS = {
    alias: ours for table in (_SIDED,) for ours, all_ in table.items() for alias in all_.split()
}
_OURS_MIDDLE = {alias: ours for ours, all_ in _MIDDLE.items() for alias in all_.split()}
_SIDE = re.compile(r"^(left|right|l|r)[ _]?(?=.)", re.IGNORECASE)


def our_names(names: Sequence[str]) -> tuple[str, ...]:
    """Joints as a file calls them -> as our formats do, where they have them; others keep their
    names, as do all of a file that we wrote. No two come out equal.
    """
    if "left_hip" in names:
        return tuple(_own(name, names[:n]) for n, name in enumerate(names))
    plain = [name.rpartition(":")[2] for name in names]  # subject:marker, mixamorig:Hips
    arms = any(re.fullmatch(r"(left|l|right|r)[ _]?arm", name, re.IGNORECASE) for name in plain)
    wrists = any(re.search(r"wrist$", name, re.IGNORECASE) for name in plain)
    out: list[str] = []
    for whole, name in zip(names, plain, strict=True):
        found = _found(name, collars=arms, hands=wrists)
        out.append(found if found and found not in out else _own(whole, out))
    return tuple(out)


def names_in_tree(names: Sequence[str], parents: Sequence[int]) -> tuple[str, ...]:
    """The same for a tree, in which ends of chains are called after the joints they hang on: what
    has no name of ours is an ..._end of its parent's new name.
    """
    out = list(our_names(names))
    for k, parent in enumerate(parents):
        if parent >= 0 and names[k] == f"{names[parent]}_end" == out[k]:
            name = f"{out[parent]}_end"
            out[k] = out[k] if name in out else name
    return tuple(out)


def _own(name: str, taken: Sequence[str]) -> str:
    number, out = 1, name
    while out in taken:
        number += 1
        out = f"{name}_{number}"
    return out


def _found(name: str, *, collars: bool, hands: bool) -> str:
    """Where arms are called arms, shoulders are collars, as in Blender's and Mixamo's skeletons;
    where there are wrists, a hand is what hangs on them.
    """
    plain = re.sub(r"[ _.\\-]", "", name).lower()
    if plain in _OURS_MIDDLE:
        return _OURS_MIDDLE[plain]
    side = _SIDE.match(name)
    if side is None:
        return ""
    part = re.sub(r"[ _.\\-]", "", name[side.end() :]).lower()
    prefix = "left_" if side[1][0] in "lL" else "right_"
    if part == "shoulder":
        return prefix + ("collar" if collars else "shoulder")
    if part == "hand" and hands:
        return prefix + "hand"
    return prefix + _OURS[part] if part in _OURS else ""
