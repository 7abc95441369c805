"""Inverse kinematics: joints in space, or in a picture, -> the turns of a rigid body's joints.

Postures of a track are found together: a closed form starts (each joint turns its bones to where
they are seen, Kabsch 1976), then Levenberg and Marquardt's steps lessen the squares of all `terms`
and of the accelerations between frames. The unknowns of neighbouring frames depend on each other in
a band, which one Cholesky factorisation solves; scipy's `least_squares` finds the same minimum of a
frame, at a hundredth of the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import DataError, OptionError
from ..geometry import Array
from .angles import segment_axes
from .body import TRUNK, Animation, Body
from .cameras import Camera
from .measure import with_middles
from .motion import Motion, even
from .rotations import nearest
from .rules import RULES, Rules
from .steps import costs, least
from .terms import Limits, Picture, Places, Rest, State, Term

WINDOW, MARGIN = 240, 12  # frames that are solved together, and more on both sides
# Joints that bend about one axis: the sign of that turn about the upper segment's axis to the right
# (Wu et al. 2002, 2005).
# How much the parent's axes and the plane of a bent limb tell of a bone's turn about itself, in m²,
# beside where its end is: they are worth the same where a limb of 40 cm bones bends by 10 degrees.
ALONE, BENT = 2e-3, 0.07
HINGES = {"knee": -1.0, "elbow": 1.0}


def solve(
    body: Body, motion: Motion, *, rules: Rules = RULES, terms: Sequence[Term] = ()
) -> Animation:
    """The postures in which a body's joints lie where a motion has them, at even times; gaps are
    bridged. `terms`: more to obey (IMUs, `sensors.py`), one goal for each even time.

    Raises DataError where no joint of the body is ever seen.
    """
    motion = even(with_middles(motion) if _middles(body, motion) else motion)
    known = {name: k for k, name in enumerate(motion.skeleton.joints)}
    seen = [j for j, name in enumerate(body.joints) if name in known]
    places = np.full((len(motion), len(body), 3), np.nan)
    places[:, seen] = motion.joints[:, [known[body.joints[j]] for j in seen], :3]
    seen = [j for j in seen if np.isfinite(places[:, j]).all()]
    if not seen or not len(motion):
        raise DataError(f"person {motion.id}: the joints of {body.name} are never seen")

    scores = motion.joints[:, [known[body.joints[j]] for j in seen], 3]
    goals = Places(np.array(seen), places[:, seen], scores / rules.joint, rules.outlier)
    state = posture(body, places)
    state = refine(state, [goals, *terms], motion.times, rules)
    return Animation(body, state.root, state.turns, motion.times, motion.id, motion.frame)


def solve_picture(
    body: Body,
    points: Array,
    times: Array,
    camera: Camera,
    *,
    start: Animation | None = None,
    rules: Rules = RULES,
    terms: Sequence[Term] = (),
) -> Animation:
    """The postures in which a camera sees a body's joints at points [T, J, 3]: x, y, score.

    One picture leaves two places for the end of each bone, near and far; limits and smoothness
    choose. Without a `start` (from the lifter, say) four turns about the vertical are tried.
    """
    if points.shape[1:] != (len(body), 3):
        raise OptionError(f"points {list(points.shape)}: expected [T, {len(body)}, 3]")
    seen = np.isfinite(points).all(2) & (points[..., 2] > 0)
    weights = np.where(seen, points[..., 2], 0) / rules.pixel
    goals = np.where(seen[..., None], points[..., :2], 0)
    term = Picture(np.arange(len(body)), goals, weights, camera, rules.outlier)
    if start is not None:
        states = [State(body, start.root, start.turns)]
    else:
        states = [_before(body, goals, weights, camera, turn) for turn in range(4)]
    if len(states) > 1:
        alone, far = replace(rules, turning=0.0, steps=30), replace(term, outlier=1e6)
        states = [refine(state, [far, *terms], times, alone) for state in states]
        every = terms_of(body, [term, *terms], rules)
        fits = [costs(state, every, None).sum() for state in states]
        states = [states[int(np.argmin(fits))]]
    state = refine(states[0], [term, *terms], times, rules)
    return Animation(body, state.root, state.turns, times, start.id if start is not None else 0)


def _middles(body: Body, motion: Motion) -> bool:
    """Whether the body hangs on middles of joints that the motion does not have."""
    return "pelvis" in body.joints and "pelvis" not in motion.skeleton.joints


def _before(body: Body, goals: Array, weights: Array, camera: Camera, quarter: int) -> State:
    """A body that stands upright before the camera, after so many quarter turns, where its joints
    are in the middle of the seen ones and as far as their spread says.
    """
    up = camera.rotation.T @ np.array([0.0, -1, 0])
    ahead = camera.rotation.T @ np.array([0.0, 0, 1])
    ahead = ahead - (ahead @ up) * up
    ahead = ahead / np.linalg.norm(ahead)
    base = np.stack([ahead, np.cross(up, ahead), up], 1)
    turn = np.pi / 2 * quarter
    spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    turns = np.eye(3)[None, None].repeat(len(goals), 0).repeat(len(body), 1)
    turns[:, 0] = base @ spin
    still = body.forward(np.zeros((len(goals), 3)), turns)[0]

    known = (weights > 0)[..., None]
    count = np.maximum(known.sum(1), 1)
    middle = (goals * known).sum(1) / count
    spread = np.sqrt((np.square(goals - middle[:, None]) * known).sum((1, 2)) / count[:, 0])
    mean = (still * known).sum(1) / count
    upright = np.square((still - mean[:, None]) @ up) * known[..., 0]
    size = np.sqrt(upright.sum(1) / count[:, 0])
    spread, size = (np.where(values > 0, values, 1.0) for values in (spread, size))
    depth = np.clip(camera.matrix[1, 1] * size / spread, 0.5, 100)
    rays = np.concatenate([middle, np.ones_like(middle[:, :1])], 1) @ np.linalg.inv(camera.matrix).T
    root = (rays * depth[:, None] - camera.translation) @ camera.rotation - mean
    return State(body, root, turns)


# --- the start


def posture(body: Body, places: Array) -> State:
    """Places [T, J, 3], NaN where not known -> each joint turned so that its bones point to where
    the next known joints are, about itself as little as can be; knees and elbows bend their way.
    """
    count = len(places)
    axes = segment_axes(body)
    turns = np.eye(3)[None, None].repeat(count, 0).repeat(len(body), 1)
    whole = turns.copy()
    for j in range(len(body)):
        parent = body.parents[j]
        above = whole[:, parent] if parent >= 0 else np.eye(3)[None].repeat(count, 0)
        spread = (ALONE if parent >= 0 else 1e-9) * above  # the root obeys no axes of the world
        for child, offset, weight in _reached(body, j):
            way = places[:, child] - places[:, j]
            way = np.where(np.isfinite(way), way, 0)
            spread = spread + weight * way[:, :, None] * offset
        spread = spread + _bend(body, j, places, axes)
        whole[:, j] = nearest(spread)
        turns[:, j] = np.swapaxes(above, 1, 2) @ whole[:, j]
    root = places[:, 0]
    if not np.isfinite(root).all():
        still = body.forward(np.zeros((count, 3)), turns)[0]
        root = np.nan_to_num(np.nanmean(places - still, axis=1))
    return State(body, root, turns)


def _reached(body: Body, j: int) -> list[tuple[int, Array, float]]:
    """Joints that hang on j by a bone, at rest: themselves, or through joints at the same place,
    which turn on their own and so say less.
    """
    out = []
    for child in body.children[j]:
        if np.linalg.norm(body.offsets[child]) > 1e-9:
            out.append((child, body.offsets[child], 1.0))
        else:
            out += [(c, offset, weight / 10) for c, offset, weight in _reached(body, child)]
        if body.joints[child].endswith("collar"):
            out += [(c, body.offsets[child] + body.offsets[c], 1.0) for c in body.children[child]]
    return out


def _bend(body: Body, j: int, places: Array, axes: Array) -> Array:
    """[T, 3, 3]: that the axis of a hinge below j is the normal of the plane of both bones, as far
    as it bends.
    """
    for child in body.children[j]:
        sign = HINGES.get(body.joints[child].partition("_")[2])
        if sign is None or not body.children[child]:
            continue
        first = places[:, child] - places[:, j]
        second = places[:, body.children[child][0]] - places[:, child]
        normal = np.nan_to_num(sign * np.cross(first, second))
        return BENT * normal[:, :, None] * axes[j][:, 2]
    return np.zeros((len(places), 3, 3))


# --- the steps


def refine(state: State, terms: Sequence[Term], times: Array, rules: Rules = RULES) -> State:
    """The postures in which all terms, the body's limits and smoothness are met best, from a start
    nearby, some frames at a time.
    """
    every = terms_of(state.body, terms, rules)
    parts = []
    for first in range(0, len(times), WINDOW):
        low, high = max(first - MARGIN, 0), min(first + WINDOW + MARGIN, len(times))
        window, kept = slice(low, high), slice(first - low, first - low + WINDOW)
        part = State(state.body, state.root[window], state.turns[window])
        part = least(part, [term.part(window) for term in every], times[window], rules)
        parts.append((part.root[kept], part.turns[kept]))
    if not parts:
        return state
    root, turns = (np.concatenate(values) for values in zip(*parts, strict=True))
    return State(state.body, root, turns)


def terms_of(body: Body, terms: Sequence[Term], rules: Rules) -> list[Term]:
    rest = [rules.girdle if _girdle(body.joints[j]) else rules.rest for j in body.turning]
    weights = 1 / np.array(rest)
    weights[0] = 0  # the root may turn as it likes: turning the world must turn the answer
    return [*terms, Limits.of(body, 1 / rules.limit), Rest(weights)]


def _girdle(joint: str) -> bool:
    """Whether a joint lies at its parent and moves little: what pelvis and shoulders hang on."""
    return joint == TRUNK or joint.endswith("collar")
