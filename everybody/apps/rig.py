"""Characters out of files, and motions into them: rigged .glb (Mixamo's, VRM's, ours) and .bvh.

In a .glb only turns of bones and the place of the hips are animated; meshes, skins, materials and
all nodes stay as they are. Axes of bones at rest are the file's own: with Q a bone's axes at rest
and G its turn in the world, its node turns by (G_parent Q_parent)ᵀ G Q.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from scipy.spatial.transform import Rotation

from ..data.bvh import read_bvh
from ..errors import DataError, OptionError, unknown
from ..geometry import Array
from ..lift.body import Animation, Body
from ..lift.motion import AXES
from ..results.gltf import BINARY_CHUNK, JSON_CHUNK, MAGIC, GltfFile, glb
from .characters import NEEDED, TABLES, Character, parts_of
from .stick import stick

UP = AXES["world"]  # ours -> the file's


@dataclass(frozen=True, eq=False)
class Rig:
    """A character and the .glb it came from (None: a BVH, which has no mesh). nodes: of each joint,
    its place in the file. larger: by how much the character is scaled against its file.
    """

    character: Character
    source: Glb | None = None
    nodes: tuple[int, ...] = ()
    larger: float = 1.0

    def of_height(self, metres: float) -> Rig:
        factor = metres / self.character.height
        character = self.character.scaled(factor)
        return Rig(character, self.source, self.nodes, self.larger * factor)

    def glb(self, animation: Animation) -> bytes:
        """The file with the motion as its only animation."""
        if self.source is None:
            return glb([animation])
        return self.source.moved(self, animation)


def stick_rig(table: str = "vrm") -> Rig:
    """The stick character, its bones called as one of `TABLES` calls them. Raises OptionError."""
    if table not in TABLES:
        raise unknown("names of bones", table, TABLES)
    return _from_glb("stick", stick(table=table))


def read_rig(path: Path | None) -> Rig:
    """A .glb, .vrm or .bvh -> its character; None, or a name of `TABLES`: the stick character.
    Raises DataError that names the bones found and expected, or what is wrong with the file.
    """
    if path is None or str(path) in TABLES:
        return stick_rig(str(path or "vrm"))
    ending = path.suffix.lower()
    if ending == ".bvh":
        body = read_bvh(path, own_names=True).body
        return Rig(_character(body, parts_of(path.name, body.joints)))
    if ending not in (".glb", ".vrm"):
        raise OptionError(
            f"{path}: expected a character as .glb, .vrm or .bvh, or the stick figure with bones "
            f"as in {', '.join(TABLES)}"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    return _from_glb(str(path), data)


def _character(body: Body, parts: dict[str, int]) -> Character:
    still = np.eye(3)[None, None].repeat(len(body), 1)
    rest = body.forward(np.zeros((1, 3)), still)[0][0]
    return Character(body, parts, float(rest[:, 2].min()))


class Glb:
    """A glTF document and its binary chunk; errors name the file."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.binary = name, b""
        if len(data) < 20 or struct.unpack("<I", data[:4])[0] != MAGIC:
            raise DataError(f"{name}: is no binary glTF (.glb)")
        chunks, at = {}, 12
        while at + 8 <= len(data):
            size, kind = struct.unpack("<II", data[at : at + 8])
            if at + 8 + size > len(data):
                raise DataError(f"{name}: ends within a chunk: is the file complete?")
            chunks.setdefault(kind, data[at + 8 : at + 8 + size])
            at += 8 + size
        self.binary = chunks.get(BINARY_CHUNK, b"")
        try:
            document = json.loads(chunks.get(JSON_CHUNK, b""))
            self.nodes: list[dict[str, Any]] = document.get("nodes", [])
            buffers = document.get("buffers", [])
        except (ValueError, AttributeError):
            raise DataError(f"{name}: its JSON cannot be read") from None
        if len(buffers) > 1 or any("uri" in buffer for buffer in buffers):
            raise DataError(f"{name}: has buffers outside the file; export it as one .glb")
        self.document = cast("dict[str, Any]", document)
        self.parents = [-1] * len(self.nodes)
        try:
            for n, node in enumerate(self.nodes):
                for child in node.get("children", []):
                    self.parents[child] = n
        except (IndexError, TypeError, AttributeError):
            raise DataError(f"{name}: its nodes name children that are not there") from None

    def bones(self) -> dict[str, int]:
        """Part -> node: as VRM's extension says, else by name."""
        extensions = self.document.get("extensions", {})
        human = extensions.get("VRMC_vrm", extensions.get("VRM", {})).get("humanoid", {})
        bones = human.get("humanBones", {})
        if isinstance(bones, list):  # VRM 0
            bones = {bone["bone"]: bone for bone in bones}
        named = {name: int(bone["node"]) for name, bone in bones.items()}
        if all(TABLES["vrm"][part] in named for part in NEEDED):
            return {part: named[bone] for part, bone in TABLES["vrm"].items() if bone in named}
        return parts_of(self.name, [str(node.get("name", "")) for node in self.nodes])

    @cached_property
    def world(self) -> Array:
        """[N, 4, 4]: nodes at rest in the file's world."""
        out = np.zeros((len(self.nodes), 4, 4))
        done = [False] * len(self.nodes)

        def place(n: int, depth: int) -> Array:
            if depth > len(self.nodes):
                raise DataError(f"{self.name}: its nodes hang on each other in a circle")
            if not done[n]:
                parent = self.parents[n]
                above = place(parent, depth + 1) if parent >= 0 else np.eye(4)
                out[n], done[n] = above @ _local(self.nodes[n]), True
            return out[n]

        for n in range(len(self.nodes)):
            place(n, 0)
        return out

    def axes(self, n: int) -> Array:
        """[3, 3]: a node's axes at rest, without its scale."""
        matrix = self.world[n, :3, :3]
        return matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-12)

    def moved(self, rig: Rig, animation: Animation) -> bytes:
        file = GltfFile()
        file.document = json.loads(json.dumps(self.document))
        file.binary = bytearray(self.binary)
        if rig.larger != 1:
            scene = file.document["scenes"][file.document.get("scene", 0)]
            # skinned meshes go where their joints go, and stay roots, as glTF wants them
            skinned = [n for n in scene["nodes"] if "skin" in self.nodes[n]]
            others = [n for n in scene["nodes"] if n not in skinned]
            scale = {"name": "scale", "scale": [rig.larger] * 3, "children": others}
            scene["nodes"] = [file.add("nodes", scale), *skinned]
        file.document.pop("animations", None)
        if len(animation):
            file.add("animations", self._animation(file, rig, animation))
        return file.bytes()

    def _animation(self, file: GltfFile, rig: Rig, animation: Animation) -> dict[str, Any]:
        body, parts = animation.body, sorted(rig.character.parts.values())
        channels: list[dict[str, Any]] = []
        samplers: list[dict[str, Any]] = []
        seconds = (animation.times - animation.times[0]).astype(np.float32)
        times = file.accessor(seconds, bounds=True)

        def channel(node: int, path: str, values: Array) -> None:
            output = file.accessor(values.astype(np.float32))
            samplers.append({"input": times, "output": output, "interpolation": "LINEAR"})
            target = {"node": node, "path": path}
            channels.append({"sampler": len(samplers) - 1, "target": target})

        for joint in parts:
            node, parent = rig.nodes[joint], self.parents[rig.nodes[joint]]
            whole = UP @ animation.orientations[:, joint] @ UP.T @ self.axes(node)
            above = self.axes(parent) if parent >= 0 else np.eye(3)
            if body.parents[joint] >= 0:
                turned = animation.orientations[:, body.parents[joint]]
                above = UP @ turned @ UP.T @ above
            quaternion = Rotation.from_matrix(np.swapaxes(above, -1, -2) @ whole).as_quat()
            flips = np.where((quaternion[1:] * quaternion[:-1]).sum(1) < 0, -1.0, 1.0)
            quaternion[1:] *= np.cumprod(flips)[:, None]  # the shorter way between neighbours
            channel(node, "rotation", quaternion)
            file.document["nodes"][node] = _without_matrix(file.document["nodes"][node])

        parent = self.parents[rig.nodes[0]]
        above = self.world[parent] if parent >= 0 else np.eye(4)
        root = animation.root @ UP.T / rig.larger
        channel(rig.nodes[0], "translation", _inside(above, root))
        return {"name": "motion", "channels": channels, "samplers": samplers}


