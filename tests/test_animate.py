"""Motions on characters: rest is the identity, limbs keep directions, feet stay, files hold."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from everybody.apps.animate import (
    Animate,
    animated,
    on_floor,
    person_of,
    read_tracks,
    read_tracks_npz,
    write_played,
)
from everybody.apps.characters import NEEDED, TABLES, Character, parts_of
from everybody.apps.contacts import contacts, kept, slide
from everybody.apps.retarget import resampled, retarget
from everybody.apps.rig import read_rig
from everybody.apps.stick import HEIGHT, bones, capsule, stick
from everybody.cli import app
from everybody.data.bvh import read_bvh
from everybody.errors import DataError, EverybodyError, OptionError
from everybody.lift.body import Animation, Body
from everybody.lift.motion import AXES, Motion
from everybody.results.bvh import animation_bvh
from everybody.results.gltf import glb
from everybody.skeletons import H36M17

UP = AXES["world"]
LIMBS = [
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
]
PERSON = (
    ("pelvis", "", (0, 0, 0)),
    ("spine", "pelvis", (0, 0, 0.2)),
    ("thorax", "spine", (0, 0, 0.25)),
    ("upper_neck", "thorax", (0, 0, 0.1)),
    ("head_top", "upper_neck", (0, 0, 0.2)),
    *(
        (f"{side}_{name}", on if on in ("pelvis", "spine") else f"{side}_{on}", (x, y * sign, z))
        for side, sign in (("left", 1), ("right", -1))
        for name, on, (x, y, z) in (
            ("hip", "pelvis", (0, 0.13, 0)),
            ("knee", "hip", (0, 0, -0.44)),
            ("ankle", "knee", (0, 0, -0.43)),
            ("collar", "spine", (0, 0, 0.25)),
            ("shoulder", "collar", (0, 0.15, 0)),
            ("elbow", "shoulder", (0, 0.28, 0)),
            ("wrist", "elbow", (0, 0.25, 0)),
        )
    ),
)


def person() -> Body:
    names = tuple(name for name, _, _ in PERSON)
    parents = tuple(names.index(on) if on else -1 for _, on, _ in PERSON)
    return Body("person", names, parents, np.array([offset for _, _, offset in PERSON]))


def moving(frames: int = 12, *, spread: float = 0.5) -> Animation:
    """Somebody whose joints all turn, smoothly."""
    body, random = person(), np.random.default_rng(3)
    axes = random.normal(size=(len(body), 3)) * spread
    share = np.sin(np.linspace(0.4, 2.5, frames))
    vectors = axes[None] * share[:, None, None]
    turns = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(frames, -1, 3, 3)
    root = np.stack([share, share * 0.2, 0.9 + 0 * share], 1)
    return Animation(body, root, turns, np.arange(frames) / 30)


def still(body: Body, frames: int = 1) -> Animation:
    turns = np.eye(3)[None, None].repeat(frames, 0).repeat(len(body), 1)
    return Animation(body, np.zeros((frames, 3)), turns, np.arange(frames) / 30)


def own(character: Character) -> Body:
    """The character as if it were the person: its parts by our names."""
    names = list(character.body.joints)
    for part, n in character.parts.items():
        names[n] = part
    return replace(character.body, joints=tuple(names))


def rig_bvh(path: Path, table: str, *, arms: float = 0.0) -> Path:
    """A rig of the stick character under a table's names, as .bvh; arms hang at rest."""
    called = TABLES["vrm"]
    names = {called[part]: bone for part, bone in TABLES[table].items()}
    rows = bones()
    place = {name: n for n, (name, _, _) in enumerate(rows)}
    offsets = np.array([offset for _, _, offset in rows]) @ UP
    offsets[0] = 0
    for n, (name, _, _) in enumerate(rows):
        if "LowerArm" in name or "Hand" in name:
            sign = -1 if name.startswith("left") else 1
            offsets[n] = Rotation.from_euler("x", arms * sign).apply(offsets[n])
    parents = tuple(place[parent] if parent else -1 for _, parent, _ in rows)
    joints = tuple(names.get(name, name) for name, _, _ in rows)
    path.write_text(animation_bvh(still(Body(table, joints, parents, offsets), 2)))
    return path


