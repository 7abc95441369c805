"""An endless stream of 10 skeletons through the tracker and the One Euro filter: frames per second,
and memory.

    python -m benchmarks.endless [--frames 1000000]

The people are synthetic walkers, a minute of them over and over, with noise, misses and occlusion.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil

from benchmarks.common import BLANK, parsed, parser
from everybody.people import Frame
from everybody.smooth import Smooth
from everybody.track import Tracker
from synthetic.walkers import Scenery, walkers


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--frames", type=int, default=1_000_000)
    given = parsed(command)
    film = walkers(Scenery(people=10, seconds=60, stay=True, occlusion=0.1))

    def frames() -> Iterator[Frame]:
        for n in range(given.frames):
            yield Frame(BLANK, n, n / 30, "endless", film[n % len(film)].found)

    process, people, report = psutil.Process(), 0, max(1, given.frames // 10)
    begun, worked = time.perf_counter(), time.process_time()
    for n, frame in enumerate(Smooth()(Tracker()(frames())), 1):
        people += len(frame.people)
        if n % report:
            continue

        rate = n / (time.perf_counter() - begun)
        alone = n / (time.process_time() - worked)  # on a processor that nothing else uses
        memory = process.memory_info().rss / 2**20
        rates = f"{rate:6.0f} frames/s ({alone:.0f} per CPU second)"
        print(f"{n:8} frames  {rates}  {memory:6.1f} MiB  {people / n:.1f} people", flush=True)


if __name__ == "__main__":
    main()
