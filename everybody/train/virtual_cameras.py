"""Motion in space -> what cameras at drawn places would see of it, and what our 2D models would
make of that (Pavllo et al. 2019 project captured motion, too; noise as `joint_errors` says).

Everything is drawn anew for each clip: bone lengths (left as right), whose arms a body has, whether
time runs faster or backwards; where the camera stands, how it is rolled, whether it follows the
person, how wrong the field of view is believed to be; how sure and how wrong joints are over time,
which are hidden, outside or exchanged, which frames are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.cmu import Capture
from ..lift.anatomy import coco_of_cmu, h36m_of_cmu, head_axes, with_wrists
from ..skeletons import CMU24, COCO17
from . import joint_errors

Array = NDArray[Any]
Random = np.random.Generator

ARMS = [
    CMU24.joints.index(f"{side}_{part}")
    for side in ("left", "right")
    for part in ("elbow", "wrist")
]
NEAREST = 0.3  # metres before the camera: what is nearer is not seen
LIMBS = tuple(
    [COCO17.joints.index(f"{side}_{part}") for part in parts]
    for parts in (("elbow", "wrist"), ("knee", "ankle"), ("wrist",), ("ankle",))
    for side in ("left", "right")
)
FACE = list(range(5))
PAIRS = ([7, 9], [8, 10]), ([13, 15], [14, 16]), ([11, 13, 15], [12, 14, 16]), ([5, 7, 9], [6, 8, 10])  # fmt: skip  # noqa: E501
LOW = [11, 12, 13, 14, 15, 16]  # hips, knees, ankles


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """Frames of many sequences, one after the other: bones [N, 24, 3] from parent to joint, axes of
    the head and of the chest [N, 3, 3], arms as the chest sees them [N, 4, 3], roots [N, 3]; the
    first and last frame of the sequence of each [N].
    """

    bones: Array
    axes: Array
    chests: Array
    arms: Array
    roots: Array
    first: Array
    last: Array

    @classmethod
    def of(cls, motions: Sequence[Capture]) -> Bodies:
        joints = with_wrists(np.concatenate([motion.joints for motion in motions]))
        forward = np.concatenate([motion.forward for motion in motions])
        lengths = np.array([len(motion.joints) for motion in motions])
        ends = np.cumsum(lengths)
        parents = np.array(CMU24.parents)
        bones = joints - joints[:, parents]
        bones[:, 0] = 0
        chests = _chests(joints)
        return cls(
            bones.astype(np.float32),
            head_axes(joints, forward).astype(np.float32),
            chests.astype(np.float32),
            (bones[:, ARMS] @ chests.mT).astype(np.float32),
            joints[:, 0].astype(np.float32),
            np.repeat(ends - lengths, lengths),
            np.repeat(ends - 1, lengths),
        )

    def __len__(self) -> int:
        return len(self.roots)

    def distinct(self, least: float = 0.01) -> Array:
        """Frames [M] whose bones have turned since the last one of them, by so many metres in the
        mean: somebody who stands still for a minute teaches no more than in a second.
        """
        chosen, last = [], -1
        for frame, bones in enumerate(self.bones):
            new = last < self.first[frame]
            if new or np.abs(bones - self.bones[last]).sum(1).mean() > least:
                chosen.append(frame)
                last = frame
        return np.array(chosen)


def _chests(joints: Array) -> Array:
    """Joints [N, 24, 3] -> unit vectors [N, 3, 3] to the chest's left, up, forward."""
    left, right, neck, spine = (
        joints[:, CMU24.joints.index(name)]
        for name in ("left_shoulder", "right_shoulder", "neck", "spine")
    )
    across = left - right
    across = across / np.linalg.norm(across, axis=1, keepdims=True)
    forward = np.cross(across, neck - spine)
    forward = forward / np.maximum(np.linalg.norm(forward, axis=1, keepdims=True), 1e-6)
    return np.stack([across, np.cross(forward, across), forward], 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shots:
    """How cameras and models are drawn. noise: share of the clips with errors of 2D models; the
    others are seen perfectly. height: metres of the camera above the floor, None: drawn.
    """

    reach: tuple[int, int] = (13, 13)  # frames before and after the middle one
    noise: float = 0.5
    arms: float = 0.4  # share of the clips with the arms of another clip
    fast: float = 0.1  # share at twice the speed
    back: float = 0.25  # share played backwards
    bones: float = 0.06  # deviation of the logarithm of their lengths
    bias: float = 0.015  # metres: of where a joint is seen from where it is
    height: float | None = None
    live: float = 0.3  # share of the clips that lack some or all of the future
    lost: bool = True  # joints and frames may be missing
    strange: float = 0.06  # share of the cameras at any turn


def clips(bodies: Bodies, rows: Array, shots: Shots, rng: Random) -> tuple[Array, Array]:
    """Middle frames [B] -> rays and scores [B, F, 17, 3] of COCO's joints, and the middle pose
    [B, 17, 3] of H36M17 in metres, relative to the pelvis, as its camera sees it.
    """
    before, after = shots.reach
    steps = np.where(rng.random(len(rows)) < shots.fast, 2, 1)
    if before == after:
        steps = np.where(rng.random(len(rows)) < shots.back, -steps, steps)
    at = rows[:, None] + steps[:, None] * np.arange(-before, after + 1)
    there = (at >= bodies.first[rows][:, None]) & (at <= bodies.last[rows][:, None])
    at = np.clip(at, bodies.first[rows][:, None], bodies.last[rows][:, None])

    points, pose = _bodies(bodies, at, before, shots, rng)
    turn, place = _cameras(bodies.roots[rows, 1], shots, rng)
    roots = bodies.roots[at] - bodies.roots[rows][:, None]
    roots[rng.random(len(rows)) < 0.25] = 0  # the camera follows
    world = points + roots[:, :, None] - place[:, None, None]
    camera = world @ turn.mT[:, None]
    pose = pose @ turn.mT

    depth = camera[..., 2:]
    rays = camera[..., :2] / np.maximum(depth, NEAREST)
    seen = there[..., None] & (depth[..., 0] > NEAREST)
    believed = np.exp(0.08 * rng.standard_normal(len(rows), np.float32)) if shots.lost else 1.0
    rays = rays * np.reshape(believed, (-1, 1, 1, 1))
    rays, scores = as_found(rays, shots, rng)
    return np.concatenate([rays, (scores * seen)[..., None]], -1).astype(np.float32), pose


def _bodies(bodies: Bodies, at: Array, middle: int, shots: Shots, rng: Random) -> tuple[Array, ...]:
    """Frames [B, F] -> COCO's joints [B, F, 17, 3] and the middle poses [B, 17, 3], both relative
    to the pelvis, of bodies whose bones are of other lengths.
    """
    count = len(at)
    factor = rng.standard_normal((count, len(CMU24)), np.float32)
    factor = np.exp(shots.bones * (factor + factor[:, list(CMU24.mirror)]) / np.sqrt(2))
    bones = bodies.bones[at]
    others = np.flatnonzero(rng.random(count) < shots.arms)
    lent = at[rng.permutation(count)[: len(others)]]  # the arms of another clip of the batch
    arms = bodies.arms[lent] @ bodies.chests[at[others]]
    bones[others[:, None, None], np.arange(at.shape[1])[:, None], ARMS] = arms
    bones *= factor[:, None, :, None]
    joints = _chains() @ bones
    both = np.concatenate([joints, bodies.axes[at]], 2)
    points = coco_of_cmu().astype(np.float32) @ both
    points += shots.bias * rng.standard_normal((count, 1, 17, 3), np.float32)
    return points, h36m_of_cmu().astype(np.float32) @ joints[:, middle]


def _chains() -> Array:
    """[24, 24]: 1 where a bone lies between the root and a joint."""
    chains = np.eye(len(CMU24), dtype=np.float32)
    for k, parent in enumerate(CMU24.parents):
        if parent >= 0:
            chains[k] += chains[parent]
    return chains


def _cameras(roots: Array, shots: Shots, rng: Random) -> tuple[Array, Array]:
    """Heights of pelvises [B] -> the turns of cameras [B, 3, 3] (camera = turn @ world) and their
    places [B, 3] beside the pelvis.
    """
    count = len(roots)
    around = rng.uniform(0, 2 * np.pi, count)
    away = np.exp(rng.uniform(np.log(1.8), np.log(12), count))
    if shots.height is None:
        high = np.where(
            rng.random(count) < 0.8, rng.uniform(0.2, 2.6, count), rng.uniform(0.2, 6, count)
        )
    else:
        high = np.full(count, shots.height)
    place = np.stack([away * np.cos(around), high - roots, away * np.sin(around)], 1)

    forward = -place / np.linalg.norm(place, axis=1, keepdims=True)
    up = np.tile([0.0, 1.0, 0.0], (count, 1))
    up += np.tan(np.radians(6)) * rng.standard_normal((count, 3))  # rolled
    strange = rng.random(count) < shots.strange
    up[strange] = rng.standard_normal((int(strange.sum()), 3))
    right = np.cross(forward, up)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    turn = np.stack([right, np.cross(forward, right), forward], 1)
    return turn.astype(np.float32), place.astype(np.float32)


def as_found(rays: Array, shots: Shots, rng: Random) -> tuple[Array, Array]:
    """Rays [B, F, 17, 2] -> as a model would find them, and its scores [B, F, 17]."""
    count, frames, joints = rays.shape[:3]
    noisy = rng.random(count) < shots.noise
    hidden = np.zeros((count, joints), bool)
    if shots.lost:
        hidden = _hidden(count, rng)
    scores, deviation = _scores(hidden, frames, rng)

    offsets = rays - rays.mean(2, keepdims=True)
    spread = np.sqrt(np.einsum("bfkc,bfkc->bf", offsets, offsets) / joints)
    scale = np.exp(joint_errors.TAIL * rng.standard_normal((count, 1, joints), np.float32))
    size = deviation * scale * spread[..., None]
    errors = _over_time(rng.standard_normal((count, frames, joints, 2), np.float32), rng)
    errors *= np.where(noisy[:, None, None], np.minimum(size, 1.5 * spread[..., None]), 0)[
        ..., None
    ]
    rays = _exchanged(rays, noisy, rng) + errors

    # What is seen perfectly is sure; hidden joints are then not known at all.
    perfect = np.where(hidden[:, None], 0, 1.0)
    scores = np.where(noisy[:, None, None], scores, perfect)
    if shots.lost:
        scores *= _known(count, frames, joints, shots, rng)
    return rays, scores


def _hidden(count: int, rng: Random) -> Array:
    """[B, 17]: joints that cannot be seen in the whole clip."""
    hidden = rng.random((count, 17)) < 0.03
    for limb in LIMBS:
        hidden[_where(rng, count, 0.03), limb] = True
    low = rng.random(count) < 0.08
    hidden[np.flatnonzero(low)[:, None], LOW[2:]] = True
    hidden[np.flatnonzero(low & (rng.random(count) < 0.5))[:, None], LOW[:2]] = True
    hidden[_where(rng, count, 0.08), FACE] = True
    return hidden


def _where(rng: Random, count: int, share: float) -> Array:
    """[M, 1]: a share of the numbers below `count`, drawn."""
    return np.flatnonzero(rng.random(count) < share)[:, None]


def _scores(hidden: Array, frames: int, rng: Random) -> tuple[Array, Array]:
    """Hidden joints [B, 17] -> scores and deviations [B, F, 17]."""
    count, joints = hidden.shape
    good = 0.3 + 0.6 * rng.standard_normal((count, 1, 1), np.float32)
    own = 0.6 * rng.standard_normal((count, 1, joints), np.float32)
    passing = _over_time(rng.standard_normal((count, frames, joints, 1), np.float32), rng)[..., 0]
    rank = 1 / (1 + np.exp(-1.702 * (good + own + 0.5 * passing)))
    place = np.minimum((rank * 128).astype(np.int64), 127)
    tables = np.stack([joint_errors.score_table(joint_errors.kind(n)) for n in COCO17.joints])
    scores = np.where(
        hidden[:, None],
        joint_errors.score_table("hidden")[place] * 0.6,
        tables[np.arange(joints), place],
    )
    deviation = joint_errors.deviation_table()[np.minimum((scores * 128).astype(np.int64), 127)]
    return scores.astype(np.float32), deviation.astype(np.float32)


def _over_time(values: Array, rng: Random) -> Array:
    """Independent numbers [B, F, K, C] -> numbers of the same spread that change slowly, at a rate
    of each clip.
    """
    keep = rng.uniform(0.3, 0.95, (len(values), 1, 1)).astype(np.float32)
    news = np.sqrt(1 - keep**2)
    for t in range(1, values.shape[1]):
        values[:, t] = keep * values[:, t - 1] + news * values[:, t]
    return values


def _exchanged(rays: Array, noisy: Array, rng: Random) -> Array:
    """Left and right exchanged over a stretch of frames in some clips."""
    count, frames = rays.shape[:2]
    rays = rays.copy()
    wrong = np.flatnonzero(noisy & (rng.random(count) < 4 * joint_errors.SWAPPED))
    for clip in wrong:
        a, b = PAIRS[rng.integers(len(PAIRS))]
        start = rng.integers(frames)
        part = slice(start, start + 1 + rng.integers(max(frames // 3, 1)))
        rays[clip, part, a], rays[clip, part, b] = rays[clip, part, b], rays[clip, part, a].copy()
    return rays


def _known(count: int, frames: int, joints: int, shots: Shots, rng: Random) -> Array:
    """[B, F, 17]: 0 where a frame or a joint is not given at all, the middle frame always is."""
    before = shots.reach[0]
    known = np.ones((count, frames, joints), np.float32)
    known[_where(rng, count, 0.35)[..., None], np.arange(frames)[:, None], FACE] = (
        0  # not in all formats
    )
    live = rng.random(count) < shots.live
    left = np.where(rng.random(count) < 0.6, 0, rng.integers(0, shots.reach[1] + 1, count))
    ahead = np.arange(frames) - before
    known[live[:, None] & (ahead > left[:, None])] = 0
    young = rng.random(count) < 0.1  # the person has just appeared
    age = rng.integers(0, before + 1, count)
    known[young[:, None] & (ahead < -age[:, None])] = 0
    known[(rng.random((count, frames)) < 0.02) & (ahead != 0)] = 0
    return known
