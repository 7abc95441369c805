"""Detecting now and then: what it saves and what it costs, and frames per second against rtmlib's
PoseTracker.

    python -m benchmarks.skipping [--frames 150] [--every 1 10 0] [--bundled]
    pip install rtmlib --no-deps tqdm && python -m benchmarks.skipping --rtmlib

every: the detector looks at each n-th frame; 0: where needed, the default. HOTA and PoseTrack's AP
compare with what looking at every frame gives; the film of cut-out people (`cutouts.py`) also with
the truth. rtmlib has the same two networks, the same detector size and frequency; both track, both
start from files with their models loaded and warm. Ours decodes, detects and estimates at the same
time, as users run it.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from benchmarks.common import PUBLIC, VIDEO, WEIGHTS, parsed, parser
from benchmarks.cutouts import PHOTOS, cut_outs, pictures
from everybody.estimator import Estimator
from everybody.follow import Follow
from everybody.geometry import iou
from everybody.media.encode import VideoWriter
from everybody.media.read import Selection
from everybody.method import Method, Stage
from everybody.metrics.tracking import Scene, clear, figures, hota, precision
from everybody.people import Frame, People
from synthetic.walkers import Scenery, walkers


class Counted:
    """A top-down method that counts the pictures its finder sees and the people its poser poses."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self.looks = self.poses = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    @property
    def stages(self) -> tuple[Stage, ...]:
        first, *rest, last = self.method.stages

        def find(frames: list[Frame]) -> list[Frame]:
            self.looks += len(frames)
            return first.run(frames)

        def pose(frames: list[Frame]) -> list[Frame]:
            self.poses += sum(len(frame.people) for frame in frames)
            return last.run(frames)

        return (first._replace(run=find), *rest, last._replace(run=pose))


def ours(estimator: Estimator, source: Path, every: int, frames: int) -> tuple[float, list[People]]:
    for _ in estimator.stream(source, select=Selection(end=4)):
        pass
    assert isinstance(estimator.method, Counted)
    estimator.method.looks = estimator.method.poses = 0
    begun = time.perf_counter()
    stream = estimator.stream(
        source, select=Selection(end=frames), track=Follow(detect_every=every)
    )
    people = [frame.people for frame in stream]
    return len(people) / (time.perf_counter() - begun), people


def theirs(source: Path, every: int, frames: int) -> float:
    from rtmlib import Custom, PoseTracker

    solution = partial(
        Custom,
        det_class="RTMDet",
        det=str(WEIGHTS / f"{PUBLIC['detector']}.onnx"),
        det_input_size=(416, 416),
        pose_class="ViTPose",
        pose=str(WEIGHTS / f"{PUBLIC['pose']}.onnx"),
        pose_input_size=(192, 256),
    )
    body = PoseTracker(
        solution, det_frequency=every, tracking=True, backend="onnxruntime", device="cpu"
    )
    video = cv2.VideoCapture(str(source))
    body(video.read()[1])
    body.reset()
    video = cv2.VideoCapture(str(source))
    begun = time.perf_counter()
    for _ in range(frames):
        body(video.read()[1])
    return frames / (time.perf_counter() - begun)


def boxes(truth: list[People], people: list[People]) -> str:
    """By IoU of boxes: the joints of cut-out photos are not where the truth has them."""
    scenes = [
        Scene(t.ids, p.ids, iou(t.boxes, p.boxes))  # type: ignore[arg-type]
        for t, p in zip(truth, people, strict=True)
    ]
    seen, switches = clear(scenes), clear(scenes)["switches"]
    return f"HOTA {hota(scenes)['HOTA']:.3f}  MOTA {seen['MOTA']:.3f}  switches {switches:.0f}"


def against(reference: list[People], people: list[People]) -> str:
    """By joints: as well as what looking at every frame gives."""
    pairs = list(zip(reference, people, strict=True))
    known = figures(pairs)
    told = f"HOTA {known['HOTA']:.3f}  MOTA {known['MOTA']:.3f}  switches {known['switches']:.0f}"
    return f"{told}  AP {precision(pairs)['mAP']:.3f}"


def synthetic(folder: Path, frames: int) -> tuple[Path, list[People]]:
    """A film of six cut-out people who come, go and meet, and the truth."""
    film = walkers(Scenery(people=6, seconds=frames / 25, rate=25.0, seed=5))
    with VideoWriter(folder / "cut-outs.mp4") as writer:
        for moment, picture in zip(film, pictures(film, cut_outs(PHOTOS, 6)), strict=True):
            writer.write(picture, moment.time)
    return folder / "cut-outs.mp4", [moment.true for moment in film]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--frames", type=int, default=150)
    command.add_argument("--every", type=int, nargs="*", default=[1, 2, 5, 10, 0])
    command.add_argument("--films", nargs="*", default=["class", "taiji", "jump", "cut-outs"])
    command.add_argument("--rtmlib", action="store_true", help="against rtmlib, too")
    command.add_argument(
        "--bundled", action="store_true", help="our own models, as `everybody run` uses them"
    )
    given = parsed(command)
    estimator = Estimator(**{} if given.bundled else PUBLIC)
    estimator.method = counts = Counted(estimator.method)
    with tempfile.TemporaryDirectory() as folder:
        for name in given.films:
            source, truth = VIDEO / f"{name}.mp4", None
            if name == "cut-outs":
                source, truth = synthetic(Path(folder), given.frames)
            reference = None
            for every in given.every:
                rate, people = ours(estimator, source, every, given.frames)
                reference = reference or people
                told = f"{name:8} every {every or 'auto':>4}  {rate:6.2f} frames/s"
                looks, poses = (n / len(people) for n in (counts.looks, counts.poses))
                told += f"  looks {looks:.2f}  poses {poses:.2f} per frame"
                told += f"  | to every frame: {against(reference, people)}"
                if truth:
                    told += f"  | to the truth: {boxes(truth, people)}"
                if given.rtmlib and every and name != "cut-outs":
                    other = theirs(source, every, given.frames)
                    told += f"  | rtmlib {other:.2f} frames/s, ratio {rate / other:.2f}"
                print(told, flush=True)


if __name__ == "__main__":
    main()
