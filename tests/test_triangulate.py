"""Triangulation: exact views give exact places; wrong and missing views do no harm."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from everybody.errors import DataError, OptionError
from everybody.lift.calibration_files import read_calibration
from everybody.lift.cameras import Camera, moved
from everybody.lift.refine import Smoothness, bridged, refine
from everybody.lift.triangulate import Trust, dlt, triangulate
from synthetic.studio import ring

MOTION = "data/motion3d"
# Marker of the TRC -> joint of BODY_25B.
MARKERS = (12, 14, 16, 22, 23, 24, 11, 13, 15, 19, 20, 21, 17, 18, 0, 6, 8, 10, 5, 7, 9)


def scene(count: int = 4, points: int = 200) -> tuple[list[Camera], np.ndarray, np.ndarray]:
    """Cameras, points [N, 3], and pixels with scores [C, N, 3]."""
    random = np.random.default_rng(count)
    cameras, places = ring(count), random.normal(0, 0.5, (points, 3))
    pixels = np.stack([camera.project(places) for camera in cameras])
    scores = random.uniform(0.3, 1, (count, points, 1))
    return cameras, places, np.concatenate([pixels, scores], -1)


@given(st.integers(2, 6), st.integers(0, 100))
def test_projections_give_the_points_back(count: int, seed: int) -> None:
    cameras, places = ring(count, arc=4.0), np.random.default_rng(seed).normal(0, 0.4, (9, 3))
    found = triangulate(cameras, np.stack([camera.project(places) for camera in cameras]))
    assert np.abs(found.points - places).max() < 1e-6
    assert found.used.all()
    assert found.errors.max() < 1e-6


def test_the_order_of_cameras_changes_nothing() -> None:
    cameras, _, seen = scene()
    seen[1, ::3, :2] += 150
    seen[..., :2] += np.random.default_rng(0).normal(0, 2, seen[..., :2].shape)
    found = triangulate(cameras, seen)
    order = [2, 0, 3, 1]
    other = triangulate([cameras[n] for n in order], seen[order])
    np.testing.assert_allclose(other.points, found.points, atol=1e-9)
    np.testing.assert_array_equal(other.used, found.used[order])


def test_turning_the_world_turns_the_answer() -> None:
    cameras, _, seen = scene()
    seen[..., :2] += np.random.default_rng(0).normal(0, 2, seen[..., :2].shape)
    turn = Rotation.from_rotvec([0.3, 2.0, -1.0]).as_matrix()
    found = triangulate(cameras, seen).points
    other = triangulate(moved(cameras, turn), seen).points
    np.testing.assert_allclose(other, found @ turn.T, atol=1e-9)


def test_shape_of_batches_does_not_matter() -> None:
    cameras, _, seen = scene(points=60)
    whole = triangulate(cameras, seen)
    folded = triangulate(cameras, seen.reshape(4, 5, 12, 3))
    np.testing.assert_array_equal(folded.points.reshape(-1, 3), whole.points)
    assert triangulate(cameras, np.zeros((4, 0, 17, 3))).points.shape == (0, 17, 3)


def test_one_wrong_view_of_four_is_left_out() -> None:
    cameras, places, seen = scene()
    wrong = np.arange(200) % 4
    seen[wrong, np.arange(200), :2] += (90, -120)
    found = triangulate(cameras, seen)
    assert np.abs(found.points - places).max() < 1e-6
    assert not found.used[wrong, np.arange(200)].any()
    assert found.used.sum() == 600
    assert found.errors[wrong, np.arange(200)].min() > 25


def test_what_a_view_does_not_see_does_not_count() -> None:
    cameras, places, seen = scene()
    seen[0, :, 2] = 0.1
    seen[1, 5:10] = np.nan
    found = triangulate(cameras, seen)
    assert np.abs(found.points - places).max() < 1e-6
    assert not found.used[0].any()
    assert not found.used[1, 5:10].any()


def test_two_views_that_disagree_tell_nothing() -> None:
    cameras = ring(2, arc=3.0)
    places = np.random.default_rng(0).normal(0, 0.3, (20, 3))
    seen = np.stack([camera.project(places) for camera in cameras])
    seen[0, :, 1] += 100
    found = triangulate(cameras, seen)
    assert np.isnan(found.points).all()
    assert not found.used.any()


def test_scores_weigh_views() -> None:
    """The point lies nearer to what the view of the higher score sees."""
    cameras, _, seen = scene(3)
    seen[0, :, 1] += 8
    errors = {}
    for score, other in ((1.0, 0.3), (0.3, 1.0)):
        seen[0, :, 2], seen[1:, :, 2] = score, other
        errors[score] = triangulate(cameras, seen).errors[0]
    assert (errors[1.0] < errors[0.3]).mean() > 0.95


def test_rays_that_hardly_cross_tell_no_depth() -> None:
    one, other = ring(2, arc=0.02)
    places = np.random.default_rng(0).normal(0, 0.3, (20, 3))
    seen = np.stack([one.project(places), other.project(places)])
    assert np.isnan(triangulate([one, other], seen).points).all()
    wide = triangulate([one, other], seen, Trust(angle=0.1)).points
    assert np.abs(wide - places).max() < 1e-6


def test_cameras_at_one_place_are_an_error() -> None:
    one = ring(1)[0]
    with pytest.raises(DataError, match="cam1, cam1 stand at one place"):
        triangulate([one, one], np.zeros((2, 5, 3)))
    with pytest.raises(DataError, match="1 cameras: triangulating takes two"):
        triangulate([one], np.zeros((1, 5, 3)))
    with pytest.raises(DataError, match="of 2 cameras: expected"):
        triangulate(ring(2), np.zeros((3, 5, 3)))


def test_options_that_make_no_sense() -> None:
    for wrong in ({"outlier": 0.0}, {"angle": 90.0}):
        with pytest.raises(OptionError):
            Trust(**wrong)
    with pytest.raises(OptionError):
        Smoothness(beside=0)


# --- refinement


def track(frames: int = 40) -> tuple[list[Camera], np.ndarray, np.ndarray, np.ndarray]:
    """Cameras, a moving joint [T, 1, 3], slopes [C, T, 1, 2] and weights."""
    times = np.arange(frames)[:, None, None] / 30
    places = np.concatenate([0.3 * np.sin(3 * times), 0.2 * np.cos(2 * times), 1 + 0 * times], 2)
    cameras = ring(3)
    slopes = np.stack([c.slopes(c.project(places)) for c in cameras])
    return cameras, places, slopes, np.ones(slopes.shape[:3])


def test_refining_leaves_even_motion_alone() -> None:
    cameras, _, slopes, weights = track()
    line = np.linspace((-0.5, 0, 1), (0.5, 0.3, 1.2), 40)[:, None]
    slopes = np.stack([c.slopes(c.project(line)) for c in cameras])
    assert np.abs(refine(cameras, line, slopes, weights, 1 / 30) - line).max() < 1e-6


def test_refining_brings_noise_nearer_to_the_truth() -> None:
    cameras, places, slopes, weights = track()
    noisy = slopes + np.random.default_rng(0).normal(0, 0.005, slopes.shape)
    poses, ones = np.stack([c.pose for c in cameras]), np.ones((3, 40))
    raw = dlt(poses, noisy[:, :, 0], ones)[:, None]
    fine = refine(cameras, raw, noisy, weights, 1 / 30)
    assert (
        np.linalg.norm(fine - places, axis=2).mean()
        < 0.8 * np.linalg.norm(raw - places, axis=2).mean()
    )


def test_a_joint_that_one_view_sees_is_carried_along_its_ray() -> None:
    cameras, places, slopes, weights = track()
    weights[1:, 15:22] = 0
    points = places.copy()
    points[15:22] = np.nan
    found = refine(cameras, points, slopes, weights, 1 / 30)
    straight = refine(
        cameras, points, slopes, np.where(np.isnan(points[..., 0]), 0, weights), 1 / 30
    )
    assert np.isfinite(found).all()
    assert np.abs(found - places)[15:22].max() < np.abs(straight - places)[15:22].max() < 0.05


def test_long_gaps_stay_gaps() -> None:
    known = np.array([0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0], bool)
    np.testing.assert_array_equal(np.flatnonzero(bridged(known, 2)), [1, 2, 3, 4, 5, 9])
    cameras, places, slopes, weights = track()
    weights[:, 5:35] = 0
    points = np.where((weights[0] > 0)[..., None], places, np.nan)
    found = refine(cameras, points, slopes, weights, 1 / 30, Smoothness(bridge=0.5))
    assert np.isnan(found[5:35]).all()
    assert np.isfinite(found[:5]).all()


# --- against what others have found


def test_the_raw_results_of_pose2sims_trial(shared: Path) -> None:
    """Each of its points is a weighted DLT of some of the cameras, the lenses left as they are."""
    folder = shared / MOTION / "pose2sim"
    cameras = read_calibration(folder / "S00_Calibration/Calib_qualisys.toml")
    with np.load(folder / "S00_P00_T01_BalancingTrial.npz") as file:
        seen = np.nan_to_num(file["pose_associated"][:, :, 0][:, :, MARKERS].astype(float))
    trial = folder / "S00_P00_SingleParticipant/S00_P00_T01_BalancingTrial/pose-3d"
    table = np.loadtxt(
        trial / "S00_P00_T01_BalancingTrial_0-100.trc", skiprows=5, usecols=range(65)
    )
    truth = table[:, 2:].reshape(100, 21, 3)[..., [2, 0, 1]]
    projections = np.stack([camera.matrix @ camera.pose for camera in cameras])
    nearest = np.full(truth.shape[:2], np.inf)
    for count in (2, 3, 4):
        for some in map(list, combinations(range(4), count)):
            flat = seen[some].reshape(count, -1, 3)
            points = dlt(projections[some], flat[..., :2], flat[..., 2]).reshape(truth.shape)
            nearest = np.fmin(nearest, np.linalg.norm(points - truth, axis=-1))
    assert np.median(nearest) < 1e-6
    assert (nearest < 5e-4).mean() >= 0.99


def test_humanevas_three_views_meet(shared: Path) -> None:
    folder = shared / MOTION / "humaneva"
    fitted = json.loads((folder / "cameras_fitted.json").read_text())
    with np.load(folder / "humaneva15.npz") as file:
        names, ends = file["sequences"], np.cumsum(file["length"])
        places, pixels = file["positions_3d"], file["positions_2d"]
    away = []
    fitted = {
        subject: [{field: np.array(value) for field, value in row.items()} for row in rows]
        for subject, rows in fitted.items()
    }
    for name, first, last in zip(names, [0, *ends], ends, strict=False):
        rows = fitted[str(name).partition("|")[0][-2:]]
        cameras = [
            Camera(str(n), row["K"], row["R"], row["t"], row["dist"]) for n, row in enumerate(rows)
        ]
        found = triangulate(cameras, np.moveaxis(pixels[first:last], 1, 0))
        away.append(np.linalg.norm(found.points - places[first:last], axis=-1).ravel())
    assert np.median(np.concatenate(away)) < 1e-5
