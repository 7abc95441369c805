"""Pose NMS: what is left of many candidates, how good it is, and how long removing takes.

    python benchmarks/nms.py quality [--pose tinypose-256x192 tinypose-128x96] [--cache DIR] [--plot FILE.svg]
    python benchmarks/nms.py turned [--cache DIR]        # boxes in boxes of --det-turns 4
    python benchmarks/nms.py speed

quality: three sorts of candidates on ../shared/data/coco_val (`everybody.nms.tune.candidates`):
dense (each true box 8 times beside its place, IoU > .5), crowds (the same where real people were
pasted in front of others), detected (--det-score 0.05). Poses per person counts labelled people;
precision is the share of what is kept that has a labelled person to itself at OKS .5 (people whom
nobody labelled count as false). Intervals are 95 %, by a bootstrap over pictures, differences
paired.
"""

from __future__ import annotations

import argparse
import os
import pickle
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from everybody.data.read import read
from everybody.estimator import Estimator
from everybody.metrics import bootstrap, charts
from everybody.metrics.judge import Figure, judge
from everybody.metrics.matching import similarities
from everybody.nms import PoseNms, oks_nms, pose_nms
from everybody.nms.tune import Candidates, Sets, candidates
from everybody.people import People
from everybody.skeletons import COCO17

SHARED = Path(__file__).resolve().parents[2] / "shared"
DETECTOR = "rtmdet-nano-person"
DRAWS = 1000
METHODS = {
    "parametric (the default)": "parametric",
    "the same, not merged": "parametric,merge=0",
    "AlphaPose's constants": "alphapose",
    "AlphaPose's, not merged": "alphapose,merge=0",
    "AlphaPose's, without its 5 joints": "alphapose,matched=0",
    "OKS .9": "oks",
    "OKS .5": "oks,threshold=0.5",
    "soft OKS": "soft-oks",
    "box IoU .6": "box",
    "none": "none",
}


def cached(path: Path | None, make: Callable[[], Any]) -> Any:
    """What was made, from a file where it was made before: poses take minutes."""
    if path is None:
        return make()
    if not path.is_file():
        made = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(made))
    return pickle.loads(path.read_bytes())


def precision(some: Candidates, suppress: Callable[[People], People]) -> float:
    """The share of kept poses that have a labelled person to themselves at OKS .5."""
    left = some.left(suppress)
    hits = 0
    for true, found in zip(some.truth.rows(), left.rows(), strict=True):
        near = similarities(some.truth, left, true[~some.truth.ignored[true]], found) >= 0.5
        hits += int(near[linear_sum_assignment(near, maximize=True)].sum())
    return hits / max(1, len(left.picture))


def quality(given: argparse.Namespace) -> None:
    for pose in given.pose:

        def made(pose: str = pose) -> Sets:
            estimator = Estimator(
                detector=DETECTOR,
                pose=pose,
                orientation="upright",
                det_score=0.05,
                pose_nms="none",
                threads=given.threads,
            )
            return candidates(read(given.data), estimator)

        sets: Sets = cached(given.cache and given.cache / f"{given.data.name}-{pose}.pickle", made)
        for name, some in sets.items():
            people = int((~some.truth.ignored).sum())
            print(f"\n{pose}, {name}: {len(some.truth)} pictures, {people} people\n")
            print("| pose NMS | poses per person | precision of kept | AP | ours is better by |")
            print("| --- | --- | --- | --- | --- |")
            figures: dict[str, Figure] = {}
            for label, text in METHODS.items():
                figures[label] = judge(some.truth, some.left(pose_nms(text)), ["AP"])[0]
            weights = bootstrap.draws(len(some.truth), DRAWS, np.random.default_rng(0))
            samples = dict(
                zip(figures, bootstrap.sample(list(figures.values()), weights), strict=True)
            )
            first = next(iter(figures))
            for label, text in METHODS.items():
                low, high = bootstrap.interval(samples[label])
                gap = bootstrap.difference(
                    samples[label], samples[first], figures[first].value - figures[label].value
                )
                method, value = pose_nms(text), figures[label].value
                better = (
                    "" if label == first else f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
                )
                print(
                    f"| {label} | {some.each(method):.2f} | {precision(some, method):.3f} | "
                    f"{value:.3f} [{low:.3f}, {high:.3f}] | {better} |",
                    flush=True,
                )
        if given.plot:
            curves(sets, given.plot)


def curves(sets: Sets, path: Path) -> None:
    """AP, and precision of kept poses, over η; the other parameters as they are."""
    start = PoseNms()
    etas = [start.eta * factor for factor in 2 ** np.linspace(-3, 2, 21)]
    settings = [PoseNms(eta=eta) for eta in etas]
    shares = [eta / (17 * (1 + start.lam)) for eta in etas]
    for what, suffix in (("keypoint AP", "ap"), ("precision of kept poses", "precision")):
        series = []
        for name, some in sets.items():
            measure = some.precision if suffix == "ap" else partial(precision, some)
            series.append((name, shares, [measure(setting) for setting in settings]))
        page = charts.lines(
            series, title=f"{what} by η", x="η / 17(1 + λ): likeness that eliminates", y=what
        )
        path.with_name(f"{path.stem}-{suffix}.svg").write_text(page, encoding="utf-8")


