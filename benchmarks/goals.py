"""What the bundled models are asked to reach, and what they reach, in one run (half an hour on two
cores).

    python -m benchmarks.goals [--limit 20] [--only pipeline] [--output table.md]

Beside them the public models that they started from, without any search for turns. Keypoint AP is
of coco_val (true boxes; and detected ones that score at least .05), turned counter-clockwise; box
AP of the same people; PCK@0.2 of the torso of lspet/val, true boxes, the 12 joints that COCO
shares; feet and head as in `benchmarks/feet.py`; of `--model animals`, PCK and AP as in
`benchmarks/animals.py`, in the first column; false people at the default threshold, on pictures
without anybody that nothing was trained on. Milliseconds are medians, all systems by turns on the
same pictures, on two threads: of one person's pose, whose turn is known as finding hands it on, and
of finding people in a picture. The size is of all files that come with the package, in the first
column. Intervals of the APs: `benchmarks/accuracy.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import animals, feet
from benchmarks.common import (
    COCO_VAL,
    DATA,
    PUBLIC,
    TURNS,
    by_turns,
    counted,
    head,
    medians,
    parsed,
    parser,
    picture,
    pictures,
    row,
)
from benchmarks.detectors import JUDGED, Finder, empty_pictures, false_people, found
from everybody.data.dataset import Dataset
from everybody.data.join import common
from everybody.data.read import read
from everybody.data.rotate import turned
from everybody.estimator import Estimator
from everybody.methods.orientation import AnyTurn
from everybody.methods.topdown import Distinct, TopDown
from everybody.metrics import boxes
from everybody.metrics.categories import ONE
from everybody.metrics.judge import judge
from everybody.metrics.predict import predict
from everybody.metrics.regions import outside
from everybody.people import Frame, Image, People
from everybody.weights import manifest

SYSTEMS: dict[str, dict[str, Any]] = {
    "accurate": {"model": "accurate"},
    "fast": {"model": "fast"},
    "TinyPose-256": PUBLIC,
    "TinyPose-128": {**PUBLIC, "pose": "tinypose-128x96", "det_size": (320, 320)},
}
TIMED = 40  # pictures


@dataclass(frozen=True, slots=True)
class Measures:
    """What can be measured of a system, given by the options of its `Estimator`."""

    coco: Dataset
    lsp: Dataset
    empty: dict[str, list[Path]]

    def pose(self, options: dict[str, Any], turn: int, *, true: bool) -> float:
        """Keypoint AP."""
        results = predict(
            self.coco, boxes="gt" if true else "detected", quarters=turn // 90, **options
        )
        return judge(self.coco, results, ["AP"])[0].value

    def box(self, options: dict[str, Any], turn: int) -> float:
        """Box AP."""
        shown = turned(self.coco, turn // 90)
        images = [picture(self.coco, index) for index in range(len(self.coco))]
        some = found(finder(Estimator(**options, det_score=JUDGED)), shown, images, turn // 90)
        return dict(boxes.matches(shown, some)(np.ones(len(shown))))["AP"]

    def sport(self, options: dict[str, Any]) -> float:
        """PCK."""
        results, truth = common(predict(self.lsp, boxes="gt", **options), self.lsp, mapped=True)
        return judge(truth, outside(results, truth), ["PCK@0.2"])[0].value

    def false(self, options: dict[str, Any]) -> str:
        """People per picture without any, of all and of each set."""
        look = finder(Estimator(**options))
        each = [false_people(look, paths) for paths in self.empty.values()]
        every = np.average(each, weights=[len(paths) for paths in self.empty.values()])
        return f"{every:.3f} ({' / '.join(f'{value:.3f}' for value in each)})"


def finder(estimator: Estimator) -> Finder:
    """How it finds people in pictures."""
    return lambda images: [
        frame.people for frame in estimator.find([Frame(image) for image in images])
    ]


def milliseconds(truth: Dataset) -> dict[str, tuple[float, float]]:
    """Per system, those of a person's pose and of a picture's detection."""
    made = {name: Estimator(**options, threads=2, workers=1) for name, options in SYSTEMS.items()}
    poses: dict[str, list[float]] = {name: [] for name in made}
    finds: dict[str, list[float]] = {name: [] for name in made}

    timed = truth.subset(range(min(TIMED + 1, len(truth))))
    for image, rows in pictures(timed):
        who = People.from_boxes(timed.boxes[rows[:1]])
        works = {
            name: (partial(system.find, [Frame(image)]), _pose(system, image, who))
            for name, system in made.items()
        }
        for all_, turn in ((finds, 0), (poses, 1)):
            if turn and not len(who):
                continue
            calls = {name: work[turn] for name, work in works.items()}
            for name, spent in by_turns(calls, 1).items():
                all_[name] += spent

    warm = [medians({name: spent[1:] for name, spent in each.items()}) for each in (poses, finds)]
    return {name: (warm[0][name], warm[1][name]) for name in made}


def _pose(system: Estimator, image: Image, who: People) -> Callable[[], Any]:
    """The call that estimates poses of people whose turns are known."""
    assert isinstance(system.method, TopDown)
    assert isinstance(system.method.poser, Distinct)
    poser = system.method.poser.poser
    net = poser.net if isinstance(poser, AnyTurn) else None
    known = replace(who, turns=net([image], who.boxes)) if net and len(who) else who
    return partial(poser, [Frame(image, people=known)])


class Goal(NamedTuple):
    """A row of the table: its name, what is asked for at least and at best, what measures it."""

    what: str
    least: str
    best: str
    measure: Callable[[str, dict[str, Any]], float | str]


def goals(measures: Measures) -> Iterator[Goal]:
    """All rows, in order."""
    for turn in TURNS:
        asked = (".55", ".65") if turn else (".60", ".68")
        work = partial(measures.pose, turn=turn, true=True)
        yield Goal(f"SPPE, true boxes, {turn}°: AP", *asked, _of_options(work))

    asked = {0: (".54", ".62"), 90: (".45", ".58"), 180: ("–", "–"), 270: (".45", ".58")}
    for turn in TURNS:
        work = partial(measures.pose, turn=turn, true=False)
        yield Goal(f"whole pipeline, {turn}°: AP", *asked[turn], _of_options(work))

    asked = {0: (".50", ".60"), 90: (".40", ".55"), 180: ("–", "–"), 270: ("–", "–")}
    for turn in TURNS:
        work = partial(measures.box, turn=turn)
        yield Goal(f"boxes, {turn}°: AP", *asked[turn], _of_options(work))

    yield Goal("LSPET, PCK@0.2", ".70", ".85", _of_options(measures.sport))
    yield Goal("LSPET, head top / neck, PCK@0.2", ".85", ".85", _heads)
    trial = cache(partial(feet.Trial, 10))
    for turn in (0, 90, 180):
        what = f"Pose2Sim, heel / big toe, % of height, {turn}°"
        yield Goal(what, "4", "BlazePose's", partial(_feet, trial, turn // 90))

    yield Goal("animals, true boxes: PCK@0.2 / AP", ".80 / .55", "", _animals)

    sets = " / ".join(name.removeprefix("neg_") for name in measures.empty)
    false = f"false people per picture: {sets}"
    yield Goal(false, ".10", ".03", _of_options(measures.false))

    times: dict[str, tuple[float, float]] = {}

    def both(name: str, _: dict[str, Any]) -> str:
        times.update(times or milliseconds(measures.coco))
        return " / ".join(f"{value:.1f}" for value in times[name])

    yield Goal("ms per person / per picture", "12 / 14, fast 4 / 6", "8 / 9, fast 2 / 4", both)
    yield Goal("bundled files", "24 MB", "", _bundled)


def _heads(name: str, options: dict[str, Any]) -> str:
    if name not in feet.OURS:
        return "–"
    top, neck, *_ = feet.heads(feet.System(feet.OURS[name]))["all"]
    return f"{top:.3f} / {neck:.3f}"


def _feet(
    trial: Callable[[], feet.Trial], quarters: int, name: str, options: dict[str, Any]
) -> str:
    if name not in feet.OURS:
        return "–"
    found = trial().errors(feet.System(feet.OURS[name]), quarters)
    return f"{found['heel']:.2f} / {found['big_toe']:.2f}"


@cache
def _animals_found() -> str:
    truth = read(DATA / "animals/val")
    found = animals.on_true_boxes(truth, "everybody-animals")
    rows = animals.judged(truth, found, ["PCKb@0.2", "AP"]).by_category[ONE]
    return " / ".join(f"{figure.value:.3f}" for figure in rows.values())


def _animals(name: str, options: dict[str, Any]) -> str:
    """Of `--model animals`, in the first column."""
    return _animals_found() if name == next(iter(SYSTEMS)) else "–"


def bundled() -> str:
    """How large all models are that come with the package."""
    files = [row.bytes for row in manifest.load()[0].values() if row.bundled]
    return f"{sum(files) / 1e6:.1f} MB, {len(files)} files"


def _bundled(name: str, options: dict[str, Any]) -> str:
    """Of all models together, in the first column."""
    return bundled() if name == next(iter(SYSTEMS)) else "–"


def _of_options(work: Callable[[dict[str, Any]], Any]) -> Callable[[str, dict[str, Any]], Any]:
    return lambda _, options: work(options)


def main() -> None:
    command = parser(__doc__)
    add = command.add_argument
    add("--limit", type=int, default=0, help="the first so many pictures of each set")
    add("--only", default="", help="rows whose name holds this: boxes, pipeline, LSPET, ms, ...")
    add("--output", type=Path)
    given = parsed(command)

    coco, lsp = read(COCO_VAL), read(DATA / "lspet/val.npz")
    empty = empty_pictures(DATA / "photos")
    if given.limit:
        coco, lsp = (truth.subset(range(given.limit)) for truth in (coco, lsp))
        empty = {name: paths[: given.limit] for name, paths in empty.items()}

    nobody = ", ".join(f"{name} {len(paths)}" for name, paths in empty.items())
    lines = [
        f"coco_val: {counted(coco)}; lspet/val: {len(lsp)} people; nobody: {nobody}",
        "",
        head("", "at least", "moonshot", *SYSTEMS),
    ]
    for goal in goals(Measures(coco, lsp, empty)):
        if given.only not in goal.what:
            continue
        values = [goal.measure(name, options) for name, options in SYSTEMS.items()]
        cells = [value if isinstance(value, str) else f"{value:.3f}" for value in values]
        lines.append(row(goal.what, goal.least, goal.best, *cells))
        print(lines[-1], file=sys.stderr, flush=True)

    print("\n".join(lines))
    if given.output:
        given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
