"""Every ONNX model at hand, judged on ../shared/data/coco_val: upright and turned, on true and on
detected boxes.

    python -m benchmarks.accuracy                        # some minutes; a markdown table on stdout
    python -m benchmarks.accuracy --only tinypose --limit 40 --turns 0,180
    python -m benchmarks.accuracy --output docs/accuracy.md

Pose models of the manifest whose files are here run on true boxes and with the default detector,
the default pose model with every detector; MoveNet (Thunder on boxes, MultiPose on whole pictures)
runs where its files lie beside them. Pictures turn counter-clockwise, and what is found is turned
back (`everybody.data.rotate`). Intervals are 95 %, by a bootstrap over pictures; differences are to
the first row of the same turn and boxes, on the same draws.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable, Sequence
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
from everybody.inputs import letterbox
from everybody.methods.sppe import person_scores
from everybody.metrics.judge import judge
from everybody.metrics.oks import MAX_PEOPLE
from everybody.metrics.predict import DET_SCORE, answers
from everybody.metrics.tables import About, Verdict, verdicts
from everybody.people import Frame, Image, People
from everybody.skeletons import COCO17
from everybody.weights import fetch, manifest


class Thunder:
    """MoveNet Thunder in the place of an SPPE: one square crop, one person, y, x and score as
    shares of the crop.
    """

    skeleton = COCO17

    def __init__(self, path: Path) -> None:
        self.session = runtime.load(path, threads=1)
        self.size = (256, 256)

    def __call__(self, images: Sequence[Image], people: Sequence[People]) -> list[People]:
        return [self._one(image, group) for image, group in zip(images, people, strict=True)]

    def _one(self, image: Image, people: People) -> People:
        if not len(people):
            return People.empty(COCO17)
        matrices = geometry.crop_matrices(people.boxes, self.size, 1.25)
        crops = [cv2.warpAffine(image, matrix, self.size) for matrix in matrices]
        found = np.concatenate(
            [self.session(crop[None].astype(np.int32))[0].reshape(1, 17, 3) for crop in crops]
        )
        keypoints = geometry.transform(
            geometry.invert(matrices), in_pixels(found, np.array(self.size))
        )
        scores = person_scores(people.scores, keypoints[..., 2])
        return replace(people, keypoints=keypoints, scores=scores, skeleton=COCO17)


class MultiPose:
    """MoveNet MultiPose in the place of an `Estimator`: whole pictures, at most six people."""

    skeleton = COCO17

    def __init__(self, path: Path, longest: int = 384) -> None:
        self.session, self.longest = runtime.load(path), longest

    def frames(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        for frame in frames:
            canvas, factors = letterbox(
                frame.image, (self.longest, self.longest), fill=0, tight=True
            )
            poses = self.session(canvas[None].astype(np.int32))[0].reshape(-1, 56)
            keypoints = in_pixels(poses[:, :51].reshape(-1, 17, 3), np.array(canvas.shape[1::-1]))
            keypoints[..., :2] = (keypoints[..., :2] + 0.5) / factors - 0.5
            corners = (
                poses[:, [52, 51, 54, 53]] * np.tile(canvas.shape[1::-1], 2) / np.tile(factors, 2)
                - 0.5
            )
            scores = poses[:, 55].clip(0, 1)
            yield replace(
                frame, people=People(keypoints.astype(np.float32), corners, scores, COCO17)
            )


def in_pixels(found: Any, size: Any) -> Any:
    """[N, K, 3] y, x, score as shares of a picture -> x, y, score; shares count from its edge,
    pixels from a centre.
    """
    return np.concatenate([found[..., 1::-1] * size - 0.5, found[..., 2:].clip(0, 1)], -1)


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
    out.sppe = Thunder(path)  # type: ignore[assignment]
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
    for folder in manifest.folders():
        single, several = folder / "movenet-thunder.onnx", folder / "movenet-multipose.onnx"
        if single.is_file():
            out.append((single.stem, "gt", partial(thunder, single, "gt")))
            out.append((single.stem, default["detector"], partial(thunder, single, "")))
        if several.is_file():
            out.append((several.stem, "whole picture", partial(MultiPose, several)))
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