def inside(people: People) -> np.ndarray:
    """[N]: whose box lies to four fifths in that of somebody more confident."""
    boxes = people.boxes.astype(np.float64)
    sides = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(
        boxes[:, None, :2], boxes[None, :, :2]
    )
    area = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    share = np.clip(sides, 0, None).prod(-1) / np.maximum(area, 1e-9)[:, None]
    return ((share > 0.8) & (people.scores[None] > people.scores[:, None])).any(1)


def turned_pictures(given: argparse.Namespace) -> None:
    """The detector looks in four quarter turns, which finds parts of turned people too."""
    from everybody.metrics.predict import answers

    truth = read(given.data)
    truth = truth.subset(range(min(given.limit or len(truth), len(truth))))
    print(
        f"{len(truth)} pictures, {(~truth.ignored).sum()} people, --det-score 0.3, --orientation any\n"
    )
    print(
        "| pictures | pose NMS | poses per picture | of them in the box of a more confident one | precision | AP |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for quarters in (0, 1):

        def made(quarters: int = quarters) -> Candidates:
            estimator = Estimator(
                detector=DETECTOR,
                pose="tinypose-256x192",
                det_turns=4,
                pose_nms="none",
                threads=given.threads,
            )
            found = answers(truth, estimator, name="", boxes="detected", quarters=quarters)
            return Candidates(truth, [found.people(i) for i in range(len(truth))])

        some = cached(
            given.cache
            and given.cache / f"{given.data.name}-turned-{quarters}-{given.limit}.pickle",
            made,
        )
        for label, text in METHODS.items():
            method = pose_nms(text)
            kept = [method(people) for people in some.people]
            nested = sum(int(inside(people).sum()) for people in kept) / len(kept)
            each = sum(map(len, kept)) / len(kept)
            print(
                f"| turned by {90 * quarters}° | {label} | {each:.2f} | {nested:.2f} | {precision(some, method):.3f} | "
                f"{some.precision(method):.3f} |",
                flush=True,
            )


def plain(nms: PoseNms, people: People) -> list[int]:
    """The same in plain Python, two loops over people and one over joints; without merging."""
    from math import exp, hypot, tanh

    order = sorted(range(len(people)), key=lambda i: -people.scores[i])
    joints, boxes, kept = people.keypoints.tolist(), people.boxes.tolist(), []
    gone: set[int] = set()
    for place, i in enumerate(order):
        if i in gone:
            continue
        kept.append(i)
        reach = nms.share * max(boxes[i][2] - boxes[i][0], boxes[i][3] - boxes[i][1])
        for j in order[place + 1 :]:
            likeness = 0.0
            for (x, y, c), (u, v, d) in zip(joints[i], joints[j], strict=True):
                distance = hypot(x - u, y - v) / reach
                if distance <= 1:
                    likeness += tanh(c / nms.sigma1) * tanh(d / nms.sigma1)
                likeness += nms.lam * exp(-(distance**2) / nms.sigma2)
            if likeness >= nms.eta:
                gone.add(j)
    return kept


def bodies(random: np.random.Generator, people: int, each: int, width: float) -> People:
    """Random bodies of 100 × 250 pixels or so, each found several times."""
    centres = random.uniform(0, width, (people, 1, 1, 2)) * (1, 0.6)
    shape = random.normal(0, 1, (people, 1, 17, 2)) * (20, 50)
    points = (centres + shape + random.normal(0, 2, (people, each, 17, 2))).reshape(-1, 17, 2)
    confidence = random.uniform(0.3, 1, (*points.shape[:2], 1))
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    scores = confidence.mean((1, 2)) + random.uniform(0, 1e-3, len(points))
    return People(
        np.concatenate([points, confidence], 2), boxes, scores, COCO17, np.arange(len(points))
    )


def milliseconds(function: Callable[[], Any], least: float = 1.0) -> float:
    """The fastest of many calls: what else runs on the machine only ever adds."""
    spent, times = 0.0, []
    while spent < least:
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
        spent += times[-1]
    return 1e3 * min(times)


def speed(given: argparse.Namespace) -> None:
    random, nms = np.random.default_rng(0), PoseNms()
    still = PoseNms(merge=False)
    print(
        "| candidates | people | parametric | without merging | OKS NMS | plain Python | OKS : ours | plain : ours |"
    )
    print("| --- " * 8 + "|")
    for people, each, width in (
        (2, 5, 640),
        (10, 1, 640),
        (12, 8, 1280),
        (100, 1, 1280),
        (125, 8, 1920),
        (1000, 1, 3840),
    ):
        some = bodies(random, people, each, width)
        assert still(some).ids.tolist() == plain(still, some)  # type: ignore[union-attr]
        ours, unmerged, oks, python = (
            milliseconds(function)
            for function in (
                lambda: nms(some),
                lambda: still(some),
                lambda: oks_nms(some),
                lambda: plain(still, some),  # noqa: B023
            )
        )
        print(
            f"| {len(some)} | {people} | {ours:.3f} ms | {unmerged:.3f} ms | {oks:.3f} ms | {python:.1f} ms | "
            f"{oks / ours:.1f} | {python / ours:.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["quality", "turned", "speed"])
    parser.add_argument("--pose", nargs="+", default=["tinypose-256x192"])
    parser.add_argument("--data", type=Path, default=SHARED / "data/coco_val")
    parser.add_argument("--cache", type=Path, help="folder that keeps the poses for the next time")
    parser.add_argument(
        "--limit", type=int, default=0, help="of pictures, where they are turned; 0: all"
    )
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    {"quality": quality, "turned": turned_pictures, "speed": speed}[given.what](given)


if __name__ == "__main__":
    main()