@pytest.fixture(params=["stick", *TABLES])
def character(request: pytest.FixtureRequest, tmp_path: Path) -> Character:
    if request.param == "stick":
        return read_rig(None).character
    path = rig_bvh(tmp_path / "rig.bvh", request.param, arms=0.7)
    return read_rig(path).character


def ways(places: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    out = np.stack([places[:, b] - places[:, a] for a, b in pairs], 1)
    return out / np.linalg.norm(out, axis=2, keepdims=True)


def degrees(a: np.ndarray, b: np.ndarray) -> float:
    half = np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)
    return float(np.degrees(2 * np.arcsin(half)).max())


def apart(animation: Animation, put: Animation, character: Character) -> float:
    """Degrees between the limbs of the person and of the character, at most."""
    theirs = [tuple(animation.body.joints.index(name) for name in pair) for pair in LIMBS]
    ours = [tuple(character.parts[name] for name in pair) for pair in LIMBS]
    return degrees(ways(animation.places, theirs), ways(put.places, ours))  # pyright: ignore[reportArgumentType]


# --- retargeting


def test_rest_onto_itself_is_the_identity(character: Character) -> None:
    put = retarget(still(own(character)), character)
    np.testing.assert_allclose(put.turns[0], np.eye(3)[None].repeat(len(put.body), 0), atol=1e-9)


def test_own_motion_comes_back(character: Character) -> None:
    body, random = own(character), np.random.default_rng(0)
    turns = np.eye(3)[None, None].repeat(5, 0).repeat(len(body), 1)
    moved = [n for part, n in character.parts.items() if not part.endswith(("toe", "wrist"))]
    for n in moved:
        turns[:, n] = Rotation.from_rotvec(random.normal(size=(5, 3)) * 0.4).as_matrix()
    mover = Animation(body, random.normal(size=(5, 3)), turns, np.arange(5) / 30)
    np.testing.assert_allclose(retarget(mover, character).turns, turns, atol=1e-7)


def test_limbs_keep_their_directions(character: Character) -> None:
    mover = moving()
    assert apart(mover, retarget(mover, character), character) < 0.01


def test_turning_the_world_turns_the_root_only(character: Character) -> None:
    mover = moving()
    spin = Rotation.from_euler("z", 1.1).as_matrix()
    turns = mover.turns.copy()
    turns[:, 0] = spin @ turns[:, 0]
    turned = replace(mover, root=mover.root @ spin.T, turns=turns)
    first, second = retarget(mover, character), retarget(turned, character)
    np.testing.assert_allclose(second.turns[:, 1:], first.turns[:, 1:], atol=1e-9)
    np.testing.assert_allclose(second.turns[:, 0], spin @ first.turns[:, 0], atol=1e-9)
    np.testing.assert_allclose(second.root, first.root @ spin.T, atol=1e-9)


def test_a_character_that_looks_back_is_turned() -> None:
    plain = read_rig(None).character
    half = Rotation.from_euler("z", np.pi).as_matrix()
    body = replace(plain.body, offsets=plain.body.offsets @ half.T)
    back = Character(body, plain.parts, plain.floor)
    mover = moving()
    np.testing.assert_allclose(
        retarget(mover, back).places, retarget(mover, plain).places, atol=1e-9
    )


def test_rate_changes_frames_not_the_motion(character: Character) -> None:
    put = retarget(moving(), character)
    twice = resampled(put, 60)
    np.testing.assert_allclose(twice.places[::2], put.places, atol=1e-9)
    assert len(twice) == 2 * len(put) - 1
    assert len(resampled(retarget(moving(1), character), 60)) == 1


# --- feet


