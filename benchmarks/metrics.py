"""How fast judging is, against pycocotools in the same run.

    python -m benchmarks.metrics [--pictures 5000] [--turns 3]

Generated, seeded: 4 labelled people and 20 found ones per picture. Ratios are medians of runs that
take turns.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import by_turns, medians, parsed, parser
from everybody.data.read import read, read_results
from everybody.metrics import oks, pck
from everybody.metrics.direct import direct
from everybody.skeletons import COCO17


def world(
    pictures: int, *, people: int = 4, found: int = 20, seed: int = 0
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Truth and results in COCO's form."""
    random = np.random.default_rng(seed)
    points = random.uniform(100, 500, (pictures, people, 1, 2)) + random.normal(
        0, 60, (pictures, people, 17, 2)
    )
    flags = (random.random((pictures, people, 17)) < 0.8) * 2
    low, high = points.min(2), points.max(2)
    annotations = [
        {
            "id": p * people + n + 1,
            "image_id": p + 1,
            "category_id": 1,
            "iscrowd": 0,
            "area": float(np.prod(high[p, n] - low[p, n]) * 0.53),
            "num_keypoints": int((flags[p, n] > 0).sum()),
            "bbox": [*low[p, n].round(2).tolist(), *(high[p, n] - low[p, n]).round(2).tolist()],
            "keypoints": np.column_stack([points[p, n], flags[p, n]]).round(2).ravel().tolist(),
        }
        for p in range(pictures)
        for n in range(people)
    ]
    results = []
    for p in range(pictures):
        for n in range(found):
            moved = points[p, n % people] + random.normal(0, 3 + 3 * (n // people), (17, 2))
            keypoints = np.column_stack([moved, np.ones(17)]).round(2).ravel().tolist()
            score = round(float(random.random()), 4)
            results.append(
                {"image_id": p + 1, "category_id": 1, "keypoints": keypoints, "score": score}
            )
    images = [
        {"id": p + 1, "file_name": f"{p + 1:012}.jpg", "width": 640, "height": 640}
        for p in range(pictures)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}
    return {"images": images, "annotations": annotations, "categories": [category]}, results


def reference(truth: Path, results: Path) -> tuple[float, float, list[float]]:
    """pycocotools: seconds of loading and of judging, and its ten figures."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        coco = COCO(str(truth))
        found = coco.loadRes(str(results))
        loaded = time.perf_counter()
        evaluator = COCOeval(coco, found, "keypoints")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return loaded - start, time.perf_counter() - loaded, [float(value) for value in evaluator.stats]


def ours(truth: Path, results: Path) -> tuple[float, float, list[float]]:
    """The same of everybody as `everybody eval` does it: from files to checked data, then to
    figures.
    """
    start = time.perf_counter()
    dataset = read(truth)
    ready = direct(dataset, results)
    assert ready, "the generated file is plain"
    loaded = time.perf_counter()
    figures = list(oks.summary(oks.evaluated(*ready, dataset.skeleton.sigmas).eval or {}).values())
    return loaded - start, time.perf_counter() - loaded, figures


def in_python(truth: Path, results: Path) -> tuple[float, float, list[float]]:
    """The same through a Dataset of the results, as for every other format and measure."""
    start = time.perf_counter()
    dataset = read(truth)
    found = read_results(results, dataset)
    loaded = time.perf_counter()
    figures = list(oks.figures(dataset, found).values())
    return loaded - start, time.perf_counter() - loaded, figures


def joints(people: int = 62_500, turns: int = 7) -> float:
    """Milliseconds of PCK@0.2 of a million joints, distances included: the median."""
    random = np.random.default_rng(0)
    truth = random.uniform(0, 500, (people, len(COCO17) - 1, 2))
    found = truth + random.normal(0, 10, truth.shape)
    counted, torso = np.ones(truth.shape[:2], bool), random.uniform(50, 150, people)

    def work() -> None:
        pck.pck(pck.distances(found, truth), counted, torso, 0.2)

    return medians(by_turns({"pck": work}, turns))["pck"]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--pictures", type=int, default=5000)
    command.add_argument("--turns", type=int, default=3)
    given = parsed(command)
    pictures, turns = given.pictures, given.turns
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("truth.json", "results.json")]
        for file, content in zip(files, world(pictures), strict=True):
            file.write_text(json.dumps(content))
        methods = {"pycocotools": reference, "everybody": ours, "by Dataset": in_python}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
        values: dict[str, list[float]] = {}
        for _ in range(turns):
            for name, method in methods.items():
                *spent, values[name] = method(*files)
                times[name].append((spent[0], spent[1]))
    median = {name: np.median(rows, axis=0) for name, rows in times.items()}
    first = median["pycocotools"]
    print(
        f"{pictures} pictures × 20 found people, {turns} turns; seconds, and how many times faster"
    )
    print(f"{'':12}{'loading':>16}{'figures':>16}{'both':>16}")
    for name, row in median.items():
        cells = zip((*row, row.sum()), (*first, first.sum()), strict=True)
        print(f"{name:12}" + "".join(f"{own:9.3f}{slow / own:6.1f}×" for own, slow in cells))
    gap = max(
        abs(a - b)
        for name in methods
        for a, b in zip(values[name], values["pycocotools"], strict=True)
    )
    print(f"greatest difference of the ten figures: {gap:.1e}")
    print(f"PCK of a million joints: {joints():.1f} ms")


if __name__ == "__main__":
    main()
