"""A detector without a pose model: boxes alone, found, written, read and judged."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from everybody import Estimator
from everybody.cli import app
from everybody.data.dataset import Dataset, Picture
from everybody.data.join import common
from everybody.data.read import read, read_results
from everybody.errors import DataError, OptionError
from everybody.metrics.compare import judge_all
from everybody.metrics.predict import predict
from everybody.results.formats import FORMATS
from everybody.results.formats import read_results as read_run
from everybody.skeletons import ANIMAL20, BOX
from synthetic import nets

BOXES = np.array([[20, 20, 116, 148, 0.9], [150, 30, 250, 200, 0.8]], np.float32)
ONE = {"threads": 1, "workers": 1, "orientation": "upright"}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A picture, its labels, and a detector that finds what is labelled."""
    cv2.imwrite(str(tmp_path / "7.png"), np.full((256, 320, 3), 90, np.uint8))
    boxes = [[x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0] for x0, y0, x1, y1, _ in BOXES.tolist()]
    annotations = [
        {"id": n, "image_id": 7, "category_id": 1, "bbox": box} for n, box in enumerate(boxes, 1)
    ]
    image = {"id": 7, "file_name": "7.png", "width": 320, "height": 256}
    categories = [{"id": 1, "name": "person"}]
    labels = {"images": [image], "annotations": annotations, "categories": categories}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    nets.rtmdet_constant(tmp_path / "detector.onnx", BOXES)
    return tmp_path


def options(scene: Path) -> dict:
    return {"detector": scene / "detector.onnx", "det_size": (320, 256), **ONE}


def test_boxes_alone_are_those_that_the_poser_would_look_into(scene):
    found = Estimator(pose="none", **options(scene)).estimate(scene / "7.png")
    posed = Estimator(pose="everybody-fast", **options(scene)).estimate(scene / "7.png")
    assert found.skeleton == BOX
    assert len(found) == 2
    assert {tuple(box) for box in posed.boxes.tolist()} <= {tuple(b) for b in found.boxes.tolist()}


def test_every_format_holds_boxes_alone_and_they_are_judged_in_each(scene, tmp_path):
    out = tmp_path / "out"
    asked = ["run", str(scene / "7.png"), "--pose", "none", "--orientation", "upright"]
    asked += ["--detector", str(scene / "detector.onnx"), "--det-size", "320x256"]
    formats = [word for name in FORMATS for word in ("--format", name)]
    app([*asked, *formats, "--save-images", "--out", str(out)], standalone_mode=False)
    truth = read(scene / "labels.json", joints=False)
    for name, format in FORMATS.items():
        path = out if name == "jsonl" else out / format.target
        (record,) = read_run(path)
        assert len(record.people) == 2
        if "openpose" in name or "-" in name.removesuffix("-eu"):
            continue  # of joints: they have no boxes
        results = read_results(path, truth)
        (judged,) = judge_all([results], truth, ["BoxAP"])
        assert [figure.value for figure in judged.figures] == pytest.approx([1, 1])
        with pytest.raises(DataError, match=r"boxes alone.*--metrics BoxAP"):
            common(results, truth)


def test_a_detector_is_judged_alone(scene):
    truth = read(scene / "labels.json", joints=False)
    how = {name: value for name, value in options(scene).items() if name != "detector"}
    found = predict(truth, pose="none", detector=str(scene / "detector.onnx"), **how)
    assert found.name.startswith("detector")
    (judged,) = judge_all([found], truth, ["BoxAP"])
    assert judged.figures[0].value == pytest.approx(1)
    with pytest.raises(OptionError, match="nothing left to judge"):
        predict(truth, pose="none", boxes="gt")


def test_a_list_of_a_detectors_boxes_is_judged(scene):
    truth = read(scene / "labels.json", joints=False)
    labels = json.loads((scene / "labels.json").read_text())["annotations"]
    found = [{"image_id": 7, "category_id": 1, "bbox": one["bbox"], "score": 0.5} for one in labels]
    (scene / "found.json").write_text(json.dumps(found))
    (judged,) = judge_all([read_results(scene / "found.json", truth)], truth, ["BoxAP"])
    assert judged.figures[0].value == pytest.approx(1)


def test_nobody_without_joints_is_nobody_of_any_skeleton():
    picture = Picture("a.jpg", 1, 9, 9)
    empty, none = np.zeros(0, np.int64), np.zeros((0, 0, 3))
    results = Dataset(skeleton=BOX, pictures=(picture,), picture=empty, keypoints=none)
    truth = Dataset(
        skeleton=ANIMAL20,
        pictures=(picture,),
        picture=np.zeros(1, np.int64),
        keypoints=np.ones((1, 20, 3)),
    )
    assert common(results, truth)[0].skeleton == ANIMAL20


@pytest.mark.parametrize(
    ("option", "value"),
    [("skeleton", "lsp-14"), ("flip_test", True), ("sstn", "everybody-sstn"), ("hand", "x")],
)
def test_options_of_joints_are_refused_where_none_are_looked_for(option, value):
    said = rf"--pose none finds boxes alone: leave --{option.replace('_', '-')} out"
    with pytest.raises(OptionError, match=said):
        Estimator(pose="none", **{option: value}, **ONE)


def test_a_variant_may_have_no_pose_model(scene, monkeypatch):
    (scene / "manifest.toml").write_text(
        '[variant.mine]\ndetector = "detector.onnx"\npose = "none"\nturns = false\n'
    )
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(scene))
    estimator = Estimator(model="mine", det_size=(320, 256), **ONE)
    assert len(estimator.estimate(scene / "7.png")) == 2
    both = Estimator(model="accurate,mine", skeleton="halpe-26", det_size=(320, 256), **ONE)
    assert both.skeleton.name == "halpe-26+box"
