"""Where pose estimation fails, by method: overlap, people missed, rare poses, human-like objects,
bad pictures.

    python -m benchmarks.failures run [--only overlap] [--condition NET.onnx]  # minutes a row
    python -m benchmarks.failures page                       # the tables of docs/failures.md

Every finished row is kept in docs/failures.json and not made again; remove it to measure anew. AP
is COCO's of keypoints, with intervals by a bootstrap over pictures (95 %); people are found at
scores of at least .05 for AP, else .3. Only the people that a part is about count: others on the
same picture are neither to find nor false. All is measured on data that nothing was trained on.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import (
    COCO_TRAIN,
    COCO_VAL,
    DATA,
    PUBLIC,
    ROOT,
    filled,
    gap,
    head,
    parsed,
    parser,
    picture,
    row,
    with_interval,
)
from benchmarks.detectors import empty_pictures
from benchmarks.methods import crowded
from benchmarks.methods import found as found_on
from everybody import geometry
from everybody.atomic import replacing
from everybody.data.dataset import Dataset, extents, with_margin
from everybody.data.join import common
from everybody.data.read import read
from everybody.estimator import Estimator
from everybody.media.images import decode
from everybody.metrics.diagnose import KINDS, joint_kinds, pair
from everybody.metrics.figure import Figure
from everybody.metrics.judge import judge
from everybody.metrics.predict import DET_SCORE, predict
from everybody.people import Frame, Image
from everybody.skeletons import COCO17
from synthetic import overlaps

KEPT, PAGE = ROOT / "docs/failures.json", ROOT / "docs/failures.md"
PASTED = Path(tempfile.gettempdir()) / "everybody-pasted-pairs"
DRAWS = 100
USUAL = 0.3  # score from which a run shows people
# Those that look again at people who overlap, and what each of them is without.
CONDITIONED, ASSOCIATED = "fast, conditioned", "accurate, associated"
AGAIN = {CONDITIONED: "top-down, fast", ASSOCIATED: "top-down, accurate"}
METHODS: dict[str, dict[str, Any]] = {
    "top-down, accurate": {"model": "accurate"},
    "top-down, fast": {"model": "fast"},
    "MoveNet MultiPose": {"method": "movenet-multipose"},
    "PoseNet": {"method": "posenet-mbv1-075"},
    "RTMDet-nano + TinyPose": PUBLIC,
    "BlazePose full": {"method": "blazepose"},
    ASSOCIATED: {"model": "accurate", "associate": True},
}
IN_BOXES = ("topdown", "blazepose")  # methods that look into boxes
PAIRS, NEIGHBOURS, MISSED, TURNED, DAMAGED, EMPTY, SPORT = 90, 60, 80, 20, 24, 60, 200
ANGLES = range(0, 360, 30)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """Labelled pictures in memory."""

    truth: Dataset
    images: tuple[Image, ...]

    @classmethod
    def of(cls, truth: Dataset) -> Shown:
        return cls(truth, tuple(picture(truth, index) for index in range(len(truth))))

    def only(self, asked: np.ndarray) -> Shown:
        """The same; all people but these [N] bool are to be ignored."""
        return replace(self, truth=replace(self.truth, ignored=self.truth.ignored | ~asked))


def estimator(options: dict[str, Any], score: float = DET_SCORE) -> Estimator:
    return Estimator(**options, det_score=score, threads=1, workers=1)


def found(shown: Shown, who: Estimator) -> Dataset:
    """What a method finds on the pictures."""
    return found_on(shown.truth, shown.images, who)


def precision(truth: Dataset, results: Dataset) -> Figure:
    return judge(truth, results, ["AP"])[0]


# --- overlap


def pasted(folder: Path) -> Dataset:
    """Pairs of people of coco_val, a third of them at each overlap; made if they are not there."""
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            found = overlaps.pairs(read(COCO_VAL), PAIRS, overlaps.OVERLAPS, 0)
            overlaps.write(found, Path(made) / "pairs")
            (Path(made) / "pairs").rename(folder)
    return read(folder)


def overlap(methods: dict[str, dict[str, Any]]) -> dict[str, Callable[[], Row]]:
    """Pasted pairs, and people of coco_val with a neighbour at an IoU above .1."""

    def pairs_of(name: str) -> Row:
        whole = Shown.of(pasted(PASTED))
        first = np.concatenate([rows[:2] for rows in whole.truth.rows()])
        shown = whole.only(np.isin(np.arange(len(whole.truth.picture)), first))
        return compared(shown, name, [n % len(overlaps.OVERLAPS) for n in range(len(shown.truth))])

    def neighbours_of(name: str) -> Row:
        truth = read(COCO_VAL)
        near = crowded(truth)
        pictures = np.unique(truth.picture[near])[:NEIGHBOURS]
        shown = Shown.of(replace(truth, ignored=truth.ignored | ~near).subset(pictures))
        return compared(shown, name, None)

    def compared(shown: Shown, name: str, groups: Sequence[int] | None) -> Row:
        results = found(shown, estimator(methods[name]))
        truth, figure = shown.truth, precision(shown.truth, results)
        pairing = pair(truth, results)
        kinds = joint_kinds(truth, results, pairing)
        asked = ~truth.ignored
        out: Row = {
            "pictures": len(truth),
            "people": int(asked.sum()),
            "AP": with_interval(figure, len(truth), DRAWS),
            "recall": round(float((pairing.likeness[asked] >= 0.5).mean()), 3),
            "swapped": round(float((kinds == KINDS.index("swap")).sum() / (kinds >= 0).sum()), 4),
        }
        for group, share in enumerate(overlaps.OVERLAPS if groups is not None else ()):
            some = np.flatnonzero(np.array(groups) == group)
            part = precision(truth.subset(some), results.subset(some)).value
            out[f"AP at {share:g}"] = round(part, 3)
        if name in AGAIN:
            base = precision(truth, found(shown, estimator(methods[AGAIN[name]])))
            out["gain"] = gap(base, figure, len(truth), DRAWS)
        return out

    rows: dict[str, Callable[[], Row]] = {}
    for name in methods:
        rows[f"pasted pairs: {name}"] = lambda name=name: pairs_of(name)
        rows[f"neighbours: {name}"] = lambda name=name: neighbours_of(name)
    return rows


# --- missed by the detector


def missed(methods: dict[str, dict[str, Any]]) -> dict[str, Callable[[], Row]]:
    """People of coco_val whom the detector misses at .3, and a bottom-up second chance: what the
    method finds where top-down has nobody (OKS below .3 to all) is added.
    """

    def of(name: str) -> Row:
        shown = Shown.of(read(COCO_VAL).subset(range(MISSED)))
        truth, asked = shown.truth, ~shown.truth.ignored
        first = found(shown, estimator(METHODS["top-down, accurate"], USUAL))
        more = found(shown, estimator(methods[name], USUAL))
        lost = asked.copy()
        for true, rows in zip(truth.rows(), first.rows(), strict=True):
            shared = geometry.iou(truth.boxes[true], first.boxes[rows])
            lost[true] &= shared.max(1, initial=0) < 0.5
        new = np.ones(len(more.picture), bool)
        for old, rows in zip(first.rows(), more.rows(), strict=True):
            likeness = geometry.oks(
                first.keypoints[old], more.keypoints[rows], first.areas[old], COCO17.sigmas,
                first.keypoints[old][..., 2],
            )  # fmt: skip
            new[rows] = likeness.max(0, initial=0) < 0.3
        added = more.select(new)
        chance = pair(truth, added)
        return {
            "pictures": len(truth),
            "people": int(asked.sum()),
            "missed": int(lost.sum()),
            "found now": int((chance.likeness[lost] >= 0.5).sum()),
            "added per picture": round(len(added.picture) / len(truth), 3),
            "nobody per picture": round(float((chance.best < 0.1).sum() / len(truth)), 3),
        }

    finders = [n for n, one in methods.items() if one.get("method", IN_BOXES[0]) not in IN_BOXES]
    return {name: (lambda name=name: of(name)) for name in finders}


# --- rare poses


def turned(shown: Shown, angle: float) -> Shown:
    """The pictures turned clockwise by an angle in degrees, as large as they then are."""
    images, keypoints, truth = [], shown.truth.keypoints.copy(), shown.truth
    for index, image in enumerate(shown.images):
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1.0)
        turned_sides = np.abs(matrix[:, :2]) @ [width, height]
        size = tuple(int(side) for side in np.ceil(turned_sides - 1e-6))
        matrix[:, 2] += (np.array(size) - (width, height)) / 2
        images.append(cv2.warpAffine(image, matrix, size, borderValue=(114, 114, 114)))
        rows = truth.where(index)
        maps = matrix.astype(np.float64)[None].repeat(len(rows), 0)
        keypoints[rows] = geometry.transform(maps, keypoints[rows])
    seen = keypoints[..., 2] > 0
    boxes = with_margin(np.zeros((len(keypoints), 4)) + extents(keypoints, seen), keypoints)
    return Shown(replace(truth, keypoints=keypoints, boxes=boxes), tuple(images))


def rotation(methods: dict[str, dict[str, Any]]) -> dict[str, Callable[[], Row]]:
    """AP of coco_val turned by every 30 degrees."""

    def of(name: str, angle: float) -> Row:
        shown = turned(Shown.of(read(COCO_VAL).subset(range(TURNED))), angle)
        return measured(shown, estimator(methods[name]))

    return {
        f"{angle}° | {name}": partial(of, name, angle)
        for name in methods
        for angle in ANGLES
        if name not in AGAIN
    }


def measured(shown: Shown, who: Estimator) -> Row:
    """AP of what a method finds on the pictures, and of how many people."""
    truth = shown.truth
    figure = precision(truth, found(shown, who))
    return {
        "pictures": len(truth),
        "people": int((~truth.ignored).sum()),
        "AP": with_interval(figure, len(truth), DRAWS),
    }


def clusters(poses: np.ndarray, count: int = 40) -> np.ndarray:
    """Poses [N, K, 2] without place and size -> the middles [count, 2 K] of their clusters."""
    random, flat = np.random.default_rng(0), poses.reshape(len(poses), -1)
    middles = flat[random.choice(len(flat), count, replace=False)]
    for _ in range(10):
        nearest = np.square(flat[:, None] - middles[None]).sum(2).argmin(1)
        middles = np.stack(
            [
                flat[nearest == n].mean(0) if (nearest == n).any() else middles[n]
                for n in range(count)
            ]
        )
    return middles


def shapes(keypoints: np.ndarray) -> np.ndarray:
    """Joints [N, K, 3] -> [N, K, 2]: their middle at 0, their spread 1; unseen ones at 0."""
    seen = keypoints[..., 2:] > 0
    count = np.maximum(seen.sum(1, keepdims=True), 1)
    middle = (keypoints[..., :2] * seen).sum(1, keepdims=True) / count
    away = (keypoints[..., :2] - middle) * seen
    spread = np.sqrt(np.square(away).sum((1, 2), keepdims=True) / count)
    return away / np.maximum(spread, 1e-9)


def distances(keypoints: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """[N, K, 3], [C, 2 K] -> [N]: from the nearest cluster, by the joints that are seen."""
    some = shapes(keypoints).reshape(len(keypoints), 1, middles.shape[1])
    seen = np.repeat(keypoints[..., 2] > 0, 2, axis=1)[:, None]
    gaps = (np.square(some - middles[None]) * seen).sum(2) / np.maximum(seen.sum(2), 1)
    return np.sqrt(gaps.min(1, initial=np.inf))


def sport(methods: dict[str, dict[str, Any]]) -> dict[str, Callable[[], Row]]:
    """PCK@0.2 of lspet/val, true boxes, by quarters of the distance from usual poses."""

    def of(name: str) -> Row:
        train, truth = read(DATA / "lspet/train.npz"), read(DATA / "lspet/val.npz")
        whole = (train.keypoints[..., 2] > 0).all(1)
        middles = clusters(shapes(train.keypoints[whole][:3000]))
        truth = truth.subset(range(SPORT))
        away = distances(truth.keypoints, middles)
        options = dict(methods[name])
        asked = options.pop("method", None) or options.pop("pose", None)
        results, seen = common(
            predict(truth, pose=asked, boxes="gt", threads=1, workers=1, **options),
            truth,
            mapped=True,
        )
        out: Row = {"people": len(truth)}
        for number, rows in enumerate(np.array_split(np.argsort(away), 4), 1):
            some = np.sort(truth.picture[rows])
            part = judge(seen.subset(some), results.subset(some), ["PCK@0.2"])[0]
            out[f"quarter {number}"] = with_interval(part, len(some), DRAWS)
        return out

    return {
        name: partial(of, name)
        for name, options in methods.items()
        if options.get("method", "topdown") in IN_BOXES and name not in AGAIN
    }


# --- human-like objects


def objects(methods: dict[str, dict[str, Any]]) -> dict[str, Callable[[], Row]]:
    """People found where nobody is, and what a plausibility of poses would remove of them: nearer
    to a cluster of coco_train's labelled poses than 95 % of the true people found there.
    """

    def of(name: str) -> Row:
        who, taught = estimator(methods[name], USUAL), read(COCO_TRAIN)
        good = (taught.keypoints[..., 2] > 0).sum(1) >= 8
        middles = clusters(shapes(taught.keypoints[good]))
        seen = Shown.of(taught.subset(range(40)))
        true, real = people_and_truth(seen, found(seen, who))
        limit = float(np.quantile(distances(true[real], middles), 0.95))
        judged = Shown.of(read(COCO_VAL).subset(range(40)))
        poses, real = people_and_truth(judged, found(judged, who))
        out: Row = {
            "true people kept": round(float((distances(poses[real], middles) <= limit).mean()), 3)
        }
        for place, paths in empty_pictures(DATA / "photos").items():
            if place not in ("neg_ade20k", "neg_voc_animals", "neg_voc_vehicles"):
                continue
            some = paths[:EMPTY]
            frames = (Frame(decode(path.read_bytes(), str(path))) for path in some)
            people = [frame.people for frame in who.frames(frames)]
            false = np.concatenate([one.to(COCO17).keypoints for one in people])
            kept = distances(shown_joints(false), middles) <= limit
            out[place] = [len(some), round(len(false) / len(some), 3),
                          round(float(kept.sum()) / len(some), 3)]  # fmt: skip
        return out

    return {name: (lambda name=name: of(name)) for name in methods if name not in AGAIN}


def shown_joints(keypoints: np.ndarray) -> np.ndarray:
    """[N, K, 3]: joints below the score that is drawn count as not seen."""
    return np.concatenate([keypoints[..., :2], keypoints[..., 2:] >= USUAL], 2)


def people_and_truth(shown: Shown, results: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The poses found [M, K, 3], and which of them are somebody [M] bool."""
    return shown_joints(results.keypoints), pair(shown.truth, results).paired


