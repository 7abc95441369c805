"""From one format to another, joint by joint: what is copied, derived, moved or missing follows
from the names of the joints, and from tables of the few that names do not tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .format import Skeleton

# Joints that a format may lack and that lie midway between two that it has.
MIDPOINTS = {
    "neck": ("left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "pelvis": ("left_hip", "right_hip"),
}
# The share of a skeleton's joints that a network may lack where it is asked for that skeleton: they
# score 0. So people may do without small toes and animals without a neck, but whoever wants feet is
# not answered by a network that finds none.
MISSED = 0.1
# Two names that different data sets give to what is, within their noise, the same point.
SYNONYMS = {"neck": "upper_neck", "upper_neck": "neck", "head_top": "head", "head": "head_top"}
# Joints of one name that two data sets put in two places, by source and target: the source's joints
# on the same side ("own_") and on the other, by weights that add up to 1, so that the sum turns,
# moves and grows with the body. LSP's hips lie further out and higher than COCO's: fitted on
# lspet/train by `benchmarks/placement.py`.
_LSP_OF_COCO = {"hip": {"own_hip": 1.08, "other_hip": -0.16, "own_shoulder": 0.08}}
PLACED = {(source, "lsp-14"): _LSP_OF_COCO for source in ("coco-17", "body-23", "halpe-26")}
# What one format calls a joint and another one otherwise, by source and target. AP-10K counts three
# joints down a leg by people's names, Animal-Pose by its own; seen on samples of both, they are the
# same. AP-10K's neck is neither Animal-Pose's throat nor its withers.
_AP10K_OF_ANIMAL = {"root_of_tail": "tailbase"} | {
    f"{side}_{theirs}": f"{side}_{own}"
    for side in ("left", "right")
    for theirs, own in (
        ("shoulder", "front_elbow"),
        ("elbow", "front_knee"),
        ("hip", "back_elbow"),
        ("knee", "back_knee"),
    )
}
CALLED = {
    ("animal-20", "ap-10k-17"): _AP10K_OF_ANIMAL,
    ("ap-10k-17", "animal-20"): {own: theirs for theirs, own in _AP10K_OF_ANIMAL.items()},
}


@dataclass(frozen=True, slots=True)
class Mapping:
    """How each joint of the target comes from the source: by copy, as a midpoint, or not at all.
    Some copies are moved to where the target's data put that joint (`PLACED`).
    """

    source: Skeleton
    target: Skeleton
    parents: tuple[
        tuple[int, ...], ...
    ]  # per target joint: source joints to average; () where missing
    placed: tuple[
        tuple[int, tuple[int, ...], tuple[float, ...]], ...
    ] = ()  # target joint, source joints, weights

    def _named(self, count: int) -> tuple[str, ...]:
        return tuple(
            j for j, p in zip(self.target.joints, self.parents, strict=True) if len(p) == count
        )

    @property
    def copied(self) -> tuple[str, ...]:
        return self._named(1)

    @property
    def derived(self) -> tuple[str, ...]:
        return self._named(2)

    @property
    def missing(self) -> tuple[str, ...]:
        return self._named(0)

    @property
    def nearly_whole(self) -> bool:
        """Whether who finds the source's joints may be said to find the target's: at most `MISSED`
        of them are missing.
        """
        return len(self.missing) <= MISSED * len(self.target)

    def __call__(self, keypoints: NDArray[np.floating]) -> NDArray[np.floating]:
        """[..., K, 3] of the source -> [..., K', 3] of the target, or in space 4 numbers instead of
        3, of which the last is the score; a midpoint scores as its worse parent, a joint that the
        source lacks is all zeros. A joint that is moved keeps its score, and its place where one of
        the joints that say whereto scores 0.
        """
        numbers = keypoints.shape[-1]
        out = np.zeros((*keypoints.shape[:-2], len(self.parents), numbers), keypoints.dtype)
        for joint, parents in enumerate(self.parents):
            if parents:
                chosen = keypoints[..., list(parents), :]
                out[..., joint, :-1] = chosen[..., :-1].mean(-2)
                out[..., joint, -1] = chosen[..., -1].min(-1)
        for joint, parents, weights in self.placed:
            chosen = keypoints[..., list(parents), :]
            known = np.asarray((chosen[..., -1] > 0).all(-1))
            moved = np.einsum(
                "...pc,p->...c", chosen[..., :-1], np.asarray(weights, keypoints.dtype)
            )
            out[..., joint, :-1] = np.where(known[..., None], moved, out[..., joint, :-1])
        return out


@lru_cache(maxsize=64)
def mapping(source: Skeleton, target: Skeleton) -> Mapping:
    """How to turn keypoints of `source` into keypoints of `target`, joint by joint, by name."""

    called = CALLED.get((source.name, target.name), {})

    def parents(joint: str) -> tuple[int, ...]:
        for name in (called.get(joint, joint), SYNONYMS.get(joint)):
            if name in source.joints:
                return (source.joints.index(name),)
        side, _, part = joint.partition("_")
        if part == "hand_0" and f"{side}_hand_1" in source.joints:  # a hand without its root
            return (source.joints.index(f"{side}_wrist"),)
        pair = MIDPOINTS.get(joint, ())
        if pair and all(name in source.joints for name in pair):
            return tuple(source.joints.index(name) for name in pair)
        return ()

    placed = []
    for part, weights in PLACED.get((source.name, target.name), {}).items():
        for own, other in (("left", "right"), ("right", "left")):
            names = [name.replace("own", own).replace("other", other) for name in weights]
            places = tuple(source.joints.index(name) for name in names)
            placed.append((target.joints.index(f"{own}_{part}"), places, tuple(weights.values())))
    return Mapping(source, target, tuple(parents(joint) for joint in target.joints), tuple(placed))
