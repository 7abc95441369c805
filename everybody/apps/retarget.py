"""Retargeting: the motion of a person's body onto a character of other bones and proportions.

Bones take over orientations in the world, not turns: with G the orientation of the person's bone
and A what brings the character's bone at rest to where the person's points at rest, the
character's bone gets G A, so limbs point where the person's do, whatever both are at rest. The hips
go as far as the character's legs are long (after Gleicher 1998, without his optimisation; contacts
are in `contacts.py`).
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array
from ..lift.body import Animation, Body
from ..lift.floor import ANKLE
from ..lift.rotations import exp, log
from .characters import SIDES, Character

TRUNK = ("spine", "chest", "upper_chest")
# where a part's bone ends, if its direction counts
ENDS = {"neck": "head"} | {
    f"{side}_{start}": f"{side}_{end}"
    for side in SIDES
    for start, end in (
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
        ("hip", "knee"),
        ("knee", "ankle"),
    )
}
# the person's joints whose turn carries a part: the first that turns something
_CARRIERS = {
    "pelvis": ("pelvis",),
    **dict.fromkeys(TRUNK, ("upper_chest", "chest", "spine", "torso", "pelvis")),
    "neck": ("neck", "thorax"),
    "head": ("head", "upper_neck", "neck", "thorax"),
}
_LIMB_CARRIERS = {
    "collar": ("collar",), "shoulder": ("shoulder",), "elbow": ("elbow", "shoulder"),
    "wrist": ("wrist", "elbow", "shoulder"), "hip": ("hip",), "knee": ("knee", "hip"),
    "ankle": ("ankle", "knee", "hip"), "toe": ("ball", "toe"),
}  # fmt: skip
# where the person's own bones end, where they are called otherwise
_THEIR_ENDS = {"neck": ("head", "upper_neck"), "thorax": ("upper_neck", "head")}


def retarget(animation: Animation, character: Character) -> Animation:
    """A person's animation (joints by our names, world) -> the character's, in its own bones."""
    body, count = character.body, len(animation)
    goals = _orientations(animation, character)
    turns = np.empty((count, len(body), 3, 3))
    whole = np.empty_like(turns)
    for j, parent in enumerate(body.parents):
        above = whole[:, parent] if parent >= 0 else np.eye(3)[None].repeat(count, 0)
        whole[:, j] = goals.get(j, above)
        turns[:, j] = np.swapaxes(above, 1, 2) @ whole[:, j]
    root = _root(animation, character, whole[:, 0])
    return Animation(body, root, turns, animation.times, animation.id, animation.frame)


def _orientations(animation: Animation, character: Character) -> dict[int, Array]:
    """Place of a bone -> its orientations [T, 3, 3] in the world, for all that the person tells."""
    body, rest = animation.body, _rest(animation.body)
    aligned: dict[str, Array] = {}
    out: dict[int, Array] = {}
    for part, bone in character.parts.items():
        joint = _carrier(body, part)
        if joint is None:
            continue
        aligned[part] = _alignment(character, body, rest, part, joint)
        own = body.joints[joint].rpartition("_")[2]
        if part.endswith("wrist") and own != "wrist":  # a hand goes on as its forearm does
            aligned[part] = aligned.get(part.replace("wrist", "elbow"), aligned[part])
        out[bone] = animation.orientations[:, joint] @ aligned[part]
    return out | _bent(animation, character)


def _bent(animation: Animation, character: Character) -> dict[int, Array]:
    """The bones of the trunk: as the person's, where these have them all, else each bends by its
    share.
    """
    body = animation.body
    chain = [part for part in TRUNK if part in character.parts]
    top = _carrier(body, "spine")
    hips = _carrier(body, "pelvis")
    if not chain or top is None or hips is None:
        return {}
    low = animation.orientations[:, hips]
    bend = log(np.swapaxes(low, 1, 2) @ animation.orientations[:, top])
    own = {part: body.joints.index(part) for part in chain if part in body.joints}
    out = {}
    for n, part in enumerate(chain, 1):
        turned = low @ exp(bend * (n / len(chain)))
        if len(own) == len(chain):
            turned = animation.orientations[:, own[part]]
        out[character.parts[part]] = turned @ character.facing
    return out


def _carrier(body: Body, part: str) -> int | None:
    """The joint of a person whose turn moves a part; None where nothing tells of it."""
    side, _, limb = part.partition("_")
    names = _CARRIERS.get(part) or tuple(f"{side}_{stem}" for stem in _LIMB_CARRIERS[limb])
    turning = [body.joints[j] for j in body.turning]
    found = next((name for name in names if name in turning), None)
    return None if found is None else body.joints.index(found)


def _alignment(character: Character, body: Body, rest: Array, part: str, joint: int) -> Array:
    """[3, 3]: brings a bone of the character at rest to where the person's points at rest, by the
    smallest turn after both look the same way.
    """
    end = ENDS.get(part)
    facing = character.facing
    if end is None or end not in character.parts:
        return facing
    name = body.joints[joint]
    theirs = next((e for e in _THEIR_ENDS.get(name, (end,)) if e in body.joints), None)
    if theirs is None or (part in _LIMBS_WITH_END and name != part):
        return facing
    way = character.rest[character.parts[end]] - character.rest[character.parts[part]]
    goal = rest[body.joints.index(theirs)] - rest[joint]
    return smallest_turn(facing @ way, goal) @ facing


_LIMBS_WITH_END = frozenset(ENDS) - {"neck"}


def _rest(body: Body) -> Array:
    return body.forward(np.zeros((1, 3)), np.eye(3)[None, None].repeat(len(body), 1))[0][0]


def smallest_turn(way: Array, goal: Array) -> Array:
    """Directions [..., 3] -> [..., 3, 3]: the turn of one onto the other by the smallest angle."""
    a = way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-12)
    b = goal / np.maximum(np.linalg.norm(goal, axis=-1, keepdims=True), 1e-12)
    axis, cosine = np.cross(a, b), (a * b).sum(-1)
    sine = np.linalg.norm(axis, axis=-1)
    side = np.eye(3)[np.abs(a).argmin(-1)]
    flat = np.cross(a, side)
    axis = np.where(((sine < 1e-9) & (cosine < 0))[..., None], flat, axis)
    length = np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-300)
    return exp(axis / length * np.arctan2(sine, cosine)[..., None])


def _root(animation: Animation, character: Character, hips: Array) -> Array:
    """[T, 3]: the middle of the character's hip joints goes where the person's goes, by the ratio
    of their legs; in the world, standing feet stand on the same floor.
    """
    body = animation.body
    pair = [body.joints.index(f"{side}_hip") for side in SIDES]
    middle = animation.places[:, pair].mean(1)
    factor = character.leg / leg(body)
    rest = character.rest[[character.parts[f"{side}_hip"] for side in SIDES]].mean(0)
    ankles = character.rest[[character.parts[f"{side}_ankle"] for side in SIDES]]
    sole = float(ankles[:, 2].mean()) - character.floor  # from the floor to the ankle
    root = factor * middle - hips @ rest
    root[:, 2] += sole - factor * ANKLE
    return root


def leg(body: Body) -> float:
    """Metres of a person's leg, the mean of both."""
    names = [f"{side}_{part}" for side in SIDES for part in ("knee", "ankle")]
    return float(sum(body.lengths[body.joints.index(name)] for name in names)) / 2


def resampled(animation: Animation, rate: float) -> Animation:
    """The same at so many frames per second: places straight, turns about one axis (Shoemake 1985)
    between frames.
    """
    times = animation.times
    if len(times) < 2:
        return animation
    count = int(np.floor((times[-1] - times[0]) * rate + 1e-6)) + 1
    new = times[0] + np.arange(count) / rate
    low = np.clip(np.searchsorted(times, new, "right") - 1, 0, len(times) - 2)
    share = np.clip((new - times[low]) / (times[low + 1] - times[low]), 0, 1)
    first, second = animation.turns[low], animation.turns[low + 1]
    way = log(np.swapaxes(first, -1, -2) @ second)
    turns = first @ exp(way * share[:, None, None])
    root = animation.root[low] + share[:, None] * (animation.root[low + 1] - animation.root[low])
    return Animation(animation.body, root, turns, new, animation.id, animation.frame)
