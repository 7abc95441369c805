"""OKS-mAP: equal to pycocotools to the last digit, on real and random truth."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everybody.data.coco import read_coco
from everybody.data.coco_results import read_coco_results
from everybody.data.join import joined
from everybody.geometry import oks
from everybody.metrics.oks import figures
from everybody.skeletons import COCO17

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
NAMES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


def reference(truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, float]:
    """pycocotools' ten figures, its -1 as NaN."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(truth))
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(json.loads(json.dumps(results))), "keypoints")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return {
        name: math.nan if v == -1 else float(v)
        for name, v in zip(NAMES, evaluator.stats, strict=True)
    }


def ours(truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, float]:
    dataset = read_coco(Path("truth.json"), json.dumps(truth).encode())
    return figures(
        dataset,
        joined(
            read_coco_results(Path("results.json"), json.dumps(results).encode(), skeleton=COCO17),
            dataset,
        ),
    )


def assert_same(truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, float]:
    got, expected = ours(truth, results), reference(truth, results)
    assert got == pytest.approx(expected, abs=1e-9, nan_ok=True)
    return got


def noisy(truth: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Detections as a method would make them: jittered, some missed, some twice, some of nobody."""
    random = np.random.default_rng(seed)
    results = []
    for person in truth["annotations"]:
        for _ in range(random.choice([0, 1, 1, 1, 2])):
            points = np.array(person["keypoints"], float).reshape(-1, 3)
            points[:, :2] += random.normal(0, random.choice([1, 5, 20]), (17, 2))
            score = round(float(random.random()), 2)  # two digits: many ties
            results.append(
                {
                    "image_id": person["image_id"],
                    "category_id": 1,
                    "keypoints": points.ravel().tolist(),
                    "score": score,
                }
            )
    return results


@pytest.mark.parametrize("part", ["coco_val", "coco_train"])
def test_equals_pycocotools_on_coco(part: str) -> None:
    path = SHARED / part / "annotations.json"
    if not path.exists():
        pytest.skip(f"needs {path}")
    truth = json.loads(path.read_text())
    got = assert_same(truth, noisy(truth, seed=1))
    assert 0.2 < got["AP"] < 0.9


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Random truth and results: crowds, unlabelled people, ties, empty pictures, all sizes."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    pictures = draw(st.integers(1, 5))
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for picture in range(1, pictures + 1):
        bases = [random.uniform(0, 300, (17, 2)).round(1) for _ in range(draw(st.integers(0, 4)))]
        for base in bases:
            flags = random.choice([0, 1, 2], 17) * random.choice([0, 1, 1, 1])
            side = float(random.choice([10.0, 32.0, 60.0, 96.0, 200.0]))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": picture * 7,
                    "category_id": 1,
                    "iscrowd": int(random.random() < 0.2),
                    "area": side * side,
                    "num_keypoints": int((flags > 0).sum()),
                    "bbox": [*base.min(0).tolist(), side, side],
                    "keypoints": np.concatenate([base * (flags[:, None] > 0), flags[:, None]], 1)
                    .ravel()
                    .tolist(),
                }
            )
        for _ in range(
            draw(st.integers(0, 25 if picture == 1 else 4))
        ):  # more than the 20 that count
            base = (
                bases[random.integers(len(bases))]
                if bases and random.random() < 0.8
                else random.uniform(0, 300, (17, 2))
            )
            points = np.concatenate(
                [base + random.normal(0, random.choice([0, 3, 20]), (17, 2)), np.ones((17, 1))], 1
            )
            score = float(random.choice([0.1, 0.5, 0.5, 0.9]))
            results.append(
                {
                    "image_id": picture * 7,
                    "category_id": 1,
                    "keypoints": points.ravel().tolist(),
                    "score": score,
                }
            )
    images = [
        {"id": p * 7, "file_name": f"{p}.jpg", "width": 320, "height": 320}
        for p in range(1, pictures + 1)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}
    return {"images": images, "annotations": annotations, "categories": [category]}, results


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_equals_pycocotools_on_random_sets(
    world: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    truth, results = world
    if results:  # pycocotools raises without any
        assert_same(truth, results)


def test_nothing_found_is_zero_and_nobody_to_find_is_undefined() -> None:
    truth = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 9, "height": 9}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "bbox": [0, 0, 50, 50],
                "area": 2500,
                "keypoints": [1.0, 1.0, 2.0] * 17,
            }
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    nothing = ours(truth, [])
    assert nothing["AP"] == nothing["AR"] == nothing["APM"] == 0.0
    assert math.isnan(nothing["APL"])
    assert all(math.isnan(value) for value in ours(truth | {"annotations": []}, []).values())


def line(x: float, *, joints: int = 17) -> list[float]:
    """All joints at one height, a pixel apart, from x on."""
    return [value for k in range(joints) for value in (x + k, 50.0, 2.0)]


def hand_counted() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A picture, left to right, with the score of each found person below:

    true   A          B               C
    found  a  a'      b                         n
    score  .9 .7     .6                        .8

    a and b lie exactly on A and B; a' finds A again, n nobody; C is overlooked.
    """
    people = [
        {
            "id": i + 1,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "area": 1e4,
            "bbox": [x, 40, 20, 20],
            "num_keypoints": 17,
            "keypoints": line(x),
        }
        for i, x in enumerate((0, 1000, 2000))
    ]
    found = [
        {"image_id": 1, "category_id": 1, "keypoints": line(x), "score": score}
        for x, score in ((0, 0.9), (1, 0.7), (1000, 0.6), (9000, 0.8))
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}
    images = [{"id": 1, "file_name": "1.jpg", "width": 9999, "height": 99}]
    return {"images": images, "annotations": people, "categories": [category]}, found


def test_average_precision_counted_by_hand() -> None:
    """By score: a right (precision 1, recall 1/3), n false, a' false (A is taken), b right (2/4,
    recall 2/3).

    Of the 101 recalls 0, .01 … 1, the 34 up to .33 have precision 1, the 33 up to .66 have 1/2, the
    rest 0.
    """
    got = ours(*hand_counted())
    for name in ("AP", "AP50", "AP75"):
        assert got[name] == pytest.approx((34 * 1 + 33 / 2) / 101)
    assert got["AR"] == pytest.approx(2 / 3)


def test_oks_counted_by_hand() -> None:
    """One joint labelled, moved by d = 2 κ s: OKS = exp(-4 κ² s² / 2 s² κ²) = e⁻². Two, one of them
    exact: the mean.
    """
    area, kappa = 400.0, 2 * np.array(COCO17.sigmas)
    truth = np.zeros((1, 17, 3))
    found = truth.copy()
    found[0, :, 0] = 2 * kappa * math.sqrt(area)
    for joint in range(17):
        weight = np.eye(17)[[joint]]
        assert oks(truth, found, np.array([area]), COCO17.sigmas, weight).item() == pytest.approx(
            math.exp(-2)
        )
    found[0, 0] = 0
    two = np.eye(17)[[0]] + np.eye(17)[[1]]
    assert oks(truth, found, np.array([area]), COCO17.sigmas, two).item() == pytest.approx(
        (1 + math.exp(-2)) / 2
    )
