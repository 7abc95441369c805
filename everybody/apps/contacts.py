"""Feet that stand stay where they are, and none sinks into the floor.

Contacts are told from the person (`floor.Feet`). Each has an anchor, the mean place of the
character's ankle meanwhile. The root moves as the standing feet need it, then each leg reaches its
anchor in closed form (two bones, law of cosines), and feet keep how they point (after Kovar,
Schreiner and Gleicher 2002). Between contacts corrections go over into each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from ..geometry import Array
from ..lift.body import Animation
from ..lift.floor import Feet
from ..lift.knees import thigh
from ..lift.motion import Motion
from ..skeletons import H36M17
from .characters import SIDES, Character
from .retarget import smallest_turn

Mask = NDArray[np.bool_]

SHORTEST = 0.1  # seconds that a contact lasts at least
FADE = 0.25  # seconds in which a correction comes and goes
REACH = 0.999  # share of its length to which a leg is stretched at most
STEP = 0.15  # share of a leg's length: a foot that stands nearer to the floor stands on it
STEPS = 60  # tries to bring the root to where all standing feet reach their anchors


def contacts(animation: Animation) -> Mask:
    """A person's animation in the world -> [T, 2]: which foot stands, left and right."""
    joints = animation.motion(H36M17).joints
    return standing(Motion(H36M17, joints, animation.times))


def standing(motion: Motion) -> Mask:
    """The same of the joints of H36M17 in the world; contacts that are too short are none."""
    feet, up = Feet(), np.array([0.0, 0, 1])
    joints = np.nan_to_num(motion.joints)
    rows = [feet(one, float(t), up) for one, t in zip(joints, motion.times, strict=True)]
    stands = np.array(rows, bool).reshape(-1, 2)
    for foot in range(2):
        for frames in _runs(stands[:, foot]):
            span = motion.times[frames[-1]] - motion.times[frames[0]]
            if span < SHORTEST:
                stands[frames, foot] = False
    return stands


def kept(
    animation: Animation, character: Character, stands: Mask, *, flat: bool = False
) -> Animation:
    """A character's animation -> the same, in which standing ankles stay at their anchors. flat:
    standing feet lie flat, where the person's joints do not tell how feet point.
    """
    legs = [[character.parts[f"{s}_{part}"] for part in ("hip", "knee", "ankle")] for s in SIDES]
    goals = np.stack(
        [_goals(animation, character, ankle, stands[:, n]) for n, (_, _, ankle) in enumerate(legs)],
        1,
    )
    places = animation.places
    if np.array_equal(goals, places[:, [ankle for _, _, ankle in legs]]):
        return animation
    root = _reaching(places, legs, goals, stands)
    moved = (root - animation.root)[:, None]
    turns = animation.turns.copy()
    for n, chain in enumerate(legs):
        foot = animation.orientations[:, chain[2]]
        if flat:
            weight = _around(stands[:, n, None].astype(float), stands[:, n], animation.times)
            foot = _flat(foot, character, np.minimum(weight, 1))
        _bend(animation, turns, places + moved, chain, goals[:, n], foot)
    return Animation(animation.body, root, turns, animation.times, animation.id, animation.frame)


def _flat(foot: Array, character: Character, weight: Array) -> Array:
    """Feet [T, 3, 3] as far as weight [T, 1] says with the sole on the floor, which they have at
    rest.
    """
    up = np.array([0.0, 0, 1])
    tilted = (foot @ character.facing.T)[..., 2]
    return smallest_turn(tilted, tilted + weight * (up - tilted)) @ foot


def slide(animation: Animation, character: Character, stands: Mask) -> float:
    """The farthest that a standing ankle is from its mean place in that contact, in metres."""
    worst = 0.0
    for n, side in enumerate(SIDES):
        ankle = animation.places[:, character.parts[f"{side}_ankle"]]
        for frames in _runs(stands[:, n]):
            away = ankle[frames] - ankle[frames].mean(0)
            worst = max(worst, float(np.linalg.norm(away, axis=1).max()))
    return worst


def _runs(mask: Mask) -> list[NDArray[np.int64]]:
    """Frames that follow each other where mask [T] holds."""
    marks, count = label(mask)  # pyright: ignore[reportGeneralTypeIssues]
    return [np.flatnonzero(marks == n) for n in range(1, count + 1)]


def _goals(animation: Animation, character: Character, ankle: int, mask: Mask) -> Array:
    """[T, 3]: where an ankle shall be: at the anchor in contacts, at the height that it has over
    the floor at rest where it is near that; around contacts the correction fades.
    """
    places = animation.places[:, ankle]
    sole = float(character.rest[ankle, 2]) - character.floor
    off = np.zeros_like(places)
    for frames in _runs(mask):
        anchor = places[frames].mean(0)
        if abs(anchor[2] - sole) < STEP * character.leg:
            anchor[2] = sole
        off[frames] = anchor - places[frames]
    goals = places + _around(off, mask, animation.times)
    goals[:, 2] += _out_of_floor(sole - goals[:, 2], STEP * character.leg)
    return goals