def _inside(above: Array, points: Array) -> Array:
    """Points [T, 3] in the world -> in the axes of a node [4, 4]."""
    return np.linalg.solve(above[:3, :3], (points - above[:3, 3]).T).T


def _parts_of_matrix(matrix: Array) -> tuple[Array, Array, Array]:
    """[4, 4] -> translation, quaternion, scale, of nodes without shear."""
    scale = np.linalg.norm(matrix[:3, :3], axis=0)
    turn = matrix[:3, :3] / np.maximum(scale, 1e-12)
    return matrix[:3, 3], Rotation.from_matrix(turn).as_quat(), scale


def _without_matrix(node: dict[str, Any]) -> dict[str, Any]:
    """Nodes that are animated have no matrix, says glTF."""
    if "matrix" not in node:
        return node
    values = _parts_of_matrix(np.array(node.pop("matrix"), np.float64).reshape(4, 4).T)
    names = ("translation", "rotation", "scale")
    return node | {name: v.tolist() for name, v in zip(names, values, strict=True)}


def _local(node: dict[str, Any]) -> Array:
    """[4, 4]"""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    out = np.eye(4)
    turn = Rotation.from_quat(node.get("rotation", (0, 0, 0, 1))).as_matrix()
    out[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)))
    out[:3, 3] = node.get("translation", (0, 0, 0))
    return out


def _from_glb(name: str, data: bytes) -> Rig:
    source = Glb(name, data)
    bones = source.bones()
    hips = bones["pelvis"]
    nodes: list[int] = []
    _below(source, hips, nodes)
    place = {node: n for n, node in enumerate(nodes)}
    parents = tuple(place[source.parents[n]] if n != hips else -1 for n in nodes)
    rest = source.world[nodes, :3, 3] @ UP
    offsets = [rest[n] - rest[parent] if parent >= 0 else np.zeros(3) for n, parent in
               enumerate(parents)]  # fmt: skip
    names = tuple(str(source.nodes[n].get("name") or f"node_{n}") for n in nodes)
    outside = [part for part, node in bones.items() if node not in place]
    if outside:
        raise DataError(f"{name}: {', '.join(outside)} do not hang on the hips '{names[0]}'")
    body = Body(Path(name).stem, names, parents, np.array(offsets))
    character = Character(body, {p: place[n] for p, n in bones.items()}, -float(rest[0, 2]))
    if not 0.1 < character.leg < 10:
        raise DataError(f"{name}: legs of {character.leg:.3g} m: expected a character in metres")
    return Rig(character, source, tuple(nodes))


def _below(source: Glb, first: int, nodes: list[int]) -> None:
    """A node and all that hangs on it, parents first."""
    ready = [first]
    while ready:
        node = ready.pop(0)
        nodes.append(node)
        ready += source.nodes[node].get("children", [])
