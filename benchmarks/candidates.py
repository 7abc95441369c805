"""DeepCut's program on real candidates: greedy, exact and staged answers, by their number.

    python -m benchmarks.candidates run [--pictures 24] [--seconds 60]   # minutes
    python -m benchmarks.candidates page                 # the table of docs/lineage/deepcut.md

Candidates are the peaks of everybody-accurate's heatmaps in the crops of all detections (score of
at least .2), without removing duplicates: overlapping crops propose the same joint again, and the
joints of whoever else is in the crop. A crop tells, too, where the person's other joints are: what
a candidate expects of a part is the peak of that part in its own crop. So DeeperCut's pairwise
terms are learned on coco_train as the paper has it (logistic regression on how far two expectations
miss), with our network's crops in the place of its offset maps. The problem is then solved in three
ways, on pictures of coco_val with 1 to 10 people. AP is of what comes out, with no box to start
from; seconds are CPU time of the partition alone.
"""

from __future__ import annotations

import json
import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import (
    COCO_TRAIN,
    COCO_VAL,
    ROOT,
    filled,
    head,
    parsed,
    parser,
    picture,
    row,
)
from everybody import geometry
from everybody.atomic import replacing
from everybody.codecs.heatmap import Heatmap
from everybody.codecs.peaks import find_peaks
from everybody.data.dataset import Dataset
from everybody.data.frames import gathered
from everybody.data.read import read
from everybody.estimator import Estimator
from everybody.geometry import box_around
from everybody.inputs import crop, normalise
from everybody.methods.deepcut import people_of, stages
from everybody.methods.deepcut_pairs import (
    COCO_GRAPH,
    Candidates,
    Pair,
    compare,
    fit_pair,
    pair_features,
)
from everybody.methods.partition import Answer, Problem, greedy, of_probabilities
from everybody.methods.partition_exact import exact, incremental
from everybody.methods.sppe import Sppe
from everybody.methods.topdown import TopDown
from everybody.metrics.judge import judge
from everybody.people import Frame, People
from everybody.skeletons import COCO17

KEPT, PAGE = ROOT / "docs/candidates.json", ROOT / "docs/lineage/deepcut.md"
MOST = (10, 20, 40, 60, 100, 150, 300)  # candidates of a picture
LEAST, DETECTED = 0.2, 0.2  # score of a candidate, of a detection
NEAR = 0.5  # of OKS, from which a candidate is somebody's joint
Array = np.ndarray
Pairs = dict[tuple[int, int], Pair]


class Told(NamedTuple):
    """What the crops of a picture say: candidates before any are left out."""

    part: Array  # [N]
    place: Array  # [N, 2] in the picture
    score: Array  # [N]
    expected: Array  # [N, K, 2]: where their crops expect each part

    @classmethod
    def of(cls, frame: Frame, estimator: Estimator) -> Told:
        """The peaks of all crops of a picture."""
        found = estimator.method.stages[0].run([frame])[0].people
        sppe = sppe_of(estimator)
        assert isinstance(sppe.codec, Heatmap)
        none = np.zeros((0, len(COCO17), 2))
        parts = [(np.zeros(0, int), none[:, 0], np.zeros(0), none)]
        for box in found.boxes:
            matrix = sppe.look([frame.image], box[None], np.zeros(1), sppe.input.size)
            shown = normalise([crop(frame.image, matrix[0], sppe.input)], sppe.input)
            (maps,) = sppe.session(shown)
            joints = geometry.transform(geometry.invert(matrix), sppe.codec.decode([maps]))[0]
            peaks = find_peaks(maps[0], threshold=LEAST, radius=3.0, most=3)
            cells = np.stack([peaks.x, peaks.y], 1) * sppe.codec.scale + sppe.codec.offset
            places = geometry.transform(geometry.invert(matrix), cells[None])[0]
            expected = np.repeat(joints[None, :, :2], len(places), 0)
            parts.append((peaks.part, places, peaks.score, expected))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def sppe_of(estimator: Estimator) -> Sppe:
    """The network that looks at the estimator's crops, whatever wraps it."""
    assert isinstance(estimator.method, TopDown)
    poser: Any = estimator.method.poser
    while not isinstance(poser, Sppe):
        poser = poser.poser
    return poser


