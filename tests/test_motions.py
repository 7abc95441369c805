"""Files of motion: what goes out comes back, by our readers and by others, and what is broken is
told by its line or byte.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from everybody.data.asf import read_amc
from everybody.data.bvh import read_bvh
from everybody.data.joint_names import names_in_tree, our_names
from everybody.data.motions import holds_motion, read_motions
from everybody.data.trc import read_trc
from everybody.errors import DataError, EverybodyError, OptionError, OutputError
from everybody.lift.body import Animation, Body
from everybody.lift.inverse import solve
from everybody.lift.measure import fit_body
from everybody.lift.motion import Motion
from everybody.lift.rules import Rules
from everybody.metrics import spatial
from everybody.people import Poses3D
from everybody.results.motions import write
from everybody.results.spatial import FORMATS3D, Record3D
from everybody.skeletons import CMU24, H36M17
from synthetic import motion as files

MOCAP = Path("data") / "motion3d" / "mocap_files"


def same_joints(one: Motion, other: Motion) -> float:
    """The largest distance in metres of joints of one name; there must be ten or more."""
    names = [name for name in one.skeleton.joints if name in other.skeleton.joints]
    assert len(names) >= 10
    a, b = ([m.skeleton.joints.index(name) for name in names] for m in (one, other))
    return float(np.nanmax(np.linalg.norm(one.places[:, a] - other.places[:, b], axis=2)))


# --- out and in again


@pytest.mark.parametrize(("ending", "within"), [("trc", 1e-5), ("c3d", 1e-6), ("bvh", 2e-2)])
def test_a_walk_goes_out_and_comes_back(tmp_path, ending, within):
    if ending == "c3d":
        pytest.importorskip("ezc3d")
    walk = files.walking(12)
    (path,) = write(tmp_path / f"walk.{ending}", [walk])
    assert holds_motion(path)
    (back,) = read_motions(path)
    assert same_joints(walk, back) < within
    assert np.allclose(back.times, walk.times, atol=1e-5)


def test_a_rigid_body_comes_back_from_bvh_turn_by_turn(tmp_path):
    walk = files.walking(12)
    moving = solve(fit_body(walk), walk)
    (path,) = write(tmp_path / "walk.bvh", [moving])
    back = read_bvh(path)
    place = [back.body.joints.index(name) for name in moving.body.joints]
    assert np.abs(back.places[:, place] - moving.places).max() < 1e-4
    turning = list(moving.body.turning)
    same = np.array(place)[turning]
    assert np.abs(back.turns[:, same] - moving.turns[:, turning]).max() < 1e-5

    again = write(tmp_path / "again.bvh", [back])[0]
    assert again.read_text().split() == path.read_text().split()


def test_bvh_by_its_joints_alone_comes_back(tmp_path):
    """BVH -> joints -> turns -> BVH: the same joints, whatever turns carry them."""
    moving = read_bvh(files.bvh(tmp_path))
    joints = moving.motion()
    exact = Rules(joint=0.001, outlier=1e6, limit=1e3, rest=1e6, turning=0, steps=60, enough=1e-14)
    found = solve(moving.body, joints, rules=exact)
    (path,) = write(tmp_path / "out.bvh", [found])
    back = read_bvh(path)
    place = [back.body.joints.index(name) for name in moving.body.joints]
    assert np.abs(back.places[:, place] - moving.places).max() < 1e-3


def test_a_camera_sees_people_upright_in_files(tmp_path):
    walk = files.walking(5)
    seen = replace(
        walk, joints=walk.places @ np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]), frame="camera"
    )
    (path,) = write(tmp_path / "seen.trc", [seen])
    back = read_trc(path)
    top, toe = (back.places[0, back.skeleton.joints.index(n), 2] for n in ("head_top", "left_toe"))
    assert top - toe == pytest.approx(1.7 - 0.03, abs=0.1)


def test_what_is_not_seen_stays_unseen(tmp_path):
    walk = files.walking(4)
    joints = walk.joints.copy()
    joints[1, 3] = np.nan
    joints[2, -1, 3] = 0
    gaps = replace(walk, joints=joints)
    for ending in ("trc", "c3d"):
        if ending == "c3d":
            pytest.importorskip("ezc3d")
        (back,) = read_motions(write(tmp_path / f"gaps.{ending}", [gaps])[0])
        assert np.isnan(back.places).any(2).tolist() == np.isnan(gaps.places).any(2).tolist()
    (path,) = write(tmp_path / "gaps.bvh", [gaps])
    assert np.isfinite(read_motions(path)[0].places).all()


def test_several_people_get_a_file_each_or_one_for_all(tmp_path):
    people = [files.walking(4, id=3), files.walking(6, id=8)]
    names = [path.name for path in write(tmp_path / "two.trc", people)]
    assert names == ["two-3.trc", "two-8.trc"]
    names = [path.name for path in write(tmp_path / "same.trc", [people[0], people[0]])]
    assert names == ["same-3.trc", "same-3-1.trc"]
    pytest.importorskip("ezc3d")
    one, other = read_motions(write(tmp_path / "two.c3d", people)[0])
    assert (one.name, other.name, len(other)) == ("3", "8", 6)
    assert np.isnan(one.places[4:]).all()


def test_people_of_a_journal_in_space_are_written(tmp_path):
    walk = files.walking(5)
    poses = Poses3D(np.stack([walk.joints[0]] * 2), CMU24, np.array([4, 9]), "world")
    records = [
        Record3D("a.mp4", n, time, replace(poses, joints=np.stack([walk.joints[n]] * 2)))
        for n, time in enumerate(walk.times)
    ]
    FORMATS3D["trc"](lambda: iter(records), tmp_path / "people3d.trc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people3d-4.trc", "people3d-9.trc"]
    assert same_joints(read_trc(tmp_path / "people3d-4.trc"), walk) < 1e-5
    nobody = [replace(record, poses=replace(poses, ids=None)) for record in records]
    with pytest.raises(DataError, match="--track"):
        FORMATS3D["bvh"](lambda: iter(nobody), tmp_path / "people3d.bvh")


def test_one_frame_is_a_motion(tmp_path):
    walk = files.walking(1)
    for ending in ("bvh", "trc", "glb", "mot"):
        (path,) = write(tmp_path / f"one.{ending}", [walk])
        assert path.stat().st_size > 500


def test_nobody_in_any_frame_is_no_motion(tmp_path):
    record = Record3D("a.mp4", 0, 0.0, Poses3D.empty(H36M17))
    with pytest.raises(DataError, match=r"a\.trc: nobody is seen in any frame"):
        FORMATS3D["trc"](lambda: iter([record]), tmp_path / "a.trc")
    assert not (tmp_path / "a.trc").exists()


def test_what_cannot_be_written_says_so(tmp_path):
    with pytest.raises(OptionError, match="bvhx"):
        write(tmp_path / "a.bvhx", [files.walking(2)])
    with pytest.raises(OutputError, match="nobody"):
        write(tmp_path / "a.bvh", [])
    unseen = Motion(CMU24, np.full((3, 24, 3), np.nan), np.arange(3))
    with pytest.raises(DataError, match="never seen"):
        write(tmp_path / "a.bvh", [unseen])
    assert not list(tmp_path.iterdir())


# --- others read it


def test_the_bvh_package_reads_ours(tmp_path):
    bvh = pytest.importorskip("bvh")
    walk = files.walking(7)
    (path,) = write(tmp_path / "walk.bvh", [walk])
    theirs, ours = bvh.Bvh(path.read_text()), read_bvh(path)
    assert theirs.nframes == 7
    assert theirs.frame_time == pytest.approx(1 / 30, abs=1e-6)
    named = [name for name in ours.body.joints if not name.endswith("_end")]
    assert sorted(theirs.get_joints_names()) == sorted(named)
    offset = theirs.joint_offset("left_knee")
    assert np.linalg.norm(offset) == pytest.approx(0.42, abs=0.01)


def test_opensim_reads_our_mot_and_trc(tmp_path):
    opensim = pytest.importorskip("opensim")
    walk = files.walking(7)
    (path,) = write(tmp_path / "walk.mot", [walk])
    table = opensim.TimeSeriesTable(str(path))
    assert table.getNumRows() == 7
    labels = list(table.getColumnLabels())
    assert {"pelvis_tx", "hip_flexion_r", "knee_angle_l", "arm_add_r"} <= set(labels)
    knees = table.getDependentColumn("knee_angle_l").to_numpy()
    assert knees == pytest.approx(np.degrees(0.3 + 0.2 * np.sin(4 * walk.times + 1)), abs=3)
    markers = opensim.TimeSeriesTableVec3(str(write(tmp_path / "walk.trc", [walk])[0]))
    assert markers.getNumRows() == 7


def tree(path: Path) -> dict:
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length])


def test_gltf_holds_the_bodies_and_their_turns(tmp_path):
    pygltflib = pytest.importorskip("pygltflib")
    people = [files.walking(9, id=1), files.walking(5, id=2)]
    (path,) = write(tmp_path / "two.glb", people)
    file = pygltflib.GLTF2().load(str(path))
    assert len(file.skins) == len(file.meshes) == 2
    body = fit_body(people[0])
    assert len(file.animations[0].channels) == 2 * (1 + len(body.turning))

    document, binary = tree(path), file.binary_blob()
    accessor = document["accessors"][document["animations"][0]["samplers"][0]["output"]]
    view = document["bufferViews"][accessor["bufferView"]]
    moves = np.frombuffer(binary, np.float32, accessor["count"] * 3, view["byteOffset"])
    moving = solve(body, people[0])
    assert np.allclose(moves.reshape(-1, 3), moving.root[:, [1, 2, 0]], atol=1e-5)


def test_gltf_is_valid(tmp_path):
    """By Khronos's validator from npm, where node has it (NODE_PATH)."""
    node = shutil.which("node")
    script = (
        "const v=require('gltf-validator');v.validateBytes(new Uint8Array(require('fs')"
        ".readFileSync(process.argv[1]))).then(r=>console.log(JSON.stringify(r.issues)))"
    )
    if (
        not node
        or subprocess.run(
            [node, "-e", "require('gltf-validator')"], capture_output=True, env=os.environ
        ).returncode
    ):
        pytest.skip("needs node and npm's gltf-validator on NODE_PATH")
    people = [files.walking(9, id=1), files.walking(1, id=2)]
    (path,) = write(tmp_path / "two.glb", people)
    said = subprocess.run([node, "-e", script, str(path)], capture_output=True, check=True)
    issues = json.loads(said.stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]


