"""Object keypoint similarity, and the ten figures of the COCO keypoint challenge (Lin et al. 2014,
cocodataset.org).

OKS = Σ_k exp(-d_k² / 2s²κ_k²) [v_k > 0] / Σ_k [v_k > 0], where s² is the person's area and κ_k =
2σ_k. Found people, best score first, take the free true person of the highest OKS at or above a
threshold; AP is the area under the precision-recall curve (101 recalls), averaged over the
thresholds .50, .55 … .95; AR the highest recall, likewise. Of several categories, each is judged
for itself, and figures are means over categories. The matching is hotcoco's (MIT, Rust), which
equals pycocotools to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..data.dataset import UNKNOWN, Dataset
from ..data.records import collector_at_rest
from ..geometry import Array, xywh

if TYPE_CHECKING:
    import hotcoco


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
    apart = by_category(truth, results)
    rows = zip(
        results.scores.tolist(),
        categories(results, truth, apart).tolist(),
        _columns(results, truth),
        strict=True,
    )
    found = [
        {"score": score, "category_id": category, **columns} for score, category, columns in rows
    ]
    coco = labels(truth, apart=apart)
    return evaluated(
        coco, coco.load_res(found), truth.skeleton.sigmas if sigmas is None else sigmas
    )


def by_category(truth: Dataset, results: Dataset) -> bool:
    """Whether each category is judged for itself, and figures are means over categories: where the
    truth has several, and all results say theirs.
    """
    return len(truth.categories) > 1 and UNKNOWN not in results.category


def present(truth: Dataset) -> dict[int, str]:
    """The categories of those to find, by their numbers."""
    there = set(truth.category[~truth.crowd].tolist())
    return {number: name for number, name in truth.categories.items() if number in there}


@collector_at_rest()
def labels(truth: Dataset, *, apart: bool = True) -> hotcoco.COCO:
    """The truth as hotcoco takes it. apart: people keep their categories; else all have one."""
    import hotcoco

    names = truth.categories if apart and truth.categories else {_one_category(truth): "person"}
    kinds = [
        {"id": number, "name": name, "keypoints": list(truth.skeleton.joints), "skeleton": []}
        for number, name in names.items()
    ]
    images = [
        {"id": number, "file_name": p.name, "width": p.width, "height": p.height}
        for number, p in zip(image_numbers(truth), truth.pictures, strict=True)
    ]
    ids = truth.ids - min(0, truth.ids.min(initial=1) - 1)  # the evaluators take 0 for "no match"
    counts = np.where(truth.ignored, 0, np.maximum(truth.labelled.sum(1), 1))
    rows = zip(
        ids.tolist(),
        categories(truth, truth, apart).tolist(),
        truth.areas.tolist(),
        truth.crowd.astype(int).tolist(),
        counts.tolist(),
        _columns(truth, truth),
        strict=True,
    )
    people = [
        {
            "id": number,
            "category_id": category,
            "area": area,
            "iscrowd": crowd,
            "num_keypoints": count,
            **columns,
        }
        for number, category, area, crowd, count, columns in rows
    ]
    return hotcoco.COCO({"images": images, "annotations": people, "categories": kinds})


def image_numbers(truth: Dataset) -> list[int]:
    """How the evaluator calls the pictures: by their ids; anew where one is negative."""
    numbers = [picture.id for picture in truth.pictures]
    return numbers if min(numbers, default=0) >= 0 else list(range(1, len(numbers) + 1))


def _one_category(truth: Dataset) -> int:
    return next(iter(truth.categories), 1)


def categories(people: Dataset, truth: Dataset, apart: bool) -> NDArray[np.int64]:
    """Everybody's category [N] as the evaluator calls it."""
    if apart and len(truth.categories) > 1:
        return people.category
    return np.full(len(people.picture), _one_category(truth))


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


def likeness(distance: Array, areas: Array, sigmas: ArrayLike) -> Array:
    """[N, K] in pixels, [N], K -> [N, K]: the summands of OKS, joint by joint; 0 at an infinite
    distance.
    """
    spread = 2 * np.maximum(areas, np.finfo(float).eps)[:, None] * (2 * np.asarray(sigmas)) ** 2
    return np.exp(-np.square(distance) / spread)


def summary(curves: dict[str, Any]) -> dict[str, float]:
    """The ten figures from precision [T, R, C, sizes, 1] and recall [T, C, sizes, 1]: means over
    those of the C categories for which they are defined (-1: undefined), NaN if there is none.
    """
    out: dict[str, float] = {}
    precision = np.asarray(curves["precision"]).mean(1)
    for name, values in (("AP", precision), ("AR", np.asarray(curves["recall"]))):
        values = values[..., 0]
        defined = values >= 0
        total, count = np.where(defined, values, 0).sum(1), defined.sum(1)
        means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        out |= {
            name: means[:, 0].mean(),
            f"{name}50": means[0, 0],
            f"{name}75": means[5, 0],
        }
        out |= {f"{name}{size}": means[:, i].mean() for i, size in enumerate(SIZES) if size}
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
    if any(truth.skeleton.fine):
        starts = {"face": "face_", "left hand": "left_hand_", "right hand": "right_hand_"}
        parts = {part: _begin(names, start) for part, start in starts.items()}
        feet = [i for i, name in enumerate(names) if name.endswith(("_toe", "_heel"))]
        taken = {*feet, *(i for group in parts.values() for i in group)}
        body = [i for i in joints if i not in taken]
        groups = {"body": body, "feet": feet} | parts
        out += [(label, pictures, group) for label, group in groups.items() if group]
    return out