def sliding(frames: int = 60) -> Animation:
    """Somebody who squats while their feet drift over the floor by 10 cm a second."""
    body = person()
    time = np.arange(frames) / 30
    bend = 0.5 + 0.3 * np.sin(4 * time)
    turns = np.eye(3)[None, None].repeat(frames, 0).repeat(len(body), 1)
    for side in ("left", "right"):
        hip, knee = (body.joints.index(f"{side}_{name}") for name in ("hip", "knee"))
        turns[:, hip] = Rotation.from_euler("y", -bend[:, None]).as_matrix()
        turns[:, knee] = Rotation.from_euler("y", 2 * bend[:, None]).as_matrix()
    root = np.stack([0.1 * time, 0 * time, 0.08 + 0.87 * np.cos(bend)], 1)
    return Animation(body, root, turns, time)


def test_standing_feet_stay(character: Character) -> None:
    mover = sliding()
    stands = contacts(mover)
    assert stands.mean() > 0.8
    put = retarget(mover, character)
    held = kept(put, character, stands)
    assert slide(put, character, stands) > 0.03
    assert slide(held, character, stands) < 0.001
    feet = [character.parts[f"{side}_ankle"] for side in ("left", "right")]
    np.testing.assert_allclose(held.orientations[:, feet], put.orientations[:, feet], atol=1e-6)
    others = [n for part, n in character.parts.items() if part.endswith(("elbow", "head"))]
    np.testing.assert_allclose(held.orientations[:, others], put.orientations[:, others])


def test_who_flies_has_no_contacts() -> None:
    mover = sliding()
    fast = replace(mover, root=mover.root * (30, 1, 1))
    character, stands = read_rig(None).character, contacts(fast)
    assert not stands.any()
    put = retarget(fast, character)
    lifted = replace(put, root=put.root + np.array([0, 0, 0.5]))
    assert kept(lifted, character, stands) is lifted


def test_no_foot_sinks_into_the_floor_but_stairs_may_go_down(character: Character) -> None:
    put, none = retarget(sliding(), character), np.zeros((60, 2), bool)
    feet = [character.parts[f"{side}_ankle"] for side in ("left", "right")]
    sole = character.rest[feet, 2] - character.floor
    sunk = replace(put, root=put.root - np.array([0, 0, 0.06]))
    assert (sunk.places[:, feet, 2] < sole - 0.03).any()
    assert (kept(sunk, character, none).places[:, feet, 2] > sole - 1e-6).all()
    below = replace(put, root=put.root - np.array([0, 0, 1]))
    assert kept(below, character, none) is below


# --- files


def loaded(data: bytes) -> Any:
    return pygltflib.GLTF2.load_from_bytes(data)


def played_back(data: bytes, frame: int) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """A .glb by the words of its specification -> places of its nodes by name, and the vertices of
    each primitive, at a key of its animation.
    """
    gltf = loaded(data)
    blob = gltf.binary_blob()
    assert blob is not None
    kinds = {5121: np.uint8, 5123: np.uint16, 5126: np.float32}
    widths = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}

    def array(n: int) -> np.ndarray:
        item = gltf.accessors[n]
        view = gltf.bufferViews[item.bufferView]
        count = item.count * widths[item.type]
        start = (view.byteOffset or 0) + (item.byteOffset or 0)
        return np.frombuffer(blob, kinds[item.componentType], count, start).reshape(item.count, -1)

    for channel in gltf.animations[0].channels if gltf.animations else []:
        values = array(gltf.animations[0].samplers[channel.sampler].output)
        setattr(gltf.nodes[channel.target.node], channel.target.path, values[frame].tolist())
    world: dict[int, np.ndarray] = {}

    def walk(n: int, above: np.ndarray) -> None:
        node, local = gltf.nodes[n], np.eye(4)
        turn = Rotation.from_quat(node.rotation or (0, 0, 0, 1)).as_matrix()
        local[:3, :3] = turn * (node.scale or (1, 1, 1))
        local[:3, 3] = node.translation or (0, 0, 0)
        world[n] = above @ local
        for child in node.children or []:
            walk(child, world[n])

    for n in gltf.scenes[0].nodes:
        walk(n, np.eye(4))
    skins = []
    for node in gltf.nodes:
        if node.skin is None:
            continue
        skin = gltf.skins[node.skin]
        inverse = array(skin.inverseBindMatrices).reshape(-1, 4, 4).swapaxes(1, 2)
        matrices = np.stack([world[j] for j in skin.joints]) @ inverse
        for primitive in gltf.meshes[node.mesh].primitives:
            points = array(primitive.attributes.POSITION)
            joints = array(primitive.attributes.JOINTS_0)[:, 0]
            points = np.concatenate([points, np.ones_like(points[:, :1])], 1)
            skins.append(np.einsum("vij,vj->vi", matrices[joints], points)[:, :3])
    return {gltf.nodes[n].name: matrix[:3, 3] for n, matrix in world.items()}, skins


