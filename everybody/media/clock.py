"""When each frame is seen: one rule for every source.

A frame has the time that its source has stamped on it. Stamps that jump (several recordings in one
file, a stream that begins again) go on from the last one, so that time always goes up. Where there
are no stamps, frames follow each other at `fps`: pictures of a folder are then a film.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import PurePath

from .names import numbered

RATE = 25.0  # frames per second where nothing says how many
BACK = Fraction(1, 4)  # seconds that stamps may go back before they count as jumping
AHEAD = Fraction(10)  # seconds that they may go ahead, where the format allows jumps
INSTANT = 1e-3  # seconds between frames whose stamps say that they are shown at once


class Clock:
    """Times of what has no stamps, at `fps` frames per second; None stands for `RATE`."""

    def __init__(self, fps: float | None = None) -> None:
        self.fps = RATE if fps is None else fps
        self._pictures: Counter[str] = Counter()

    def frame(self, index: int) -> float:
        """Seconds of the frame with that index in its source."""
        return index / self.fps

    def picture(self, source: str) -> float:
        """Seconds of a picture in the film that the pictures of its folder are, in the order in
        which they are asked for.
        """
        folder = _folder(source)
        self._pictures[folder] += 1
        return self.frame(self._pictures[folder] - 1)


class Films:
    """Called with each frame's source and index, in order, returns the name of its film.

    A video, camera or stream is a film of its own, called like the source. Pictures of one folder
    that follow each other are one film, called like the folder.
    """

    def __init__(self) -> None:
        self._source: str | None = None
        self._film = ""

    def __call__(self, source: str, index: int) -> str:
        if source != self._source:
            self._source = source
            self._film = source if numbered(source, index) else _folder(source)
        return self._film


def _folder(source: str) -> str:
    return str(PurePath(source).parent)


class Joins:
    """Moves the stamps of a stream so that they go on from the last one where they jump.

    shifts: seconds that the stamps after each jump are moved by, the first entry 0. The stream that
    leads (video) finds them; another one (sound) that is given its list is moved alike, so that
    both stay together. discontinuous: the format allows jumps, so a jump ahead is one, too.
    """

    def __init__(
        self, *, discontinuous: bool = False, shifts: list[Fraction] | None = None
    ) -> None:
        self.leads = shifts is None
        self.shifts = [Fraction(0)] if shifts is None else shifts
        self.jumps = 0
        self._discontinuous = discontinuous
        self._last: Fraction | None = None
        self._step = Fraction(1, int(RATE))

    def known(self, stamp: Fraction) -> bool:
        """Whether it is known by how much this stamp moves; the leading stream always knows."""
        return self.leads or self.jumps + self._jumped(stamp) < len(self.shifts)

    def shift(self, stamp: Fraction, duration: Fraction | None = None) -> Fraction:
        """Seconds to add to the next stamp (seconds, in decoding order) and its packet's others."""
        last = self._last
        if last is not None and self._jumped(stamp):
            self.jumps += 1
            if self.leads:
                self.shifts.append(self.shifts[-1] + last + self._step - stamp)
        elif last is not None and stamp > last:
            self._step = stamp - last
        self._step = duration or self._step
        self._last = stamp
        return self.shifts[min(self.jumps, len(self.shifts) - 1)]

    def _jumped(self, stamp: Fraction) -> bool:
        if self._last is None:
            return False
        ahead = stamp - self._last
        return ahead < -BACK or (self._discontinuous and ahead > AHEAD)
