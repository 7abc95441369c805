"""CrowdPose by crowding and COCO-WholeBody by part: equal to xthotcoco, which equals theirs."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from everybody.data.coco import PARTS, read_coco
from everybody.data.coco_results import read_coco_results
from everybody.data.join import joined
from everybody.metrics.judge import judge
from everybody.skeletons import CROWDPOSE14, WHOLEBODY133

xthotcoco = pytest.importorskip("xthotcoco")
from xthotcoco.sigmas import DEFAULT_SIGMAS as PUBLISHED  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:hotcoco. kpt_oks_sigmas")  # said by the reference
CROWDPOSE = Path(__file__).resolve().parents[2] / "shared/data/formats/crowdpose/crowdpose_val.json"
JOINTS = (17, 6, 68, 21, 21)  # of the parts of a whole body


def reference(truth: Any, results: Any, kind: str, **options: Any) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        labelled = xthotcoco.COCO(ann_data=truth)
        evaluator = xthotcoco.COCOeval(
            labelled, labelled.loadRes("", results), kind, PUBLISHED[kind], **options
        )
        evaluator.run()
    return [float(value) for value in evaluator.stats]


def shaken(points: list[float], random: np.random.Generator, spread: float) -> list[float]:
    array = np.array(points, float).reshape(-1, 3)
    array[:, :2] += random.normal(0, spread, (len(array), 2))
    array[:, 2] = 1
    return array.ravel().round(2).tolist()


def test_crowdpose_by_crowding() -> None:
    if not CROWDPOSE.exists():
        pytest.skip(f"needs {CROWDPOSE}")
    random, truth = np.random.default_rng(0), json.loads(CROWDPOSE.read_text())
    results = [
        {
            "image_id": person["image_id"],
            "category_id": 1,
            "score": round(float(random.random()), 3),
            "keypoints": shaken(person["keypoints"], random, random.choice([2, 8, 20])),
        }
        for person in truth["annotations"]
        if random.random() < 0.8
    ]
    dataset = read_coco(Path("truth.json"), json.dumps(truth).encode())
    found = joined(
        read_coco_results(Path("results.json"), json.dumps(results).encode(), skeleton=CROWDPOSE14),
        dataset,
    )
    ours = {figure.name: figure.value for figure in judge(dataset, found, ["AP"])}
    expected = reference(truth, results, "keypoints_crowd", use_area=False)
    names = ["AP", "AP50", "AP75", "AR", "AR50", "AR75"]
    assert [ours[name] for name in names] == pytest.approx(expected[:6], abs=1e-9)
    divided = [ours[f"AP {level}"] for level in ("easy", "medium", "hard")]
    assert divided == pytest.approx(expected[6:], abs=5.1e-5)  # which are rounded
    assert len({round(value, 3) for value in divided}) == 3


def whole_bodies(random: np.random.Generator) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """People of whom parts are not labelled, the body among them: COCO's num_keypoints counts the
    body alone.
    """
    annotations, results = [], []
    for i in range(60):
        middle, person, found = random.uniform(50, 400, 2), {}, {}
        for part, count in zip(PARTS, JOINTS, strict=True):
            flags = random.choice([0, 1, 2], count) * (random.random() < 0.8)
            points = middle + random.normal(0, 40, (count, 2))
            person[part] = (
                np.column_stack([points * (flags > 0)[:, None], flags]).round(1).ravel().tolist()
            )
            found[part] = shaken(np.column_stack([points, flags]).ravel().tolist(), random, 1.5)
        picture = {"image_id": 1 + i // 3, "category_id": 1}
        body = int(np.count_nonzero(np.array(person["keypoints"][2::3])))
        annotations.append(
            {
                **picture,
                **person,
                "id": i + 1,
                "area": 6400.0,
                "iscrowd": 0,
                "bbox": [*(middle - 40).tolist(), 80, 80],
                "num_keypoints": body,
            }
        )
        results.append({**picture, **found, "score": round(float(random.random()), 2)})
    images = [{"id": p, "file_name": f"{p}.jpg", "width": 500, "height": 500} for p in range(1, 21)]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }, results


def test_whole_bodies_by_part() -> None:
    truth, results = whole_bodies(np.random.default_rng(1))
    dataset = read_coco(Path("truth.json"), json.dumps(truth).encode())
    found = joined(
        read_coco_results(
            Path("results.json"), json.dumps(results).encode(), skeleton=WHOLEBODY133
        ),
        dataset,
    )
    ours = {figure.name: figure.value for figure in judge(dataset, found, ["AP"])}
    kinds = {
        "AP": "keypoints_wholebody",
        "AP body": "keypoints",
        "AP feet": "keypoints_foot",
        "AP face": "keypoints_face",
        "AP left hand": "keypoints_lefthand",
        "AP right hand": "keypoints_righthand",
    }
    for name, kind in kinds.items():
        assert ours[name] == pytest.approx(reference(truth, results, kind)[0], abs=1e-9), name
