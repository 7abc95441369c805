"""The stick character: capsules on the bones of a person of 1.75 m, made by code, free of rights.

Lengths are shares of the height (Drillis and Contini 1966, as Winter 2009 shows them, figure 4.1);
bones are called as one of the tables of `characters.py` calls them; at rest it holds its arms out
and looks along z, y up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..results.gltf import INDICES, VERTICES, GltfFile
from .characters import TABLES

HEIGHT = 1.75
# bone, the bone it hangs on, where it begins from there, as shares of the height: left, up, forward
_TRUNK = (
    ("hips", "", (0, 0.530, 0)),
    ("spine", "hips", (0, 0.050, 0)),
    ("chest", "spine", (0, 0.090, 0)),
    ("neck", "chest", (0, 0.160, 0)),
    ("head", "neck", (0, 0.050, 0)),
    ("head_end", "head", (0, 0.120, 0)),
)
_SIDE = (
    ("Shoulder", "chest", (0.020, 0.148, 0)),
    ("UpperArm", "Shoulder", (0.109, 0, 0)),
    ("LowerArm", "UpperArm", (0.186, 0, 0)),
    ("Hand", "LowerArm", (0.146, 0, 0)),
    ("Hand_end", "Hand", (0.090, 0, 0)),
    ("UpperLeg", "hips", (0.0955, 0, 0)),
    ("LowerLeg", "UpperLeg", (0, -0.245, 0)),
    ("Foot", "LowerLeg", (0, -0.246, 0)),
    ("Toes", "Foot", (0, -0.027, 0.085)),
    ("Toes_end", "Toes", (0, 0, 0.040)),
)
# metres: how thick the capsule is that ends in a bone's start; others are _USUAL
_USUAL = 0.035
_THICK = {"head_end": 0.095, "chest": 0.085, "spine": 0.075, "neck": 0.07, "Hand_end": 0.028,
          "Toes_end": 0.022, "Toes": 0.028, "LowerLeg": 0.055, "LowerArm": 0.042}  # fmt: skip
_COLOURS = {"left": (0.20, 0.55, 0.90), "right": (0.90, 0.45, 0.20), "": (0.85, 0.85, 0.82)}
_AROUND, _RINGS = 12, 4  # corners of a capsule's rings, and rings of each of its caps

Bone = tuple[str, str, Array]


def bones(height: float = HEIGHT) -> list[Bone]:
    """Name, parent and offset in metres, y up, z forward, parents first."""
    rows: list[tuple[str, str, tuple[float, float, float]]] = list(_TRUNK)
    for side, sign in (("left", 1), ("right", -1)):
        for name, parent, (x, y, z) in _SIDE:
            above = parent if parent in ("chest", "hips") else side + parent
            rows.append((side + name, above, (x * sign, y, z)))
    return [(name, parent, np.array(offset) * height) for name, parent, offset in rows]


def stick(height: float = HEIGHT, table: str = "vrm") -> bytes:
    """The character as a .glb: a skin, and a mesh of a colour for each side and the middle. table:
    whose names its bones have.
    """
    rows, file = bones(height), GltfFile()
    called = {bone: TABLES[table][part] for part, bone in TABLES["vrm"].items()}
    place = {name: n for n, (name, _, _) in enumerate(rows)}
    rest = np.zeros((len(rows), 3))
    for n, (name, parent, offset) in enumerate(rows):
        rest[n] = offset + (rest[place[parent]] if parent else 0)
        node: dict[str, Any] = {"name": called.get(name, name), "translation": offset.tolist()}
        children = [place[child] for child, above, _ in rows if above == name]
        file.add("nodes", node | ({"children": children} if children else {}))
    inverse = np.eye(4)[None].repeat(len(rows), 0)
    inverse[:, 3, :3] = -rest  # columns first, as OpenGL has matrices
    matrices = file.accessor(inverse.astype(np.float32))
    skin = {"joints": list(range(len(rows))), "skeleton": 0, "inverseBindMatrices": matrices}
    body = {
        "name": "body",
        "mesh": file.add("meshes", {"primitives": _primitives(file, rows, rest, place)}),
        "skin": file.add("skins", skin),
    }
    file.document["scenes"][0]["nodes"] = [0, file.add("nodes", body)]
    return file.bytes()


def _primitives(
    file: GltfFile, rows: list[Bone], rest: Array, place: dict[str, int]
) -> list[dict[str, Any]]:
    """The capsules of each colour, from a bone's start to where the next begins."""
    out = []
    for side, colour in _COLOURS.items():
        points, normals, faces, joints = [], [], [], []
        for name, parent, _ in rows:
            own = next((s for s in ("left", "right") if name.startswith(s)), "")
            if not parent or own != side:
                continue
            stem = name.removeprefix(side)
            thick = _THICK.get(stem, _USUAL) * np.linalg.norm(rest[place["head"]]) / 1.54
            start = rest[place[parent]]
            corners, out_of, triangles = capsule(start, rest[place[name]], float(thick))
            faces.append(triangles + sum(map(len, points)))
            points.append(corners)
            normals.append(out_of)
            joints.append(np.repeat([[place[parent], 0, 0, 0]], len(corners), 0))
        weights = np.zeros((sum(map(len, points)), 4), np.float32)
        weights[:, 0] = 1
        corners = np.concatenate(points).astype(np.float32)
        attributes = {
            "POSITION": file.accessor(corners, target=VERTICES, bounds=True),
            "NORMAL": file.accessor(np.concatenate(normals).astype(np.float32), target=VERTICES),
            "JOINTS_0": file.accessor(np.concatenate(joints).astype(np.uint8), target=VERTICES),
            "WEIGHTS_0": file.accessor(weights, target=VERTICES),
        }
        shading = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.7}
        indices = np.concatenate(faces).astype(np.uint16).ravel()
        out.append(
            {
                "attributes": attributes,
                "indices": file.accessor(indices, target=INDICES),
                "material": file.add("materials", {"pbrMetallicRoughness": shading}),
            }
        )
    return out


