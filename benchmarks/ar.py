"""Targets in a film: how far off they are, how still they rest, and how long a frame takes.

    python -m benchmarks.ar [--frames 120] [--noise 3]

A poster moves before a camera along a known way and then rests (`synthetic/poster.py`); noise is
the deviation of every pixel. Way: root mean square of the corners' way from where they are, in
pixels. Still: root mean square of their way from their mean place, over the frames at rest.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.common import head, parsed, parser, row
from everybody.apps.target import Target, Tracker
from everybody.lift.cameras import Camera
from synthetic import poster

SIZE = 960, 540
REST = 40  # frames


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--frames", type=int, default=120)
    options.add_argument("--noise", type=float, default=3.0)
    chosen = parsed(options)
    print(head("measure", "value"))

    picture = poster.poster(640, 480)
    target, camera = Target.flat(picture, 0.3), Camera.of(SIZE, 60)
    corners = target.faces[0].corners
    tracker, rng = Tracker(target, camera), np.random.default_rng(0)
    away, resting, seen, spent = [], [], 0, 0.0
    poses = poster.way(chosen.frames, still=REST)
    for number, pose in enumerate(poses):
        image = poster.shown(picture, target.faces[0], camera, pose, SIZE, rng, chosen.noise)
        start = time.perf_counter()
        sight = tracker.see(image)
        spent += time.perf_counter() - start
        if sight is None:
            continue
        seen += 1
        places = sight.of(camera).onto(corners)
        gaps = places - camera.at(*pose).onto(corners)
        away.append(float(np.sqrt(np.square(gaps).sum(1).mean())))
        if number >= chosen.frames + 2:
            resting.append(places)

    still = np.stack(resting)
    jitter = np.sqrt(np.square(still - still.mean(0)).sum(-1).mean())
    print(row("seen", f"{seen} of {len(poses)}"))
    print(row("way, mean", f"{np.mean(away):.3f} px"))
    print(row("way, worst", f"{np.max(away):.3f} px"))
    print(row("still", f"{jitter:.3f} px"))
    print(row("a frame", f"{1000 * spent / len(poses):.0f} ms"))


if __name__ == "__main__":
    main()
