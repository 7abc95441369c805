"""glTF 2.0 in one binary file (.glb): animated skeletons with a simple body of bones, for Blender,
game engines and web pages (Khronos Group, glTF 2.0 specification).

y is up, z forward, in metres. Each person is a tree of nodes, a skin, and a mesh whose bones are
octahedra that hang on their joints; one animation turns all of them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..lift.body import Animation
from ..lift.motion import AXES

Array = NDArray[np.floating[Any]]

MAGIC, VERSION = 0x46546C67, 2
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
VERTICES, INDICES = 34962, 34963  # what a buffer is for, in OpenGL's numbers
TYPES = {"uint8": 5121, "uint16": 5123, "float32": 5126}
SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
COLOURS = ((0.90, 0.45, 0.20), (0.20, 0.55, 0.90), (0.35, 0.75, 0.35), (0.75, 0.40, 0.80))
THICK = 0.12  # of a bone's length: how far its waist is from its middle line
# An octahedron along z from 0 to 1: its two ends and its waist, and its faces.
_CORNERS = np.array(
    [(0, 0, 0), (1, 0, 0.2), (0, 1, 0.2), (-1, 0, 0.2), (0, -1, 0.2), (0, 0, 1)], np.float64
)
_FACES = [(0, b, a) for a, b in ((1, 2), (2, 3), (3, 4), (4, 1))]
_FACES += [(5, a, b) for a, b in ((1, 2), (2, 3), (3, 4), (4, 1))]


class GltfFile:
    """The parts of a glTF as they are added: a document and its binary buffer."""

    def __init__(self) -> None:
        self.binary = bytearray()
        self.document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "everybody"},
            "scene": 0,
            "scenes": [{"nodes": []}],
        }

    def add(self, kind: str, item: dict[str, Any]) -> int:
        """Adds to a list of the document -> its place there."""
        items = self.document.setdefault(kind, [])
        items.append(item)
        return len(items) - 1

    def accessor(self, array: NDArray[Any], *, target: int = 0, bounds: bool = False) -> int:
        """Adds an array to the buffer -> the place of its accessor."""
        self.binary += b"\0" * (-len(self.binary) % 4)
        data = np.ascontiguousarray(array).tobytes()
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        self.binary += data
        shape = SHAPES[array.shape[1:]]
        item: dict[str, Any] = {
            "bufferView": self.add("bufferViews", view | ({"target": target} if target else {})),
            "componentType": TYPES[array.dtype.name],
            "count": len(array),
            "type": shape,
        }
        if bounds:
            flat = array.reshape(len(array), -1)
            item |= {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}
        return self.add("accessors", item)

    def bytes(self) -> bytes:
        self.binary += b"\0" * (-len(self.binary) % 4)
        self.document["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        whole = 12 + 8 + len(text) + 8 + len(self.binary)
        head = struct.pack("<III", MAGIC, VERSION, whole)
        chunks = ((JSON_CHUNK, text), (BINARY_CHUNK, bytes(self.binary)))
        parts = [struct.pack("<II", len(data), kind) + data for kind, data in chunks]
        return head + b"".join(parts)


def glb(animations: Sequence[Animation]) -> bytes:
    """Bodies that move -> the bytes of a .glb. Bodies without frames stand at rest."""
    file = GltfFile()
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []
    for number, animation in enumerate(animations):
        nodes = _person(file, number, animation)
        if len(animation):
            _moves(file, animation, nodes, channels, samplers)
    if channels:
        file.add("animations", {"name": "motion", "channels": channels, "samplers": samplers})
    return file.bytes()


def _person(file: GltfFile, number: int, animation: Animation) -> list[int]:
    """Adds the nodes, the skin and the mesh of a body -> the places of its nodes."""
    body, axes = animation.body, _axes(animation)
    offsets = body.offsets @ axes.T
    first = len(file.document.get("nodes", []))
    nodes = [first + j for j in range(len(body))]
    for j, name in enumerate(body.joints):
        node: dict[str, Any] = {"name": name, "translation": offsets[j].tolist()}
        if body.children[j]:
            node["children"] = [first + child for child in body.children[j]]
        file.add("nodes", node)

    rest = np.zeros((1, len(body), 3))
    for j, parent in enumerate(body.parents):
        rest[:, j] = offsets[j] + (rest[:, parent] if parent >= 0 else 0)
    inverse = np.eye(4)[None].repeat(len(body), 0)
    inverse[:, 3, :3] = -rest[0]  # columns first, as OpenGL has matrices
    skin = file.add(
        "skins",
        {
            "joints": nodes,
            "skeleton": first,
            "inverseBindMatrices": file.accessor(inverse.astype(np.float32)),
        },
    )
    roots = [first]
    mesh = _mesh(file, number, animation, rest[0])
    if mesh is not None:
        name = f"person {animation.id}"
        roots.append(file.add("nodes", {"name": name, "mesh": mesh, "skin": skin}))
    file.document["scenes"][0]["nodes"] += roots
    return nodes


def _mesh(file: GltfFile, number: int, animation: Animation, rest: Array) -> int | None:
    """Adds an octahedron per bone -> the place of the mesh, None where all bones have no length."""
    corners, faces, joints = [], [], []
    for j, parent in enumerate(animation.body.parents):
        way = rest[j] - rest[parent]
        length = float(np.linalg.norm(way))
        if parent < 0 or length < 1e-6:
            continue
        along = way / length
        side = np.cross(along, np.eye(3)[int(np.abs(along).argmin())])
        side = side / np.linalg.norm(side)
        frame = np.stack([side * THICK, np.cross(along, side) * THICK, along]) * length
        faces.append(np.array(_FACES) + 6 * len(corners))
        corners.append(rest[parent] + _CORNERS @ frame)
        joints += [(parent, 0, 0, 0)] * 6
    if not corners:
        return None
    colour = [*COLOURS[number % len(COLOURS)], 1.0]
    shading = {"baseColorFactor": colour, "metallicFactor": 0.0, "roughnessFactor": 0.8}
    weights = np.zeros((len(joints), 4), np.float32)
    weights[:, 0] = 1
    numbers = np.uint8 if len(animation.body) <= 256 else np.uint16
    primitive = {
        "attributes": {
            "POSITION": file.accessor(
                np.concatenate(corners).astype(np.float32), target=VERTICES, bounds=True
            ),
            "JOINTS_0": file.accessor(np.array(joints, numbers), target=VERTICES),
            "WEIGHTS_0": file.accessor(weights, target=VERTICES),
        },
        "indices": file.accessor(np.concatenate(faces).astype(np.uint16).ravel(), target=INDICES),
        "material": file.add("materials", {"pbrMetallicRoughness": shading, "doubleSided": True}),
    }
    return file.add("meshes", {"primitives": [primitive]})


def _moves(
    file: GltfFile,
    animation: Animation,
    nodes: list[int],
    channels: list[dict[str, Any]],
    samplers: list[dict[str, Any]],
) -> None:
    """Adds what moves the root and turns every joint on which something hangs."""
    axes = _axes(animation)
    times = file.accessor((animation.times - animation.times[0]).astype(np.float32), bounds=True)

    def channel(node: int, path: str, values: Array) -> None:
        output = file.accessor(values.astype(np.float32))
        samplers.append({"input": times, "output": output, "interpolation": "LINEAR"})
        target = {"node": node, "path": path}
        channels.append({"sampler": len(samplers) - 1, "target": target})

    channel(nodes[0], "translation", animation.root @ axes.T)
    for j in animation.body.turning:
        turned = Rotation.from_matrix(axes @ animation.turns[:, j] @ axes.T).as_quat()
        flips = np.where((turned[1:] * turned[:-1]).sum(1) < 0, -1.0, 1.0)
        turned[1:] *= np.cumprod(flips)[:, None]  # the shorter way between neighbours
        channel(nodes[j], "rotation", turned / np.linalg.norm(turned, axis=1, keepdims=True))


def _axes(animation: Animation) -> Array:
    return AXES["camera" if animation.frame == "camera" else "world"]
