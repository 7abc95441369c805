"""Object keypoint similarity, and the ten figures of the COCO keypoint challenge (Lin et al. 2014,
cocodataset.org).

OKS = Σ_k exp(-d_k² / 2s²κ_k²) [v_k > 0] / Σ_k [v_k > 0], where s² is the person's area and κ_k =
2σ_k. Found people, best score first, take the free true person of the highest OKS at or above a
threshold; AP is the area under the precision-recall curve (101 recalls), averaged over the
thresholds .50, .55 … .95; AR the highest recall, likewise. The matching is hotcoco's (MIT, Rust),
which equals pycocotools to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.records import collector_at_rest
from ..geometry import xywh

if TYPE_CHECKING:
    import hotcoco

Array = NDArray[np.floating]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAX_PEOPLE = 20  # found people per picture that count, best first
RECALLS = np.linspace(0, 1, 101)
CROWDING = (("easy", 0.0, 0.2), ("medium", 0.2, 0.8), ("hard", 0.8, np.inf))
SIZES = {"": (0.0, 1e10), "M": (32.0**2, 96.0**2), "L": (96.0**2, 1e10)}


def figures(
    truth: Dataset, results: Dataset, *, sigmas: Sequence[float] | None = None
) -> dict[str, float]:
    """AP, AP50, AP75, APM, APL and the same of AR; NaN where the truth has nobody (of that size) to
    find.
    """
    return summary(evaluation(truth, results, sigmas=sigmas).eval or {})


@collector_at_rest()
def evaluation(
    truth: Dataset, results: Dataset, *, sigmas: Sequence[float] | None = None
) -> hotcoco.COCOeval:
    """hotcoco's evaluator after `evaluate` and `accumulate`. `results` are joined to the pictures
    of `truth`.
    """
    found = [
        {"score": score, "category_id": 1, **columns}
        for score, columns in zip(results.scores.tolist(), _columns(results, truth), strict=True)
    ]
    coco = labels(truth)
    return evaluated(
        coco, coco.load_res(found), truth.skeleton.sigmas if sigmas is None else sigmas
    )


@collector_at_rest()
def labels(truth: Dataset) -> hotcoco.COCO:
    """The truth as hotcoco takes it."""
    import hotcoco

    joints = {"id": 1, "name": "person", "keypoints": list(truth.skeleton.joints), "skeleton": []}
    images = [
        {"id": p.id, "file_name": p.name, "width": p.width, "height": p.height}
        for p in truth.pictures
    ]
    ids = truth.ids - min(0, truth.ids.min(initial=1) - 1)  # the evaluators take 0 for "no match"
    counts = np.where(truth.ignored, 0, np.maximum(truth.labelled.sum(1), 1))
    rows = zip(
        ids.tolist(),
        truth.areas.tolist(),
        truth.crowd.astype(int).tolist(),
        counts.tolist(),
        _columns(truth, truth),
        strict=True,
    )
    people = [
        {
            "id": number,
            "category_id": 1,
            "area": area,
            "iscrowd": crowd,
            "num_keypoints": count,
            **columns,
        }
        for number, area, crowd, count, columns in rows
    ]
    return hotcoco.COCO({"images": images, "annotations": people, "categories": [joints]})


def evaluated(
    truth: hotcoco.COCO, results: hotcoco.COCO, sigmas: Sequence[float]
) -> hotcoco.COCOeval:
    """The evaluator after its two steps."""
    import hotcoco

    evaluator = hotcoco.COCOeval(truth, results, "keypoints")
    evaluator.params.kpt_oks_sigmas = list(sigmas)
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator


def likeness(distance: Array, areas: Array, sigmas: Sequence[float]) -> Array:
    """[N, K] in pixels, [N], K -> [N, K]: the summands of OKS, joint by joint; 0 at an infinite
    distance.
    """
    spread = 2 * np.maximum(areas, np.finfo(float).eps)[:, None] * (2 * np.asarray(sigmas)) ** 2
    return np.exp(-np.square(distance) / spread)


def summary(curves: dict[str, Any]) -> dict[str, float]:
    """The ten figures from precision [T, R, 1, sizes, 1] and recall [T, 1, sizes, 1]; NaN where
    undefined.
    """
    out = {}
    for name, values in (("AP", curves["precision"]), ("AR", curves["recall"])):
        values = np.asarray(values)
        per_threshold = values.reshape(len(THRESHOLDS), -1, len(SIZES)).mean(1)  # [T, sizes]
        per_threshold[per_threshold < 0] = np.nan
        out[name], out[name + "50"], out[name + "75"] = (
            per_threshold[:, 0].mean(),
            *per_threshold[[0, 5], 0],
        )
        out |= {f"{name}{size}": per_threshold[:, i].mean() for i, size in enumerate(SIZES) if size}
    return {name: float(value) for name, value in out.items()}


def divisions(truth: Dataset) -> list[tuple[str, NDArray[np.int64], list[int]]]:
    """Parts that some data sets are judged by: label, pictures and joints. CrowdPose (Li et al.
    2019) by crowd index, with the limits of its tool; COCO-WholeBody (Jin et al. 2020) by body,
    feet, face and hands.
    """
    out = []
    pictures, joints = np.arange(len(truth)), list(range(len(truth.skeleton)))
    crowding = np.array([picture.crowding for picture in truth.pictures])
    if np.isfinite(crowding).any():
        for label, low, high in CROWDING:
            out.append((label, pictures[(crowding >= low) & (crowding < high)], joints))
    names = truth.skeleton.joints
    if "face_0" in names:
        first = {"face": names.index("face_0"), "left hand": names.index("left_hand_0")}
        first["right hand"] = names.index("right_hand_0")
        feet = [i for i, name in enumerate(names) if name.endswith(("_toe", "_heel"))]
        body = [i for i in range(first["face"]) if i not in feet]
        groups = {
            "body": body,
            "feet": feet,
            "face": list(range(first["face"], first["left hand"])),
        }
        groups["left hand"] = list(range(first["left hand"], first["right hand"]))
        groups["right hand"] = list(range(first["right hand"], len(names)))
        out += [(label, pictures, group) for label, group in groups.items() if group]
    return out


class Matches:
    """Who was matched, kept so that the figures can be computed again for other weights of the
    pictures.

    With all weights 1 the figures are those of `figures`.
    """

    def __init__(
        self, evaluator: hotcoco.COCOeval, truth: Dataset, pictures: NDArray[np.int64] | None = None
    ) -> None:
        """pictures [len(truth)]: where the weight of each picture stands, if not in their order."""
        place = {picture.id: i for i, picture in enumerate(truth.pictures)}
        self._pictures = np.arange(len(truth)) if pictures is None else pictures
        records = sorted(
            (r for r in evaluator.eval_imgs if r is not None), key=lambda record: record["image_id"]
        )
        self._sizes = {}
        for size, (low, high) in SIZES.items():
            some = [r for r in records if tuple(r["aRng"]) == (low, high)]
            rows = np.array([place[r["image_id"]] for r in some], np.int64)
            positives = np.zeros(len(truth))
            np.add.at(positives, rows, [np.logical_not(r["gtIgnore"]).sum() for r in some])
            scores = np.concatenate([np.zeros(0), *(r["dtScores"] for r in some)])
            order = np.argsort(-scores, kind="mergesort")
            picture = np.repeat(rows, [len(r["dtScores"]) for r in some])[order]
            matched, ignored = (
                np.concatenate(
                    [np.zeros((len(THRESHOLDS), 0), bool)]
                    + [np.array(r[key], bool).reshape(len(THRESHOLDS), -1) for r in some],
                    axis=1,
                )[:, order]
                for key in ("dtMatched", "dtIgnore")
            )
            self._sizes[size] = (
                positives,
                picture,
                matched & ~ignored,
                ~matched & ~ignored,
                scores[order],
            )
        self._last: tuple[Any, dict[str, float]] = (None, {})

    def curve(self, threshold: int = 0, size: str = "") -> tuple[Array, Array, Array]:
        """Recall, precision and score at every found person, at one threshold."""
        positives, _, right, wrong, scores = self._sizes[size]
        hits, misses = right[threshold].cumsum(), wrong[threshold].cumsum()
        return hits / max(positives.sum(), 1), hits / np.maximum(hits + misses, 1), scores

    def __call__(self, weights: Array) -> dict[str, float]:
        """The ten figures where picture p counts weights[p] times."""
        if self._last[0] is not weights:
            precision = np.full((len(THRESHOLDS), len(RECALLS), 1, len(SIZES), 1), -1.0)
            recall = np.full((len(THRESHOLDS), 1, len(SIZES), 1), -1.0)
            mine = weights[self._pictures]
            for i, (positives, picture, right, wrong, _) in enumerate(self._sizes.values()):
                total = positives @ mine
                if total > 0:
                    weight = mine[picture]
                    hits, misses = (right * weight).cumsum(1), (wrong * weight).cumsum(1)
                    recall[:, 0, i, 0] = hits[:, -1] / total if hits.shape[1] else 0
                    precision[:, :, 0, i, 0] = _interpolated(
                        hits / total, hits / (hits + misses + np.spacing(1))
                    )
            self._last = weights, summary({"precision": precision, "recall": recall})
        return self._last[1]


def _interpolated(recall: Array, precision: Array) -> Array:
    """[T, D], [T, D] -> [T, 101]: the best precision at that recall or a higher one, 0 where it is
    not reached.
    """
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((len(best), 1))], 1)
    return np.stack(
        [row[np.searchsorted(r, RECALLS, side="left")] for r, row in zip(recall, best, strict=True)]
    )


def _columns(people: Dataset, truth: Dataset) -> Iterator[dict[str, Any]]:
    """image_id, bbox and keypoints of everybody, as COCO writes them."""
    numbers = [picture.id for picture in truth.pictures]
    keypoints = people.keypoints.reshape(-1, 3 * len(people.skeleton)).tolist()
    for picture, box, row in zip(
        people.picture.tolist(), xywh(people.boxes).tolist(), keypoints, strict=True
    ):
        yield {"image_id": numbers[picture], "bbox": box, "keypoints": row}