@pytest.mark.parametrize("height", [None, 1.2])
def test_glb_shows_the_motion(height: float | None) -> None:
    rig = read_rig(None) if height is None else read_rig(None).of_height(height)
    put = retarget(moving(), rig.character)
    data = rig.glb(put)
    for frame in (0, 7):
        nodes, skins = played_back(data, frame)
        for n, name in enumerate(put.body.joints):
            np.testing.assert_allclose(nodes[name] @ UP, put.places[frame, n], atol=1e-5)
        # every end of the skin lies on a joint: the caps of capsules are around it
        points = np.concatenate(skins) @ UP
        for n in range(1, len(put.body)):
            nearest = np.linalg.norm(points - put.places[frame, n], axis=1).min()
            assert nearest < 0.1 * (height or HEIGHT) / HEIGHT


def test_glb_is_whole() -> None:
    rig = read_rig(None)
    trimesh = pytest.importorskip("trimesh")
    scene = trimesh.load(io.BytesIO(rig.glb(retarget(moving(), rig.character))), file_type="glb")
    low, high = scene.bounds
    assert np.isfinite(scene.bounds).all()
    assert ((high - low) > 0.2).all()
    gltf = loaded(rig.glb(retarget(moving(), rig.character)))
    assert (len(gltf.animations), len(gltf.skins)) == (1, 1)
    paths = [(c.target.node, c.target.path) for c in gltf.animations[0].channels]
    assert len(set(paths)) == len(paths)


def test_axes_of_the_file_are_kept(tmp_path: Path) -> None:
    """A rig as exporters write it: bones with axes of their own, under a node in centimetres."""
    gltf = loaded(stick())
    turn = Rotation.from_rotvec([0.3, -0.9, 0.5])
    rows = bones()
    for n, (_, parent, offset) in enumerate(rows):
        node = gltf.nodes[n]
        node.rotation = None if parent else turn.as_quat().tolist()
        node.translation = (offset if not parent else turn.inv().apply(offset)).tolist()
        node.translation = [100 * value for value in node.translation]
    gltf.nodes.append(pygltflib.Node(name="Armature", scale=[0.01] * 3, children=[0]))
    gltf.scenes[0].nodes = [1 + gltf.scenes[0].nodes[1], gltf.scenes[0].nodes[1]]
    path = tmp_path / "rig.glb"
    path.write_bytes(b"".join(gltf.save_to_bytes()))
    rig, plain = read_rig(path), read_rig(None)
    np.testing.assert_allclose(rig.character.body.offsets, plain.character.body.offsets, atol=1e-9)
    put = retarget(moving(), rig.character)
    np.testing.assert_allclose(put.places, retarget(moving(), plain.character).places, atol=1e-9)
    nodes, _ = played_back(rig.glb(put), 5)
    for n, name in enumerate(put.body.joints):
        np.testing.assert_allclose(nodes[name] @ UP, put.places[5, n], atol=1e-5)


