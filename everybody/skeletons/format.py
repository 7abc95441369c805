"""A keypoint format as pure data: `Skeleton`, the one without joints, the union of several."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

# The contours of the lips go round: below, the person's left side comes first.
_LOWER_LIP = {f"face_{i}" for i in (55, 56, 57, 58, 59, 65, 66, 67)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """A keypoint format: pure data, one value per format (`everybody.skeletons`)."""

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    mirror: tuple[int, ...]  # joint k of a mirrored picture is joint mirror[k] of the picture
    sigmas: tuple[
        float, ...
    ]  # OKS fall-off per joint, relative to the square root of the person's area
    # The joint that each joint hangs on, -1 for the root; () where the format is no tree.
    parents: tuple[int, ...] = ()
    # How many joints, from the first on, decide: in which turn somebody is seen best, how surely,
    # and who is there twice. 0: all. The others are found on the way and change nothing of these.
    deciding: int = 0

    def __post_init__(self) -> None:
        count = len(self.joints)
        if not (len(self.mirror) == len(self.sigmas) == count):
            raise ValueError(
                f"skeleton '{self.name}': {count} joints need {count} mirror entries and sigmas, "
                f"got {len(self.mirror)} and {len(self.sigmas)}"
            )
        if self.parents and len(self.parents) != count:
            raise ValueError(
                f"skeleton '{self.name}': {count} joints need {count} parents, "
                f"got {len(self.parents)}"
            )
        if not 0 <= self.deciding <= count:
            raise ValueError(
                f"skeleton '{self.name}': of {count} joints {self.deciding} cannot decide"
            )

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def leading(self) -> slice:
        """The joints that decide."""
        return slice(self.deciding or None)

    @property
    def core(self) -> Skeleton:
        """The skeleton of the joints that decide alone: what trackers follow."""
        return _core(self)

    @property
    def fine(self) -> tuple[bool, ...]:
        """Which joints are points of a face or a hand within a whole body: closer together than
        others, and less sure.
        """
        parts = [joint.startswith("face_") or "_hand_" in joint for joint in self.joints]
        return tuple(part and not all(parts) for part in parts)

    def __repr__(self) -> str:
        return f"Skeleton({self.name})"

    @property
    def sides(self) -> tuple[str, ...]:
        """'left', 'right' or 'centre', per joint."""
        sides = []
        for joint, partner in enumerate(self.mirror):
            side = self.joints[joint].partition("_")[0]
            if side not in ("left", "right"):  # points of a face: its own right side first, mostly
                first = joint < partner if self.joints[joint] not in _LOWER_LIP else joint > partner
                side = "centre" if joint == partner else "right" if first else "left"
            sides.append(side)
        return tuple(sides)


@lru_cache(maxsize=64)
def _core(whole: Skeleton) -> Skeleton:
    count = whole.deciding
    if count in (0, len(whole)):
        return whole
    return Skeleton(
        name=f"{whole.name}'s {count}",
        joints=whole.joints[:count],
        limbs=tuple(limb for limb in whole.limbs if max(limb) < count),
        mirror=whole.mirror[:count],
        sigmas=whole.sigmas[:count],
    )


# A person that has been found but has no joints yet: what detectors return.
BOX = Skeleton(name="box", joints=(), limbs=(), mirror=(), sigmas=())


def union(*formats: Skeleton) -> Skeleton:
    """The joints of several formats, each once by its name, for pictures of several kinds of
    bodies: what a body does not have scores 0 on it. Where formats differ about a joint, the first
    is right.
    """
    joints = tuple(dict.fromkeys(joint for one in formats for joint in one.joints))
    place = {joint: index for index, joint in enumerate(joints)}
    mirror, sigmas, limbs = list(range(len(joints))), [0.0] * len(joints), {}
    for one in reversed(formats):
        own = [place[joint] for joint in one.joints]
        for index, partner, sigma in zip(own, one.mirror, one.sigmas, strict=True):
            mirror[index], sigmas[index] = own[partner], sigma
    for one in formats:
        own = [place[joint] for joint in one.joints]
        limbs |= dict.fromkeys(tuple(sorted((own[a], own[b]))) for a, b in one.limbs)
    return Skeleton(
        name="+".join(one.name for one in formats),
        joints=joints,
        limbs=tuple(limbs),
        mirror=tuple(mirror),
        sigmas=tuple(sigmas),
    )
