"""How much jitter each smoothing takes away, and at what lag and error: synthetic walkers of known
truth.

    python -m benchmarks.smoothing [--rate 30] [--noise 0.4]

jitter: mean acceleration error, relative to that of the noisy poses. lag: by how many frames the
truth must be delayed to fit the result best. error: mean distance to the truth in pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmarks.common import BLANK, parsed, parser
from everybody.metrics.tracking import jitter
from everybody.people import Frame
from everybody.smooth import NAMES, Smooth
from synthetic.walkers import Scenery, walkers


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


class Measures(NamedTuple):
    """jitter in px/s², lag in frames, error in pixels."""

    jitter: float
    lag: float
    error: float


def measured(true: np.ndarray, found: np.ndarray, times: np.ndarray) -> Measures:
    """[F, N, K, 2] each, [F] -> means over people."""
    people = range(true.shape[1])
    return Measures(
        float(np.mean([jitter(true[:, n], found[:, n], times) for n in people])),
        float(np.mean([lag(true[:, n], found[:, n]) for n in people])),
        float(np.linalg.norm(true - found, axis=-1).mean()),
    )


def places(frames: list[Frame]) -> np.ndarray:
    """[F, N, K, 2]"""
    return np.stack([frame.people.keypoints[..., :2] for frame in frames])


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--rate", type=float, default=30.0)
    command.add_argument("--noise", type=float, default=0.4)
    given = parsed(command)

    whole = Scenery(stay=True, occlusion=0, missing=0, false=0)  # everybody in every frame
    film = walkers(replace(whole, seconds=10, rate=given.rate, noise=given.noise))
    times = np.array([moment.time for moment in film])
    true = np.stack([moment.true.keypoints[..., :2] for moment in film])
    frames = []
    for n, moment in enumerate(film):
        order = np.argsort(moment.who)
        people = replace(moment.found[order], ids=moment.who[order])
        frames.append(Frame(BLANK, n, moment.time, "a", people))

    before = measured(true, places(frames), times)
    rest = f"lag {before.lag:5.2f}  error {before.error:5.2f} px"
    print(f"{'none':16} jitter {before.jitter:8.0f} px/s²        {rest}")
    for name in NAMES:
        after = measured(true, places(list(Smooth(name=name)(frames))), times)
        less = f"jitter {after.jitter:8.0f} (-{1 - after.jitter / before.jitter:4.0%})"
        print(f"{name:16} {less}  lag {after.lag:5.2f}  error {after.error:5.2f} px")


if __name__ == "__main__":
    main()
