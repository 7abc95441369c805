"""A body of rigid bones: a tree of joints as data, and its forward kinematics.

A joint turns all that hangs on it. With R the turn of joint j in its parent's axes, G that of all
joints above it and o the place of j in its parent's axes at rest (Featherstone 2008, chapter 4):

    G_j = G_parent(j) R_j        x_j = x_parent(j) + G_parent(j) o_j

At rest all axes are the world's: x to where the body looks, y to its left, z up. Arms are held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..skeletons import Skeleton
from .motion import Motion

# Where the trunk turns against the pelvis: at the pelvis, as in CMU's and Human3.6M's bodies.
TRUNK = "torso"
_LEFT, _RIGHT = "left_", "right_"


@dataclass(frozen=True, eq=False)
class Body:
    """joints: names of J joints, each after its parent; parents [J], -1 for the root; offsets
    [J, 3] in metres from the parent, at rest. A joint on which nothing hangs is an end.

    Raises ValueError where that is no tree.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Array

    def __post_init__(self) -> None:
        offsets = np.asarray(self.offsets, np.float64)
        object.__setattr__(self, "offsets", offsets)
        if not len(self.joints) == len(self.parents) == len(offsets) or offsets.shape[1:] != (3,):
            raise ValueError(
                f"body '{self.name}': {len(self.joints)} joints need as many parents and offsets "
                f"[J, 3], got {len(self.parents)} and {list(offsets.shape)}"
            )
        late = [j for j, parent in enumerate(self.parents) if not -1 <= parent < j]
        if late or self.parents.count(-1) != 1:
            raise ValueError(f"body '{self.name}': expected one root, and parents before children")

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Per joint, what hangs on it."""
        return tuple(
            tuple(c for c, parent in enumerate(self.parents) if parent == j)
            for j in range(len(self))
        )

    @cached_property
    def turning(self) -> tuple[int, ...]:
        """The joints on which something hangs: those whose turns matter."""
        return tuple(j for j, children in enumerate(self.children) if children)

    @cached_property
    def above(self) -> NDArray[np.bool_]:
        """[J, J]: whether the turn of joint k moves joint j: k lies above it."""
        out = np.zeros((len(self), len(self)), bool)
        for j, parent in enumerate(self.parents):
            if parent >= 0:
                out[j] = out[parent]
                out[j, parent] = True
        return out

    @property
    def lengths(self) -> Array:
        """[J] in metres: how far each joint is from its parent."""
        return np.where(np.array(self.parents) < 0, 0, np.linalg.norm(self.offsets, axis=1))

    def forward(self, root: Array, turns: Array) -> tuple[Array, Array]:
        """Places of the root [T, 3] and turns [T, J, 3, 3] of all joints in their parents' axes ->
        places [T, J, 3] and orientations [T, J, 3, 3] in the world.
        """
        places = np.empty((*turns.shape[:2], 3))
        whole = np.empty_like(turns)
        for j, parent in enumerate(self.parents):
            if parent < 0:
                places[:, j], whole[:, j] = root, turns[:, j]
                continue
            places[:, j] = places[:, parent] + whole[:, parent] @ self.offsets[j]
            np.matmul(whole[:, parent], turns[:, j], out=whole[:, j])
        return places, whole


@dataclass(frozen=True, eq=False)
class Animation:
    """A body that moves: root [T, 3] in metres, turns [T, J, 3, 3] of the joints in their parents'
    axes, times [T] in seconds. The world's z is up where `frame` is "world".
    """

    body: Body
    root: Array
    turns: Array
    times: Array
    id: int = 0
    frame: str = "world"

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def _forward(self) -> tuple[Array, Array]:
        return self.body.forward(self.root, self.turns)

    @property
    def places(self) -> Array:
        """[T, J, 3] in metres."""
        return self._forward[0]

    @property
    def orientations(self) -> Array:
        """[T, J, 3, 3]: the axes of each joint in the world."""
        return self._forward[1]

    def motion(self, skeleton: Skeleton | None = None, scores: Array | None = None) -> Motion:
        """The joints of a skeleton, by name, with scores [T, K] (else 1; 0 for joints that the body
        lacks); by default of the body's own.
        """
        skeleton = skeleton or own_skeleton(self.body)
        place = {name: j for j, name in enumerate(self.body.joints)}
        joints = np.full((len(self), len(skeleton), 4), np.nan)
        for k, name in enumerate(skeleton.joints):
            if name in place:
                joints[:, k, :3] = self.places[:, place[name]]
                joints[:, k, 3] = 1 if scores is None else scores[:, k]
        frame = "camera" if self.frame == "camera" else "world"
        return Motion(skeleton, joints, self.times, self.id, self.body.name, frame)


def own_skeleton(body: Body) -> Skeleton:
    """All joints of a body as a keypoint format; left and right by the names."""
    return tree_skeleton(body.name, body.joints, body.parents)


def tree_skeleton(name: str, joints: Sequence[str], parents: Sequence[int] = ()) -> Skeleton:
    """A keypoint format of joints that a file names; the mirror of left_knee is right_knee."""
    place = {joint: k for k, joint in enumerate(joints)}
    swap = {_LEFT: _RIGHT, _RIGHT: _LEFT}
    mirror = [
        place.get(swap.get(joint[: joint.find("_") + 1], "-") + joint.partition("_")[2], k)
        for k, joint in enumerate(joints)
    ]
    return Skeleton(
        name=name,
        joints=tuple(joints),
        limbs=tuple((parent, k) for k, parent in enumerate(parents) if parent >= 0),
        mirror=tuple(mirror),
        sigmas=(0.08,) * len(joints),
        parents=tuple(parents),
    )
