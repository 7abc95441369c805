"""`everybody scale` against `everybody run` on the same films: seconds, CPU seconds, and equality.

    python -m benchmarks.scale [--films 20] [--seconds 120] [--work FOLDER] [--parts films run ...]

Parts: `films` makes them, `run` does them by `everybody run`, `2` and `4` by `everybody scale` on a
cluster of so many processes that stand for nodes, one core each, and `compare` compares. A part
whose figures are in the work folder is not done again, so the command goes on where it was stopped.

Films are class.mp4, taiji.mp4 and jump.mp4 in turn, at 5 frames/s and 640 pixels wide, repeated.
People are followed, every frame detected, and smoothed. CPU seconds are those of the whole tree of
processes, sampled; they say more than seconds where others use the machine. What Ray takes to start
is told apart.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from av.video.frame import VideoFrame

from benchmarks.common import VIDEO, parsed, parser
from benchmarks.scale_ids import compared
from everybody.results.journal import read_journal
from everybody.results.records import Record
from everybody.scale.cluster import keep_private

CLIPS = ("class.mp4", "taiji.mp4", "jump.mp4")
RATE, EVERY, WIDTH = 5, 6, 640  # frames per second of the films; each n-th of the clips; pixels
FLAGS = ["--model", "fast", "--track", "--detect-every", "1", "--smooth", "butterworth"]
PARTS = ("films", "run", "2", "4", "compare")
STORE = 150 * 2**20  # bytes of a node's object store


def film(clip: Path, path: Path, seconds: int) -> None:
    """The clip, over and over, from another place in each film."""
    with av.open(str(clip)) as source:
        shown = [frame for n, frame in enumerate(source.decode(video=0)) if n % EVERY == 0]
    height = round(WIDTH * shown[0].height / shown[0].width / 2) * 2
    small = [frame.reformat(WIDTH, height, "rgb24").to_ndarray() for frame in shown]
    with av.open(str(path), "w") as output:
        options = {"g": str(2 * RATE), "preset": "veryfast", "crf": "20"}
        stream = output.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height = WIDTH, height
        first = int(path.stem) * 7
        for n in range(seconds * RATE):
            picture = small[(first + n) % len(small)]
            output.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())


class Meter:
    """Counts the CPU seconds of this process's descendants while it is entered."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}
        self._ended = threading.Event()

    def __enter__(self) -> Meter:
        self._begun = time.perf_counter()
        self._before = self._look()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.seconds = time.perf_counter() - self._begun
        self.cpu = sum(self._look().values()) - sum(self._before.values())

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> dict[int, float]:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                times = child.cpu_times()
                self._seen[child.pid] = times.user + times.system
        return dict(self._seen)

    def said(self) -> dict[str, Any]:
        load = round(os.getloadavg()[1], 1)  # of the last five minutes
        return {"seconds": round(self.seconds, 1), "cpu": round(self.cpu, 1), "load": load}


def make(work: Path, given: Any) -> dict[str, Any]:
    (work / "films").mkdir(exist_ok=True)
    for n in range(given.films):
        film(VIDEO / CLIPS[n % len(CLIPS)], work / "films" / f"{n}.mp4", given.seconds)
    return {"films": given.films, "frames": given.films * given.seconds * RATE}


def plain(work: Path, given: Any) -> dict[str, Any]:
    with Meter() as meter:
        out = ["-o", str(work / "run"), "-q", "--overwrite"]
        subprocess.run([*BASE, "run", str(work / "films"), *out, *FLAGS], check=True)
    return meter.said()


def spread(work: Path, given: Any, nodes: int) -> dict[str, Any]:
    from ray.cluster_utils import Cluster

    shutil.rmtree(work / f"scale-{nodes}", ignore_errors=True)
    with Meter() as start:
        node: Any = {"num_cpus": 1, "object_store_memory": STORE}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        for _ in range(nodes - 1):
            cluster.add_node(**node)
        cluster.wait_for_nodes()
    with Meter() as meter:
        out = ["-o", str(work / f"scale-{nodes}"), "--json", "-q", "--cpus", "1"]
        out += ["--chunk", str(given.chunk), "--address", cluster.address]
        line = [*BASE, "scale", str(work / "films"), *out, *FLAGS]
        done = subprocess.run(line, check=True, capture_output=True)
    cluster.shutdown()
    report = json.loads(done.stdout.splitlines()[-1])
    told = {name: report[name] for name in ("chunks", "frames", "people", "failures")}
    begun = {"cluster": start.said(), "until work": report["start_seconds"]}
    return {**meter.said(), "working": report["seconds"], **begun, **told}


def compare(work: Path, given: Any) -> dict[str, Any]:
    """Overheads, and by how much results differ."""
    figures = {part: json.loads((work / f"{part}.json").read_text()) for part in ("run", "2", "4")}
    whole: dict[str, list[Record]] = {}
    for record in read_journal(work / "run"):
        whole.setdefault(record.source, []).append(record)
    said: dict[str, Any] = {}
    for nodes in ("2", "4"):
        ours, run = figures[nodes], figures["run"]
        farthest, worst, frames = 0.0, 1.0, 0
        for folder in sorted((work / f"scale-{nodes}" / "films").iterdir()):
            cut = list(read_journal(folder))
            same = whole[cut[0].source]
            frames += len(cut)
            farthest = max([farthest, *map(apart, cut, same)])
            worst = min(worst, compared([r.people for r in same], [r.people for r in cut])["HOTA"])
        said[f"{nodes} nodes"] = {
            "overhead, seconds once begun": f"{ours['working'] / run['seconds'] - 1:+.1%}",
            "overhead, CPU seconds": f"{ours['cpu'] / run['cpu'] - 1:+.1%}",
            "frames": frames,
            "pixels apart, at most": round(farthest, 3),
            "HOTA, least of a film": worst,
        }
    return said


def apart(one: Record, two: Record) -> float:
    """The greatest distance of two joints; infinite where the people differ in number."""
    if one.index != two.index or len(one.people) != len(two.people):
        return np.inf
    steps = one.people.keypoints[..., :2] - two.people.keypoints[..., :2]
    return float(np.linalg.norm(steps, axis=-1).max(initial=0.0))


BASE = [sys.executable, "-m", "everybody"]
DO: dict[str, Callable[[Path, Any], dict[str, Any]]] = {
    "films": make,
    "run": plain,
    "2": lambda work, given: spread(work, given, 2),
    "4": lambda work, given: spread(work, given, 4),
    "compare": compare,
}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--films", type=int, default=20)
    command.add_argument("--seconds", type=int, default=120)
    command.add_argument("--chunk", type=float, default=60.0)
    command.add_argument("--work", type=Path, default=Path("/tmp/everybody-scale"))
    command.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    given = parsed(command)
    keep_private()
    os.environ |= {"RAY_worker_niceness": "0"}  # Ray's workers would yield to all else
    given.work.mkdir(exist_ok=True)
    for part in given.parts:
        path = given.work / f"{part}.json"
        if not path.exists():
            path.write_text(json.dumps(DO[part](given.work, given), indent=1))
        print(f"{part}: {path.read_text()}", flush=True)


if __name__ == "__main__":
    main()
