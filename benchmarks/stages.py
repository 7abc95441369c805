"""Where the time goes: seconds per frame of each stage, one after the other in one thread, and all
that is not network as a share of the networks' own time.

    python benchmarks/stages.py [--engine onnxruntime] [SOURCE ...]

A sum of single-threaded times is what the work costs; in a stream the stages overlap
(benchmarks/throughput.py).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from everybody.estimator import Estimator
from everybody.media.read import read
from everybody.results.journal import Journal

SHARED = Path(__file__).resolve().parents[2] / "shared"
PUBLIC: Any = {
    "detector": "rtmdet-nano-person",
    "pose": "tinypose-256x192",
    "orientation": "upright",
}
SOURCES = ("video/taiji.mp4", "video/class.mp4", "coco_val/images")


class Stopwatch:
    """Seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def __call__(self, name: str, function: Any, *arguments: Any) -> Any:
        begun = time.perf_counter()
        result = function(*arguments)
        self.seconds[name] += time.perf_counter() - begun
        return result


class Timed:
    """A session that tells a stopwatch what its network takes."""

    def __init__(self, session: Any, name: str, watch: Stopwatch) -> None:
        self._session, self._name, self._watch = session, name, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def __call__(self, array: Any) -> Any:
        return self._watch(self._name, self._session, array)


def measure(source: Path, engine: str) -> None:
    estimator, watch = Estimator(**PUBLIC, engine=engine, workers=1, threads=1), Stopwatch()
    assert estimator.detector is not None
    estimator(list(read(SHARED / "data/video/class.mp4"))[:2])  # warm
    for stage, name in ((estimator.detector, "detector network"), (estimator.sppe, "pose network")):
        object.__setattr__(stage, "session", Timed(stage.session, name, watch))
    frames, people = 0, 0
    with tempfile.TemporaryDirectory() as out:
        journal = Journal(Path(out), estimator.skeleton, {})
        source_frames = read(source)
        while (frame := watch("decode", next, source_frames, None)) is not None:
            found = watch("find", estimator.find, [frame])
            posed = watch("pose", estimator.pose, found)
            watch("write", journal.write, posed[0])
            frames, people = frames + 1, people + len(posed[0].people)
        watch("write", journal.close)
    seconds = dict(watch.seconds)
    seconds["find, besides"] = seconds.pop("find") - seconds["detector network"]
    seconds["pose, besides"] = seconds.pop("pose") - seconds.get("pose network", 0)
    networks = seconds["detector network"] + seconds.get("pose network", 0)
    print(f"{source.name}: {frames} frames, {people / frames:.1f} people each, engine {engine}")
    for name in (
        "decode",
        "detector network",
        "find, besides",
        "pose network",
        "pose, besides",
        "write",
    ):
        print(
            f"  {name:18} {1e3 * seconds.get(name, 0) / frames:7.2f} ms/frame {seconds.get(name, 0) / networks:7.1%}"
        )
    print(
        f"  {'besides networks':18} {1e3 * (sum(seconds.values()) - networks) / frames:7.2f} ms/frame "
        f"{sum(seconds.values()) / networks - 1:7.1%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sources", nargs="*", type=Path)
    parser.add_argument("--engine", default="auto")
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    for source in given.sources or [SHARED / "data" / name for name in SOURCES]:
        measure(source, given.engine)


if __name__ == "__main__":
    main()
