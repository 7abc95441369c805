"""How a person's track measures their body: lengths of bones, and the shapes of what is rigid.

A length is the median over the track. Joints that keep their places to each other (hips, shoulders,
face, feet) keep the median place that they have in axes which they span themselves.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import DataError
from ..geometry import Array
from ..skeletons import MIDPOINTS, Skeleton
from .body import TRUNK, Body, tree_skeleton
from .motion import Motion

# The joint that a joint hangs on: the first of these that there is.
HANGS_ON = {
    "pelvis": (),
    "hip": ("pelvis",),
    "knee": ("hip",),
    "ankle": ("knee",),
    **dict.fromkeys(("ball", "big_toe", "small_toe", "heel", "foot_index"), ("ankle",)),
    "toe": ("ball",),
    "spine": ("pelvis",),
    "chest": ("spine", "pelvis"),
    "thorax": ("chest", "spine", "pelvis"),
    "neck": ("thorax", "chest", "spine", "pelvis"),
    "upper_neck": ("thorax", "neck"),
    "shoulder": ("thorax", "neck"),
    "elbow": ("shoulder",),
    "wrist": ("elbow",),
    **dict.fromkeys(("hand", "index", "pinky", "thumb"), ("wrist",)),
    **dict.fromkeys(("head", "nose", "eye", "ear"), ("upper_neck", "neck", "thorax")),
    "head_top": ("head", "upper_neck", "neck", "thorax"),
}
# Where a bone points at rest: forward, to its own side, up; all others point up.
RESTS = {
    "hip": (0, 1, 0), "knee": (0, 0, -1), "ankle": (0, 0, -1), "heel": (-0.6, 0, -0.8),
    "ball": (0.93, 0, -0.37), "big_toe": (0.93, 0, -0.37), "foot_index": (0.93, 0, -0.37),
    "small_toe": (0.85, 0.37, -0.37), "toe": (1, 0, 0), "nose": (0.7, 0, 0.7),
    "eye": (0.6, 0.3, 0.75), "ear": (0.1, 0.6, 0.8),
    **dict.fromkeys(("shoulder", "elbow", "wrist", "hand", "index", "pinky", "thumb"), (0, 1, 0)),
}  # fmt: skip
_LEFT, _RIGHT = "left_", "right_"


def with_middles(motion: Motion) -> Motion:
    """The same motion with the middles of hips and shoulders, where its skeleton lacks a pelvis or
    what the arms hang on. Raises DataError where they cannot be told.
    """
    names = list(motion.skeleton.joints)
    joints = [motion.joints]
    for middle, others in (("pelvis", ()), ("neck", ("thorax",))):
        if any(name in names for name in (middle, *others)):
            continue
        sides = MIDPOINTS[middle]
        if not all(side in names for side in sides):
            raise DataError(
                f"{motion.skeleton.name}: has no {middle}, nor {' and '.join(sides)}: no body can "
                "be told from these joints"
            )
        pair = motion.joints[:, [names.index(side) for side in sides]]
        both = np.concatenate([pair[..., :3].mean(1), pair[..., 3].min(1, keepdims=True)], 1)
        joints.append(both[:, None])
        names.append(middle)
    if len(joints) == 1:
        return motion
    skeleton = tree_skeleton(f"{motion.skeleton.name}+", names)
    return replace(motion, joints=np.concatenate(joints, 1), skeleton=skeleton)


def _side(joint: str) -> tuple[str, int]:
    """left_knee -> "left_", 1; pelvis -> "", 0."""
    for prefix, sign in ((_LEFT, 1), (_RIGHT, -1)):
        if joint.startswith(prefix):
            return prefix, sign
    return "", 0


def rest_direction(joint: str) -> Array:
    """[3]: where the bone that ends in this joint points at rest."""
    prefix, sign = _side(joint)
    x, y, z = RESTS.get(joint.removeprefix(prefix), (0, 0, 1))
    way = np.array([x, y * sign, z], np.float64)
    return way / np.linalg.norm(way)


def _tree(skeleton: Skeleton) -> dict[str, str]:
    """Joint -> the joint it hangs on ("" for the root), parents first, without what hangs on
    nothing. The trunk hangs on a joint of its own, so that it bends against the pelvis, and arms on
    collars, so that shoulders can be drawn up.
    """
    on = {"pelvis": ""}
    for name in skeleton.joints:
        prefix = _side(name)[0]
        stems = HANGS_ON.get(name.removeprefix(prefix), ())
        choices = [choice for stem in stems for choice in (prefix + stem, stem)]
        found = next((choice for choice in choices if choice in skeleton.joints), None)
        if found is not None:
            on[name] = found
    trunk = next(name for name in ("thorax", "neck") if name in on)
    low = next(name for name in ("spine", "chest", trunk) if name in on)
    on = {"pelvis": "", TRUNK: "pelvis", **on, low: TRUNK}
    for side in (_LEFT, _RIGHT):
        if f"{side}shoulder" in on:
            hangs = on[f"{side}shoulder"]
            on[f"{side}collar"] = on[hangs] if hangs == trunk else hangs
            on[f"{side}shoulder"] = f"{side}collar"
    return _parents_first(on)


def _parents_first(on: dict[str, str]) -> dict[str, str]:
    out: dict[str, str] = {}
    while len(out) < len(on):
        ready = [name for name in on if name not in out and (on[name] in out or not on[name])]
        if not ready:
            break
        out |= {name: on[name] for name in ready}
    return out


def fit_body(motion: Motion) -> Body:
    """The body of a person: lengths of bones as the median over the whole track, and the shapes of
    pelvis, shoulders, head and feet, whose joints keep their places to each other.

    A bone that is never seen is left out with all beyond it. Joints that are not those of a person
    but form a tree are taken to be at rest where they are first seen. Raises DataError where hips
    or shoulders are never seen.
    """
    if motion.skeleton.parents and "left_hip" not in motion.skeleton.joints:
        return _as_first_seen(motion)
    motion = with_middles(motion)
    places = dict(zip(motion.skeleton.joints, np.swapaxes(motion.places, 0, 1), strict=True))
    on = _tree(motion.skeleton)
    trunk = next(name for name in ("thorax", "neck") if name in on)
    places[TRUNK] = places["pelvis"]
    for side in (_LEFT, _RIGHT):
        places[f"{side}collar"] = places[trunk]
    groups = _rigid(places, on, trunk)
    offsets: dict[str, Array] = {}
    for name, parent in on.items():
        if not parent:
            offsets[name] = np.zeros(3)
        elif parent in offsets:
            away = np.linalg.norm(places[name] - places[parent], axis=1)
            if not np.isfinite(away).any():
                continue
            length = float(np.nanmedian(away))
            way = groups.get(name, rest_direction(name))
            offsets[name] = way * length / max(float(np.linalg.norm(way)), 1e-9)
    for name in ("left_hip", "right_hip", trunk):
        if name not in offsets:
            what = "shoulders are" if name == trunk else f"{name} is"
            raise DataError(f"person {motion.id}: {what} never seen: no body can be measured")
    names = tuple(offsets)
    parents = tuple(names.index(on[name]) if on[name] else -1 for name in names)
    return Body(motion.skeleton.name, names, parents, np.stack(list(offsets.values())))


def _as_first_seen(motion: Motion) -> Body:
    """The body of any tree of joints: bones point as when they are first seen, and are as long as
    the median.
    """
    names, parents = motion.skeleton.joints, motion.skeleton.parents
    offsets = np.zeros((len(names), 3))
    for k, parent in enumerate(parents):
        if parent < 0:
            continue
        ways = motion.places[:, k] - motion.places[:, parent]
        ways = ways[np.isfinite(ways).all(1)]
        if not len(ways):
            raise DataError(
                f"person {motion.id}: {names[k]} is never seen: no body can be measured"
            )
        lengths = np.linalg.norm(ways, axis=1)
        offsets[k] = ways[0] * np.median(lengths) / max(lengths[0], 1e-9)
    try:
        return Body(motion.skeleton.name, names, parents, offsets)
    except ValueError as error:
        raise DataError(f"{motion.skeleton.name}: its joints are no tree: {error}") from None


_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head", "head_top")
_FOOT = ("big_toe", "small_toe", "heel", "foot_index")


def _rigid(places: dict[str, Array], on: dict[str, str], trunk: str) -> dict[str, Array]:
    """Directions at rest of bones whose joints keep their places to each other (pelvis, shoulders,
    head, feet): the median in axes that they span themselves.
    """
    low = next(name for name in ("spine", "chest", trunk) if name in on)
    skull = next((pair for pair in ("ear", "eye") if f"{_LEFT}{pair}" in on), "")
    # their joints, the two that say where left is, from where to where is up, what they hang on
    groups = [
        ((f"{_LEFT}hip", f"{_RIGHT}hip"), "hip", ("pelvis", low), "pelvis"),
        ((f"{_LEFT}shoulder", f"{_RIGHT}shoulder"), "shoulder", (on[trunk], trunk), trunk),
        ((trunk,), "shoulder", (on[trunk], trunk), on[trunk]),
    ]
    if skull:
        hub = on[f"{_LEFT}{skull}"]
        groups.append((_FACE, skull, (hub, f"{_LEFT}{skull}"), hub))
    out: dict[str, Array] = {}
    for members, sides, (base, top), hub in groups:
        if f"{_LEFT}{sides}" in on and f"{_RIGHT}{sides}" in on:
            axes = _axes(
                places[f"{_LEFT}{sides}"] - places[f"{_RIGHT}{sides}"], places[top] - places[base]
            )
            known = [member for member in members if member in on]
            out |= {member: _median(axes, places[member] - places[hub]) for member in known}
    for side in (_LEFT, _RIGHT):
        out |= _foot(places, on, side)
        out[f"{side}collar"] = out.get(trunk, rest_direction(trunk))
    return {name: way for name, way in out.items() if np.isfinite(way).all()}


def _foot(places: dict[str, Array], on: dict[str, str], side: str) -> dict[str, Array]:
    """Directions at rest of the bones of a foot whose heel is known: in its own axes, forward from
    heel to toe, and to the left in the plane's normal that these span with the ankle.
    """
    toe = next((t for t in ("big_toe", "foot_index") if f"{side}{t}" in on), None)
    if toe is None or f"{side}heel" not in on:
        return {}
    ankle, heel = places[f"{side}ankle"], places[f"{side}heel"]
    forward = places[f"{side}{toe}"] - heel
    left = np.cross(ankle - heel, forward)
    axes = _axes(left, np.cross(forward, left))
    members = [f"{side}{part}" for part in _FOOT if f"{side}{part}" in on]
    return {name: _median(axes, places[name] - ankle) for name in members}


def _axes(left: Array, up: Array) -> Array:
    """[T, 3], [T, 3] -> [T, 3, 3]: columns forward, left, up; left as given."""
    y = left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-9)
    x = np.cross(y, up)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    return np.stack([x, y, np.cross(x, y)], -1)


def _median(axes: Array, ways: Array) -> Array:
    local = np.einsum("tji,tj->ti", axes, ways)
    seen = np.isfinite(local).all(1)
    return np.median(local[seen], axis=0) if seen.any() else np.full(3, np.nan)