# --- others' files


def test_asf_with_amc_is_bvh_below_the_chest(shared):
    """The converter that made the BVH lost a bone of the trunk: above, all is lower."""
    acclaim, bvh = read_amc(shared / MOCAP / "09_01.amc"), read_bvh(shared / MOCAP / "09_01.bvh")
    assert len(bvh) == len(acclaim) + 1  # it begins with the posture at rest
    low = ("pelvis", "spine", "chest", *(f"{side}_{part}" for side in ("left", "right")
           for part in ("hip", "knee", "ankle", "ball", "toe")))  # fmt: skip
    for name in low:
        ours = acclaim.places[:, acclaim.body.joints.index(name)]
        theirs = bvh.places[1:, bvh.body.joints.index(name)]
        assert np.abs(ours - theirs).max() < 1e-5, name


@pytest.mark.parametrize("name", ["Example1.bvh", "Male1_B3_Walk.bvh", "09_01.bvh"])
def test_bodies_of_bvh_are_as_tall_as_people(shared, name):
    (found,) = read_motions(shared / MOCAP / name)
    upright = np.ptp(found.places[-1], axis=0).max()
    assert 1.3 < upright < 2.1
    assert {"pelvis", "left_knee", "right_wrist", "head"} <= set(found.skeleton.joints)