def candidates(told: Told, most: int) -> Candidates:
    """The strongest, by part and falling score; what each expects, as offsets from its place."""
    best = np.argsort(-told.score, kind="stable")[:most]
    order = best[np.lexsort((-told.score[best], told.part[best]))]
    part, place = told.part[order], told.place[order]
    offsets = told.expected[order] - place[:, None]
    offsets[np.arange(len(part)), part] = 0
    return Candidates(part.astype(np.intp), place, place, told.score[order].clip(0, 1), offsets)


def owners(some: Candidates, truth: People) -> Array:
    """[N]: which labelled person's joint each candidate is, -1 for none."""
    if not len(truth) or not len(some.part):
        return np.full(len(some.part), -1)
    sigma = 2 * np.array(COCO17.sigmas)[some.part]
    area = np.maximum(geometry.area(truth.boxes) * 0.53, 1)
    gap = np.square(some.place[None] - truth.keypoints[:, some.part, :2]).sum(2)
    likeness = np.exp(-gap / (2 * area[:, None] * sigma**2))
    likeness[truth.keypoints[:, some.part, 2] <= 0] = 0
    return np.where(likeness.max(0) >= NEAR, likeness.argmax(0), -1)


def learnt(pictures: int = 60) -> Pairs:
    """The regressions, from pictures of coco_train; kept in the temporary folder."""
    kept = Path(tempfile.gettempdir()) / f"everybody-deepcut-pairs-{pictures}.pickle"
    if kept.is_file():
        return pickle.loads(kept.read_bytes())
    data, estimator = read(COCO_TRAIN), opened()
    features: dict[tuple[int, int], list[Array]] = {pair: [] for pair in ordered()}
    together: dict[tuple[int, int], list[Array]] = {pair: [] for pair in ordered()}
    for index in range(min(pictures, len(data))):
        some = candidates(Told.of(Frame(picture(data, index)), estimator), 200)
        who = owners(some, data.people(index))
        for a, b in ordered():
            first, second = np.flatnonzero(some.part == a), np.flatnonzero(some.part == b)
            i, j = (grid.ravel() for grid in np.meshgrid(first, second))
            known = (who[i] >= 0) & (who[j] >= 0)
            features[a, b].append(pair_features(some, i[known], j[known]))
            together[a, b].append(who[i[known]] == who[j[known]])
    made = {
        pair: fit_pair(np.concatenate(features[pair]), np.concatenate(together[pair]))
        for pair in ordered()
    }
    with replacing(kept) as part:
        part.write_bytes(pickle.dumps(made))
    return made


def ordered() -> list[tuple[int, int]]:
    """The pairs of parts that are compared, each in the skeleton's order."""
    return sorted({(min(pair), max(pair)) for pair in COCO_GRAPH})


def opened() -> Estimator:
    return Estimator(det_score=DETECTED, orientation="upright", threads=1, workers=1)


def problem_of(some: Candidates, pairs: Pairs) -> Problem:
    edges, likely = compare(some, pairs)
    return of_probabilities(some.score, edges, likely)


def partition(some: Candidates, pairs: Pairs, seconds: float = 10.0) -> tuple[Problem, Answer]:
    """Candidates -> their problem and its answer, in stages."""
    problem = problem_of(some, pairs)
    return problem, incremental(problem, stages(some.part, COCO17), seconds=seconds)


def ways(some: Candidates, problem: Problem, seconds: float) -> dict[str, Callable[[], Answer]]:
    parts = stages(some.part, COCO17)
    return {
        "greedy": lambda: greedy(problem),
        "exact": lambda: exact(problem, seconds=seconds),
        "in stages": lambda: incremental(problem, parts, seconds=seconds),
    }