def capsule(start: Array, end: Array, radius: float) -> tuple[Array, Array, NDArray[np.int64]]:
    """Corners [V, 3], normals [V, 3] and triangles [F, 3] of a tube with round ends about two
    points.
    """
    way = end - start
    along = way / max(float(np.linalg.norm(way)), 1e-9)
    side = np.cross(along, np.eye(3)[int(np.abs(along).argmin())])
    side = side / np.linalg.norm(side)
    frame = np.stack([side, np.cross(along, side), along])
    angles = np.linspace(-np.pi / 2, np.pi / 2, 2 * _RINGS)
    around = 2 * np.pi * np.arange(_AROUND) / _AROUND
    flat = np.stack([np.cos(around), np.sin(around), np.zeros(_AROUND)], 1)
    normals = np.cos(angles)[:, None, None] * flat + np.sin(angles)[:, None, None] * np.eye(3)[2]
    normals = (normals.reshape(-1, 3) @ frame).reshape(2 * _RINGS, _AROUND, 3)
    centres = np.where(np.arange(2 * _RINGS)[:, None, None] < _RINGS, start, end)
    corners = centres + radius * normals
    ring, corner = np.meshgrid(np.arange(2 * _RINGS - 1), np.arange(_AROUND), indexing="ij")
    a = (ring * _AROUND + corner).ravel()
    b = (ring * _AROUND + (corner + 1) % _AROUND).ravel()
    faces = np.concatenate(
        [np.stack([a, b, b + _AROUND], 1), np.stack([a, b + _AROUND, a + _AROUND], 1)]
    )
    # the first and the last ring are points: triangles without an area are left out
    parts = corners.reshape(-1, 3)[faces]
    areas = np.linalg.norm(np.cross(parts[:, 1] - parts[:, 0], parts[:, 2] - parts[:, 0]), axis=1)
    return corners.reshape(-1, 3), normals.reshape(-1, 3), faces[areas > 1e-12]