def _begin(names: Sequence[str], start: str) -> list[int]:
    """The places of the names that begin so."""
    return [i for i, name in enumerate(names) if name.startswith(start)]


class _Ranked(NamedTuple):
    """Found people, best score first, of one size (and category)."""

    positives: Array  # [P]: people to find on each picture
    picture: NDArray[np.int64]  # [D]: of each found person
    right: NDArray[np.bool_]  # [T, D]
    wrong: NDArray[np.bool_]  # [T, D]; neither: not counted
    scores: Array  # [D]

    @classmethod
    def of(cls, records: Sequence[dict[str, Any]], place: dict[int, int]) -> _Ranked:
        """From the evaluator's records per picture; `place` of each image id among P pictures."""
        rows = np.array([place[record["image_id"]] for record in records], np.int64)
        positives = np.zeros(len(place))
        np.add.at(positives, rows, [np.logical_not(r["gtIgnore"]).sum() for r in records])
        scores = np.concatenate([np.zeros(0), *(record["dtScores"] for record in records)])
        order = np.argsort(-scores, kind="mergesort")
        picture = np.repeat(rows, [len(record["dtScores"]) for record in records])[order]

        def flags(key: str) -> NDArray[np.bool_]:
            none = np.zeros((len(THRESHOLDS), 0), bool)
            parts = [np.array(r[key], bool).reshape(len(THRESHOLDS), -1) for r in records]
            return np.concatenate([none, *parts], axis=1)[:, order]

        matched, counted = flags("dtMatched"), ~flags("dtIgnore")
        return cls(positives, picture, matched & counted, ~matched & counted, scores[order])


class Matches:
    """The matches of an evaluation, kept so that the figures can be computed again for other
    weights of the pictures. With all weights 1 the figures are those of `figures`.
    """

    def __init__(
        self, evaluator: hotcoco.COCOeval, truth: Dataset, pictures: NDArray[np.int64] | None = None
    ) -> None:
        """pictures [len(truth)]: where the weight of each picture stands, if not in their order."""
        place = {number: i for i, number in enumerate(image_numbers(truth))}
        self._pictures = np.arange(len(truth)) if pictures is None else pictures
        records = sorted(
            (r for r in evaluator.eval_imgs if r is not None), key=lambda record: record["image_id"]
        )
        numbers = list(dict.fromkeys(record["category_id"] for record in records)) or [1]
        self._pooled: dict[str, _Ranked] = {}
        self._apart: dict[tuple[str, int], _Ranked] = {}
        for size, limits in SIZES.items():
            some = [record for record in records if tuple(record["aRng"]) == limits]
            self._pooled[size] = _Ranked.of(some, place)
            for category in numbers:
                part = [record for record in some if record["category_id"] == category]
                self._apart[size, category] = _Ranked.of(part, place)
        self._numbers = numbers
        self._last: Any = None  # weights, whose curves and figures by category are kept
        self._curves: dict[str, Array] = {}
        self._figures: dict[int | None, dict[str, float]] = {}

    def curve(self, threshold: int = 0, size: str = "") -> tuple[Array, Array, Array]:
        """Recall, precision and score at every found person, at one threshold."""
        positives, _, right, wrong, scores = self._pooled[size]
        hits, misses = right[threshold].cumsum(), wrong[threshold].cumsum()
        return hits / max(positives.sum(), 1), hits / np.maximum(hits + misses, 1), scores

    def __call__(self, weights: Array, category: int | None = None) -> dict[str, float]:
        """The ten figures where picture p counts weights[p] times: of one category, or as means
        over all.
        """
        if self._last is not weights:
            self._last, self._curves, self._figures = weights, self._drawn(weights), {}
        if category not in self._figures:
            some = [i for i, number in enumerate(self._numbers) if category in (None, number)]
            curves = {name: values[..., some, :, :] for name, values in self._curves.items()}
            self._figures[category] = summary(curves)
        return self._figures[category]

    def _drawn(self, weights: Array) -> dict[str, Array]:
        """Precision [T, R, C, sizes, 1] and recall [T, C, sizes, 1] for these weights; -1 where
        they are undefined.
        """
        categories, sizes = len(self._numbers), len(SIZES)
        precision = np.full((len(THRESHOLDS), len(RECALLS), categories, sizes, 1), -1.0)
        recall = np.full((len(THRESHOLDS), categories, sizes, 1), -1.0)
        own = weights[self._pictures]
        for place, ranked in enumerate(self._apart.values()):
            total = ranked.positives @ own
            if total > 0:
                size, category = divmod(place, categories)
                weight = own[ranked.picture]
                hits = (ranked.right * weight).cumsum(1)
                misses = (ranked.wrong * weight).cumsum(1)
                recall[:, category, size, 0] = hits[:, -1] / total if hits.shape[1] else 0
                precision[:, :, category, size, 0] = _interpolated(
                    hits / total, hits / (hits + misses + np.spacing(1))
                )
        return {"precision": precision, "recall": recall}


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
    numbers = image_numbers(truth)
    keypoints = people.keypoints.reshape(-1, 3 * len(people.skeleton)).tolist()
    for picture, box, row in zip(
        people.picture.tolist(), xywh(people.boxes).tolist(), keypoints, strict=True
    ):
        yield {"image_id": numbers[picture], "bbox": box, "keypoints": row}
