"""Steady poses: noise goes, movement stays, at the true times of the frames.

`one-euro` answers at once and is for live use; the others wait a moment for the frames that follow,
and are for files.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

from ..errors import OptionError
from ..people import Frame
from .filters import FILTERS
from .one_euro import OneEuro
from .repair import Unswapped
from .window import windowed

NAMES = ("one-euro", *FILTERS)

__all__ = ["NAMES", "Smooth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Smooth:
    """Frames whose people have ids -> the same frames, in order, their people smoothed.

    name: one of `NAMES`. minimum (Hz) and beta (Hz per body size per second) are one-euro's. The
    others look `reach` seconds ahead, insert people who are missing for at most `gap` seconds, and
    leave out points that are more than `outliers` deviations off (0: none). swaps: put left and
    right back where they were exchanged for a moment.
    """

    name: str = "one-euro"
    minimum: float = 1.0
    beta: float = 3.0
    reach: float = 0.3
    gap: float = 0.2
    outliers: float = 3.0
    swaps: bool = True

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise OptionError(f"unknown smoothing '{self.name}': known are {', '.join(NAMES)}")
        for name in ("minimum", "beta", "reach", "gap", "outliers"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"smoothing: {name} must be 0 or more, got {getattr(self, name)}")
        if self.gap > self.reach:
            raise OptionError(
                f"smoothing: a gap of {self.gap} s cannot be filled with a reach of {self.reach} s"
            )

    def __call__(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        if self.swaps:
            unswapped = Unswapped()
            frames = _each(frames, unswapped)
        if self.name == "one-euro":
            yield from _each(frames, OneEuro(self.minimum, self.beta))
        else:
            yield from windowed(
                frames, FILTERS[self.name], reach=self.reach, gap=self.gap, deviations=self.outliers
            )


def _each(frames: Iterable[Frame], filter: OneEuro | Unswapped) -> Generator[Frame, None, None]:
    for frame in frames:
        yield replace(frame, people=filter(frame))
