"""The floor: planes that feet stand on, feet that stay put, and what is measured of them."""

from __future__ import annotations

import numpy as np
import pytest

from everybody.errors import DataError
from everybody.lift.floor import (
    ANKLE,
    ANKLES,
    Floor,
    FloorFinder,
    Planted,
    fitted,
    grounded,
    skating,
    stretching,
)
from everybody.people import Poses3D
from everybody.skeletons import H36M17
from tests import motion

UP = np.array([0.0, 0.0, 1.0])
TILTED = np.array([0.05, -0.95, -0.3])
TILTED = TILTED / np.linalg.norm(TILTED)


def standing(frames: int = 60, jitter: float = 0.0) -> np.ndarray:
    """[T, 17, 4]: somebody who stands on z = 0 in the world, and sways above the ankles."""
    random = np.random.default_rng(0)
    joints = np.ones((frames, 17, 4))
    pose = motion.standing() * 1.7
    pose = np.stack([pose[:, 0], -pose[:, 2], -pose[:, 1]], 1)
    pose[:, 2] += ANKLE - pose[ANKLES, 2].min()
    joints[..., :3] = pose
    joints[..., :3] += random.normal(0, jitter, (frames, 1, 3))
    return joints


def test_worlds_and_cameras_are_each_others_inverse():
    floor = Floor(TILTED, 1.4)
    points = np.random.default_rng(1).normal(size=(5, 7, 3))
    assert np.allclose(floor.to_camera(floor.to_world(points)), points, atol=1e-9)
    assert np.allclose(floor.axes() @ floor.axes().T, np.eye(3), atol=1e-9)
    assert np.linalg.det(floor.axes()) == pytest.approx(1)
    assert floor.to_world(np.zeros(3)) == pytest.approx([0, 0, 1.4])  # the camera
    on_its_side = Floor(np.array([1.0, 0, 0]), 1.0)
    assert np.allclose(on_its_side.axes() @ on_its_side.axes().T, np.eye(3), atol=1e-9)


def test_a_plane_is_found_from_ankles_that_are_spread_over_it():
    floor = Floor(TILTED, 1.4)
    random = np.random.default_rng(2)
    ankles = np.column_stack([random.uniform(-3, 3, (400, 2)), np.full(400, ANKLE)])
    ankles[:40, 2] += random.uniform(0.2, 0.6, 40)  # some did not stand
    found = fitted(floor.to_camera(ankles), np.array([0.0, -1.0, 0.0]))
    assert found.up @ TILTED > np.cos(np.radians(1.5))
    assert found.height == pytest.approx(1.4, abs=0.05)


def test_somebody_who_stays_in_one_place_does_not_tilt_the_floor():
    ankles = np.random.default_rng(3).normal(0, 0.02, (100, 3)) + np.array([0, 1.2, 4])
    found = fitted(ankles, np.array([0.0, -1.0, 0.0]))
    assert found.up @ [0, -1, 0] > np.cos(np.radians(4))


def test_people_in_front_of_a_camera_are_put_on_their_floor():
    floor = Floor(TILTED, 1.4)
    finder, frames = FloorFinder(), []
    for t, joints in enumerate(standing()):
        camera = joints.copy()
        camera[:, :3] = floor.to_camera(joints[:, :3] + [0, 4, 0])
        poses = Poses3D(camera[None], H36M17, np.array([1]))
        finder.add(poses, t / 30)
        frames.append(poses)
    out = [grounded(poses, finder.floor()) for poses in frames]
    assert all(poses.frame == "world" for poses in out)
    assert np.abs(out[-1].joints[0, ANKLES, 2] - ANKLE).max() < 0.02


def test_nobody_stood_is_told():
    with pytest.raises(DataError, match="nobody was seen to stand"):
        FloorFinder().floor()
    assert len(grounded(Poses3D.empty(H36M17), Floor(TILTED, 1.0))) == 0


def test_standing_feet_stay_where_they_are():
    joints = standing(90, jitter=0.004)
    planted = Planted()
    times = np.arange(90) / 30
    steady = np.stack([planted(one, float(t), UP) for one, t in zip(joints, times, strict=True)])
    before, after = (skating(x, times, UP)[0] for x in (joints, steady))
    assert after < 0.1 * before
    assert np.ptp(steady[:, ANKLES, :3], axis=0)[1:].max() < 0.01
    assert np.ptp(steady[1:, ANKLES, :3], axis=0).max() < 1e-4
    assert stretching(steady).max() < stretching(joints).max() + 1e-6


def test_legs_bend_by_what_the_body_does_not_follow():
    """Two standing feet that drift apart, by more than one body can follow, stay both."""
    joints = standing(60)
    apart = 0.003 * np.arange(60)[:, None] * np.array([1.0, 0, 0])
    joints[:, ANKLES[0], :3] += apart
    joints[:, ANKLES[1], :3] -= apart
    planted = Planted()
    out = np.stack([planted(one, t / 30, UP) for t, one in enumerate(joints)])
    assert np.ptp(out[1:, ANKLES, :3], axis=0).max() < 1e-3


def test_a_foot_whose_depth_alone_shakes_is_held():
    joints = standing(90)
    joints[..., :3] = Floor(TILTED, 1.4).to_camera(joints[..., :3])
    joints[..., 2] += 3
    joints[..., 2] += 0.08 * np.sin(np.arange(90) / 3)[:, None]  # at most .8 m/s
    times, planted = np.arange(90) / 30, Planted()
    held = np.stack([planted(one, at, TILTED) for one, at in zip(joints, times, strict=True)])
    assert np.ptp(joints[:, ANKLES, 2], axis=0).min() > 0.15
    assert np.ptp(held[15:, ANKLES, :3], axis=0).max() < 0.001


def test_a_jump_is_not_held_back():
    joints = standing(60)
    joints[20:, :, 0] += np.arange(40)[:, None] * 0.2  # 6 m/s: no foot stands
    planted = Planted()
    out = np.stack([planted(one, t / 30, UP) for t, one in enumerate(joints)])
    assert np.allclose(out[30:, :, :3], joints[30:, :, :3], atol=0.12)


def test_what_is_measured_is_known():
    joints = standing(31)
    times = np.arange(31) / 30
    assert skating(joints, times, np.array([0.0, 0, 1])) == pytest.approx((0, 30 / 31))
    assert stretching(joints) == pytest.approx(np.zeros(16))
    joints[..., 0] += 0.1 * times[:, None]  # a slide at 10 cm a second
    assert skating(joints, times, np.array([0.0, 0, 1]))[0] == pytest.approx(0.1, rel=1e-3)
    longer = joints[..., :3] * (1 + 0.1 * (np.arange(31) % 2))[:, None, None]
    assert stretching(longer) == pytest.approx(np.full(16, 0.0476), abs=1e-3)
