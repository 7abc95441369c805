"""Tuning the pose NMS: it finds what was planted, and its candidates are what they say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from everybody.cli import app
from everybody.cli.tune import COMPARED
from everybody.data.crowds import OVERLAP, crowds, jittered
from everybody.data.dataset import Dataset, Picture
from everybody.errors import DataError, OptionError
from everybody.geometry import iou
from everybody.metrics.oks import figures
from everybody.metrics.tune_nms import Candidates, search
from everybody.nms import PoseNms, pose_nms
from everybody.people import People
from everybody.skeletons import COCO17
from synthetic import nets


def standing(
    random: np.random.Generator, centres: np.ndarray, height: float = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Random bodies around some places: joints [N, 17, 3] and boxes."""
    shape = random.uniform(-0.5, 0.5, (len(centres), 17, 2)) * (height / 2, height)
    points = centres[:, None] + shape
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    return np.concatenate([points, np.full((*points.shape[:2], 1), 2.0)], 2), boxes


def labelled(pictures: int, people: int, spread: float, seed: int = 0) -> Dataset:
    random = np.random.default_rng(seed)
    keypoints, boxes = standing(random, random.uniform(100, 100 + spread, (pictures * people, 2)))
    return Dataset(
        skeleton=COCO17,
        pictures=tuple(Picture(f"{i}.png", i + 1, 400, 400) for i in range(pictures)),
        picture=np.repeat(np.arange(pictures), people),
        keypoints=keypoints,
        boxes=boxes,
        name="made up",
    )


def dense(truth: Dataset, each: int = 6, noise: float = 2.0, seed: int = 1) -> Candidates:
    """Each true pose several times, the more off the less confident."""
    random, people = np.random.default_rng(seed), []
    for rows in truth.rows():
        error = random.uniform(0.2, noise, (len(rows), each, 1, 1))
        points = (
            truth.keypoints[rows][:, None, :, :2]
            + random.normal(0, 1, (len(rows), each, 17, 2)) * error
        )
        confidence = np.broadcast_to(1 - error / (2 * noise), (*points.shape[:3], 1))
        keypoints = np.concatenate([points, confidence], -1).reshape(-1, 17, 3)
        boxes = np.repeat(truth.boxes[rows], each, 0)
        people.append(People(keypoints, boxes, keypoints[:, :, 2].mean(1), COCO17))
    return Candidates(truth, people)


def test_tuning_reaches_the_precision_of_planted_parameters():
    """People so near that parameters matter: what eliminates duplicates must not eliminate
    neighbours.
    """
    some = dense(labelled(12, 4, 60))
    planted = PoseNms(sigma1=0.5, sigma2=1.0, lam=1.0, eta=12)
    poor = PoseNms(sigma1=0.5, sigma2=1.0, lam=1.0, eta=33)
    assert some.precision(poor) < some.precision(planted) - 0.2
    *_, last = search(some.precision, poor)
    assert some.precision(last.best) >= some.precision(planted) - 0.005


def test_a_search_tells_what_it_tried_and_never_forgets_what_it_does_not_search():
    some = dense(labelled(2, 2, 200))
    start = PoseNms(merge=True, share=0.2)
    steps = list(search(some.precision, start, steps=(2.0,)))
    assert [step.names for step in steps] == [("lam", "eta"), ("sigma1", "sigma2")]
    for step in steps:
        assert step.scores.shape == tuple(map(len, step.values))
        assert step.best.merge
        assert step.best.share == 0.2
        assert all(
            getattr(step.best, name) in values
            for name, values in zip(step.names, step.values, strict=True)
        )


def test_where_nothing_is_better_parameters_stay():
    start = PoseNms()
    assert {step.best for step in search(lambda setting: 0.5, start)} == {start}


def test_candidates_count_what_is_left():
    truth = labelled(3, 2, 200)
    some = dense(truth, each=4)
    assert some.each(pose_nms("none")) == 4
    assert some.precision(pose_nms("none")) == figures(truth, some.left(pose_nms("none")))["AP"]


@given(seed=st.integers(0, 1000), count=st.integers(1, 9))
def test_proposals_overlap_the_true_box_by_more_than_half(seed, count):
    random = np.random.default_rng(seed)
    corner = random.uniform(-50, 300, (5, 2))
    boxes = np.concatenate([corner, corner + random.uniform(1, 200, (5, 2))], 1)
    found = jittered(boxes, count, np.random.default_rng(seed))
    assert found.shape == (5, count, 4)
    for box, some in zip(boxes, found, strict=True):
        assert (iou(box[None], some) > 0.5).all()
    assert (found == jittered(boxes, count, np.random.default_rng(seed))).all()