def test_bvh_shows_the_motion(tmp_path: Path, character: Character) -> None:
    put = retarget(moving(), character)
    path = tmp_path / "out.bvh"
    path.write_text(animation_bvh(put))
    again = read_bvh(path, unit=1.0, own_names=True)
    for n, name in enumerate(put.body.joints):
        found = again.places[:, again.body.joints.index(name)]
        np.testing.assert_allclose(found, put.places[:, n], atol=1e-3)


def test_a_bvh_character_goes_to_glb(tmp_path: Path) -> None:
    rig = read_rig(rig_bvh(tmp_path / "rig.bvh", "cmu"))
    put = retarget(moving(), rig.character)
    nodes, _ = played_back(rig.glb(put), 3)
    np.testing.assert_allclose(
        np.array([nodes[name] for name in put.body.joints]) @ UP, put.places[3], atol=1e-5
    )


def test_the_stick_stands_on_the_floor() -> None:
    rig = read_rig(None)
    assert rig.character.height == pytest.approx(HEIGHT, abs=0.05)
    assert rig.of_height(1.2).character.height == pytest.approx(1.2)
    points = np.concatenate(played_back(stick(), 0)[1])
    assert -0.03 < points[:, 1].min() < 0.03
    assert points[:, 1].max() == pytest.approx(HEIGHT, abs=0.1)


def test_a_capsule_is_as_far_from_its_line_as_its_radius() -> None:
    start, end = np.array([0.1, 0.2, 0.3]), np.array([0.5, -0.2, 0.9])
    corners, normals, faces = capsule(start, end, 0.07)
    along = (end - start) / np.linalg.norm(end - start)
    reach = np.clip((corners - start) @ along, 0, np.linalg.norm(end - start))
    away = np.linalg.norm(corners - start - reach[:, None] * along, axis=1)
    np.testing.assert_allclose(away, 0.07)
    a, b, c = (corners[faces[:, n]] for n in range(3))
    outward = (np.cross(b - a, c - a) * normals[faces].mean(1)).sum(1)
    assert (outward > 0).all()


# --- whole


def recorded(frames: int = 40) -> Motion:
    return replace(sliding(frames).motion(H36M17), id=4)


@pytest.mark.parametrize("frames", [1, 2, 40])
def test_any_length(frames: int, tmp_path: Path) -> None:
    motion = recorded(frames)
    rig = read_rig(None)
    played = animated(motion, rig)
    assert len(played.animation) == frames
    assert played.slid[1] <= 0.01
    for name in ("out.glb", "out.bvh"):
        write_played(tmp_path / name, played)
    assert np.isfinite(read_bvh(tmp_path / "out.bvh").places).all()


@pytest.mark.parametrize("fps", [24, 60, 77.7])
def test_feet_stay_at_any_rate(fps: float) -> None:
    played = animated(recorded(), read_rig(None), Animate(fps=fps))
    assert played.animation.motion().rate == pytest.approx(fps)
    assert played.standing > 0.8
    assert played.slid[1] < 0.001 < played.slid[0]


def test_gaps_are_bridged() -> None:
    motion = recorded()
    joints = motion.joints.copy()
    joints[10:15, 3:] = np.nan
    rows = np.r_[0:20, 26:40]
    broken = replace(motion, joints=joints[rows], times=motion.times[rows])
    played = animated(broken, read_rig(None))
    assert len(played.animation) == 40
    assert np.isfinite(played.animation.turns).all()
    assert played.slid[1] <= 0.01


def test_camera_coordinates_get_a_floor() -> None:
    motion = recorded()
    camera = motion.joints.copy()
    camera[..., :3] = motion.joints[..., :3] @ np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])
    camera[..., 1] += 1.3
    found = on_floor(replace(motion, joints=camera, frame="camera"))
    ankles = found.places[:, [H36M17.joints.index(f"{side}_ankle") for side in ("left", "right")]]
    assert found.frame == "world"
    np.testing.assert_allclose(ankles[..., 2], 0.08, atol=0.02)