def test_bvh_of_others_comes_back(shared, tmp_path):
    moving = read_bvh(shared / MOCAP / "09_01.bvh")
    short = Animation(moving.body, moving.root[:20], moving.turns[:20], moving.times[:20])
    back = read_bvh(write(tmp_path / "b.bvh", [short])[0])
    place = [back.body.joints.index(name) for name in moving.body.joints]
    assert np.abs(back.places[:, place] - short.places).max() < 1e-4


def test_trc_of_pose2sim_is_in_metres_and_z_up(shared):
    folder = shared / "data" / "motion3d" / "pose2sim"
    (path,) = folder.glob("*/*/pose-3d/S00_P00_T01_BalancingTrial_0-100.trc")
    found = read_trc(path)
    assert (len(found), len(found.skeleton)) == (100, 21)
    place = {name: found.places[:, k] for k, name in enumerate(found.skeleton.joints)}
    assert np.nanmedian(place["nose"][:, 2]) > np.nanmedian(place["left_ankle"][:, 2]) + 1


def test_motion_capture_is_truth_for_eval(tmp_path):
    walk = files.walking(12)
    (truth,) = write(tmp_path / "truth.trc", [walk])
    off = replace(walk, joints=walk.places + np.where(np.arange(24) == 3, 0.024, 0)[:, None])
    (found,) = write(tmp_path / "found.bvh", [off])
    (same,) = write(tmp_path / "same.trc", [off])
    assert spatial.holds_poses(truth)
    mpjpe = spatial.judge_files([same, found], truth, ["MPJPE", "MPJVE"])
    assert mpjpe[0].figures[0].value == pytest.approx(0.024 * np.sqrt(3) * 1000 / 24, rel=0.01)
    assert mpjpe[0].figures[1].value == pytest.approx(0, abs=0.02)
    assert mpjpe[1].figures[0].value < 20


# --- names


