"""BVH, the motion format of animation tools (Blender, Maya, MotionBuilder): a file per person, in
space, or in the picture's plane.

In the picture's plane every bone turns about the axis that looks at the viewer (Z) and has the
median of its lengths, so a limb that points at the camera is as long as it is otherwise. X points
right, Y up. A BVH has no gaps and even times: between what was seen, points go straight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path as File
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from ..atomic import replacing
from ..errors import DataError
from ..geometry import Array
from ..kinematics import Path
from ..lift.body import Animation
from ..lift.motion import AXES
from ..media.clock import RATE

# name, the bone it hangs on, the points it joins, and the way it points at rest, when arms are held
# out: x, y
_SIDE = (
    ("{}_collar", "spine", "neck", "{}_shoulder", (1, 0)),
    ("{}_upper_arm", "{}_collar", "{}_shoulder", "{}_elbow", (1, 0)),
    ("{}_forearm", "{}_upper_arm", "{}_elbow", "{}_wrist", (1, 0)),
    ("{}_pelvis", "", "hips", "{}_hip", (1, 0)),
    ("{}_thigh", "{}_pelvis", "{}_hip", "{}_knee", (0, -1)),
    ("{}_shin", "{}_thigh", "{}_knee", "{}_ankle", (0, -1)),
    ("{}_foot", "{}_shin", "{}_ankle", "{}_big_toe", (0, -1)),
)
Bone = tuple[str, str, str, str, tuple[int, int]]
BONES: tuple[Bone, ...] = (
    ("spine", "", "hips", "neck", (0, 1)),
    ("head", "spine", "neck", "nose", (0, 1)),
    *(
        (name.format(side), parent.format(side), start.format(side), end.format(side), (x * way, y))
        for side, way in (("left", 1), ("right", -1))
        for name, parent, start, end, (x, y) in _SIDE
    ),
)


Points = dict[str, Array]


def bvh(path: Path, *, metres_per_pixel: float = 0.0, min_score: float = 0.2) -> str:
    """One person's path -> the text of a BVH file, in metres, or pixels where the scale is 0.
    Raises DataError where hips or shoulders are never seen.
    """
    times, step = _even(path.times)
    points = _points(path, times, min_score)
    for point, joints in (("hips", "hips"), ("neck", "shoulders")):
        if point not in points:
            raise DataError(f"person {path.id}: {joints} never seen: no BVH")
    scale = metres_per_pixel or 1.0
    points = {name: xy * scale for name, xy in points.items()}
    bones = {bone[0]: bone for bone in BONES if bone[2] in points and bone[3] in points}
    bones = {name: bone for name, bone in bones.items() if not bone[1] or bone[1] in bones}

    lengths, turned = {}, {"": np.zeros(len(times))}
    for name, (_, _, start, end, rest) in bones.items():
        way = points[end] - points[start]
        lengths[name] = float(np.median(np.hypot(*way.T)))
        turned[name] = np.unwrap(np.arctan2(way[:, 1], way[:, 0]) - np.arctan2(rest[1], rest[0]))

    ends = {name: lengths[name] * np.array([*bones[name][4], 0]) for name in bones}
    nodes = [Node("hips", -1, np.zeros(3))]
    place = {"": 0}
    for name, (_, parent, *_) in bones.items():
        place[name] = len(nodes)
        nodes.append(Node(name, place[parent], ends.get(parent, np.zeros(3))))
    above = {bone[1] for bone in bones.values()}
    nodes += [Node("", place[name], ends[name]) for name in bones if name not in above]
    turns = np.zeros((len(times), len(nodes), 3))
    for name, n in place.items():
        if name:
            turns[:, n, 0] = np.degrees(turned[name] - turned[bones[name][1]])
    root = np.concatenate([points["hips"], np.zeros((len(times), 1))], 1)
    return text_of(nodes, root, turns, step)


def _even(times: Array) -> tuple[Array, float]:
    """Times from the first to the last at even steps, and the step."""
    if len(times) < 2:
        return times, 1 / RATE
    step = float(np.median(np.diff(times)))
    return times[0] + step * np.arange(round((times[-1] - times[0]) / step) + 1), step


def _points(path: Path, times: Array, min_score: float) -> Points:
    """Joints by name, and the middles of hips and shoulders, [F, 2] at `times`, Y up; those never
    seen are left out.
    """
    out: Points = {}
    places = path.upward()
    for k, name in enumerate(path.skeleton.joints):
        seen = (path.keypoints[:, k, 2] >= min_score) & np.isfinite(path.keypoints[:, k]).all(1)
        if seen.any():
            known = places[seen, k]
            axes = [np.interp(times, path.times[seen], known[:, axis]) for axis in (0, 1)]
            out[name] = np.stack(axes, 1)
    for middle, joint in (("hips", "hip"), ("neck", "shoulder")):
        sides = [out[f"{side}_{joint}"] for side in ("left", "right") if f"{side}_{joint}" in out]
        if len(sides) == 2:
            out[middle] = (sides[0] + sides[1]) / 2
    return out


class Node(NamedTuple):
    """A joint, its parent's place in the list (-1: the root), and where it is from there at rest;
    an end of a chain has no name.
    """

    name: str
    parent: int
    offset: Array


def text_of(nodes: Sequence[Node], root: Array, turns: Array, step: float) -> str:
    """The text of a BVH: nodes [J], places of the root [T, 3], and degrees [T, J, 3] about Z, X
    and Y, in this order, each about the axes that the last one left.
    """
    order: list[int] = []
    tree = "\n".join(_lines(nodes, 0, order, 0))
    columns = np.concatenate([root, turns[:, order].reshape(len(root), -1)], 1)
    columns = np.round(columns, 5) + 0.0  # no -0.00000
    rows = "".join(" ".join(f"{value:.5f}" for value in row) + "\n" for row in columns)
    return f"HIERARCHY\n{tree}\nMOTION\nFrames: {len(root)}\nFrame Time: {step:.7f}\n{rows}"


def _lines(nodes: Sequence[Node], place: int, order: list[int], depth: int) -> Iterator[str]:
    """The lines of a joint and all that hangs on it; `order` gets their places as their channels
    are to follow.
    """
    indent, node = "\t" * depth, nodes[place]
    kind = "ROOT" if node.parent < 0 else "JOINT"
    yield f"{indent}{kind} {node.name}" if node.name else f"{indent}End Site"
    yield f"{indent}{{"
    yield f"{indent}\tOFFSET " + " ".join(f"{value:.5f}" for value in node.offset.round(5) + 0.0)
    if node.name:
        order.append(place)
        places = "6 Xposition Yposition Zposition" if node.parent < 0 else "3"
        yield f"{indent}\tCHANNELS {places} Zrotation Xrotation Yrotation"
    for child, other in enumerate(nodes):
        if other.parent == place:
            yield from _lines(nodes, child, order, depth + 1)
    yield f"{indent}}}"


END = 0.02  # metres: how far bones go on beyond the last joint of a chain, so that tools show it


def animation_bvh(animation: Animation) -> str:
    """A body in space that moves -> the text of a BVH in metres, y up.

    Every joint is a JOINT with its name; a joint on which nothing hangs ends a little further on.
    Joints called ..._end, as ends of other files are read, are ends again.
    """
    body, axes = animation.body, AXES["camera" if animation.frame == "camera" else "world"]
    nodes = []
    for j, (name, parent) in enumerate(zip(body.joints, body.parents, strict=True)):
        end = name.endswith("_end") and not body.children[j]
        nodes.append(Node("" if end else _word(name), parent, axes @ body.offsets[j]))
    for j, node in enumerate(nodes[:]):
        if node.name and not body.children[j]:
            length = float(np.linalg.norm(node.offset))
            nodes.append(Node("", j, node.offset * (END / length if length else 0)))
    turns = np.zeros((len(animation), len(nodes), 3))
    turned = axes @ animation.turns @ axes.T
    angles = Rotation.from_matrix(turned.reshape(-1, 3, 3)).as_euler("ZXY", degrees=True)
    turns[:, : len(body)] = np.unwrap(angles.reshape(*turned.shape[:2], 3), period=360, axis=0)
    times = animation.times
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / RATE
    return text_of(nodes, animation.root @ axes.T, turns, step)


def _word(name: str) -> str:
    """A name without white space, as BVH needs it."""
    return "_".join(name.split()) or "_"


def write_bvh(path: Path, file: File, *, metres_per_pixel: float = 0.0) -> None:
    """Whole or not there. Raises DataError, OutputError."""
    text = bvh(path, metres_per_pixel=metres_per_pixel)
    with replacing(file) as part:
        part.write_text(text, encoding="utf-8")
