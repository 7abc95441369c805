"""One Euro filter (Casiez, Roussel and Vogel 2012): steady for people at rest, quick for people
who move, without waiting.

An exponential filter whose cutoff grows with speed: minimum + beta · |speed| (equation 7), where
the speed is itself filtered at `DERIVATIVE` Hz. Speeds are in body sizes per second, so that one
beta fits people near and far.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array
from ..media.clock import RATE, Films
from ..people import Frame, People
from .points import moved, points, rows, sizes

DERIVATIVE = 1.5  # Hz
SURE = 0.5  # joints that score less move their filter less
LONGEST = 0.5  # seconds out of sight after which a filter starts anew


class OneEuro:
    """Called with each frame, returns its people smoothed, each by id. minimum in Hz, beta in Hz
    per body size per second. A time that is not later than the last one counts as one frame more.
    """

    def __init__(self, minimum: float = 1.0, beta: float = 3.0) -> None:
        self.minimum, self.beta = minimum, beta
        self._films, self._film = Films(), ""
        self._time, self._step = -np.inf, 1 / RATE
        self._ids = np.zeros(0, np.int64)
        self._places, self._speed = np.zeros((0, 0)), np.zeros((0, 0))

    def __call__(self, frame: Frame) -> People:
        people = frame.people
        another = self._film != (film := self._films(frame.source, frame.index))
        self._film = film
        if people.ids is None:
            return people
        places, weights = points(people)
        step = np.inf if another else frame.time - self._time
        self._step = step = step if 0 < step < np.inf else self._step
        row = rows(people.ids, self._ids)
        fresh = row < 0
        other = self._places.shape[1:] != places.shape[1:]  # another skeleton
        if another or other or step > LONGEST:
            fresh[:] = True
        self._time = frame.time
        if fresh.all():
            before, speed = places, np.zeros_like(places)
        else:
            before, speed = self._places[row], self._speed[row]
            if fresh.any():
                before[fresh], speed[fresh] = places[fresh], 0.0
        size = sizes(places)[:, None]
        trust = np.minimum(weights / SURE, 1.0)[..., None]
        change = (places - before) * trust
        speed = speed + _share(DERIVATIVE, step) * (change / step - speed)
        cutoff = self.minimum + self.beta * np.hypot(speed[..., 0], speed[..., 1]) / size
        smooth = before + _share(cutoff, step)[..., None] * change
        self._ids, self._places, self._speed = people.ids, smooth, speed
        return moved(people, smooth)


def _share(cutoff: Array | float, step: float) -> Array:
    """The share of a change that an exponential filter follows in one step (equation 5)."""
    return 1 / (1 + 1 / (2 * np.pi * np.maximum(cutoff, 1e-9) * step))
