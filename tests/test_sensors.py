"""Depth maps lift joints to where they are, sensors on bones make a body's postures truer than the
picture alone, and silhouettes tell how thick it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from everybody.errors import DataError
from everybody.lift.body import Animation
from everybody.lift.cameras import Camera
from everybody.lift.inverse import solve, solve_picture
from everybody.lift.measure import fit_body
from everybody.lift.motion import Motion
from everybody.lift.rotations import exp
from everybody.lift.sensors import (
    BONES,
    Imus,
    align,
    carried,
    imu_term,
    lift_depth,
    read_imus,
    synthetic_imus,
)
from everybody.lift.shape import girths
from everybody.people import People
from everybody.skeletons import CMU24, COCO17
from synthetic import motion as files

from .test_body import BODIES, drawn

MATRIX = np.array([[500, 0, 160], [0, 500, 120], [0, 0, 1.0]])
# It stands 4 m before who walks, looks at him, and sees the world's y on its left.
CAMERA = Camera(
    "camera",
    np.array([[500, 0, 160], [0, 500, 240], [0, 0, 1.0]]),
    np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0.0]]),
    np.array([0.0, 1, 4]),
)


def person(count: int = 17) -> People:
    keypoints = np.zeros((1, count, 3), np.float32)
    keypoints[0, :, 0] = np.linspace(60, 250, count)
    keypoints[0, :, 1] = np.linspace(30, 200, count)
    keypoints[..., 2] = 0.9
    return People(keypoints, [[50, 20, 260, 210]], [0.9], COCO17, np.array([4]))


def test_joints_lie_where_the_depth_map_says():
    people = person()
    depth = np.full((240, 320), 3.0)
    poses = lift_depth(people, depth, MATRIX)
    joints = poses.joints[0]
    assert np.allclose(joints[:, 2], 3)
    seen = joints[:, :3] @ MATRIX.T
    assert np.allclose(seen[:, :2] / seen[:, 2:], people.keypoints[0, :, :2], atol=1e-3)
    assert (poses.frame, poses.ids.tolist()) == ("camera", [4])
    assert np.allclose(lift_depth(people, depth, MATRIX, thickness=0.1).joints[0, :, 2], 3.1)


def test_holes_and_walls_behind_do_not_count():
    people = person()
    depth = np.full((240, 320), 3.0)
    x, y = people.keypoints[0, 4, :2].round().astype(int)
    depth[y - 9 : y + 9, x - 9 : x + 9] = 0
    depth[y : y + 2, x] = np.nan
    x, y = people.keypoints[0, 8, :2].round().astype(int)
    depth[y - 2 : y + 4, x - 3 : x + 4] = 9
    joints = lift_depth(people, depth, MATRIX).joints[0]
    assert joints[4, 3] == 0
    assert np.allclose(joints[np.arange(17) != 4, 2], 3)
    nothing = lift_depth(people, np.zeros((240, 320)), MATRIX)
    assert (nothing.joints[..., 3] == 0).all()
    assert len(lift_depth(People.empty(COCO17), depth, MATRIX)) == 0
    outside = replace(people, keypoints=people.keypoints + np.array([1e6, 0, 0]))
    assert (lift_depth(outside, depth, MATRIX).joints[..., 3] == 0).all()


@pytest.mark.parametrize(
    ("depth", "matrix"),
    [(np.ones((2, 3, 3)), MATRIX), (np.ones((2, 3)), MATRIX * np.nan), (np.ones((2, 3)), -MATRIX)],
)
def test_what_is_no_depth_map_is_an_error(depth, matrix):
    with pytest.raises(DataError, match="depth map"):
        lift_depth(person(), depth, matrix)


# --- sensors on bones


def walker(count: int = 30) -> Animation:
    walk = files.walking(count)
    return solve(fit_body(walk), walk)


ALL = [bone for bone in BONES if bone not in ("left_hand", "right_hand")]


def test_sensors_are_laid_on_bones_however_they_lie():
    truth = walker()
    imus = synthetic_imus(truth, ALL, np.random.default_rng(0), error=0)
    term = imu_term(imus, truth)
    measured = truth.orientations[:, list(term.joints)]
    assert np.allclose(term.goals, measured, atol=0.03)
    north, mounts = align(measured, measured, np.ones(measured.shape[:2]))
    assert np.allclose(north @ measured @ mounts, measured, atol=0.03)


def test_sensors_make_a_picture_truer():
    truth = drawn(BODIES["cmu-24"], 45)
    random = np.random.default_rng(1)
    points = CAMERA.onto(truth.places) + 4 * random.normal(size=(len(truth), len(truth.body), 2))
    seen = np.concatenate([points, np.ones_like(points[..., :1])], 2)
    wrong = exp(0.3 * random.normal(size=(45, len(truth.body), 3)))
    start = replace(truth, turns=wrong @ truth.turns)
    video = solve_picture(truth.body, seen, truth.times, CAMERA, start=start)
    imus = synthetic_imus(truth, ALL, random, error=0.03)
    both = solve_picture(
        truth.body, seen, truth.times, CAMERA, start=video, terms=[imu_term(imus, video)]
    )

    def error(found: Animation) -> float:
        return float(np.linalg.norm(found.places - truth.places, axis=2).mean())

    assert error(both) < 0.8 * error(video)


def test_sensors_make_noisy_joints_truer():
    truth = walker()
    random = np.random.default_rng(2)
    drift = 0.05 * random.normal(size=(1, 24, 3)) + 0.03 * random.normal(size=(30, 24, 3))
    noisy = Motion(CMU24, truth.motion(CMU24).places + drift, truth.times)
    video = solve(truth.body, noisy)
    imus = synthetic_imus(truth, ALL, random, error=0.03)
    both = solve(truth.body, noisy, terms=[imu_term(imus, video)])
    away = [np.linalg.norm(found.places - truth.places, axis=2).mean() for found in (video, both)]
    assert away[1] < 0.95 * away[0]


def test_sensors_count_only_when_they_speak():
    truth = walker(40)
    whole = synthetic_imus(truth, ["pelvis", "left_thigh"], np.random.default_rng(0), error=0)
    early = replace(
        whole,
        times=tuple(times[:10] for times in whole.times),
        orientations=tuple(turns[:10] for turns in whole.orientations),
    )
    term = imu_term(early, truth)
    assert (term.weights[:10] > 0).all()
    assert (term.weights[11:] == 0).all()


def test_sensors_come_out_of_csv(tmp_path):
    imus = read_imus(files.imus(tmp_path))
    assert imus.bones == ("pelvis", "left_thigh")
    assert np.allclose(imus.times[0], np.arange(4) / 30)
    turn = Rotation.from_matrix(imus.orientations[1][0]).as_rotvec()
    assert np.allclose(turn, [2 * np.arctan2(0.6, 0.8), 0, 0])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("pelvis,1", "tail,1", "line 2: unknown bone 'tail': known are pelvis, trunk"),
        ("0.8,0.6", "0.8,nan", "line 3: expected a quaternion"),
        ("0.8,0.6", "0.8", "line 3: expected five numbers"),
        ("time,bone", "bone", "line 1: expected the columns"),
        ("0.1,pelvis", "0,pelvis", "line 8: the time of 'pelvis' does not go on"),
        ("1,0,0,0", "0,0,0,0", "line 2: expected a quaternion"),
    ],
)
def test_a_broken_csv_is_told_by_its_line(tmp_path, old, new, told):
    path = files.imus(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=told):
        read_imus(path)


def test_sensors_on_bones_that_a_body_lacks_are_an_error():
    legs = walker().body
    imus = Imus(("left_hand",), (np.zeros(1),), (np.eye(3)[None],))
    assert carried(imus, legs)
    coco = fit_body(Motion(COCO17, np.random.default_rng(0).normal(size=(2, 17, 3)), np.arange(2)))
    with pytest.raises(DataError, match="left_hand"):
        carried(imus, coco)


# --- shape


def test_girths_are_those_of_round_limbs():
    truth = walker(3)
    thick = {"left_thigh": 0.08, "left_upper_arm": 0.05}
    ends = {
        "left_thigh": ("left_hip", "left_knee"),
        "left_upper_arm": ("left_shoulder", "left_elbow"),
    }
    masks = []
    rows, columns = np.mgrid[:480, :320]
    for t in range(3):
        mask = np.zeros((480, 320), bool)
        for segment, radius in thick.items():
            first, last = (truth.places[t, truth.body.joints.index(name)] for name in ends[segment])
            a, b = CAMERA.onto(first), CAMERA.onto(last)
            depth = ((first + last) / 2 @ CAMERA.rotation.T + CAMERA.translation)[2]
            along = (b - a) / np.linalg.norm(b - a)
            away = np.abs((columns - a[0]) * along[1] - (rows - a[1]) * along[0])
            share = ((columns - a[0]) * along[0] + (rows - a[1]) * along[1]) / np.linalg.norm(b - a)
            mask |= (away < radius / depth * 500) & (share > -0.1) & (share < 1.1)
        masks.append(mask)
    found = girths(masks, truth, CAMERA)
    for segment, radius in thick.items():
        assert found[segment] == pytest.approx(2 * np.pi * radius, rel=0.12), segment
    assert girths([np.zeros((480, 320), bool)] * 3, truth, CAMERA) == {}
