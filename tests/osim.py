"""A reader of OpenSim's models for the golden of kinematics: bodies, joints that only turn, and the
coordinates that turn them.
"""

from __future__ import annotations

import csv
import gzip
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from everybody.lift.body import Animation, Body

UP = [2, 0, 1]  # of a world whose y points up, the axes of one whose z does


class Frame(NamedTuple):
    body: str
    place: np.ndarray
    turn: np.ndarray  # [3, 3]


class Joint(NamedTuple):
    parent: Frame
    child: Frame
    turns: list[tuple[str, np.ndarray, float]]  # coordinate ("" for none), axis, factor


def _numbers(text: str | None) -> np.ndarray:
    return np.array([float(word) for word in (text or "").split()])


def _frames(element: ElementTree.Element) -> dict[str, Frame]:
    out = {}
    for frame in element.find("frames") or ():
        turn = Rotation.from_euler("XYZ", _numbers(frame.findtext("orientation"))).as_matrix()
        body = (frame.findtext("socket_parent") or "").rpartition("/")[2]
        out[frame.get("name", "")] = Frame(body, _numbers(frame.findtext("translation")), turn)
    return out


def _turns(element: ElementTree.Element) -> list[tuple[str, np.ndarray, float]] | None:
    """Which coordinates turn a joint about which axes; None where something moves or bends it."""
    names = [c.get("name", "") for c in element.iterfind("coordinates/Coordinate")]
    if element.tag == "PinJoint":
        return [(names[0], np.eye(3)[2], 1.0)]
    if element.tag == "UniversalJoint":
        return [(names[0], np.eye(3)[0], 1.0), (names[1], np.eye(3)[1], 1.0)]
    if element.tag == "WeldJoint":
        return []
    out = []
    for axis in element.find("SpatialTransform") or ():
        coordinate = (axis.findtext("coordinates") or "").strip()
        function = axis.find("LinearFunction")
        if coordinate and function is None:
            return None
        if not coordinate:
            continue
        if axis.get("name", "").startswith("translation"):
            return None
        assert function is not None
        factor = _numbers(function.findtext("coefficients"))[0]
        out.append((coordinate, _numbers(axis.findtext("axis")), factor))
    return out


def read_joints(path: Path) -> dict[str, Joint]:
    """The joints of a model that only turn, and the pelvis's, by the body they carry."""
    out = {}
    for element in ElementTree.fromstring(gzip.decompress(path.read_bytes())).iter():
        if not element.tag.endswith("Joint") or element.find("frames") is None:
            continue
        frames, turns = _frames(element), _turns(element)
        parent, child = (frames[element.findtext(f"socket_{end}_frame") or ""] for end in
                         ("parent", "child"))  # fmt: skip
        if turns is not None:
            out[child.body] = Joint(parent, child, turns)
    return out


def read_mot(path: Path) -> dict[str, np.ndarray]:
    """Coordinates over time, as they stand in the file."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    start = lines.index("endheader") + 1
    values = np.array([[float(cell) for cell in line.split()] for line in lines[start + 1 :]])
    return dict(zip(lines[start].split(), values.T, strict=True))


def read_bodies(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Places [T, 3] and orientations [T, 3, 3] of all bodies, z up."""
    rows = list(csv.reader(gzip.decompress(path.read_bytes()).decode().splitlines()))
    names = [name.strip("# ") for name in rows[0]]
    values = np.array(rows[1:], float)
    out = {}
    for n, name in enumerate(names):
        if name.endswith("_rotx"):
            turn = Rotation.from_euler("xyz", values[:, n : n + 3]).as_matrix()
            out[name.removesuffix("_rotx")] = (values[:, n - 3 : n], turn)
    return out


def chain(
    joints: dict[str, Joint],
    bodies: list[str],
    coordinates: dict[str, np.ndarray],
    root: np.ndarray,
    turn: np.ndarray,
) -> Animation:
    """Bodies that hang on the first one, which lies at `root` [T, 3] turned by `turn` [T, 3, 3].

    A body hangs on its joint by the offset of its own frame, so each takes two joints of ours.
    """
    names, parents, offsets, turns = [bodies[0]], [-1], [np.zeros(3)], [turn]
    for body in bodies[1:]:
        joint = joints[body]
        matrix = np.eye(3)[None].repeat(len(root), 0)
        for coordinate, axis, factor in joint.turns:
            angle = np.radians(coordinates[coordinate]) * factor
            unit = axis / np.linalg.norm(axis)
            matrix = matrix @ Rotation.from_rotvec(angle[:, None] * unit).as_matrix()
        names += [f"{body} joint", body]
        parents += [names.index(joint.parent.body), len(names) - 2]
        offsets += [joint.parent.place, -joint.child.place]
        turns += [
            joint.parent.turn @ matrix @ joint.child.turn.T,
            np.eye(3)[None].repeat(len(root), 0),
        ]
    body = Body("osim", tuple(names), tuple(parents), np.array(offsets))
    return Animation(body, root, np.stack(turns, 1), coordinates["time"])
