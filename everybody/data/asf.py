"""ASF and AMC: Acclaim's body, whose bones have directions, lengths and axes, and its motion.

A bone begins where its parent ends. Its channels turn it in axes C of its own, so that in the axes
of the world at rest its turn is C R C⁻¹ (Lander 1998). A bone is called by its start
(`joint_names`); ends of chains get joints of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..errors import DataError
from ..lift.body import Animation, Body
from ..lift.motion import AXES
from ..lift.rotations import about
from .bvh import unit_of
from .joint_names import names_in_tree
from .text import lines_of

Array = NDArray[np.float64]

RATE = 120.0  # frames per second of CMU's motions; an AMC does not say it
INCH = 0.0254
_TURNS = ("rx", "ry", "rz")
_MOVES = ("tx", "ty", "tz")


@dataclass(frozen=True, slots=True)
class _Bone:
    name: str
    direction: Array  # unit vector times length, in the file's unit
    axes: Array  # [3, 3]
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asf:
    bones: dict[str, _Bone]
    parents: dict[str, str]
    degrees: bool
    length: float


class _Line:
    """A line of words of a file, for errors that name it."""

    def __init__(self, path: Path, number: int, text: str) -> None:
        self.path, self.number, self.words = path, number, text.split()

    def error(self, expected: str) -> DataError:
        got = " ".join(self.words)[:40]
        return DataError(f"{self.path}: line {self.number}: expected {expected}, got '{got}'")

    def numbers(self, count: int) -> list[float]:
        try:
            values = [float(word) for word in self.words[1 : 1 + count]]
        except ValueError:
            values = []
        if len(values) != count or not (np.abs(values) < 1e9).all():
            raise self.error(f"{count} numbers")
        return values


def read_amc(path: Path, *, asf: Path | None = None, rate: float = RATE) -> Animation:
    """A motion and its body (by default the .asf beside it whose name it begins with, or the only
    one) -> in metres, z up. Raises DataError that names the line.
    """
    lines = [
        _Line(path, n, line)
        for n, line in enumerate(lines_of(path), 1)
        if line.strip() and line.strip()[0] not in "#"
    ]
    body = _read_asf(_beside(path) if asf is None else asf)
    degrees = not any(line.words[0].upper() == ":RADIANS" for line in lines)
    frames = _frames(path, [line for line in lines if line.words[0][0] != ":"], body)
    if not frames:
        raise DataError(f"{path}: has no frames: expected a line '1' and bones with their channels")
    return _animation(path, body, frames, degrees, rate)


def _beside(path: Path) -> Path:
    found = sorted(file for file in path.parent.glob("*") if file.suffix.lower() == ".asf")
    own = [file for file in found if path.stem.startswith(file.stem)]
    if len(own or found) != 1:
        raise DataError(f"{path}: needs its body: put its .asf beside it, as 09.asf to 09_01.amc")
    return (own or found)[0]


def _read_asf(path: Path) -> _Asf:
    lines = [
        _Line(path, n, line)
        for n, line in enumerate(lines_of(path), 1)
        if line.strip() and line.strip()[0] != "#"
    ]
    parts: dict[str, list[_Line]] = {}
    part = ""
    for line in lines:
        if line.words[0].startswith(":"):
            part = line.words[0].lower()
            parts.setdefault(part, [])
        elif part:
            parts[part].append(line)
        else:
            raise line.error(":version, :units or another part: is it an ASF?")
    for needed in (":bonedata", ":hierarchy"):
        if not parts.get(needed):
            raise DataError(f"{path}: has no {needed}: is it a whole ASF?")

    units = {line.words[0].lower(): line for line in parts.get(":units", [])}
    degrees = "angle" not in units or units["angle"].words[-1].lower().startswith("deg")
    length = units["length"].numbers(1)[0] if "length" in units else 0.0
    bones = _bones(parts[":bonedata"], degrees)
    bones["root"] = _root(parts.get(":root", []), degrees)
    return _Asf(bones, _hierarchy(parts[":hierarchy"], bones), degrees, length)


def _bones(lines: list[_Line], degrees: bool) -> dict[str, _Bone]:
    bones: dict[str, _Bone] = {}
    said: dict[str, _Line] = {}
    for line in lines:
        word = line.words[0].lower()
        if word == "begin":
            said = {}
        elif word != "end":
            said.setdefault(word, line)
        else:
            for needed in ("name", "direction", "length"):
                if needed not in said or len(said[needed].words) < 2:
                    raise line.error("a bone with name, direction and length before its end")
            name = said["name"].words[1]
            way = np.array(said["direction"].numbers(3))
            way = way / max(float(np.linalg.norm(way)), 1e-12)
            axes = _axes(said["axis"], degrees) if "axis" in said else np.eye(3)
            channels = tuple(w.lower() for w in said["dof"].words[1:]) if "dof" in said else ()
            bones[name] = _Bone(name, way * said["length"].numbers(1)[0], axes, channels)
    return bones


def _axes(line: _Line, degrees: bool) -> Array:
    """The axes of a bone, turned about the world's x, y, z in the order that the line says."""
    order = line.words[4].lower() if len(line.words) > 4 else "xyz"
    if sorted(order) != ["x", "y", "z"]:
        raise line.error("three angles and an order, as XYZ")
    return Rotation.from_euler(order, line.numbers(3), degrees=degrees).as_matrix()