def test_proposals_of_a_box_without_area_are_that_box():
    box = np.array([[3.0, 4, 3, 9]])
    assert (jittered(box, 3, np.random.default_rng(0)) == box).all()


def test_crowds_put_people_in_front_of_others():
    truth = labelled(6, 2, 150, seed=4)
    colours = [np.full((400, 400, 3), 40 * i, np.uint8) for i in range(6)]
    found, images = crowds(truth, colours, np.random.default_rng(0))
    assert len(found) == len(images) > 0
    for place, (picture, rows) in enumerate(zip(found.pictures, found.rows(), strict=True)):
        own = [p.name for p in truth.pictures].index(picture.name)
        before = truth.where(own)
        new = rows[len(before) :]
        assert len(new) > 0
        np.testing.assert_allclose(
            found.keypoints[rows[: len(before)], :, :2], truth.keypoints[before][..., :2]
        )
        overlap = iou(found.boxes[new], truth.boxes[before])
        assert ((overlap > OVERLAP[0]) & (overlap < OVERLAP[1])).any(1).all()
        # Where the joints of the new one are, the picture has another's colour; far away its own.
        for row in new:
            x, y = found.keypoints[row, :, :2].round().astype(int).T
            assert (np.abs(images[place][y, x].astype(int) - 40 * own).max(1) > 8).mean() > 0.7
        assert (images[place][0, 0] == 40 * own).all()
    covered = found.keypoints[..., 2] == 1
    assert covered.any()


def test_crowds_need_somebody_to_paste():
    truth = labelled(1, 2, 100)
    found, images = crowds(truth, [np.zeros((400, 400, 3), np.uint8)], np.random.default_rng(0))
    assert len(found) == len(images) == len(found.picture) == 0


@pytest.fixture
def spots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures with a person each, all joints at one spot, and models that find them."""
    (tmp_path / "images").mkdir()
    for number in (1, 2):
        Image.fromarray(nets.blob(160, 160, 60, 70)).save(tmp_path / f"images/{number}.png")
    person = {
        "category_id": 1,
        "iscrowd": 0,
        "area": 6000.0,
        "num_keypoints": 17,
        "bbox": [20.5, 20.5, 96, 128],
        "keypoints": [60.5, 70.5, 2] * 17,
    }
    labels = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 160, "height": 160} for i in (1, 2)],
        "annotations": [{"id": i, "image_id": i, **person} for i in (1, 2)],
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(labels))
    nets.heatmap_finder(tmp_path / "pose.onnx", 17)
    nets.rtmdet_constant(
        tmp_path / "detector.onnx", np.array([[20, 20, 116, 148, 0.9]], np.float32)
    )
    (tmp_path / "manifest.toml").write_text(
        """[model.spot]
        task = "pose"
        file = "pose.onnx"
        licence = "Apache-2.0"
        skeleton = "coco-17"
        codec = { type = "heatmap", alignment = "corner" }
        input = { size = [96, 128] }
        """
    )
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    return tmp_path


def tuned(spots: Path, *options: str) -> Any:
    models = ("--detector", str(spots / "detector.onnx"), "--det-size", "160", "--pose", "spot")
    return CliRunner().invoke(app, ["tune-nms", str(spots / "annotations.json"), *models, *options])


def test_the_command_tells_what_to_give_to_run(spots: Path):
    found = json.loads(tuned(spots, "--jitter", "3", "--json").stdout)
    assert isinstance(pose_nms(found["pose_nms"]).run, PoseNms)
    assert list(found["results"]) == [str(pose_nms(name)) for name in COMPARED] + [
        found["pose_nms"]
    ]
    assert found["results"]["none"]["dense"]["poses per person"] == 3
    best = found["results"][found["pose_nms"]]
    assert best["dense"] == {"AP": pytest.approx(1), "poses per person": 1}
    assert best["detected"] == {"AP": pytest.approx(1), "poses per person": 1}
    assert tuned(spots, "--jitter", "3").stdout.strip().endswith(f"--pose-nms {found['pose_nms']}")


def test_only_what_has_parameters_is_tuned(spots: Path):
    error = tuned(spots, "--start", "oks").exception
    assert isinstance(error, OptionError)
    assert "only parametric and alphapose" in str(error)


def test_pictures_without_people_teach_nothing(spots: Path):
    labels = json.loads((spots / "annotations.json").read_text())
    (spots / "annotations.json").write_text(json.dumps({**labels, "annotations": []}))
    error = tuned(spots).exception
    assert isinstance(error, DataError)
    assert "nobody is labelled" in str(error)
