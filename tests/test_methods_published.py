"""Keypoint R-CNN, DEKR and RTMO as methods: what a file says of planted people is what is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from everybody.codecs.cell_poses import CellPoses
from everybody.errors import ModelError
from everybody.estimator import Estimator
from everybody.geometry import box_around
from everybody.methods.dekr import DekrCodec
from everybody.methods.keypoint_rcnn import RegionMaps
from everybody.people import Frame
from everybody.skeletons import COCO17
from synthetic import nets, planted

PICTURE, SIZE = (320, 240), (640, 480)  # the networks see the picture twice as large
NOWHERE = np.zeros((0, 17, 2))


def in_input(points: np.ndarray) -> np.ndarray:
    return (points + 0.5) * 2 - 0.5


def around(points: np.ndarray) -> np.ndarray:
    """Boxes [P, 4] a little larger than the people."""
    return box_around(planted.seen(points)) + np.array([-6, -6, 6, 6])


def sure(people: np.ndarray) -> np.ndarray:
    """Scores [P], the first person's the highest."""
    return 0.9 - 0.1 * np.arange(len(people))


def rcnn_answer(people: np.ndarray) -> dict[str, np.ndarray]:
    """Logits that fall with the square of the distance to the joint, in cells of the box."""
    points, boxes = in_input(people) + 0.5, around(in_input(people)) + 0.5
    shares = (points - boxes[:, None, :2]) / (boxes[:, None, 2:] - boxes[:, None, :2])
    gaps = (np.arange(56) + 0.5)[:, None] - 56 * shares[..., None, :]  # [P, K, 56, 2]
    logits = -(gaps[..., None, :, 0] ** 2 + gaps[..., :, None, 1] ** 2)
    return {
        "picture": np.zeros(len(people)),
        "boxes": boxes,
        "scores": sure(people),
        "labels": np.ones(len(people)),
        "keypoints": logits,
    }


def rtmo_answer(people: np.ndarray) -> dict[str, np.ndarray]:
    joints = planted.seen(in_input(people))
    answer = {"boxes": around(joints[..., :2]), "scores": sure(people), "keypoints": joints}
    return {name: values[None] for name, values in answer.items()}


def dekr_answer(people: np.ndarray) -> dict[str, np.ndarray]:
    cells = planted.seen(in_input(people))
    cells[..., :2] /= 4
    maps = DekrCodec(cells=(160, 120)).encode(cells)
    return {name: maps[name][None] for name in ("heatmaps", "offsets")}


ANSWERS: dict[str, Callable[[np.ndarray], dict[str, np.ndarray]]] = {
    "keypoint_rcnn": rcnn_answer,
    "dekr": dekr_answer,
    "rtmo": rtmo_answer,
}
# How far from the truth a joint may be, in pixels of the picture: in R-CNN half a cell of the maps,
# as cubic interpolation draws peaks to the middles of cells.
CLOSE = {"keypoint_rcnn": 1.6, "dekr": 0.01, "rtmo": 0.01}
EVERY = pytest.mark.parametrize("method", ANSWERS)


def written(method: str) -> Callable[[Path, np.ndarray], Path]:
    """(path, people [P, K, 2] in pixels of the picture) -> a file that always says them."""
    return lambda path, people: nets.constant(path, SIZE, ANSWERS[method](people))


FILES = {method: written(method) for method in ANSWERS}


def two() -> np.ndarray:
    return np.stack([planted.body(COCO17, (x, 120.3), 180) for x in (80.2, 230.7)])


def found(method: str, path: Path, **more):
    estimator = Estimator(method=method, pose=path, threads=1, workers=1, **more)
    return estimator([Frame(np.zeros((PICTURE[1], PICTURE[0], 3), np.uint8))])[0].people


@EVERY
def test_planted_people_are_where_they_were_planted(tmp_path, method):
    people = found(method, FILES[method](tmp_path / "m.onnx", two()))
    assert planted.same_people(people.keypoints, two(), CLOSE[method])
    assert people.skeleton == COCO17
    assert ((people.keypoints[..., 2] > 0) & (people.keypoints[..., 2] <= 1)).all()
    order = people.boxes[:, 0].argsort()
    margin = 0 if method == "dekr" else 3  # DEKR says no boxes
    wanted = box_around(planted.seen(two())) + margin * np.array([-1, -1, 1, 1])
    assert np.abs(people.boxes[order] - wanted).max() < 0.02


@EVERY
def test_nobody_is_found_where_nobody_is(tmp_path, method):
    if method == "dekr":
        people = found(method, FILES[method](tmp_path / "m.onnx", NOWHERE))
    else:
        people = found(method, FILES[method](tmp_path / "m.onnx", two()), det_score=0.95)
    assert len(people) == 0