def test_npz_of_triangulate_and_of_lift(tmp_path: Path) -> None:
    motion = recorded(6)
    columns = {"positions_3d": motion.places, "scores": motion.joints[..., 3]}
    columns["joints"] = np.array(H36M17.joints)
    for time, number in (("times", "ids"), ("time", "id")):
        path = tmp_path / "people3d.npz"
        np.savez(path, **columns, **{time: motion.times, number: np.full(6, 4)})
        (found,) = read_tracks_npz(path)
        assert (found.id, found.frame) == (4, "world")
        np.testing.assert_allclose(found.places, motion.places)
    np.savez(path, positions_3d=motion.places)
    with pytest.raises(DataError, match="positions_3d"):
        read_tracks_npz(path)


def test_command(tmp_path: Path) -> None:
    source, out = tmp_path / "walk.bvh", tmp_path / "out.glb"
    source.write_text(animation_bvh(sliding(12)))
    rig = rig_bvh(tmp_path / "rig.bvh", "mixamo")
    runner = CliRunner()
    said = runner.invoke(app, ["animate", str(source), "-o", str(out), "--fps", "60"])
    assert said.exit_code == 0
    assert "slides 0 mm" in said.output
    assert len(loaded(out.read_bytes()).animations) == 1
    bvh = tmp_path / "out.bvh"
    said = runner.invoke(app, ["animate", str(source), "-o", str(bvh), "-c", str(rig)])
    assert said.exit_code == 0
    assert "LeftForeArm" in read_bvh(bvh, own_names=True).body.joints


# --- bad input


def test_unknown_bones_are_named_with_those_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Bone001.*LeftForeArm.*leftLowerArm.*lradius"):
        parts_of("rig.glb", ["Bone001", "Bone002"])
    names = [f"mixamorig:{TABLES['mixamo'][part]}" for part in NEEDED]
    assert parts_of("rig.glb", names)["left_elbow"] == NEEDED.index("left_elbow")
    with pytest.raises(DataError, match="without LeftUpLeg"):
        parts_of("rig.glb", [name for name in names if not name.endswith("LeftUpLeg")])
    path = tmp_path / "body.glb"
    path.write_bytes(glb([sliding(1)]))
    with pytest.raises(DataError, match="Found: pelvis"):
        read_rig(path)


def test_a_character_must_stand_at_rest() -> None:
    plain = read_rig(None).character
    lying = Rotation.from_euler("y", 90, degrees=True).as_matrix()
    body = replace(plain.body, offsets=plain.body.offsets @ lying.T)
    with pytest.raises(DataError, match="trunk lean by 90 degrees"):
        Character(body, plain.parts, plain.floor)


@pytest.mark.parametrize("data", [b"", b"glTF", b"no glTF at all, but long enough", stick()[:200]])
def test_broken_characters(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rig.glb"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"rig\.glb"):
        read_rig(path)


def test_options_that_cannot_be(tmp_path: Path) -> None:
    for wrong in ({"fps": 0}, {"fps": float("nan")}, {"height": 0}, {"smooth": -1}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            Animate(**wrong)
    with pytest.raises(OptionError):
        read_rig(tmp_path / "rig.fbx")
    with pytest.raises(EverybodyError, match=r"\.glb"):
        write_played(tmp_path / "out.fbx", animated(recorded(1), read_rig(None)))


def test_people_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no person 7; there are 4"):
        person_of([recorded(2)], 7, "x")
    with pytest.raises(DataError, match="nobody"):
        person_of([], None, "x")
    with pytest.raises(DataError, match="no such"):
        read_tracks(tmp_path / "none", lift=lambda path: [])
    text = tmp_path / "notes.md"
    text.write_text("no film")
    said = CliRunner().invoke(app, ["animate", str(text), "-o", str(tmp_path / "out.glb")])
    assert isinstance(said.exception, EverybodyError)
    assert "notes.md" in str(said.exception)
