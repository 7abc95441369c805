"""Every ONNX model at hand, judged on ../shared/data/coco_val: upright and turned, on true and on
detected boxes.

    python -m benchmarks.accuracy                        # some minutes; a markdown table on stdout
    python -m benchmarks.accuracy --only tinypose --limit 40 --turns 0,180
    python -m benchmarks.accuracy --output docs/accuracy.md

Pose models of the manifest whose files are here run on true boxes and with the default detector,
the default pose model with every detector, models that are a whole method on whole pictures, and
MoveNet Thunder on boxes where its file lies beside them. Pictures turn counter-clockwise, and what
is found is turned back (`everybody.data.rotate`). Intervals are 95 %, by a bootstrap over pictures;
differences are to the first row of the same turn and boxes, on the same draws.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import COCO_VAL, TURNS, counted, head, interval, parsed, parser, row
from everybody import geometry, runtime
from everybody.data.dataset import Dataset
from everybody.data.read import read
from everybody.estimator import Estimator
from everybody.methods.sppe import Crowd, with_keypoints
from everybody.methods.topdown import Distinct, TopDown
from everybody.metrics.judge import judge
from everybody.metrics.oks import MAX_PEOPLE
from everybody.metrics.predict import DET_SCORE, answers
from everybody.metrics.tables import About, Verdict, verdicts
from everybody.people import Frame, Image
from everybody.skeletons import COCO17
from everybody.weights import fetch, manifest


class Thunder:
    """MoveNet Thunder as a poser: one square crop, one person, y, x and score as shares of the
    crop.
    """

    skeleton = COCO17

    def __init__(self, path: Path) -> None:
        self.session = runtime.load(path, threads=1)
        self.sessions = {"pose": self.session}
        self.size = (256, 256)

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        return with_keypoints(frames, COCO17, self._estimate)

    def _estimate(self, pictures: list[Image], crowd: Crowd) -> Any:
        matrices = geometry.crop_matrices(crowd.boxes, self.size, 1.25)
        pairs = zip(pictures, matrices, strict=True)
        crops = [cv2.warpAffine(image, matrix, self.size) for image, matrix in pairs]
        found = [self.session(crop[None].astype(np.int32))[0] for crop in crops]
        shares = np.concatenate(found).reshape(-1, 17, 3)
        # Shares count from the crop's edge, pixels from a centre.
        points = shares[..., 1::-1] * self.size - 0.5
        keypoints = np.concatenate([points, shares[..., 2:].clip(0, 1)], -1)
        return geometry.transform(geometry.invert(matrices), keypoints)


def estimator(pose: str | None, detector: str | None, boxes: str) -> Estimator:
    on_truth, ours = boxes == "gt", (pose or "everybody").startswith("everybody")
    return Estimator(
        orientation="any" if ours else "upright",
        pose=pose,
        detector=detector,
        whole=on_truth,
        det_score=DET_SCORE,
        max_people=MAX_PEOPLE,
        pose_nms="none" if on_truth else "parametric",
    )


def thunder(path: Path, boxes: str) -> Estimator:
    """The default estimator with Thunder in the place of its SPPE."""
    out = estimator(None, None, boxes)
    assert isinstance(out.method, TopDown)
    assert isinstance(out.method.poser, Distinct)
    out.method = replace(out.method, poser=replace(out.method.poser, poser=Thunder(path)))
    return out


def settings() -> list[tuple[str, str, Any]]:
    """Everything at hand: name, whose boxes, and what makes the estimator; the defaults first."""
    rows, default = manifest.load()
    here = {name: row for name, row in rows.items() if fetch.find(row)}
    poses = sorted(
        (name for name in here if rows[name].task == "pose"),
        key=lambda name: name != default["pose"],
    )
    finders = [
        name for name in here if rows[name].task == "detector" and name != default["detector"]
    ]
    out: list[tuple[str, str, Any]] = []
    for pose in poses:
        out.append((pose, "gt", partial(estimator, pose, None, "gt")))
        out.append((pose, default["detector"], partial(estimator, pose, None, "")))
    out += [
        (poses[0], finder, partial(estimator, poses[0], finder, "")) for finder in finders if poses
    ]
    whole = [name for name in here if rows[name].method]
    out += [(name, "whole picture", partial(Estimator, method=name)) for name in whole]
    for folder in manifest.folders():
        single = folder / "movenet-thunder.onnx"
        if single.is_file():
            out.append((single.stem, "gt", partial(thunder, single, "gt")))
            out.append((single.stem, default["detector"], partial(thunder, single, "")))
    return out


def table(found: dict[tuple[int, bool], list[Verdict]], truth: Dataset) -> str:
    """One row per setting and turn."""
    lines = [
        "# Models at hand on coco_val",
        "",
        "Ours (everybody-…, any orientation) and public ones (upright).",
        "Made by `python -m benchmarks.accuracy`.",
        f"Boxes that score at least {DET_SCORE}, parametric pose NMS.",
        f"{counted(truth)}, turned counter-clockwise; in brackets 95 % intervals.",
        "Differences are of AP to the first row of the same turn, true boxes apart from others.",
        "",
        head("turned", "model", "boxes", "AP", "AP50", "AP75", "AR", "difference"),
    ]
    for (turn, _), rows in sorted(found.items(), key=lambda item: (item[0][0], not item[0][1])):
        for verdict in rows:
            values = {figure.name: figure.value for figure in verdict.figures}
            low, high = verdict.intervals["AP"]
            change = verdict.differences.get("AP")
            lines.append(
                row(
                    f"{turn}°",
                    verdict.about.results,
                    verdict.about.boxes,
                    f"{values['AP']:.3f} [{low:.3f}, {high:.3f}]",
                    *(f"{values[name]:.3f}" for name in ("AP50", "AP75", "AR")),
                    f"{interval(change)}, p {change.p:.3f}" if change else "–",
                )
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    command = parser(__doc__)
    add = command.add_argument
    add("--only", default="", help="settings whose model or boxes are called so")
    add("--limit", type=int, default=0, help="the first so many pictures")
    add("--turns", type=lambda text: [int(turn) for turn in text.split(",")], default=list(TURNS))
    add("--draws", type=int, default=500)
    add("--output", type=Path)
    given = parsed(command)

    start = time.perf_counter()
    truth = read(COCO_VAL)
    truth = truth.subset(range(min(given.limit, len(truth)))) if given.limit else truth
    known = settings()
    chosen = [(name, boxes, make) for name, boxes, make in known if given.only in f"{name} {boxes}"]
    if not chosen:
        names = ", ".join(sorted({name for name, *_ in known})) or "none"
        sys.exit(f"nothing at hand is called '{given.only}': {names}")

    judged: dict[tuple[int, bool], list[Any]] = {}
    for name, boxes, make in chosen:
        loaded = make()
        for turn in given.turns:
            began = time.perf_counter()
            found = answers(truth, loaded, name=name, boxes=boxes, quarters=turn // 90)
            figures = judge(truth, found, ["AP"])
            rows = judged.setdefault((turn, boxes == "gt"), [])
            rows.append((About.of(truth, name, boxes), figures))
            told = f"AP {figures[0].value:.3f}  {time.perf_counter() - began:5.1f} s"
            print(f"{name:28} {boxes:26} {turn:3}°  {told}", file=sys.stderr)

    text = table({key: verdicts(rows, repeats=given.draws) for key, rows in judged.items()}, truth)
    print(text)
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    if given.output:
        given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
