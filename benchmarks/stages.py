"""Where the time goes: seconds per frame of each stage, one after the other in one thread, and all
that is not network as a share of the networks' own time.

    python -m benchmarks.stages [--engine onnxruntime] [SOURCE ...]

A sum of single-threaded times is what the work costs; in a stream the stages overlap
(benchmarks/throughput.py).
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.common import DATA, PUBLIC, VIDEO, parsed, parser
from everybody.estimator import Estimator
from everybody.media.read import read
from everybody.results.journal import Journal

PARTS = (
    "decode",
    "detector network",
    "find, besides",
    "pose network",
    "pose, besides",
    "write",
    "besides networks",
)
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
    estimator(list(read(VIDEO / "class.mp4"))[:2])  # warm
    method: Any = estimator.method
    for part, name in ((method.finder, "detector network"), (method.poser.poser, "pose network")):
        object.__setattr__(part, "session", Timed(part.session, name, watch))
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
    seconds["besides networks"] = sum(seconds.values()) - networks

    print(f"{source.name}: {frames} frames, {people / frames:.1f} people each, engine {engine}")
    for name in PARTS:
        spent = seconds.get(name, 0)
        print(
            f"  {name:18} {1e3 * spent / frames:7.2f} ms/frame {spent / networks:7.1%}", flush=True
        )


def main() -> None:
    command = parser(__doc__)
    command.add_argument("sources", nargs="*", type=Path)
    command.add_argument("--engine", default="auto")
    given = parsed(command)
    for source in given.sources or [DATA / name for name in SOURCES]:
        measure(source, given.engine)


if __name__ == "__main__":
    main()
