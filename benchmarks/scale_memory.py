"""Memory of a worker and of the object store over a hundred thousand frames.

    python -m benchmarks.scale_memory [--frames 100000] [--follow] [--real]

A film of tiny pictures goes through the real command path: plan, Ray Data, decoding, commits and
the join. The estimator is a fake that finds one person in each picture, so that the run takes
minutes; --real takes networks of known answer instead. Memory is that of the worker of Ray (own
pages, without what it shares) and of Ray's object store, each few seconds.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import psutil
from av.video.frame import VideoFrame

from benchmarks.common import parsed, parser
from everybody import schedule
from everybody.follow import Follow
from everybody.method import finding
from everybody.options import Options
from everybody.people import People
from everybody.run import Messages
from everybody.scale.cluster import Cluster, connected
from everybody.scale.driver import planned
from everybody.scale.job import Job
from everybody.scale.report import Report
from everybody.scale.run import Run
from everybody.scale.sources import Film
from everybody.scale.work import Worker
from everybody.skeletons import COCO17
from synthetic import nets

SIZE = (96, 64)
EVERY = 5.0  # seconds between looks


class Fake:
    """Stands for an estimator: one person, whose place tells the picture's grey."""

    skeleton, workers, options = COCO17, 1, Options()

    def __init__(self) -> None:
        stages = finding(lambda pictures: [_person(float(p.mean())) for p in pictures], 8)
        self.method = SimpleNamespace(stages=stages, poser=None, skeleton=COCO17, sessions={})

    def frames(self, frames: Iterable[Any], *, live: bool = False) -> Any:
        return schedule.run(self.method.stages, frames, workers=1, live=live)


def _person(x: float) -> People:
    keypoints = np.full((1, 17, 3), 0.9, np.float32)
    keypoints[0, :, 0], keypoints[0, :, 1] = x / 4 + np.arange(17), 20 + np.arange(17)
    box = np.array([[x / 4, 18, x / 4 + 17, 40]], np.float32)
    return People(keypoints, box, np.array([0.9], np.float32), COCO17)


@dataclass(frozen=True)
class Opening:
    """What a worker opens in place of the networks."""

    job: Job

    def __call__(self) -> Worker:
        return Worker(self.job, Fake())  # type: ignore[arg-type]


def film(path: Path, frames: int) -> None:
    """A grey that breathes; a key frame each two seconds."""
    with av.open(str(path), "w") as output:
        options = {"g": "50", "preset": "ultrafast", "crf": "35"}
        stream = output.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height = SIZE
        for n in range(frames):
            grey = np.full((SIZE[1], SIZE[0], 3), 60 + n // 10 % 100, np.uint8)
            output.mux(stream.encode(VideoFrame.from_ndarray(grey, format="rgb24")))
        output.mux(stream.encode())


def memory(names: tuple[str, ...]) -> int:
    """Bytes that no other process shares, of the children of these names."""
    found = 0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any(name in " ".join(child.cmdline()) for name in names):
                found += child.memory_full_info().uss
    return found


def options_of(folder: Path) -> Options:
    box = np.array([[20, 8, 70, 60, 0.9]], np.float32)
    return Options.of(
        detector=nets.rtmdet_constant(folder / "detector.onnx", box),
        det_size=(96, 96),
        pose=nets.heatmap_finder(folder / "pose.onnx", 17),
        skeleton="coco-17",
        codec="heatmap,alignment=corner",
        normalise="none",
    )


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--frames", type=int, default=100_000)
    command.add_argument("--follow", action="store_true")
    command.add_argument("--real", action="store_true")
    given = parsed(command)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        film(path, given.frames)
        follow = Follow(detect_every=1) if given.follow else None
        options = options_of(Path(folder)) if given.real else Options()
        job = Job(dest=f"{folder}/out", follow=follow, options=options)
        cluster = Cluster(cpus=1, workers=(1, 1), store=200 * 2**20)
        report, begun = Report(), time.perf_counter()
        with connected(cluster) as room:
            import ray

            plan = planned(job, [Film(str(path), (str(path),))])
            ended = threading.Event()

            def watch() -> None:
                whole = ray.cluster_resources()["object_store_memory"]
                while not ended.wait(EVERY):
                    used = whole - ray.available_resources().get("object_store_memory", whole)
                    worker, joining = memory(("MapWorker",)), memory(("ray::join",))
                    driver = psutil.Process().memory_info().rss
                    sizes = {"worker": worker, "join": joining, "store": used, "driver": driver}
                    told = ", ".join(
                        f"{name} {size / 2**20:.0f} MB" for name, size in sizes.items()
                    )
                    took = time.perf_counter() - begun
                    print(f"{took:.0f} s: {report.frames} frames, {told}", flush=True)

            threading.Thread(target=watch, daemon=True).start()
            opening = None if given.real else Opening(job)
            Run(job, COCO17, plan, room, cluster, report, Messages(), opening=opening).run()
            ended.set()
    print(f"{report.frames} frames, {report.chunks} chunks, {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
