"""Box AP: equal to pycocotools, and to its own second computation, on real and random truth."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from everybody.data.dataset import Dataset, Picture
from everybody.geometry import xywh
from everybody.metrics import boxes
from everybody.skeletons import COCO17


def world(seed: int) -> tuple[Dataset, Dataset]:
    """Random people, and what a careless detector makes of them: moved, doubled, missed and
    invented.
    """
    random = np.random.default_rng(seed)
    pictures = tuple(Picture(f"{i}.jpg", 10 + i, 400, 400) for i in range(12))
    count = 40
    low, sides = random.uniform(0, 250, (count, 2)), random.uniform(10, 150, (count, 2))
    true = np.concatenate([low, low + sides], 1)
    keypoints = np.ones((count, 17, 3)) * 2
    picture = random.integers(0, 12, count)
    truth = Dataset(
        skeleton=COCO17, pictures=pictures, picture=picture, keypoints=keypoints, boxes=true
    )
    kept = random.random(count) < 0.8
    found = np.concatenate([true[kept], true[kept][:9], random.uniform(0, 400, (10, 4))])
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 5)
    found += random.normal(0, 6, found.shape)
    where = np.concatenate([picture[kept], picture[kept][:9], random.integers(0, 12, 10)])
    results = Dataset(
        skeleton=COCO17,
        pictures=pictures,
        picture=where,
        keypoints=np.zeros((len(found), 17, 3)),
        boxes=found,
        scores=random.permutation(len(found)) / len(found),
        ignored=np.zeros(len(found), bool),
    )
    return truth, results


@pytest.mark.parametrize("seed", range(5))
def test_equals_pycocotools(seed):
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    truth, results = world(seed)
    ids = [picture.id for picture in truth.pictures]
    people = [
        {"id": i + 1, "image_id": ids[p], "category_id": 1, "bbox": box, "area": area, "iscrowd": 0}
        for i, (p, box, area) in enumerate(
            zip(truth.picture, xywh(truth.boxes).tolist(), truth.areas, strict=True)
        )
    ]
    found = [
        {"image_id": ids[p], "category_id": 1, "bbox": box, "score": score}
        for p, box, score in zip(
            results.picture, xywh(results.boxes).tolist(), results.scores, strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco.COCO()
        known.dataset = {
            "images": [{"id": i} for i in ids],
            "annotations": people,
            "categories": [{"id": 1}],
        }
        known.createIndex()
        judge = COCOeval(known, known.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    ours = boxes.matches(truth, results)(np.ones(len(truth)))
    assert ours["AP"] == pytest.approx(judge.stats[0], abs=1e-9)
    assert ours["AP50"] == pytest.approx(judge.stats[1], abs=1e-9)
    assert ours["AP75"] == pytest.approx(judge.stats[2], abs=1e-9)


def test_the_true_boxes_are_perfect_and_a_picture_drawn_twice_counts_twice():
    truth, results = world(0)
    assert boxes.matches(truth, truth)(np.ones(len(truth)))["AP"] == 1.0
    some = boxes.matches(truth, results)
    twice = np.where(np.arange(len(truth)) < 6, 2.0, 0.0)
    half = truth.subset(range(6)), results.subset(range(6))
    assert some(twice)["AP"] == pytest.approx(boxes.matches(*half)(np.ones(6))["AP"], abs=1e-9)


def test_nothing_found_is_nothing():
    truth, results = world(1)
    assert boxes.matches(truth, results.select(np.zeros(0, int)))(np.ones(len(truth)))["AP"] == 0.0