@EVERY
def test_another_file_or_skeleton_is_refused(tmp_path, method):
    other = nets.constant(tmp_path / "o.onnx", SIZE, {"heatmaps": np.zeros((1, 5, 8, 8))})
    with pytest.raises(ModelError, match=r"o\.onnx.*means .*the file gives"):
        found(method, other)
    with pytest.raises(ModelError, match="give its skeleton"):
        found(method, FILES[method](tmp_path / "m.onnx", two()), skeleton="halpe-26")


@EVERY
def test_an_answer_that_is_no_number_names_the_file(tmp_path, method):
    answer = ANSWERS[method](two())
    list(answer.values())[-1].flat[7] = np.nan
    path = nets.constant(tmp_path / "broken.onnx", SIZE, answer)
    with pytest.raises(ModelError, match=r"broken\.onnx.*NaN"):
        found(method, path)


def test_answers_that_do_not_belong_together_name_the_file(tmp_path):
    """Each is a way in which a file can be exported wrongly; none may end in a traceback."""
    rcnn, rtmo = rcnn_answer(two()), rtmo_answer(two())
    cases = [
        ("keypoint_rcnn", rcnn | {"scores": rcnn["scores"][:1]}, "the network answers"),
        ("keypoint_rcnn", rcnn | {"keypoints": rcnn["keypoints"][:1]}, "the network answers"),
        ("keypoint_rcnn", rcnn | {"keypoints": np.zeros((2, 17, 0, 0))}, "hold no cell"),
        ("keypoint_rcnn", rcnn | {"picture": np.array([0, 1])}, "one picture.*answers of 2"),
        ("keypoint_rcnn", rcnn | {"picture": np.array([0, 1e30])}, "numbers of pictures"),
        ("keypoint_rcnn", rcnn | {"picture": np.array([0, -1])}, "numbers of pictures"),
        ("keypoint_rcnn", rcnn | {"boxes": 99 * rcnn["boxes"]}, "far outside the input of 640 x"),
        ("rtmo", rtmo | {"scores": rtmo["scores"][:, :1]}, "the network answers"),
    ]
    for number, (method, answer, message) in enumerate(cases):
        path = nets.constant(tmp_path / f"{number}.onnx", SIZE, answer)
        with pytest.raises(ModelError, match=rf"{number}\.onnx: .*{message}"):
            found(method, path)


@pytest.mark.parametrize("bound", [{"most": 4}, {"people": 4}], ids=["compared", "answered"])
def test_of_many_cells_the_surest_are_compared_and_answered(bound):
    """A network that is sure of every cell would else take minutes."""
    boxes = np.arange(9.0)[:, None] * 10 + [0, 0, 5, 5]
    scores, joints = np.linspace(0.2, 1, 9), np.zeros((9, 17, 3))
    codec = CellPoses(**bound)
    ((_, _, sure),) = codec.decode([boxes[None], scores[None], joints[None]], SIZE)
    assert sure.tolist() == scores[:-5:-1].tolist()


def test_a_joint_in_the_middle_of_its_cell_is_exact():
    """A box as large as the map: cell (10, 20) is the pixel 10 to the right, 20 below its first."""
    logits = np.zeros((1, 17, 56, 56))
    logits[:, :, 20, 10] = 20
    answer = [np.zeros(1), np.array([[100.0, 50, 156, 106]]), np.ones(1), np.ones(1), logits]
    ((keypoints, boxes, _),) = RegionMaps().decode(answer, SIZE)
    assert np.allclose(keypoints, (110, 70, 1), atol=1e-4)
    assert np.allclose(boxes, (99.5, 49.5, 155.5, 105.5))


def test_other_things_than_people_are_left_out():
    answer = rcnn_answer(two())
    answer["labels"][0] = 2
    ((_, boxes, scores),) = RegionMaps().decode(list(answer.values()), SIZE)
    assert np.allclose(boxes, answer["boxes"][1:] - 0.5)
    assert scores.tolist() == answer["scores"][1:].tolist()


def test_people_of_several_pictures_stay_in_theirs():
    answer = rcnn_answer(two())
    answer["picture"][1] = 2
    pictures = RegionMaps().decode(list(answer.values()), SIZE)
    assert [len(scores) for *_, scores in pictures] == [1, 0, 1]
    nobody = [values[:0] for values in answer.values()]
    assert [len(scores) for *_, scores in RegionMaps().decode(nobody, SIZE)] == [0]


def test_cells_that_say_the_same_person_become_one():
    twice = np.concatenate([two(), two() + 1])
    ((_, boxes, scores),) = CellPoses().decode(list(rtmo_answer(twice).values()), SIZE)
    assert np.allclose(boxes, around(in_input(two())))
    assert np.allclose(scores, [0.9, 0.8])
    ((_, boxes, _),) = CellPoses(nms=1).decode(list(rtmo_answer(twice).values()), SIZE)
    assert len(boxes) == 4