def test_joints_get_our_names():
    assert our_names(["LHip", "r_knee", "LeftUpLeg", "Right Elbow", "Nose", "widget"]) == (
        "left_hip", "right_knee", "LeftUpLeg", "right_elbow", "nose", "widget",
    )  # fmt: skip
    mixamo = ["mixamorig:Hips", "mixamorig:LeftShoulder", "mixamorig:LeftArm", "mixamorig:LeftHand"]
    assert our_names(mixamo) == ("pelvis", "left_collar", "left_shoulder", "left_wrist")
    assert our_names(["LShoulder", "LWrist", "LHand"]) == (
        "left_shoulder",
        "left_wrist",
        "left_hand",
    )
    assert our_names(H36M17.joints) == H36M17.joints
    assert our_names(CMU24.joints) == CMU24.joints
    tree = ["Hips", "LeftFoot", "LeftFoot_end", "Tail", "Tail_end"]
    assert names_in_tree(tree, [-1, 0, 1, 0, 3]) == (
        "pelvis", "left_ankle", "left_ankle_end", "Tail", "Tail_end",
    )  # fmt: skip


# --- broken files


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


BROKEN = [
    (files.bvh, "OFFSET 0 -0.42 0", "OFFSET 0 x 0", "line 12: expected a number, got 'x'"),
    (files.bvh, "HIERARCHY", "HIERARCHIE", "line 1: expected HIERARCHY"),
    (files.bvh, "Frames: 3", "Frames: 4", "has 3 frames, and Frames: says 4"),
    (files.bvh, "Frame Time: 0.0333333", "Frame Time: 0", "line 32: 3 frames of 0 s"),
    (files.bvh, "CHANNELS 3 Zrot", "CHANNELS 3 Wrot", "line 9: expected a channel"),
    (files.bvh, "0.2 0.9", "nan 0.9", "line 35: expected numbers"),
    (files.bvh, " 5.0 -3 1", " -3 1", "line 34: expected 15 numbers, got '14 of them'"),
    (files.bvh, "JOINT Spine", "} JOINT Spine", "line 20: expected { or }"),
    (files.amc, "ltibia 10", "ltibia ten", "line 11: expected 1 numbers"),
    (files.amc, "lfemur 1 -2 20", "lfemur 1 -2", "line 10: expected 'lfemur' and 3 numbers"),
    (files.amc, "root 1 17.5 -28 2 1 -4\n", "", "frame 2 has no root"),
    (files.asf, "length 7.7", "length", "a bone with name, direction and length"),
    (files.asf, "lfemur ltibia", "lfemur tibia", "line 44: expected bones of :bonedata"),
    (files.asf, ":hierarchy", ":tree", "has no :hierarchy"),
    (files.trc, "\tm\t", "\tparsec\t", "line 3: Units 'parsec'"),
    (files.trc, "0.033333\t", "x\t", "line 8: expected a number, got 'x'"),
    (files.trc, "2\t0.033333", "2\t0.000000", "line 8: its time does not go on"),
    (files.trc, "PathFileType", "FilePathType", "no motion capture|expected PathFileType"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "old", "new", "told"), BROKEN)
def test_broken_text_is_told_by_its_line(tmp_path, make, old, new, told):
    path = changed(make(tmp_path), old, new)
    with pytest.raises(DataError, match=told):
        files_read(path)


def files_read(path: Path) -> None:
    read_motions(path.with_name("body_01.amc") if path.suffix == ".asf" else path)


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        (1, 0, "byte 1: expected 0x50"),
        (0, 99, "byte 0: says that parameters are in block 99|no motion"),
        (515, 7, "byte 515: processor 7"),
        (16, 255, "is it complete"),
    ],
)
def test_broken_c3d_is_told_by_its_byte(tmp_path, at, value, told):
    pytest.importorskip("ezc3d")
    path = files.c3d(tmp_path)
    data = bytearray(path.read_bytes())
    data[at] = value
    path.write_bytes(data)
    with pytest.raises(EverybodyError, match=told):
        read_motions(path)


def test_cut_files_are_errors(tmp_path):
    pytest.importorskip("ezc3d")
    for make in (files.bvh, files.trc, files.c3d):
        folder = tmp_path / make.__name__
        folder.mkdir()
        path = make(folder)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
        with pytest.raises(DataError):
            read_motions(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_motions(tmp_path / "none.bvh")
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    files.amc(lonely)
    (lonely / "body.asf").unlink()
    with pytest.raises(DataError, match=r"\.asf beside it"):
        read_motions(lonely / "body_01.amc")


def test_bodies_of_files_are_trees():
    with pytest.raises(ValueError, match="parents before"):
        Body("x", ("a", "b", "c"), (-1, 2, 0), np.zeros((3, 3)))