# --- bad pictures


def darker(image: Image, part: float) -> Image:
    return (image * part).astype(np.uint8)


def blurred(image: Image, sigma: float) -> Image:
    return cv2.GaussianBlur(image, (0, 0), sigma)  # type: ignore[return-value]


def noisy(image: Image, sigma: float) -> Image:
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def compressed(image: Image, quality: float) -> Image:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    assert done
    return cv2.imdecode(data, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def farther(image: Image, part: float) -> Image:
    """As from farther away: so much smaller, and enlarged again."""
    size = image.shape[1::-1]
    small = cv2.resize(image, None, fx=part, fy=part, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


DAMAGE: dict[str, tuple[Callable[[Image, float], Image], tuple[float, ...]]] = {
    "light": (darker, (0.4, 0.15, 0.05)),
    "blur": (blurred, (2, 4, 8)),
    "noise": (noisy, (20, 50, 100)),
    "JPEG": (compressed, (30, 10, 3)),
    "distance": (farther, (0.5, 0.25, 0.12)),
}


def severity(methods: dict[str, dict[str, Any]]) -> dict[str, Callable[[], Row]]:
    """AP of coco_val against how bad the pictures are."""

    def of(name: str, change: Callable[[Image, float], Image] | None, step: float) -> Row:
        shown = Shown.of(read(COCO_VAL).subset(range(DAMAGED)))
        if change is not None:
            shown = replace(shown, images=tuple(change(i, step) for i in shown.images))
        return measured(shown, estimator(methods[name]))

    rows: dict[str, Callable[[], Row]] = {}
    for name in (name for name in methods if name not in AGAIN):
        rows[f"as it is | {name}"] = partial(of, name, None, 0)
        for kind, (change, steps) in DAMAGE.items():
            for step in steps:
                rows[f"{kind} {step:g} | {name}"] = partial(of, name, change, step)
    return rows


# --- running


PARTS: dict[str, Callable[[dict[str, dict[str, Any]]], dict[str, Callable[[], Row]]]] = {
    "overlap": overlap,
    "missed": missed,
    "rotation": rotation,
    "sport": sport,
    "objects": objects,
    "severity": severity,
}


def kept() -> dict[str, dict[str, Row]]:
    return json.loads(KEPT.read_text()) if KEPT.is_file() else {}


def run(only: str, methods: dict[str, dict[str, Any]]) -> None:
    """Make the rows that are not there yet."""
    for part, rows_of in PARTS.items():
        for name, work in rows_of(methods).items():
            if name in kept().get(part, {}) or only not in f"{part} {name}":
                continue
            begun = time.perf_counter()
            made = work()
            rows = kept()  # as it is now: other rows may be made at the same time
            rows.setdefault(part, {})[name] = made
            with replacing(KEPT) as out:
                out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
            print(f"{part}: {name}: {made} ({time.perf_counter() - begun:.0f} s)", file=sys.stderr)


def tables() -> dict[str, str]:
    """The rows as markdown, a table for each part; of rows "CASE | METHOD", a column a method."""
    out = {}
    for part, rows in kept().items():
        crossed = [name.split(" | ") for name in rows if " | " in name]
        columns = list(dict.fromkeys(key for made in rows.values() for key in made))
        lines = crosstab(rows, crossed) if crossed else [head("", *columns)]
        for name, made in () if crossed else rows.items():
            lines.append(row(name, *(told(made.get(column, "–")) for column in columns)))
        out[part] = "\n".join(lines)
    return out


def written(page: str) -> str:
    """The page with the tables that it has places for."""
    return filled(page, {name: t for name, t in tables().items() if f"<!-- {name} -->" in page})


def crosstab(rows: dict[str, Row], crossed: list[list[str]]) -> list[str]:
    """AP: a line for each case, a column for each method."""
    known = dict.fromkeys(method for _, method in crossed)
    methods = [name for name in METHODS if name in known]
    lines = [head("", *methods)]
    order = [name.split(" | ")[0] for part in PARTS.values() for name in part(METHODS)]
    for case in sorted({case for case, _ in crossed}, key=order.index):
        made = (rows.get(f"{case} | {method}", {}).get("AP", "–") for method in methods)
        lines.append(row(case, *map(told, made)))
    return lines


def told(value: Any) -> str:
    """A figure, an interval [value, low, high], or several, as the tables write them."""
    if isinstance(value, list) and len(value) == 3 and all(isinstance(v, float) for v in value):
        middle, low, high = map(told, value)
        return f"{middle} [{low}, {high}]"
    if isinstance(value, list):
        return " / ".join(map(told, value))
    return f"{value:.3f}".removeprefix("0") if isinstance(value, float) else str(value)


def main() -> None:
    command = parser(__doc__)
    command.add_argument("what", choices=("run", "page"))
    command.add_argument("--only", default="", help="rows whose part and name hold this")
    command.add_argument("--condition", type=Path, help="a network of recipe conditioned-128")
    given = parsed(command)
    if given.what == "page":
        PAGE.write_text(written(PAGE.read_text("utf-8")), encoding="utf-8")
        return
    more = {CONDITIONED: {"model": "fast", "condition": given.condition}}
    run(given.only, METHODS | (more if given.condition else {}))


if __name__ == "__main__":
    main()
