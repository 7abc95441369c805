"""DeepPose's cascade: each joint is looked at again where it was found, and only its own answer
counts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from everybody import geometry
from everybody.errors import OptionError
from everybody.methods.cascade import LEAST, Cascade, diameters, joint_boxes
from everybody.options import PoseOptions
from everybody.people import Frame, People
from everybody.skeletons import COCO17, LSP14
from synthetic import nets

from .loaded import load_sppe

SIZE, JOINTS = (96, 128), 17
LEFT, RIGHT = (COCO17.joints.index(name) for name in ("left_shoulder", "right_hip"))


class Told:
    """A poser that answers a fixed pose [K, 3] for everybody, moved to the box's corner."""

    skeleton = COCO17

    def __init__(self, pose: np.ndarray) -> None:
        self.pose, self.sessions = pose, {}

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        out = []
        for frame in frames:
            corners = np.zeros((len(frame.people), 1, 3))
            corners[:, 0, :2] = frame.people.boxes[:, :2]
            keypoints = (self.pose + corners).astype(np.float32)
            people = replace(frame.people, keypoints=keypoints, skeleton=COCO17)
            out.append(replace(frame, people=people))
        return out


def body() -> np.ndarray:
    """Joints [17, 3] on a grid 60 apart: the trunk is 60 long, so no square sees another's."""
    at = np.array([(60 * (k % 5), 60 * (k // 5)) for k in range(JOINTS)], float)
    at[[LEFT + 1, RIGHT]] = at[[RIGHT, LEFT + 1]]  # the hip beside the shoulder
    return np.concatenate([at + 40.3, np.full((JOINTS, 1), 0.7)], 1)


def picture(pose: np.ndarray, corners=((0, 0),), size: int = 800) -> np.ndarray:
    """Black, with a bright spot at every joint."""
    image = np.zeros((size, size, 3), np.uint8)
    rows, columns = np.mgrid[:size, :size]
    for x0, y0 in corners:
        for x, y, _ in pose:
            spot = np.exp(-((columns - x - x0) ** 2 + (rows - y - y0) ** 2) / 18)
            image = np.maximum(image, np.uint8(255 * spot)[..., None])
    return image


def frame(pose: np.ndarray, corners=((0, 0),)) -> Frame:
    boxes = np.array([(x, y, x + 100, y + 100) for x, y in corners], np.float32).reshape(-1, 4)
    return Frame(picture(pose, corners), people=People.from_boxes(boxes))


def stage(tmp_path, padding: float = 0.9):
    path = nets.heatmap_finder(tmp_path / "finder.onnx", JOINTS, SIZE)
    return load_sppe(
        path, skeleton="coco-17", codec="heatmap", input_size=SIZE, padding=padding
    ).poser


def off(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.hypot(*(found[..., :2] - truth[:, :2]).reshape(-1, 2).T).max())


def test_a_wrong_pose_is_put_right_within_a_cell_of_the_enlarged_crop(tmp_path):
    truth = body()
    wrong = truth + np.random.default_rng(0).uniform(-9, 9, truth.shape) * [1, 1, 0]
    looked = stage(tmp_path)
    cascade = Cascade(Told(wrong), looked)
    found = cascade([frame(truth)])[0].people.keypoints
    trunk = np.hypot(*(wrong[LEFT] - wrong[RIGHT])[:2])
    cell = 4 * 0.9 * trunk / SIZE[0]
    assert off(Told(wrong)([frame(truth)])[0].people.keypoints, truth) > 3 * cell
    assert off(found, truth) < 1.2 * cell
    assert np.allclose(found[..., 2], 0.7)  # the first stage's scores
    assert list(cascade.sessions) == ["refine 1"]
    assert list(Cascade(cascade, looked).sessions) == ["refine 1", "refine 2"]
    again = Cascade(cascade, looked)([frame(truth)])[0].people.keypoints
    assert off(again, truth) < 1.2 * cell


def test_only_the_answer_about_the_joint_in_the_middle_counts(tmp_path):
    cells = np.stack([np.arange(JOINTS) + 3, 2 * np.arange(JOINTS) % 30], 1)
    path = nets.heatmap_constant(tmp_path / "constant.onnx", cells, SIZE)
    looked = load_sppe(
        path, skeleton="coco-17", codec="heatmap", input_size=SIZE, padding=1.2
    ).poser
    pose = body()
    given = frame(pose)
    found = Cascade(Told(pose), looked)([given])[0].people.keypoints[0]
    boxes = joint_boxes(pose[None], given.people.boxes, COCO17)[0]
    matrices = geometry.crop_matrices(boxes, SIZE, 1.2)
    places = geometry.transform(matrices, found[:, None, :2])[:, 0]
    answers = looked.codec.decode(looked.session(np.zeros((1, 3, 128, 96), np.float32)))[0]
    assert np.allclose(places, answers[:, :2], atol=1e-2)


def test_people_are_refined_as_they_would_be_alone_and_nobody_is_fine(tmp_path):
    pose, corners = body() + np.array([3.0, -4.0, 0.0]), ((0, 0), (380, 360))
    cascade = Cascade(Told(pose), stage(tmp_path))
    together = cascade([frame(body(), corners), frame(body(), ())])
    assert len(together[1].people) == 0
    for corner, both in zip(corners, together[0].people.keypoints, strict=True):
        whole = frame(body(), corners)
        box = np.array([[*corner, corner[0] + 100, corner[1] + 100]], np.float32)
        alone = cascade([replace(whole, people=People.from_boxes(box))])[0].people.keypoints[0]
        assert np.allclose(alone, both, atol=1e-3)
    assert cascade([]) == []


def test_a_diameter_is_shoulder_to_hip_but_never_nothing():
    pose, boxes = body()[None], np.array([[0.0, 0.0, 100.0, 200.0]])
    trunk = np.hypot(*(pose[0, LEFT] - pose[0, RIGHT])[:2])
    assert diameters(pose, boxes, COCO17)[0] == pytest.approx(trunk)
    pose[0, RIGHT] = pose[0, LEFT]
    assert diameters(pose, boxes, COCO17)[0] == LEAST * 200
    squares = joint_boxes(pose, boxes, COCO17)[0]
    assert np.allclose((squares[:, :2] + squares[:, 2:]) / 2, pose[0, :, :2])
    assert np.allclose(squares[:, 2:] - squares[:, :2], LEAST * 200)


def test_a_stage_of_other_joints_is_refused(tmp_path):
    path = nets.heatmap_finder(tmp_path / "other.onnx", len(LSP14), SIZE)
    other = load_sppe(path, skeleton="lsp-14", codec="heatmap", input_size=SIZE).poser
    with pytest.raises(OptionError, match=r"other.onnx: finds joints of lsp-14.*coco-17"):
        Cascade(Told(body()), other)


def test_the_options_build_a_cascade(tmp_path):
    from everybody.methods.topdown import open_topdown
    from everybody.options import FindOptions, Options

    first = nets.heatmap_finder(tmp_path / "first.onnx", JOINTS, SIZE)
    given = {"skeleton": "coco-17", "codec": "heatmap", "input_size": SIZE}
    pose = PoseOptions(model=first, refine=(first,), orientation="upright", **given)
    with pytest.raises(OptionError, match="give its --skeleton"):  # a stage must say what it is
        open_topdown(Options(find=FindOptions(whole=True), pose=pose))
