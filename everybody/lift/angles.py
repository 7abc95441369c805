"""The angles of joints in anatomical terms, as the International Society of Biomechanics has them.

Every segment has axes x forward, y up, z to the right when the body stands upright with its arms
hanging. A joint's angles are those of the distal segment's axes in the proximal one's:

    hip, ankle, spine   Wu et al. 2002 (after Grood and Suntay 1983): Z flexion, X adduction,
    knee                Y internal rotation; knee flexion counts backward, ankle: dorsiflexion
    shoulder            Wu et al. 2005: thorax to upper arm, Y-X-Y: plane of elevation (0 abduction,
                        90 forward), elevation, axial rotation
    elbow, wrist        Wu et al. 2005: Z flexion, X carrying angle (ulnar deviation), Y pronation

Left sides are measured on the mirrored body, so that equal postures have equal angles. Rotation of
a segment about itself is told by the joints beyond: of the upper arm only where the elbow is bent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..geometry import Array
from .body import Animation, Body

# Forward, up and right as columns, of who looks along x in the world, or into the camera.
UPRIGHT: dict[str, Array] = {
    "world": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "camera": np.array([[0.0, 0, -1], [0, -1, 0], [-1, 0, 0]]),
}
MIRROR = np.diag([1.0, 1.0, -1.0])  # right becomes left, in ISB's axes


@dataclass(frozen=True, slots=True)
class Joint:
    """One joint: the joints whose turns carry its proximal and its distal segment (the first that
    the body has), the order of its three angles as scipy writes it, their names, and signs that
    make each count as its name says.
    """

    proximal: tuple[str, ...]
    distal: tuple[str, ...]
    order: str
    names: tuple[str, str, str]
    signs: tuple[int, int, int] = (1, 1, 1)


# {} is the side. Lists begin with the trunk's highest joint that turns the shoulders.
_TRUNK = ("chest", "spine", "torso")
_NECK = ("upper_neck", "neck", "thorax")
JOINTS: dict[str, Joint] = {
    "pelvis": Joint((), ("pelvis",), "ZXY", ("tilt", "list", "rotation")),
    "trunk": Joint(("pelvis",), _TRUNK, "ZXY", ("flexion", "bending", "rotation"), (-1, 1, 1)),
    "neck": Joint(_TRUNK, _NECK, "ZXY", ("flexion", "bending", "rotation"), (-1, 1, 1)),
    "hip": Joint(("pelvis",), ("{}_hip",), "ZXY", ("flexion", "adduction", "rotation")),
    "knee": Joint(
        ("{}_hip",), ("{}_knee",), "ZXY", ("flexion", "adduction", "rotation"), (-1, 1, 1)
    ),
    "ankle": Joint(
        ("{}_knee",), ("{}_ankle",), "ZXY", ("dorsiflexion", "inversion", "rotation")
    ),
    "shoulder": Joint(
        _TRUNK, ("{}_shoulder",), "YXY", ("plane", "elevation", "rotation"), (1, -1, 1)
    ),
    "elbow": Joint(
        ("{}_shoulder",), ("{}_elbow",), "ZXY", ("flexion", "carrying", "pronation")
    ),
    "wrist": Joint(
        ("{}_elbow",), ("{}_wrist",), "ZXY", ("flexion", "deviation", "rotation")
    ),
}  # fmt: skip
SIDED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
# Segments along a limb: their own y runs from end to start, x stays as far forward as it can.
_LIMBS = ("hip", "knee", "shoulder", "elbow", "wrist")


def segment_axes(body: Body) -> Array:
    """[J, 3, 3]: the anatomical axes of the segment that each joint turns, as columns, at rest.

    Where the rest looks is told by the hips (left) and the trunk (up), since bodies out of files
    rest as they please.
    """
    upright = _upright(body)
    axes = np.broadcast_to(upright, (len(body), 3, 3)).copy()
    for j, name in enumerate(body.joints):
        if name.partition("_")[2] not in _LIMBS or not body.children[j]:
            continue
        way = body.offsets[body.children[j][0]]
        if np.linalg.norm(way) < 1e-9:
            continue
        y = -way / np.linalg.norm(way)
        x = upright[:, 0] - (upright[:, 0] @ y) * y
        if np.linalg.norm(x) < 1e-6:
            continue
        x = x / np.linalg.norm(x)
        axes[j] = np.stack([x, y, np.cross(x, y)], 1)
    return axes


def _upright(body: Body) -> Array:
    """[3, 3]: forward, up and right at rest, as columns."""
    names = {name: j for j, name in enumerate(body.joints)}
    top = next((n for n in ("neck", "thorax", "chest", "spine", "head") if n in names), None)
    if top is None or "left_hip" not in names or "right_hip" not in names:
        return UPRIGHT["world"]
    still = body.forward(np.zeros((1, 3)), np.eye(3)[None, None].repeat(len(body), 1))[0][0]
    left = still[names["left_hip"]] - still[names["right_hip"]]
    up = still[names[top]] - (still[names["left_hip"]] + still[names["right_hip"]]) / 2
    right = -left / max(float(np.linalg.norm(left)), 1e-9)
    up = up - (up @ right) * right
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    return np.stack([np.cross(up, right), up, right], 1)


@dataclass(frozen=True, slots=True)
class Found:
    """A joint of a body: its row of `JOINTS`, its side ("" where it has none), and the places of
    the joints that carry both segments; proximal -1: the world.
    """

    name: str
    joint: Joint
    side: str
    proximal: int
    distal: int

    @property
    def mirrored(self) -> bool:
        return self.side == "left"

    @property
    def angles(self) -> tuple[str, ...]:
        """left_knee_flexion …"""
        return tuple(f"{self.name}_{angle}" for angle in self.joint.names)


def joints_of(body: Body) -> tuple[Found, ...]:
    """The joints of `JOINTS` whose both segments a body has."""
    place = {body.joints[j]: j for j in body.turning}

    def first(names: tuple[str, ...], side: str) -> int | None:
        return next((place[n.format(side)] for n in names if n.format(side) in place), None)

    out = []
    for name, joint in JOINTS.items():
        for side in ("left", "right") if name in SIDED else ("",):
            distal = first(joint.distal, side)
            proximal = first(joint.proximal, side) if joint.proximal else -1
            if distal is not None and proximal is not None and distal != proximal:
                out.append(Found(f"{side}_{name}" if side else name, joint, side, proximal, distal))
    return tuple(out)


def relative(found: Found, axes: Array, orientations: Array, world: Array | None = None) -> Array:
    """Orientations [T, J, 3, 3] and axes [J, 3, 3] of the segments -> [T, 3, 3]: the distal axes in
    the proximal ones, of a left side as its mirror image. world: what the pelvis is turned against.
    """
    distal = orientations[:, found.distal] @ axes[found.distal]
    if found.proximal < 0:
        turn = (UPRIGHT["world"] if world is None else world).T @ distal
    else:
        turn = np.swapaxes(orientations[:, found.proximal] @ axes[found.proximal], 1, 2) @ distal
    return MIRROR @ turn @ MIRROR if found.mirrored else turn


def joint_angles(
    animation: Animation, *, arms: str = "YXY", world: Array | None = None
) -> dict[str, Array]:
    """Angles in degrees by name, [T] each, without jumps of full turns.

    arms: the order of the shoulder's angles; "ZXY" says flexion, adduction, rotation instead, as
    OpenSim's models do. Angles of the pelvis are against a body that stands upright and looks along
    the world's x (in a camera's frame: into the camera), or against the axes `world` [3, 3].
    """
    world = UPRIGHT[animation.frame] if world is None else world
    axes = segment_axes(animation.body)
    out: dict[str, Array] = {}
    for found in joints_of(animation.body):
        joint = found.joint
        order, names, signs = joint.order, joint.names, joint.signs
        if order == "YXY" and arms == "ZXY":
            order, names, signs = "ZXY", ("flexion", "adduction", "rotation"), (1, 1, 1)
        turn = relative(found, axes, animation.orientations, world)
        for name, values in zip(names, (decompose(turn, order) * signs).T, strict=True):
            out[f"{found.name}_{name}"] = np.unwrap(values, period=360)
    return out


def decompose(turns: Array, order: str) -> Array:
    """[T, 3, 3] -> [T, 3] degrees of turns about the axes that move along, first to last.

    In Y-X-Y the middle angle is negative: that is how ISB counts the arm's elevation. Where the
    first and the last axis coincide, the last angle is 0.
    """
    if order == "YXY":
        middle = -np.arccos(turns[:, 1, 1].clip(-1, 1))
        free = np.abs(np.sin(middle)) > 1e-6
        first = np.arctan2(-turns[:, 0, 1], -turns[:, 2, 1])
        last = np.arctan2(-turns[:, 1, 0], turns[:, 1, 2])
        still = np.arctan2(turns[:, 0, 2], turns[:, 0, 0])
        first, last = np.where(free, first, still), np.where(free, last, 0)
        return np.degrees(np.stack([first, middle, last], 1))
    middle = np.arcsin(turns[:, 2, 1].clip(-1, 1))
    free = np.abs(np.cos(middle)) > 1e-6
    first = np.where(
        free,
        np.arctan2(-turns[:, 0, 1], turns[:, 1, 1]),
        np.arctan2(turns[:, 1, 0], turns[:, 0, 0]),
    )
    last = np.where(free, np.arctan2(-turns[:, 2, 0], turns[:, 2, 2]), 0)
    return np.degrees(np.stack([first, middle, last], 1))


def compose(angles: Array, order: str) -> Array:
    """The inverse of `decompose`: [T, 3] degrees -> [T, 3, 3]."""
    return Rotation.from_euler(order, angles, degrees=True).as_matrix()
