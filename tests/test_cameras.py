"""Cameras: projection and rays, and files of calibrations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from everybody.errors import DataError
from everybody.lift.calibration_files import read_calibration, write_calibration
from everybody.lift.cameras import Camera, moved
from synthetic.files import calibration_opencv
from synthetic.studio import ring

LENSES = {
    "none": ((), False),
    "brown": ((-0.3, 0.1, -0.001, 0.001, 0.02), False),
    "rational": ((0.1, -0.05, 0.001, 0.002, 0.01, 0.02, 0.01, 0.001), False),
    "fisheye": ((0.05, 0.01, -0.003, 0.001), True),
}
POSE2SIM = "data/motion3d/pose2sim/S00_Calibration"


def camera(lens: str) -> Camera:
    bend, fisheye = LENSES[lens]
    turn = Rotation.from_rotvec([0.3, -0.4, 0.2]).as_matrix()
    matrix = np.array([[1000, 0, 640.0], [0, 990, 360], [0, 0, 1]])
    return Camera(lens, matrix, turn, np.array([0.1, 0.2, 4]), np.array(bend), (1280, 720), fisheye)


@pytest.mark.parametrize("lens", LENSES)
def test_projection_is_opencvs_and_rays_are_its_inverse(lens: str) -> None:
    one = camera(lens)
    points = np.random.default_rng(0).normal(0, 0.6, (50, 4, 3))
    pixels = one.project(points)
    turn = cv2.Rodrigues(one.rotation)[0]
    project = cv2.fisheye.projectPoints if one.fisheye else cv2.projectPoints
    bend = one.distortion if len(one.distortion) else np.zeros(4)
    flat = points.reshape(-1, 1, 3)
    theirs = project(flat, turn, one.translation, one.matrix, bend)[0]
    np.testing.assert_allclose(pixels.reshape(-1, 2), theirs.reshape(-1, 2), atol=1e-9)

    rays = one.directions(pixels)
    true = points - one.centre
    true /= np.linalg.norm(true, axis=-1, keepdims=True)
    np.testing.assert_allclose(rays, true, atol=1e-9)


def test_what_is_behind_a_camera_has_no_place_in_its_picture() -> None:
    one = camera("brown")
    behind = one.centre - 2 * one.rotation[2]
    assert np.isnan(one.project(behind)).all()


def test_a_pixel_that_no_ray_reaches_has_no_ray() -> None:
    one = replace(camera("brown"), distortion=np.array([-0.4, 0, 0, 0]))  # bends back at r = 0.9
    assert np.isnan(one.slopes(np.array([9000.0, 360.0]))).all()


def test_a_smaller_picture_shows_the_same_at_the_same_place() -> None:
    one = camera("brown")
    half = one.of_size((640, 360))
    points = np.random.default_rng(1).normal(0, 0.5, (20, 3))
    np.testing.assert_allclose(half.project(points) + 0.5, (one.project(points) + 0.5) / 2)


def test_moving_the_world_moves_what_is_seen_with_it() -> None:
    cameras = ring(3)
    turn, shift = Rotation.from_rotvec([0.5, 1.0, -0.2]).as_matrix(), np.array([1.0, 2, 3])
    points = np.random.default_rng(2).normal(0, 0.5, (10, 3))
    for one, other in zip(cameras, moved(cameras, turn, shift), strict=True):
        np.testing.assert_allclose(other.project(points @ turn.T + shift), one.project(points))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("translation", [0, np.nan, 4], "camera brown: its translation holds NaN"),
        ("matrix", np.eye(2), "its matrix must be 3 × 3"),
        ("matrix", np.diag([0.0, 1, 1]), "focal lengths above 0"),
        ("rotation", 2 * np.eye(3), "is no rotation"),
        ("rotation", np.diag([1.0, 1, -1]), "is no rotation"),
        ("distortion", np.zeros(6), "6 distortions, expected"),
        ("size", (0, 5), "cannot be (0, 5) pixels"),
    ],
)
def test_numbers_that_make_no_camera_are_named(field: str, value: object, said: str) -> None:
    with pytest.raises(DataError) as error:
        replace(camera("brown"), **{field: value})
    assert said in str(error.value)


# --- files


def same(one: Camera, other: Camera, close: float = 1e-12) -> None:
    assert one.name == other.name
    assert one.size == other.size
    assert one.fisheye == other.fisheye
    for field in ("matrix", "rotation", "translation"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), atol=close)
    points = np.random.default_rng(0).normal(0, 0.4, (20, 3))
    np.testing.assert_allclose(one.project(points), other.project(points), atol=1e-6)


def test_cameras_come_back_from_a_file(tmp_path: Path) -> None:
    cameras = [replace(camera(lens), name=f'{lens} "1"') for lens in LENSES]
    cameras.append(replace(cameras[0], name="no size", size=None))
    write_calibration(cameras, tmp_path / "Calib.toml")
    for one, other in zip(cameras, read_calibration(tmp_path / "Calib.toml"), strict=True):
        same(one, other)


def test_a_folder_of_opencvs_files_is_a_camera_each(tmp_path: Path) -> None:
    for number in (0, 1):
        calibration_opencv(tmp_path, number)
    for one, other in zip(ring(2), read_calibration(tmp_path), strict=True):
        same(one, other)


def test_two_files_of_several_cameras_each(tmp_path: Path) -> None:
    inside = cv2.FileStorage(str(tmp_path / "intri.yml"), cv2.FILE_STORAGE_WRITE)
    outside = cv2.FileStorage(str(tmp_path / "extri.yml"), cv2.FILE_STORAGE_WRITE)
    for one in ring(3):
        inside.write(f"K_{one.name}", one.matrix)
        inside.write(f"dist_{one.name}", one.distortion)
        outside.write(f"R_{one.name}", cv2.Rodrigues(one.rotation)[0])
        outside.write(f"T_{one.name}", one.translation)
    inside.release()
    outside.release()
    for one, other in zip(ring(3), read_calibration(tmp_path), strict=True):
        same(replace(one, size=None), other, 1e-9)


def test_pose2sims_and_qualisys_files_say_the_same(shared: Path) -> None:
    folder = shared / POSE2SIM
    toml = read_calibration(folder / "Calib_qualisys.toml")
    qualisys = read_calibration(folder / "Calib.qca.txt")
    assert [one.name for one in toml] == [f"cam_0{n}" for n in (1, 2, 3, 4)]
    for one, other in zip(toml, qualisys, strict=True):
        # The .toml has Qualisys' distortions divided by 64, which they should not be.
        np.testing.assert_allclose(64 * one.distortion, other.distortion[:4], atol=1e-9)
        same(replace(one, distortion=other.distortion), other)
    assert read_calibration(folder)[0].name == "cam_01"


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("shelf/calibration_shelf.json", 5),
        ("campus/calibration_campus.json", 3),
        ("panoptic_body3d/160906_band1/calibration_160906_band1.json", 520),
    ],
)
def test_cameras_of_public_data_look_at_the_middle(shared: Path, place: str, count: int) -> None:
    cameras = read_calibration(shared / "data/motion3d/multiview_samples" / place)
    assert len(cameras) == count
    # The point nearest to all axes of sight lies before every camera.
    axes = np.stack([one.rotation[2] for one in cameras])
    across = np.eye(3) - axes[:, :, None] * axes[:, None]
    centres = np.stack([one.centre for one in cameras])
    middle = np.linalg.solve(across.sum(0), (across @ centres[..., None]).sum(0)[:, 0])
    assert (((middle - centres) * axes).sum(1) > 0).all()


TOML = """[cam_01]
name = "cam_01"
size = [ 1088.0, 1920.0]
matrix = [ [ 1681.0, 0.0, 532.0], [ 0.0, 1681.0, 948.0], [ 0.0, 0.0, 1.0]]
distortions = [ 0.0, 0.0, 0.0, 0.0]
rotation = [ 1.6, 1.0, -0.4]
translation = [ 0.3, 0.9, 2.8]
fisheye = false
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1.6, 1.0", "1.6, nan", "camera cam_01: its rotation holds NaN"),
        ("0.3, 0.9", "inf, 0.9", "camera cam_01: its translation holds NaN, infinity"),
        ("translation", "place", "camera cam_01: has no translation"),
        ("[ 1.6, 1.0, -0.4]", "[ 1.6, 1.0]", "its rotation must be 3 × 3"),
        ("[ 0.0, 1681.0, 948.0],", "[ 0.0, 1681.0],", "matrix is no list of numbers"),
        ("rotation = [ 1.6", "rotation = [ 1.6.2", "line 6"),
        ("1088.0, 1920.0", "nan, 1920.0", "its size holds NaN"),
        ("matrix", "no_matrix", "holds no block with a matrix"),
    ],
)
def test_broken_toml_names_the_camera_or_the_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "Calib.toml"
    path.write_text(TOML.replace(old, new, 1), "utf-8")
    with pytest.raises(DataError) as error:
        read_calibration(path)
    assert str(path) in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.qca.txt", "<calibration><cameras><camera", "is no XML"),
        ("a.qca.txt", '<c><camera serial="7"/></c>', "camera 7 has no <intrinsic>"),
        ("a.qca.txt", "<calibration/>", "holds no camera"),
        ("a.json", "{", "is no JSON"),
        ("a.json", json.dumps({"cameras": [{"name": "b", "R": [1]}]}), "camera b: has no K"),
        (
            "a.yml",
            "%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   rows: x",
            "line 3: camera_matrix",
        ),
        ("a.yml", "%YAML:1.0\n---\nother: 1\n", "camera a: has no matrix"),
        ("a.toml", TOML + TOML.replace("[cam_01]", "[cam_02]"), "camera cam_01 is there twice"),
    ],
)
def test_broken_files_of_other_kinds(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    with pytest.raises(DataError) as error:
        read_calibration(path)
    assert str(path) in str(error.value)
    assert said in str(error.value)


def test_a_folder_without_a_calibration(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no calibration"):
        read_calibration(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_calibration(tmp_path / "none.toml")


@pytest.mark.parametrize("lens", LENSES)
def test_the_derivative_is_how_pixels_move_with_points(lens: str) -> None:
    one = camera(lens)
    points = np.random.default_rng(0).uniform(-1, 1, (9, 3))
    steps = 1e-5 * np.eye(3)
    moved = [(one.onto(points + s) - one.onto(points - s)) / 2e-5 for s in steps]
    assert np.allclose(one.derivative(points), np.stack(moved, -1), atol=1e-3)
    assert np.allclose(one.onto(points), one.project(points))


def test_a_camera_of_a_size_and_a_field_of_view() -> None:
    one = Camera.of((641, 481), 90)
    edge = one.project(np.array([[1.0, 0, 1.0], [0, 0, 2.0]]))
    assert np.allclose(edge, [[640.5, 240], [320, 240]])
    assert np.isfinite(one.onto(np.array([[0.1, 0.2, -1.0]]))).all()  # behind it