def chosen(truth: Dataset, count: int) -> Dataset:
    """The first pictures of 1 to 10 labelled people, as many of each number as come."""
    people = np.array([int((~truth.ignored[rows]).sum()) for rows in truth.rows()])
    fitting = np.flatnonzero((people >= 1) & (people <= 10))
    return truth.subset(fitting[:count])


def run(count: int, seconds: float) -> None:
    """Every limit of candidates in every way, on the same pictures."""
    truth, pairs, estimator = chosen(read(COCO_VAL), count), learnt(), opened()
    told = [Told.of(Frame(picture(truth, index)), estimator) for index in range(len(truth))]
    rows = kept()
    for most in MOST:
        if str(most) in rows and rows[str(most)]["pictures"] == len(truth):
            continue
        made: dict[str, Any] = {"pictures": len(truth)}
        spent: dict[str, list[tuple[Answer, float]]] = {}
        found: dict[str, list[People]] = {}
        sizes = []
        for one in told:
            some = candidates(one, most)
            problem = problem_of(some, pairs)
            sizes.append(len(some.part))
            for name, way in ways(some, problem, seconds).items():
                begun = time.process_time()
                answer = way()
                spent.setdefault(name, []).append((answer, time.process_time() - begun))
                found.setdefault(name, []).append(as_people(some, answer))
        made["candidates"] = round(float(np.mean(sizes)), 1)
        made["ways"] = summed(truth, spent, found)
        rows[str(most)] = made
        with replacing(KEPT) as out:
            out.write_text(json.dumps(rows, indent=1) + "\n")
        print(most, made, file=sys.stderr, flush=True)


def as_people(some: Candidates, answer: Answer) -> People:
    keypoints, scores = people_of(some, answer, len(COCO17))
    return People(keypoints, box_around(keypoints), scores.clip(0, 1), COCO17)


def summed(
    truth: Dataset,
    spent: dict[str, list[tuple[Answer, float]]],
    found: dict[str, list[People]],
) -> dict[str, dict[str, float]]:
    """Of each way: mean cost above the best of all, share proven optimal, seconds, AP."""
    best = np.min([[answer.cost for answer, _ in each] for each in spent.values()], axis=0)
    out = {}
    for name, each in spent.items():
        results = gathered(found[name], truth.pictures, COCO17, name=name)
        out[name] = {
            "above": round(float(np.mean([a.cost for a, _ in each] - best)), 3),
            "gap": round(float(np.mean([answer.gap for answer, _ in each])), 3),
            "optimal": round(float(np.mean([answer.optimal for answer, _ in each])), 3),
            "seconds": round(float(np.mean([seconds for _, seconds in each])), 4),
            "slowest": round(float(np.max([seconds for _, seconds in each])), 2),
            "AP": round(judge(truth, results, ["AP"])[0].value, 3),
        }
    return out


def kept() -> dict[str, Any]:
    return json.loads(KEPT.read_text()) if KEPT.is_file() else {}


def table() -> str:
    """The rows as markdown."""
    columns = ("cost above the best", "gap", "proven optimal", "mean s", "slowest s", "AP")
    lines = [head("at most", "candidates", "answer", *columns)]
    for most, made in kept().items():
        for name, told in made["ways"].items():
            cells = [f"{told['above']:.2f}", f"{told['gap']:.2f}", f"{told['optimal']:.0%}"]
            cells += [f"{told['seconds']:.3f}", f"{told['slowest']:.2f}"]
            cells.append(f"{told['AP']:.3f}".removeprefix("0"))
            lines.append(row(most, made["candidates"], name, *cells))
    return "\n".join(lines)


def main() -> None:
    command = parser(__doc__)
    command.add_argument("what", choices=("run", "page"))
    command.add_argument("--pictures", type=int, default=24)
    command.add_argument("--seconds", type=float, default=60.0, help="for a partition")
    given = parsed(command)
    if given.what == "page":
        text = filled(PAGE.read_text("utf-8"), {"candidates": table()})
        PAGE.write_text(text, encoding="utf-8")
    else:
        run(given.pictures, given.seconds)


if __name__ == "__main__":
    main()
