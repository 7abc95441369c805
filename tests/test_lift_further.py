"""Feet, face and neck in space: the 17 joints stay, rigid parts are found again, mirrors, scales
and neighbours change nothing, and what is not seen is not invented.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from everybody.lift.floor import Floor, grounded
from everybody.lift.further import FOOT, foot_axes, head_axes, tells_feet
from everybody.lift.inverse import solve
from everybody.lift.lifter import Lift, Lifting
from everybody.lift.measure import fit_body
from everybody.lift.motion import motions
from everybody.lift.rigid import turned
from everybody.lift.rotations import exp, exp_slope, log, log_slope
from everybody.people import People, Poses3D
from everybody.results.records import Record
from everybody.results.spatial import FORMATS3D, Record3D, encode, read
from everybody.skeletons import (
    BODY23,
    COCO17,
    H36M17,
    H36M29,
    HALPE26,
    OPENPOSE25,
    SKELETONS,
    mapping,
)
from synthetic import nets
from tests import motion

SIZE = (640, 480)
LENGTH = 600.0  # of motion.filmed
FOV = math.degrees(2 * math.atan(SIZE[0] / 2 / LENGTH))
AT = {name: k for k, name in enumerate(H36M29.joints)}
SEEN = {name: k for k, name in enumerate(HALPE26.joints)}
FEET = [k for name, k in SEEN.items() if name.endswith(("_toe", "_heel"))]
# Pixels from an ankle of somebody who looks into the camera, left; mirrored: right.
ENDS = {"heel": (-3.0, 5.0), "big_toe": (4.0, 18.0), "small_toe": (9.0, 14.0)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nets.lifter(tmp_path_factory.mktemp("lifter") / "lifter.onnx", motion.standing())


def keypoints(frames: int = 30, seed: int = 0, **how) -> np.ndarray:
    """[T, 26, 3] of HALPE26."""
    body = motion.filmed(motion.capture(frames, seed=seed), **how)[0]
    whole = mapping(COCO17, HALPE26)(body)
    for name, place in ENDS.items():
        for side, sign in (("left", 1), ("right", -1)):
            foot = whole[:, SEEN[f"{side}_{name}"]]
            foot[:, :2] = whole[:, SEEN[f"{side}_ankle"], :2] + np.array(
                [sign * place[0], place[1]]
            )
            foot[:, 2] = 0.8
    return whole


def film(*people: np.ndarray, skeleton=HALPE26, size=SIZE) -> list[Record]:
    count, ids = len(people), np.arange(1, len(people) + 1)
    return [
        Record(
            "a.mp4",
            index,
            index / 30,
            *size,
            People(one, np.zeros((count, 4)), np.ones(count), skeleton, ids),
        )
        for index, one in enumerate(np.stack(people, 1))
    ]


def lifted(records: list[Record], model: Path, **options) -> np.ndarray:
    """[T, N, K, 4]"""
    lifting = Lifting(Lift(model=model, fov=FOV, **options))
    return np.stack([poses.joints for _, poses in lifting.poses(records)])


@pytest.mark.parametrize("options", [{}, {"steady": False}, {"ahead": 0}], ids=str)
def test_the_17_joints_are_what_they_are_without_feet(model, options):
    points = keypoints()
    whole = lifted(film(points), model, **options)
    alone = lifted(film(points[:, :17], skeleton=COCO17), model, **options)
    assert whole.shape[2:] == (29, 4)
    assert np.array_equal(whole[:, :, :17], alone)
    assert (whole[..., 3] > 0).all()


def test_people_without_feet_are_lifted_as_ever(model):
    poses = [
        one
        for _, one in Lifting(Lift(model=model)).poses(film(keypoints(3)[:, :17], skeleton=COCO17))
    ]
    assert all(one.skeleton is H36M17 for one in poses)
    assert [tells_feet(one) for one in (COCO17, H36M17, HALPE26, BODY23, OPENPOSE25)] == [
        False, False, True, True, True,
    ]  # fmt: skip


def test_a_mirrored_film_gives_mirrored_feet_and_faces(model):
    straight = keypoints()
    straight[:, FEET, :2] += np.random.default_rng(0).normal(0, 4, (len(FEET), 2))
    other = straight[:, list(HALPE26.mirror)].copy()
    other[..., 0] = SIZE[0] - 1 - other[..., 0]
    one, two = (lifted(film(points), model) for points in (straight, other))
    back = one[:, :, list(H36M29.mirror)] * np.array([-1, 1, 1, 1])
    assert np.allclose(two, back, atol=1e-3)


def test_people_together_are_as_alone_and_live_as_frame_by_frame(model):
    first, second = keypoints(), keypoints(seed=3, far=7.0)
    both = lifted(film(first, second), model)
    for n, alone in enumerate((first, second)):
        assert np.allclose(both[:, n], lifted(film(alone), model)[:, 0], atol=1e-4)
    live = lifted(film(first), model, ahead=0)
    assert np.array_equal(live[:12], lifted(film(first[:12]), model, ahead=0))


def test_the_size_of_the_picture_does_not_matter(model):
    points = keypoints()
    larger = points.copy()
    larger[..., :2] = (points[..., :2] + 0.5) * 3 - 0.5  # an integer is the centre of a pixel
    size = (3 * SIZE[0], 3 * SIZE[1])
    assert np.allclose(
        lifted(film(points), model), lifted(film(larger, size=size), model), atol=1e-3
    )


def test_a_taller_body_has_longer_feet(model):
    one, two = (lifted(film(keypoints()), model, height=height) for height in (1.2, 1.8))
    ankle, toe = AT["left_ankle"], AT["left_big_toe"]
    lengths = [np.linalg.norm(x[..., toe, :3] - x[..., ankle, :3], axis=-1) for x in (one, two)]
    length = float(np.linalg.norm(FOOT["big_toe"]))
    assert np.allclose(lengths[0], 1.2 * length, atol=1e-4)
    assert np.allclose(lengths[1], 1.8 * length, atol=1e-4)


def test_what_is_not_seen_is_not_there_and_moves_nothing_else(model):
    points, lacking = keypoints(), keypoints()
    gone = ["left_small_toe", "right_big_toe", "nose", "neck"]
    lacking[:, [SEEN[name] for name in gone]] = (1e4, -1e4, 0)  # wherever it is said to be
    whole, less = (lifted(film(one), model) for one in (points, lacking))
    assert (less[:, :, [AT[name] for name in gone]] == 0).all()
    rest = [k for name, k in AT.items() if name not in gone]
    assert (less[:, :, rest, 3] > 0).all()
    assert np.abs(less - whole)[:, :, rest, :3].max() < 0.3
    world = grounded(Poses3D(less[0], H36M29), Floor(np.array([0.0, -1, 0]), 1.5))
    assert (world.joints[:, [AT[name] for name in gone]] == 0).all()

    lacking[:, SEEN["left_ankle"], 2] = 0  # on which the foot hangs
    less = lifted(film(lacking), model)
    assert (less[:, :, [AT["left_heel"], AT["left_big_toe"]]] == 0).all()
    assert (less[:, :, AT["right_heel"], 3] > 0).all()


def test_nobody_stays_nobody(model):
    nobody = [replace(one, people=People.empty(HALPE26)) for one in film(keypoints(3))]
    assert lifted(nobody, model).shape == (3, 0, 29, 4)


# Parts


def seen_part(seed: int, count: int = 20, turn: float = 0.5):
    """Rigid parts of five points, each turned at random against its axes before the camera."""
    random = np.random.default_rng(seed)
    base = random.uniform((-1, -1, 2), (1, 1, 4), (count, 3))
    axes = exp(random.normal(0, 1, (count, 3)))
    shape = random.normal(0, 0.1, (count, 5, 3))
    shape[:, 0] = 0
    turns = random.normal(0, 1, (count, 3))
    turns = turn * turns / np.linalg.norm(turns, axis=1, keepdims=True)
    places = base[:, None] + shape @ (axes @ exp(turns)).mT
    return base, axes, shape, places


@pytest.mark.parametrize("seed", range(3))
def test_a_known_part_is_found_where_it_is(seed):
    base, axes, shape, places = seen_part(seed)
    rays = places[..., :2] / places[..., 2:]
    free = np.full((len(base), 3), 100.0)  # however it is turned
    found = turned(base, axes, shape, rays, np.full(rays.shape[:2], 1e3), free)
    assert np.allclose(found, places, atol=1e-5)
    moved = turned(base, axes, shape, rays + 0.2, np.full(rays.shape[:2], 1e3), free)
    assert np.allclose(moved, places, atol=0.05)  # points are seen beside each other


def test_turns_go_on_as_their_slope_says():
    random = np.random.default_rng(0)
    vectors = random.normal(0, 1, (20, 3)) * np.repeat([1e-6, 0.3, 1.0, 2.0], 5)[:, None]
    small = random.normal(0, 1e-5, (20, 3))
    gap = log(exp(vectors + small) @ exp(vectors).mT)
    assert np.allclose(gap, (exp_slope(vectors) @ small[..., None])[..., 0], atol=1e-9)
    assert np.allclose(exp_slope(vectors) @ log_slope(vectors), np.eye(3), atol=1e-6)


def test_of_two_depths_of_one_point_the_usual_one_is_found():
    length, base = 0.2, np.array([[0.0, 0, 50.0]])  # so far that rays are parallel
    shape = np.array([[[0.0, 0, 0], [length, 0, 0]]])
    for away in (0.4, -0.4):  # radians, toward the camera or from it, of what is seen
        true = length * np.array([math.cos(away), 0, math.sin(away)])
        rays = np.array([[[0, 0], true[:2] / (50 + true[2])]])
        for usual in (0.15, -0.15):
            axes = exp(np.array([[0.0, -usual, 0]]))
            trust, spread = np.full((1, 2), 1e3), np.full((1, 3), 0.5)
            found = turned(base, axes, shape, rays, trust, spread)[0, 1] - base[0]
            wanted = true * (1, 1, np.sign(away * usual))
            assert np.allclose(found, wanted, atol=3e-3)


def test_what_nothing_is_known_of_lies_as_usual():
    base, axes, shape, places = seen_part(1)
    spread, trust = np.full((len(base), 3), 0.3), np.zeros(places.shape[:2])
    usual = base[:, None] + shape @ axes.mT
    rays = places[..., :2] / places[..., 2:]
    assert np.allclose(turned(base, axes, shape, rays, trust, spread), usual)
    trust[:, 3] = 1e3  # one point says nothing beside no other
    assert np.allclose(turned(base, axes, shape, rays, trust, spread), usual, atol=1e-9)


def test_axes_are_turns_and_look_ahead_of_who_stands():
    random = np.random.default_rng(0)
    bodies = random.normal(0, 0.5, (50, 17, 3))
    standing = motion.standing()[None] + (0, 0, 3)  # it looks into the camera, -z
    for axes in (foot_axes, head_axes):
        given = [("left",), ("right",)] if axes is foot_axes else [()]
        for more in given:
            found = axes(bodies, *more)
            assert np.allclose(found @ found.mT, np.eye(3), atol=1e-6)
            assert np.allclose(np.linalg.det(found), 1)
            forward, left, up = axes(standing, *more)[0].T
            assert -forward[2] > 0.8
            assert left[0] > 0.8
            assert -up[1] > 0.8


# What comes after


def test_formats_know_the_new_joints(model, tmp_path):
    points = keypoints(12)
    points[:, [SEEN["left_small_toe"], SEEN["right_small_toe"]], 2] = 0
    poses = [one for _, one in Lifting(Lift(model=model, fov=FOV)).poses(film(points))]
    rows = [Record3D("a.mp4", n, n / 30, one) for n, one in enumerate(poses)]
    (tmp_path / "frames3d.jsonl").write_bytes(b"".join(map(encode, rows)))
    back = list(read(tmp_path))
    assert all(one.poses.skeleton is H36M29 for one in back)
    for name in ("npz", "csv", "trc", "c3d", "bvh", "mot"):
        FORMATS3D[name](lambda: iter(rows), tmp_path / f"p.{name}")
    with np.load(tmp_path / "p.npz") as file:
        assert tuple(file["joints"]) == H36M29.joints
    assert "left_big_toe" in (tmp_path / "p.csv").read_text("utf-8")
    assert "left_heel" in (tmp_path / "p.trc").read_text("utf-8").splitlines()[3]
    bvh = (tmp_path / "p.bvh").read_text("utf-8")
    assert "left_big_toe" in bvh
    assert "small_toe" not in bvh  # never seen
    assert "ankle_angle_l" in (tmp_path / "p.mot").read_text("utf-8")


def test_bodies_keep_their_bones_and_get_feet(model):
    poses = [one for _, one in Lifting(Lift(model=model, fov=FOV)).poses(film(keypoints(12)))]
    without = [Poses3D(one.joints[:, :17], H36M17, one.ids) for one in poses]
    whole, less = (
        motions((n / 30, one) for n, one in enumerate(group))[0] for group in (poses, without)
    )
    body, bare = fit_body(whole), fit_body(less)
    lengths = dict(zip(body.joints, body.lengths, strict=True))
    for name, length in zip(bare.joints, bare.lengths, strict=True):
        assert lengths[name] == pytest.approx(length)
    assert {"left_ankle", "right_ankle"} <= {body.joints[j] for j in body.turning}
    found = solve(body, whole).motion(H36M29).places
    feet = [AT[f"{side}_{part}"] for side in ("left", "right") for part in ("heel", "big_toe")]
    assert np.linalg.norm(found - whole.places, axis=-1)[:, feet].mean() < 0.03


def test_of_every_format_halpe_26_begins_with_what_coco_is():
    for skeleton in SKELETONS.values():
        whole, alone = mapping(skeleton, HALPE26), mapping(skeleton, COCO17)
        assert whole.parents[: len(COCO17)] == alone.parents
        assert not whole.placed
        assert not alone.placed


def test_halpe_26_in_space_is_a_choice_of_the_joints(model):
    assert H36M29.joints[:17] == H36M17.joints
    assert mapping(H36M29, HALPE26).missing == ()
    poses = next(one for _, one in Lifting(Lift(model=model, fov=FOV)).poses(film(keypoints(2))))
    chosen = poses.to(HALPE26)
    assert chosen.joints.shape == (1, 26, 4)
    for name, theirs in (("left_heel", "left_heel"), ("head", "head_top"), ("neck", "neck")):
        assert np.array_equal(chosen.joints[:, SEEN[name]], poses.joints[:, AT[theirs]])
    assert chosen.ids.tolist() == [1]
