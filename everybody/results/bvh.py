"""BVH, the motion format of animation tools (Blender, Maya, MotionBuilder): a file per person, in
the picture's plane.

Every bone turns about the axis that looks at the viewer (Z) and has the median of its lengths, so a
limb that points at the camera is as long as it is otherwise. X points right, Y up. A BVH has no
gaps and even times: between what was seen, points go straight.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as File

import numpy as np

from ..atomic import replacing
from ..errors import DataError
from ..geometry import Array
from ..kinematics import Path
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

    order: list[str] = []
    tree = "\n".join(_node("", bones, lengths, order, 0))
    frames = np.zeros((len(times), 6 + 3 * len(order)))
    frames[:, :2] = points["hips"]
    for n, name in enumerate(order):
        frames[:, 6 + 3 * n] = np.degrees(turned[name] - turned[bones[name][1]])
    rows = "\n".join(" ".join(f"{value:.5f}" for value in row) for row in frames)
    return f"HIERARCHY\n{tree}\nMOTION\nFrames: {len(times)}\nFrame Time: {step:.7f}\n{rows}\n"


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


def _node(
    name: str, bones: dict[str, Bone], lengths: dict[str, float], order: list[str], depth: int
) -> Iterator[str]:
    """The lines of a bone and all that hang on it; `order` gets their names as their channels are
    to follow.
    """
    indent = "\t" * depth
    if name:
        order.append(name)
    parent = bones[name][1] if name else ""
    x, y = (lengths[parent] * along for along in bones[parent][4]) if parent else (0.0, 0.0)
    turns = "Zrotation Xrotation Yrotation"
    yield f"{indent}{'JOINT ' + name if name else 'ROOT hips'}"
    yield f"{indent}{{"
    yield f"{indent}\tOFFSET {x:.5f} {y:.5f} 0.00000"
    yield f"{indent}\tCHANNELS " + (
        f"3 {turns}" if name else f"6 Xposition Yposition Zposition {turns}"
    )
    below = [bone for bone in bones if bones[bone][1] == name]
    for bone in below:
        yield from _node(bone, bones, lengths, order, depth + 1)
    if name and not below:
        x, y = (lengths[name] * along for along in bones[name][4])
        yield f"{indent}\tEnd Site\n{indent}\t{{"
        yield f"{indent}\t\tOFFSET {x:.5f} {y:.5f} 0.00000\n{indent}\t}}"
    yield f"{indent}}}"


def write_bvh(path: Path, file: File, *, metres_per_pixel: float = 0.0) -> None:
    """Whole or not there. Raises DataError, OutputError."""
    text = bvh(path, metres_per_pixel=metres_per_pixel)
    with replacing(file) as part:
        part.write_text(text, encoding="utf-8")