def _out_of_floor(below: Array, most: float) -> Array:
    """Metres [T] that an ankle is too low -> metres by which it is lifted: out of the floor, unless
    it is so far below that there must be another floor.
    """
    return np.maximum(below, 0) * np.clip(2 - below / most, 0, 1)


def _around(values: Array, mask: Mask, times: Array) -> Array:
    """Values [T, D] that hold in contacts -> the same, that come and go within FADE around them."""
    runs, out = _runs(mask), np.where(mask[:, None], values, 0)
    edges = [(frames[0], frames[-1]) for frames in runs]
    gaps = zip([None, *edges], [*edges, None], strict=True)
    for before, after in gaps:
        first = before[1] + 1 if before else 0
        last = after[0] if after else len(times)
        span = times[after[0]] - times[before[1]] if before and after else FADE
        for near in ([before[1]] if before else []) + ([after[0]] if after else []):
            away = np.abs(times[first:last] - times[near]) / min(FADE, span)
            share = 0.5 + 0.5 * np.cos(np.pi * np.minimum(away, 1))
            out[first:last] += share[:, None] * values[near]
    return out


def _reaching(places: Array, legs: list[list[int]], goals: Array, stands: Mask) -> Array:
    """[T, 3]: the root, moved by as little as lets legs reach their goals where feet stand."""
    off = np.stack([goals[:, n] - places[:, chain[2]] for n, chain in enumerate(legs)], 1)
    move = off.mean(1)
    for _ in range(STEPS):
        pull, count = np.zeros_like(move), np.zeros((len(move), 1))
        for n, (hip, knee, ankle) in enumerate(legs):
            bones = places[0, [knee, ankle]] - places[0, [hip, knee]]
            most = REACH * np.linalg.norm(bones, axis=1).sum()
            way = goals[:, n] - places[:, hip] - move
            away = np.linalg.norm(way, axis=1, keepdims=True)
            over = np.maximum(away - most, 0) * stands[:, n, None]
            pull += way / np.maximum(away, 1e-9) * over
            count += over > 0
        if not count.any():
            break
        move = move + pull / np.maximum(count, 1)
    return places[:, 0] + move


def _bend(
    animation: Animation, turns: Array, places: Array, chain: list[int], goal: Array, foot: Array
) -> None:
    """Turns hip and knee in place so that the ankle lies at its goal, and the foot to its axes."""
    hip, knee, ankle = chain
    body, whole = animation.body, animation.orientations
    upper, lower = places[:, knee] - places[:, hip], places[:, ankle] - places[:, knee]
    a, b = (np.linalg.norm(bone, axis=1, keepdims=True) for bone in (upper, lower))
    way = goal - places[:, hip]
    far = np.linalg.norm(way, axis=1, keepdims=True)
    far = np.clip(far, np.abs(a - b) + 1e-6, a + b - 1e-9)
    along = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)

    # the knee stays on the side it is on, in the plane of the turned leg; a straight leg bends on
    straight = smallest_turn(upper + lower, along)
    side = (straight @ upper[..., None])[..., 0]
    ahead = (straight @ whole[:, hip] @ np.array([1.0, 0, 0])[:, None])[..., 0]
    side = side - (side * along).sum(1, keepdims=True) * along
    ahead = ahead - (ahead * along).sum(1, keepdims=True) * along
    side = side + 1e-6 * ahead
    new = thigh(along, far, side, a, b)

    turned = smallest_turn((straight @ upper[..., None])[..., 0], new) @ straight
    shank = smallest_turn((turned @ lower[..., None])[..., 0], along * far - new) @ turned
    hips, shanks = turned @ whole[:, hip], shank @ whole[:, knee]
    _put(turns, whole, body.parents, hip, hips, None)
    _put(turns, whole, body.parents, knee, shanks, (hip, hips))
    _put(turns, whole, body.parents, ankle, foot, (knee, shanks))


def _put(
    turns: Array,
    whole: Array,
    parents: tuple[int, ...],
    joint: int,
    axes: Array,
    above: tuple[int, Array] | None,
) -> None:
    """Gives a joint its axes in the world. above: a joint over it that has new axes; joints in
    between turn with it as they did.
    """
    parent = whole[:, parents[joint]]
    if above is not None:
        changed, now = above
        parent = now @ np.swapaxes(whole[:, changed], 1, 2) @ parent
    turns[:, joint] = np.swapaxes(parent, 1, 2) @ axes
