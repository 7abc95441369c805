"""BlazePose: where it looks, what it says of the picture and of space, and its detector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody import geometry
from everybody.codecs import AnchorPoints
from everybody.errors import ModelError
from everybody.estimator import Estimator
from everybody.methods.blazepose import ALIGNMENT, LANDMARKS, Landmarks, squares
from everybody.people import Frame, People
from everybody.runtime import Port, load
from everybody.skeletons import BLAZEPOSE33
from synthetic import nets

POINTS = np.stack([np.linspace(60, 200, 33), np.linspace(30, 220, 33)], 1)  # from the crop's edge
WORLD = np.random.default_rng(0).normal(size=(33, 3))
PICTURE = np.zeros((300, 400, 3), np.uint8)


@pytest.fixture
def landmarks(tmp_path: Path) -> Landmarks:
    return Landmarks(load(nets.blazepose_constant(tmp_path / "b.onnx", POINTS, WORLD), threads=1))


def aligned(hips: np.ndarray, circle: np.ndarray) -> Frame:
    """A frame with a person for each pair of alignment points [N, 2]."""
    keypoints = np.ones((len(hips), 4, 3))
    keypoints[:, 0, :2], keypoints[:, 1, :2] = hips, circle
    boxes = np.concatenate([hips - 9, hips + 9], 1)
    return Frame(PICTURE, people=People(keypoints, boxes, np.ones(len(hips)), ALIGNMENT))


@given(
    x=st.floats(20, 380), y=st.floats(20, 280), radius=st.floats(2, 200), angle=st.floats(-3.1, 3.1)
)
def test_the_square_has_the_hips_in_its_middle_and_the_circle_point_above(x, y, radius, angle):
    hips = np.array([[x, y]])
    circle = hips + radius * np.array([[np.sin(angle), -np.cos(angle)]])
    matrices = squares(hips, circle, (256, 256))
    shown = geometry.transform(matrices, np.stack([hips, circle], 1))[0]
    assert shown[0] == pytest.approx([127.5, 127.5], abs=1e-6)
    assert shown[1] == pytest.approx([127.5, 127.5 - 128 / 1.25], abs=1e-3)


def test_landmarks_lie_in_the_picture_where_the_crop_has_them(landmarks):
    hips, circle = np.array([[200.0, 150.0]]), np.array([[200.0, 50.0]])
    (posed,) = landmarks([aligned(hips, circle)])
    expected = (POINTS - 128) * (2 * 125 / 256) + (200, 150)
    assert posed.people.keypoints[0, :, :2] == pytest.approx(expected, abs=0.01)
    assert posed.people.skeleton == BLAZEPOSE33
    assert posed.poses3d.joints[0, :, :3] == pytest.approx(WORLD, abs=1e-5)


@given(quarter=st.integers(0, 3))
def test_a_turned_person_is_turned_in_the_picture_and_in_space(tmp_path_factory, quarter):
    file = nets.blazepose_constant(tmp_path_factory.mktemp("b") / "b.onnx", POINTS, WORLD)
    landmarks = Landmarks(load(file, threads=1))
    hips = np.array([[200.0, 150.0]])
    turn = np.linalg.matrix_power(np.array([[0.0, 1], [-1, 0]]), quarter)
    (upright,) = landmarks([aligned(hips, hips + np.array([0, -80]))])
    (turned,) = landmarks([aligned(hips, hips + np.array([0, -80]) @ turn.T)])
    moved = (upright.people.keypoints[0, :, :2] - hips) @ turn.T + hips
    assert turned.people.keypoints[0, :, :2] == pytest.approx(moved, abs=0.01)
    joints, before = turned.poses3d.joints[0], upright.poses3d.joints[0]
    assert joints[:, :2] == pytest.approx(before[:, :2] @ turn.T, abs=1e-4)
    assert joints[:, 2] == pytest.approx(before[:, 2], abs=1e-5)


def test_many_people_are_each_as_alone_and_nobody_is_nobody(landmarks):
    hips = np.array([[200.0, 150.0], [100, 100], [300, 200]])
    circle = hips + np.array([[0, -60], [30, -30], [40, 0]])
    together, nobody = landmarks([aligned(hips, circle), aligned(hips[:0], circle[:0])])
    for person in range(3):
        (alone,) = landmarks([aligned(hips[person : person + 1], circle[person : person + 1])])
        assert np.array_equal(alone.people.keypoints[0], together.people.keypoints[person])
        assert np.array_equal(alone.poses3d.joints[0], together.poses3d.joints[person])
    assert len(nobody.people) == len(nobody.poses3d) == 0
    assert landmarks([nobody])[0].people.skeleton == BLAZEPOSE33


def test_a_box_is_looked_at_as_its_person_seems_to_lie(landmarks):
    """The planted network is sure of its place, so the second look is where the first was."""
    box = np.array([[150.0, 100, 250, 200]])
    people = People.from_boxes(box)
    (upright,) = landmarks([Frame(PICTURE, people=people)])
    (lying,) = landmarks([Frame(PICTURE, people=replace(people, turns=np.eye(4)[[1]]))])
    middle = np.array([200.0, 150.0])
    moved = (upright.people.keypoints[0, :, :2] - middle) @ np.array([[0.0, 1], [-1, 0]])
    assert lying.people.keypoints[0, :, :2] == pytest.approx(moved + middle, abs=0.01)


def test_nobody_there_makes_faint_joints(tmp_path):
    file = nets.blazepose_constant(tmp_path / "b.onnx", POINTS, WORLD, there=0.01)
    (posed,) = Landmarks(load(file))([aligned(np.array([[200.0, 150]]), np.array([[200.0, 50]]))])
    assert posed.people.keypoints[..., 2].max() <= 0.01


def test_duplicates_go_with_their_poses_in_space(tmp_path):
    file = nets.blazepose_constant(tmp_path / "b.onnx", POINTS, WORLD)
    boxes = np.array([[20, 20, 116, 148, 0.9], [21, 20, 117, 148, 0.8]], np.float32)
    found = nets.rtmdet_constant(tmp_path / "d.onnx", boxes)
    estimator = Estimator(
        method="blazepose", detector=found, det_size=(160, 160), pose=file, det_nms=1.0, workers=1
    )
    (frame,) = estimator([Frame(PICTURE)])
    assert len(frame.people) == len(frame.poses3d) == 1


def test_other_networks_are_refused_by_what_they_take_and_give(tmp_path):
    file = nets.constant(tmp_path / "x.onnx", (256, 256), {"points": np.zeros((1, 195))})
    with pytest.raises(ModelError, match=r"x\.onnx: not BlazePose's landmarks.*the file gives"):
        Landmarks(load(file))
    outputs = {"points": np.zeros((1, 195)), "there": np.zeros((1, 1))}
    file = nets.constant(tmp_path / "y.onnx", (256, 256), outputs)
    with pytest.raises(ModelError, match=r"take \[1, 256, 256, 3\] and give 5 outputs"):
        Landmarks(load(file))


# --- its detector


def test_anchors_are_the_published_number_and_cover_the_input_evenly():
    anchors = AnchorPoints().anchors((224, 224))
    assert anchors.shape == (2254, 2)
    assert anchors.mean(0) == pytest.approx([112, 112])
    assert anchors[0].tolist() == [4, 4]
    assert anchors[-1].tolist() == [208, 208]


def test_points_of_an_anchor_are_found_under_the_coordinate_law():
    codec = AnchorPoints()
    anchors = codec.anchors((224, 224))
    regressors, scores = np.zeros((1, 2254, 12)), np.full((1, 2254, 1), -200.0)
    scores[0, 100] = 3.0
    truth = np.array([[100.0, 90], [100, 20], [100, 60], [100, 10]])  # pixels from the edge
    regressors[0, 100, 4:] = (truth - anchors[100]).ravel()
    regressors[0, 100, 2:4] = 20, 30
    ((points, boxes, found),) = codec.decode([regressors, scores], (224, 224))
    best = found.argmax()
    assert best == 100
    assert found[best] == pytest.approx(1 / (1 + np.exp(-3)))
    assert points[best, :, :2] == pytest.approx(truth - 0.5)
    x, y = anchors[100] - 0.5
    assert boxes[best] == pytest.approx([x - 10, y - 15, x + 10, y + 15])
    codec.check([Port("r", (1, 2254, 12)), Port("c", (1, 2254, 1))])
    with pytest.raises(ModelError, match="AnchorPoints means"):
        codec.decode([regressors[:, :9], scores[:, :9]], (224, 224))


def test_the_crop_of_landmarks_is_fed_from_0_to_1():
    assert LANDMARKS.std == (255, 255, 255)
    assert LANDMARKS.layout == "nhwc"
