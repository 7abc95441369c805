"""How much jitter each smoothing takes away, and at what lag and error: synthetic walkers of known
truth.

    python benchmarks/smoothing.py [--rate 30] [--noise 0.4]

jitter: mean acceleration error, relative to that of the noisy poses. lag: by how many frames the
truth must be delayed to fit the result best. error: mean distance to the truth in pixels.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from everybody.metrics.tracking import jitter
from everybody.people import Frame
from everybody.smooth import NAMES, Smooth
from tests.walkers import Scenery, walkers

PICTURE = np.zeros((8, 8, 3), np.uint8)


def lag(true: np.ndarray, found: np.ndarray, most: float = 4.0) -> float:
    """[F, K, 2] each -> frames: the delay of the truth that fits best, to a hundredth."""
    frames, inner = np.arange(len(true)), slice(8, -8)
    delays = np.arange(-1, most, 0.01)
    flat = true.reshape(len(true), -1)

    def error(delay: float) -> float:
        at = np.clip(frames - delay, 0, len(true) - 1)
        low = np.floor(at).astype(int).clip(max=len(true) - 2)
        share = (at - low)[:, None]
        late = (1 - share) * flat[low] + share * flat[low + 1]
        return float(np.square(late - found.reshape(late.shape))[inner].mean())

    return float(delays[np.argmin([error(delay) for delay in delays])])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--noise", type=float, default=0.4)
    given = parser.parse_args()
    film = walkers(
        Scenery(
            seconds=10,
            rate=given.rate,
            noise=given.noise,
            stay=True,
            occlusion=0,
            missing=0,
            false=0,
        )
    )
    times = np.array([moment.time for moment in film])
    true = np.stack([moment.true.keypoints[..., :2] for moment in film])  # [F, N, K, 2]
    frames = []
    for n, moment in enumerate(film):
        order = np.argsort(moment.who)
        frames.append(
            Frame(PICTURE, n, moment.time, "a", replace(moment.found[order], ids=moment.who[order]))
        )
    noisy = np.stack([frame.people.keypoints[..., :2] for frame in frames])

    def told(found: np.ndarray) -> tuple[float, float, float]:
        people = range(true.shape[1])
        return (
            float(np.mean([jitter(true[:, n], found[:, n], times) for n in people])),
            float(np.mean([lag(true[:, n], found[:, n]) for n in people])),
            float(np.linalg.norm(true - found, axis=-1).mean()),
        )

    before = told(noisy)
    print(
        f"{'none':16} jitter {before[0]:8.0f} px/s²        lag {before[1]:5.2f}  error {before[2]:5.2f} px"
    )
    for name in NAMES:
        out = np.stack([frame.people.keypoints[..., :2] for frame in Smooth(name=name)(frames)])
        jit, late, error = told(out)
        print(
            f"{name:16} jitter {jit:8.0f} (-{1 - jit / before[0]:4.0%})  lag {late:5.2f}  error {error:5.2f} px"
        )


if __name__ == "__main__":
    main()
