"""Characters that motions are put on: a body of bones, and which bone is which part of a person.

`TABLES` says what rigs call their bones: Mixamo's (also the BVH of CMU's database as converted for
MotionBuilder), VRM's humanoid bones, CMU's own ASF, and Biovision's BVH. A character's bones count
by their names without a prefix (`mixamorig:Hips`), small and large letters alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import DataError
from ..geometry import Array
from ..lift.body import Body

# parts of a person, each called by the joint where its bone begins; {} is the side
MIDDLE = ("pelvis", "spine", "chest", "upper_chest", "neck", "head")
LIMBS = ("collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe")
PARTS = (*MIDDLE, *(f"{side}_{limb}" for side in ("left", "right") for limb in LIMBS))
NEEDED = ("pelvis", *(p for p in PARTS if "_" in p and not p.endswith(("chest", "collar", "toe"))))


def _table(middle: str, limbs: str, sides: tuple[str, str]) -> dict[str, str]:
    """Part -> bone; `limbs` in the order of LIMBS, each with {} for the side."""
    out: dict[str, str] = dict(zip(MIDDLE, middle.split(), strict=True))
    for ours, theirs in zip(("left", "right"), sides, strict=True):
        for limb, bone in zip(LIMBS, limbs.split(), strict=True):
            out[f"{ours}_{limb}"] = bone.format(theirs)
    return out


TABLES: dict[str, dict[str, str]] = {
    "mixamo": _table(
        "Hips Spine Spine1 Spine2 Neck Head",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot {}ToeBase",
        ("Left", "Right"),
    ),
    "vrm": _table(
        "hips spine chest upperChest neck head",
        "{}Shoulder {}UpperArm {}LowerArm {}Hand {}UpperLeg {}LowerLeg {}Foot {}Toes",
        ("left", "right"),
    ),
    "cmu": _table(
        "root lowerback upperback thorax lowerneck head",
        "{}clavicle {}humerus {}radius {}wrist {}femur {}tibia {}foot {}toes",
        ("l", "r"),
    ),
    "biovision": _table(
        "Hips Chest Chest2 Chest3 Neck Head",
        "{}Collar {}UpArm {}LowArm {}Hand {}UpLeg {}LowLeg {}Foot {}Toe",
        ("Left", "Right"),
    ),
}

SIDES = ("left", "right")
LEANING = 30.0  # degrees from the vertical, at rest


@dataclass(frozen=True, eq=False)
class Character:
    """A body whose joints have the names of its own file, at rest in metres, z up, and the place of
    each part of a person among them. floor: height on which it stands, above the root (below 0).

    Raises DataError where a part of `NEEDED` is missing, the pelvis is not the root, or it does not
    stand at rest.
    """

    body: Body
    parts: Mapping[str, int]
    floor: float

    def __post_init__(self) -> None:
        if missing := [part for part in NEEDED if part not in self.parts]:
            raise DataError(f"{self.body.name}: has no bone for {', '.join(missing)}")
        if self.parts["pelvis"] != 0:
            root, hips = self.body.joints[0], self.body.joints[self.parts["pelvis"]]
            raise DataError(f"{self.body.name}: its root is '{root}', expected the hips '{hips}'")
        ways = {"trunk": ("hip", "shoulder", 1), "legs": ("hip", "ankle", -1)}
        for name, (start, end, up) in ways.items():
            middles = [[self.parts[f"{side}_{p}"] for side in SIDES] for p in (start, end)]
            way = self.rest[middles[1]].mean(0) - self.rest[middles[0]].mean(0)
            angle = np.degrees(np.arctan2(np.hypot(way[0], way[1]), way[2] * up))
            if angle > LEANING:
                raise DataError(
                    f"{self.body.name}: its {name} lean by {angle:.0f} degrees at rest; expected a "
                    "character that stands upright at rest, y up, in a T- or A-pose"
                )

    @cached_property
    def rest(self) -> Array:
        """[J, 3]: where the joints are at rest, from the root."""
        still = np.eye(3)[None, None].repeat(len(self.body), 1)
        return self.body.forward(np.zeros((1, 3)), still)[0][0]

    @cached_property
    def facing(self) -> Array:
        """[3, 3]: the quarter turn about z after which its left hip lies along y, so that it looks
        along x: rigs of VRM 0 look back.
        """
        x, y, _ = self.rest[self.parts["left_hip"]] - self.rest[self.parts["right_hip"]]
        quarter = np.round((np.pi / 2 - np.arctan2(y, x)) / (np.pi / 2))
        c, s = np.round(np.cos(quarter * np.pi / 2)), np.round(np.sin(quarter * np.pi / 2))
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])

    @property
    def leg(self) -> float:
        """Metres from hip over knee to ankle, the mean of both."""
        chains = [[self.parts[f"{side}_{p}"] for p in ("hip", "knee", "ankle")] for side in SIDES]
        ways = [np.diff(self.rest[chain], axis=0) for chain in chains]
        return float(np.mean([np.linalg.norm(way, axis=1).sum() for way in ways]))

    @property
    def height(self) -> float:
        """Metres from the floor to the highest joint at rest; a head without an end goes on for as
        long as its neck is, twice.
        """
        top = float(self.rest[:, 2].max())
        head, neck = self.parts.get("head"), self.parts.get("neck")
        if head is not None and not self.body.children[head] and neck is not None:
            top += 2 * float(np.linalg.norm(self.rest[head] - self.rest[neck]))
        return top - self.floor

    def scaled(self, factor: float) -> Character:
        body = self.body
        body = Body(body.name, body.joints, body.parents, body.offsets * factor)
        return Character(body, self.parts, self.floor * factor)


def _plain(bone: str) -> str:
    return bone.rpartition(":")[2].lower()


def parts_of(name: str, bones: Sequence[str]) -> dict[str, int]:
    """Names of a rig's bones -> the place of each part that the table has which fits best.

    Raises DataError that names the bones found, and those that each table expects, where none has
    all that are needed.
    """
    place = {_plain(bone): n for n, bone in reversed(list(enumerate(bones)))}
    found = {
        table: {part: place[bone.lower()] for part, bone in names.items() if bone.lower() in place}
        for table, names in TABLES.items()
    }
    best = max(found, key=lambda table: sum(part in found[table] for part in NEEDED))
    missing = [TABLES[best][part] for part in NEEDED if part not in found[best]]
    if missing:
        some = ", ".join(list(bones)[:30]) + (", …" if len(bones) > 30 else "")
        wanted = "; ".join(
            f"{table}: {', '.join(names[part] for part in NEEDED)}"
            for table, names in TABLES.items()
        )
        raise DataError(
            f"{name}: its bones are of no known character; nearest is {best}, without "
            f"{', '.join(missing)}. Found: {some or 'none'}. Expected one of: {wanted}"
        )
    return found[best]
