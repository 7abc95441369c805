"""Judging a model at once: whose boxes it gets, that it sees pictures as they are turned, and
answers upright.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from everybody.data.dataset import Dataset, Picture
from everybody.errors import DataError
from everybody.metrics.predict import predict
from everybody.skeletons import COCO17
from synthetic import nets

SPOTS = ((60.0, 50.0), (90.0, 40.0))  # of the bright spot on each picture of 160 × 120


@pytest.fixture
def truth(tmp_path: Path) -> Dataset:
    """A person on each of two pictures, all joints on a bright spot; and somebody to ignore on the
    first.
    """
    for i, spot in enumerate(SPOTS):
        Image.fromarray(nets.blob(160, 120, *spot)).save(tmp_path / f"{i}.png")
    spots = np.array([*SPOTS, SPOTS[0]])
    keypoints = np.concatenate([np.tile(spots[:, None], (1, 17, 1)), np.full((3, 17, 1), 2.0)], 2)
    return Dataset(
        skeleton=COCO17,
        pictures=tuple(Picture(f"{i}.png", i + 1, 160, 120) for i in range(2)),
        picture=np.array([0, 1, 0]),
        keypoints=keypoints,
        name="truth",
        folder=tmp_path,
        boxes=np.concatenate([spots - 30, spots + 30], 1),
        ignored=np.array([False, False, True]),
    )


def model(folder: Path) -> dict[str, Any]:
    path = nets.heatmap_finder(folder / "pose.onnx", 17, alignment="corner")
    return {
        "pose": str(path),
        "codec": "heatmap,alignment=corner",
        "skeleton": "coco-17",
        "normalise": "none",
    }


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_on_labelled_boxes_however_the_picture_is_turned(
    tmp_path: Path, truth: Dataset, quarters: int
) -> None:
    found = predict(truth, **model(tmp_path), boxes="gt", quarters=quarters)
    assert found.picture.tolist() == [0, 1]  # nobody for those to ignore
    assert (found.boxes_from, found.pictures) == ("gt", truth.pictures)
    assert (
        found.name
        == ("pose", "pose, turned by 90°", "pose, turned by 180°", "pose, turned by 270°")[quarters]
    )
    np.testing.assert_allclose(
        found.keypoints[:, :, :2], np.array(SPOTS)[:, None].repeat(17, 1), atol=0.6
    )
    np.testing.assert_allclose(found.boxes, truth.boxes[:2], atol=1e-3)


def test_on_boxes_of_a_file_and_of_a_detector(tmp_path: Path, truth: Dataset) -> None:
    boxes = [{"image_id": 0, "bbox": [30.5, 20.5, 60, 60], "score": 0.5}]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    found = predict(truth, **model(tmp_path), boxes=str(tmp_path / "boxes.json"))
    assert found.picture.tolist() == [0]
    np.testing.assert_allclose(found.keypoints[0, 0, :2], SPOTS[0], atol=0.6)
    detector = nets.rtmdet_constant(tmp_path / "detector.onnx", np.array([[0.5, 0.5, 90, 90, 0.9]]))
    found = predict(truth, **model(tmp_path), detector=str(detector), det_size=(160, 128))
    assert (found.picture.tolist(), found.boxes_from) == ([0, 1], "detected")


def test_a_missing_picture_is_named(tmp_path: Path, truth: Dataset) -> None:
    (tmp_path / "1.png").unlink()
    with pytest.raises(DataError, match=r"picture 1\.png is not beside it"):
        predict(truth, **model(tmp_path), boxes="gt")
