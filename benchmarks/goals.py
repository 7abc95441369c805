"""What the bundled models are asked to reach, and what they reach, in one run (half an hour on two
cores).

    python benchmarks/goals.py [--limit 20] [--only pipeline] [--output table.md]

Beside them the public models that they started from, without any search for turns. Keypoint AP is
of coco_val (true boxes; and detected ones that score at least .05), turned counter-clockwise; box
AP of the same people; PCK@0.2 of the torso of lspet/val, true boxes, the 12 joints that COCO
shares; false people at the default threshold, on pictures without anybody that nothing was trained
on. Milliseconds are medians, all systems by turns on the same pictures, on two threads: of one
person's pose, whose turn is known as finding hands it on, and of finding people in a picture.
Intervals of the APs: `benchmarks/accuracy.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.detectors import JUDGED, Finder, empty_pictures, false_people, found
from everybody.data.dataset import Dataset
from everybody.data.join import common
from everybody.data.read import read
from everybody.data.rotate import turned
from everybody.estimator import Estimator
from everybody.media.images import decode
from everybody.metrics import boxes
from everybody.metrics.judge import judge
from everybody.metrics.predict import predict
from everybody.metrics.regions import outside
from everybody.people import Frame, Image, People

SHARED = Path(__file__).resolve().parents[2] / "shared"
PUBLIC = {"detector": "rtmdet-nano-person", "orientation": "upright"}
SYSTEMS: dict[str, dict[str, Any]] = {
    "accurate": {"model": "accurate"},
    "fast": {"model": "fast"},
    "TinyPose-256": {"pose": "tinypose-256x192", **PUBLIC},
    "TinyPose-128": {"pose": "tinypose-128x96", "det_size": (320, 320), **PUBLIC},
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
        images = [decode(self.coco.path(i).read_bytes(), "") for i in range(len(self.coco))]
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
    spent: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in made}

    def timed(work: Callable[[], Any]) -> float:
        begun = time.perf_counter()
        work()
        return 1e3 * (time.perf_counter() - begun)

    for index, rows in enumerate(truth.rows()[: TIMED + 1]):
        image: Image = decode(truth.path(index).read_bytes(), "")
        who = People.from_boxes(truth.boxes[rows[:1]])
        for name, system in made.items():
            poses, pictures = spent[name]
            if len(who):
                net = system.sppe.turn_net
                known = replace(who, turns=net([image], who.boxes)) if net else who
                poses.append(timed(lambda: system.sppe([image], [known])))  # noqa: B023 (called at once)
            pictures.append(timed(lambda: system.find([Frame(image)])))  # noqa: B023
    return {
        name: (float(np.median(a[1:])), float(np.median(b[1:]))) for name, (a, b) in spent.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--limit", type=int, default=0, help="the first so many pictures of each set"
    )
    parser.add_argument(
        "--only", default="", help="rows whose name holds this, as boxes, pipeline, LSPET or ms"
    )
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    coco, lsp = (read(SHARED / "data" / name) for name in ("coco_val", "lspet/val.npz"))
    empty = empty_pictures(SHARED / "data/photos")
    if given.limit:
        coco, lsp = (truth.subset(range(given.limit)) for truth in (coco, lsp))
        empty = {name: paths[: given.limit] for name, paths in empty.items()}
    measures, times = Measures(coco, lsp, empty), {}
    lines = [
        f"coco_val: {len(coco)} pictures, {(~coco.ignored).sum()} people; lspet/val: {len(lsp)} people; nobody: "
        + ", ".join(f"{name} {len(paths)}" for name, paths in empty.items()),
        "",
        f"| | at least | moonshot | {' | '.join(SYSTEMS)} |",
        "| --- " * (3 + len(SYSTEMS)) + "|",
    ]

    def row(
        what: str, least: str, best: str, measure: Callable[[str, dict[str, Any]], float | str]
    ) -> None:
        if given.only not in what:
            return
        values = [measure(name, options) for name, options in SYSTEMS.items()]
        cells = [value if isinstance(value, str) else f"{value:.3f}" for value in values]
        lines.append(f"| {what} | {least} | {best} | {' | '.join(cells)} |")
        print(lines[-1], file=sys.stderr, flush=True)

    for turn in (0, 90, 180, 270):
        goals = (".55", ".65") if turn else (".60", ".68")
        row(
            f"SPPE, true boxes, {turn}°: AP",
            *goals,
            lambda _, options, t=turn: measures.pose(options, t, true=True),
        )
    for turn in (0, 90, 180, 270):
        goals = (".54", ".62") if not turn else ("–", "–") if turn == 180 else (".45", ".58")
        row(
            f"whole pipeline, {turn}°: AP",
            *goals,
            lambda _, options, t=turn: measures.pose(options, t, true=False),
        )
    for turn in (0, 90, 180, 270):
        goals = (".50", ".60") if not turn else (".40", ".55") if turn == 90 else ("–", "–")
        row(f"boxes, {turn}°: AP", *goals, lambda _, options, t=turn: measures.box(options, t))
    row("LSPET, PCK@0.2", ".70", ".85", lambda _, options: measures.sport(options))
    sets = " / ".join(name.removeprefix("neg_") for name in empty)
    row(
        f"false people per picture: {sets}",
        ".10",
        ".03",
        lambda _, options: measures.false(options),
    )

    def both(name: str, _: dict[str, Any]) -> str:
        times.update(times or milliseconds(coco))
        return " / ".join(f"{value:.1f}" for value in times[name])

    row("ms per person / per picture", "12 / 14, fast 4 / 6", "8 / 9, fast 2 / 4", both)
    print("\n".join(lines))
    if given.output:
        given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
