"""An endless stream of 10 skeletons through the tracker and the One Euro filter: frames per second,
and memory.

    python benchmarks/endless.py [--frames 1000000]

The people are the synthetic walkers of the tests, a minute of them over and over, noise, misses and
occlusion included.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from everybody.people import Frame
from everybody.smooth import Smooth
from everybody.track import Tracker
from tests.walkers import Scenery, walkers

PICTURE = np.zeros((8, 8, 3), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=1_000_000)
    given = parser.parse_args()
    film = walkers(Scenery(people=10, seconds=60, stay=True, occlusion=0.1))

    def frames() -> Iterator[Frame]:
        for n in range(given.frames):
            yield Frame(PICTURE, n, n / 30, "endless", film[n % len(film)].found)

    process, people, report = psutil.Process(), 0, max(1, given.frames // 10)
    begun, worked = time.perf_counter(), time.process_time()
    for n, frame in enumerate(Smooth()(Tracker()(frames())), 1):
        people += len(frame.people)
        if n % report == 0:
            rate, memory = n / (time.perf_counter() - begun), process.memory_info().rss / 2**20
            alone = n / (
                time.process_time() - worked
            )  # what the processor gave, where others use it too
            rates = f"{rate:6.0f} frames/s ({alone:.0f} per CPU second)"
            print(f"{n:8} frames  {rates}  {memory:6.1f} MiB  {people / n:.1f} people", flush=True)


if __name__ == "__main__":
    main()