def _root(lines: list[_Line], degrees: bool) -> _Bone:
    channels, axes, order = (*_MOVES, *_TURNS), np.eye(3), "xyz"
    for line in lines:
        word = line.words[0].lower()
        if word == "order":
            channels = tuple(w.lower() for w in line.words[1:])
        elif word == "axis" and len(line.words) > 1:
            order = line.words[1].lower()
        elif word == "orientation" and sorted(order) == ["x", "y", "z"]:
            axes = Rotation.from_euler(order, line.numbers(3), degrees=degrees).as_matrix()
    return _Bone("root", np.zeros(3), axes, channels)


def _hierarchy(lines: list[_Line], bones: dict[str, _Bone]) -> dict[str, str]:
    """Bone -> its parent, parents first; "" for the root."""
    parents = {"root": ""}
    for line in lines:
        first, *others = line.words
        if first.lower() in ("begin", "end"):
            continue
        if first not in parents:
            raise line.error("a bone that hangs on one named before")
        for bone in others:
            if bone not in bones or bone in parents:
                raise line.error(f"bones of :bonedata, each once ('{bone[:20]}' is not)")
            parents[bone] = first
    return parents


def _frames(path: Path, lines: list[_Line], body: _Asf) -> list[dict[str, list[float]]]:
    frames: list[dict[str, list[float]]] = []
    for line in lines:
        name = line.words[0]
        if len(line.words) == 1 and name.isascii() and name.isdigit():
            frames.append({})
            continue
        if not frames or name not in body.bones:
            raise line.error("a frame's number, or a bone of the .asf and its channels")
        count = len(body.bones[name].channels)
        if len(line.words) != 1 + count:
            raise line.error(f"'{name}' and {count} numbers")
        frames[-1][name] = line.numbers(count)
    for n, frame in enumerate(frames):
        if "root" not in frame:
            raise DataError(f"{path}: frame {n + 1} has no root: is the file complete?")
    return frames


def _animation(
    path: Path, asf: _Asf, frames: list[dict[str, list[float]]], degrees: bool, rate: float
) -> Animation:
    names = list(asf.parents)
    ends = [name for name in names if name not in asf.parents.values()]
    parents = [names.index(asf.parents[n]) if asf.parents[n] else -1 for n in names]
    offsets = [
        asf.bones[asf.parents[n]].direction if asf.parents[n] else np.zeros(3) for n in names
    ]
    turns = np.eye(3)[None, None].repeat(len(frames), 0).repeat(len(names) + len(ends), 1)
    root = np.zeros((len(frames), 3))
    for j, name in enumerate(names):
        bone = asf.bones[name]
        zeros = [0.0] * len(bone.channels)
        values = np.array([frame.get(name, zeros) for frame in frames])
        for n, channel in enumerate(bone.channels):
            if channel in _TURNS:
                turns[:, j] = about(channel[1], values[:, n], degrees=degrees) @ turns[:, j]
            elif channel in _MOVES and name == "root":
                root[:, _MOVES.index(channel)] = values[:, n]
        turns[:, j] = bone.axes @ turns[:, j] @ bone.axes.T
    for end in ends:
        parents.append(names.index(end))
        offsets.append(asf.bones[end].direction)
    joints = names_in_tree([*names, *(f"{end}_end" for end in ends)], parents)
    body = Body(path.stem, joints, tuple(parents), np.array(offsets) @ AXES["world"])
    scale = INCH / asf.length if 0 < asf.length < 1 else unit_of(body)
    body = Body(body.name, joints, body.parents, body.offsets * scale)
    turns = AXES["world"].T @ turns @ AXES["world"]
    return Animation(body, root @ AXES["world"] * scale, turns, np.arange(len(frames)) / rate)
