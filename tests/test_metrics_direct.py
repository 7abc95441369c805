"""The short way of AP gives what the readers' way gives, and steps aside for everything that is not
plain.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from everybody.data.coco import read_coco
from everybody.data.coco_results import read_coco_results
from everybody.data.join import joined
from everybody.metrics import oks
from everybody.metrics.direct import direct
from everybody.skeletons import COCO17

from .test_metrics_oks import noisy, worlds

World = tuple[dict[str, Any], list[dict[str, Any]]]


def short(folder: Path, truth: dict[str, Any], results: Any) -> dict[str, float] | None:
    path = folder / "results.json"
    path.write_text(results if isinstance(results, str) else json.dumps(results))
    dataset = read_coco(Path("truth.json"), json.dumps(truth).encode())
    ready = direct(dataset, path)
    return ready and oks.summary(oks.evaluated(*ready, COCO17.sigmas).eval or {})


def by_readers(truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, float]:
    dataset = read_coco(Path("truth.json"), json.dumps(truth).encode())
    return oks.figures(
        dataset,
        joined(
            read_coco_results(Path("results.json"), json.dumps(results).encode(), skeleton=COCO17),
            dataset,
        ),
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(worlds())
def test_both_ways_give_the_same(tmp_path: Path, world: World) -> None:
    truth, results = world
    for some in (
        results,
        [{**result, "bbox": [1.0, 2, 30 + 9 * i, 40]} for i, result in enumerate(results)],
    ):
        got = short(tmp_path, truth, some)
        if some:
            assert got == pytest.approx(by_readers(truth, some), abs=1e-12, nan_ok=True)
        else:
            assert got is None  # the readers know what nothing means


PERSON = {
    "id": 1,
    "image_id": 3,
    "category_id": 1,
    "iscrowd": 0,
    "area": 900.0,
    "bbox": [1, 1, 30, 30],
    "num_keypoints": 17,
    "keypoints": [5.0, 6.0, 2] * 17,
}
TRUTH = {
    "images": [{"id": 3, "file_name": "3.jpg", "width": 64, "height": 48}],
    "annotations": [PERSON],
    "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}],
}


@pytest.mark.parametrize(
    "damage",
    [
        lambda result: result.update(image_id=4),
        lambda result: result.update(image_id="3"),
        lambda result: result.update(category_id=2),
        lambda result: result.update(keypoints=[1.0] * 48),
        lambda result: result.update(keypoints=[1.0] * 54),
        lambda result: result.update(keypoints=[float("nan")] * 51),
        lambda result: result.update(score=float("nan")),
        lambda result: result.update(score=1.5),
        lambda result: result.update(score=None),
        lambda result: result.update(area=1e6),
        lambda result: result.update(id=1),
        lambda result: result.update(name='"keypoints": [1]'),
        *(
            lambda result, key=key: result.pop(key)
            for key in ("image_id", "category_id", "score", "keypoints")
        ),
    ],
)
def test_everything_unusual_is_left_to_the_readers(
    tmp_path: Path, damage: Callable[[dict[str, Any]], Any]
) -> None:
    plain = {"image_id": 3, "category_id": 1, "keypoints": [5.0, 6.0, 1.0] * 17, "score": 0.5}
    assert short(tmp_path, TRUTH, [plain, plain]) is not None
    odd = dict(plain)
    damage(odd)
    assert short(tmp_path, TRUTH, [plain, odd]) is None


@pytest.mark.parametrize("text", ["", "[", "{}", "[]", "[1]", '[{"keypoints": [1, 2'])
def test_so_is_what_is_no_list_of_results(tmp_path: Path, text: str) -> None:
    assert short(tmp_path, TRUTH, text) is None


def test_truth_that_is_judged_in_parts_goes_the_long_way(tmp_path: Path) -> None:
    crowded = {**TRUTH, "images": [{**TRUTH["images"][0], "crowdIndex": 0.3}]}
    assert short(tmp_path, crowded, noisy(TRUTH, 3) or [{}]) is None


def test_numbers_with_exponents_are_plain_and_keys_without_their_e_are_not(tmp_path: Path) -> None:
    plain = {"image_id": 3, "category_id": 1, "keypoints": [5.0, 6.0, 1.0] * 17, "score": 9.5e-05}
    found = [plain, {**plain, "score": 0.5}]
    assert short(tmp_path, TRUTH, found) == pytest.approx(by_readers(TRUTH, found), nan_ok=True)
    odd = {**plain, "kypoints": plain["keypoints"]}
    del odd["keypoints"]
    assert short(tmp_path, TRUTH, [plain, odd]) is None
