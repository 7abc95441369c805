"""Pose NMS: what is left of many candidates, how good it is, and how long removing takes.

    python -m benchmarks.nms quality [--pose NAME ...] [--cache DIR] [--plot FILE.svg]
    python -m benchmarks.nms found [--model fast] [--data ../shared/data/coco_train] [--cache DIR]
    python -m benchmarks.nms turned [--cache DIR]        # boxes in boxes of --det-turns 4
    python -m benchmarks.nms speed

quality: three sorts of candidates on ../shared/data/coco_val (`metrics.tune_nms.candidates`):
dense (each true box 8 times beside its place, IoU > .5), crowds (the same where real people were
pasted in front of others), detected (--det-score 0.05). Poses per person counts labelled people;
precision is the share of kept poses that have a labelled person to themselves at OKS .5 (unlabelled
people count as false). found: what the bundled models find as they are run, by settings of
parametric NMS. Intervals are 95 %, by a bootstrap over pictures, differences paired.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from functools import partial
from math import exp, hypot, tanh
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.common import (
    COCO_VAL,
    DETECTOR,
    POSE,
    counted,
    gap,
    head,
    interval,
    milliseconds,
    parsed,
    parser,
    row,
)
from everybody import geometry
from everybody.data.dataset import Dataset
from everybody.data.read import read
from everybody.estimator import Estimator
from everybody.metrics import bootstrap, charts
from everybody.metrics.figure import Figure
from everybody.metrics.judge import judge
from everybody.metrics.matching import similarities
from everybody.metrics.predict import DET_SCORE, answers
from everybody.metrics.tune_nms import Candidates, Sets, candidates
from everybody.nms import PoseNms, oks_nms, pose_nms
from everybody.people import People
from everybody.skeletons import COCO17

DRAWS = 1000
SHOWN = 0.2
# The first is the default, which the others are compared with.
SETTINGS = (
    "share=0.1,eta=18.21",
    "share=0.1,eta=35",
    "share=0.07,eta=18.21",
    "share=0.05,eta=12",
    "share=0.04,eta=12",
    "share=0.04,eta=18.21",
    "share=0.03,eta=8",
    "share=0.03,eta=12",
    "share=0.02,eta=12",
)
# People, candidates of each, width of the picture in pixels.
CROWDS = (
    (2, 5, 640),
    (10, 1, 640),
    (12, 8, 1280),
    (100, 1, 1280),
    (125, 8, 1920),
    (1000, 1, 3840),
)
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
    """What `make` makes, kept in a file for the next time: poses take minutes."""
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
            print(f"\n{pose}, {name}: {counted(some.truth)}\n")
            print_quality(some)
        if given.plot:
            curves(sets, given.plot)


def print_quality(some: Candidates) -> None:
    """The table of one sort of candidates: all methods, and how much better the first is."""
    print(head("pose NMS", "poses per person", "precision of kept", "AP", "ours is better by"))
    figures: dict[str, Figure] = {}
    for label, text in METHODS.items():
        figures[label] = judge(some.truth, some.left(pose_nms(text)), ["AP"])[0]
    weights = bootstrap.draws(len(some.truth), DRAWS, np.random.default_rng(0))
    samples = dict(zip(figures, bootstrap.sample(list(figures.values()), weights), strict=True))

    first = next(iter(figures))
    for label, text in METHODS.items():
        method, value = pose_nms(text), figures[label].value
        low, high = bootstrap.interval(samples[label])
        less = figures[first].value - value
        better = bootstrap.difference(samples[label], samples[first], less)
        print(
            row(
                label,
                f"{some.each(method):.2f}",
                f"{precision(some, method):.3f}",
                f"{value:.3f} [{low:.3f}, {high:.3f}]",
                "" if label == first else interval(better),
            ),
            flush=True,
        )


def found(given: argparse.Namespace) -> None:
    """Settings of parametric NMS on all that the bundled models find: AP, and poses of somebody who
    has a surer one already, for each labelled person, among those that score at least `SHOWN`.
    """
    truth = read(given.data)

    def made() -> Candidates:
        who = Estimator(
            model=given.model, det_score=DET_SCORE, pose_nms="none", threads=given.threads
        )
        results = answers(truth, who, name="", boxes="detected")
        return Candidates(truth, [results.people(i) for i in range(len(truth))])

    file = f"{given.data.name}-{given.model}.pickle"
    some: Candidates = cached(given.cache and given.cache / file, made)
    print(head("parametric", "AP", "AP75", "AR", "shown twice", "gain in AP"))
    first: Figure | None = None
    for text in SETTINGS:
        method = pose_nms(f"parametric,{text}")
        told = {figure.name: figure for figure in judge(truth, some.left(method), ["AP"])}
        first = first or told["AP"]
        values = (f"{told[name].value:.3f}" for name in ("AP", "AP75", "AR"))
        more = gap(first, told["AP"], len(truth), DRAWS) if told["AP"] is not first else ""
        print(row(text, *values, f"{again(some, method):.3f}", more), flush=True)


def again(some: Candidates, suppress: Callable[[People], People]) -> float:
    """How many poses that are shown, per labelled person, are of somebody (OKS .3) who is shown
    already.
    """
    count = 0
    for true, people in zip(some.truth.rows(), some.people, strict=True):
        shown = suppress(people)
        shown = shown[shown.scores >= SHOWN]
        if len(shown) and len(true):
            truth = some.truth
            likeness = geometry.oks(
                truth.keypoints[true], shown.keypoints, truth.areas[true], COCO17.sigmas,
                truth.keypoints[true][..., 2],
            )  # fmt: skip
            somebody = likeness.argmax(0)[likeness.max(0) >= 0.3]
            count += len(somebody) - len(np.unique(somebody))
    return count / max(1, int((~some.truth.ignored).sum()))


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
    """[N] bool: four fifths of the box lie in that of a more confident person."""
    boxes = people.boxes.astype(np.float64)
    sides = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(
        boxes[:, None, :2], boxes[None, :, :2]
    )
    area = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    share = np.clip(sides, 0, None).prod(-1) / np.maximum(area, 1e-9)[:, None]
    return ((share > 0.8) & (people.scores[None] > people.scores[:, None])).any(1)


def turned_pictures(given: argparse.Namespace) -> None:
    """The detector looks in four quarter turns, which finds parts of turned people too."""
    truth = read(given.data)
    truth = truth.subset(range(min(given.limit or len(truth), len(truth))))
    print(f"{given.data.name}: {counted(truth)}, --det-score 0.3, --orientation any\n")
    nested = "of them in the box of a more confident one"
    print(head("pictures", "pose NMS", "poses per picture", nested, "precision", "AP"))

    for quarters in (0, 1):
        file = f"{given.data.name}-turned-{quarters}-{given.limit}.pickle"
        make = partial(turned_candidates, truth, quarters, given.threads)
        some: Candidates = cached(given.cache and given.cache / file, make)
        for label, text in METHODS.items():
            method = pose_nms(text)
            kept = [method(people) for people in some.people]
            within = sum(int(inside(people).sum()) for people in kept) / len(kept)
            each = sum(map(len, kept)) / len(kept)
            shares = f"{precision(some, method):.3f}", f"{some.precision(method):.3f}"
            cells = f"turned by {90 * quarters}°", label, f"{each:.2f}", f"{within:.2f}", *shares
            print(row(*cells), flush=True)


def turned_candidates(truth: Dataset, quarters: int, threads: int) -> Candidates:
    estimator = Estimator(
        detector=DETECTOR, pose=POSE, det_turns=4, pose_nms="none", threads=threads
    )
    found = answers(truth, estimator, name="", boxes="detected", quarters=quarters)
    return Candidates(truth, [found.people(i) for i in range(len(truth))])


def plain(nms: PoseNms, people: People) -> list[int]:
    """The same in plain Python, two loops over people and one over joints; without merging."""
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


def fastest(work: Callable[[], object], least: float = 1000.0) -> float:
    """Milliseconds of the fastest of many calls: what else runs on the machine only ever adds."""
    times: list[float] = []
    while sum(times) < least:
        times.append(milliseconds(work))
    return min(times)


def speed(given: argparse.Namespace) -> None:
    random = np.random.default_rng(0)
    methods = ("parametric", "without merging", "OKS NMS", "plain Python")
    print(head("candidates", "people", *methods, "OKS : ours", "plain : ours"))
    for people, each, width in CROWDS:
        print(row_of_speed(bodies(random, people, each, width), people), flush=True)


def row_of_speed(some: People, people: int) -> str:
    """How long each method takes on these candidates."""
    nms, still = PoseNms(), PoseNms(merge=False)
    assert still(some).ids.tolist() == plain(still, some)  # type: ignore[union-attr]
    works = [partial(nms, some), partial(still, some), partial(oks_nms, some)]
    ours, unmerged, oks, python = map(fastest, [*works, partial(plain, still, some)])
    times = f"{ours:.3f} ms", f"{unmerged:.3f} ms", f"{oks:.3f} ms", f"{python:.1f} ms"
    return row(len(some), people, *times, f"{oks / ours:.1f}", f"{python / ours:.0f}")


def main() -> None:
    command = parser(__doc__)
    command.add_argument("what", choices=["quality", "found", "turned", "speed"])
    command.add_argument("--pose", nargs="+", default=[POSE])
    command.add_argument("--model", default="accurate", help="of found")
    command.add_argument("--data", type=Path, default=COCO_VAL)
    command.add_argument("--cache", type=Path, help="folder that keeps the poses for the next time")
    command.add_argument("--limit", type=int, default=0, help="pictures to turn; 0: all")
    command.add_argument("--plot", type=Path)
    command.add_argument("--threads", type=int, default=0)
    given = parsed(command)
    {"quality": quality, "found": found, "turned": turned_pictures, "speed": speed}[given.what](
        given
    )


if __name__ == "__main__":
    main()
