"""Object keypoint similarity, and the ten figures of the COCO keypoint challenge (Lin et al. 2014, cocodataset.org).

OKS = Σ_k exp(-d_k² / 2s²κ_k²) [v_k > 0] / Σ_k [v_k > 0], where s² is the person's area and κ_k = 2σ_k. Found people,
best score first, take the free true person of the highest OKS at or above a threshold; AP is the area under the
precision-recall curve (101 recalls), averaged over the thresholds .50, .55 … .95; AR the highest recall, likewise.
The matching is hotcoco's (MIT, Rust), which equals pycocotools to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.dataset import Dataset
from ..geometry import xywh

if TYPE_CHECKING:
    import hotcoco

THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAX_PEOPLE = 20  # found people per picture that count, best first
SIZES = {"": (0.0, 1e10), "M": (32.0**2, 96.0**2), "L": (96.0**2, 1e10)}


def figures(truth: Dataset, results: Dataset, *, sigmas: Sequence[float] | None = None) -> dict[str, float]:
    """AP, AP50, AP75, APM, APL and the same of AR; NaN where the truth has nobody (of that size) to find."""
    return summary(evaluation(truth, results, sigmas=sigmas).eval or {})


def evaluation(truth: Dataset, results: Dataset, *, sigmas: Sequence[float] | None = None) -> hotcoco.COCOeval:
    """hotcoco's evaluator after `evaluate` and `accumulate`. `results` are joined to the pictures of `truth`."""
    import hotcoco

    numbers = [picture.id for picture in truth.pictures]
    joints = {"id": 1, "name": "person", "keypoints": list(truth.skeleton.joints), "skeleton": []}
    images = [{"id": p.id, "file_name": p.name, "width": p.width, "height": p.height} for p in truth.pictures]
    labelled = np.where(truth.ignored, 0, truth.labelled.sum(1))
    crowd = truth.crowd.astype(int).tolist()
    columns = zip(
        (truth.ids - min(0, truth.ids.min(initial=1) - 1)).tolist(),  # the evaluators take 0 for "no match"
        truth.areas.tolist(), crowd, labelled.tolist(), *_columns(truth, numbers), strict=True,
    )  # fmt: skip
    annotations = [
        {
            "id": i,
            "area": area,
            "iscrowd": c,
            "num_keypoints": n,
            "image_id": p,
            "category_id": 1,
            "bbox": b,
            "keypoints": k,
        }
        for i, area, c, n, p, b, k in columns
    ]
    columns = zip(results.scores.tolist(), *_columns(results, numbers), strict=True)
    found = [{"score": s, "image_id": p, "category_id": 1, "bbox": b, "keypoints": k} for s, p, b, k in columns]
    coco = hotcoco.COCO({"images": images, "annotations": annotations, "categories": [joints]})
    evaluator = hotcoco.COCOeval(coco, coco.load_res(found), "keypoints")
    evaluator.params.kpt_oks_sigmas = list(truth.skeleton.sigmas if sigmas is None else sigmas)
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator


def summary(curves: dict[str, Any]) -> dict[str, float]:
    """The ten figures from precision [T, R, 1, sizes, 1] and recall [T, 1, sizes, 1]; NaN where undefined."""
    out = {}
    for name, values in (("AP", curves["precision"]), ("AR", curves["recall"])):
        values = np.asarray(values)
        per_threshold = values.reshape(len(THRESHOLDS), -1, len(SIZES)).mean(1)  # [T, sizes]
        per_threshold[per_threshold < 0] = np.nan
        out[name], out[name + "50"], out[name + "75"] = per_threshold[:, 0].mean(), *per_threshold[[0, 5], 0]
        out |= {f"{name}{size}": per_threshold[:, i].mean() for i, size in enumerate(SIZES) if size}
    return {name: float(value) for name, value in out.items()}


def _columns(people: Dataset, numbers: list[int]) -> tuple[list[int], list[Any], list[Any]]:
    """image_id, bbox and keypoints of everybody, as COCO writes them."""
    keypoints = people.keypoints.reshape(-1, 3 * len(people.skeleton))
    return [numbers[i] for i in people.picture.tolist()], xywh(people.boxes).tolist(), keypoints.tolist()
