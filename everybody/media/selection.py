"""Which frames to keep, by index or by time, what their sources may do, and what decodes them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from ..errors import OptionError

SLOWEST, FASTEST = 1e-6, 100_000  # frames per second
_TOLERANCE = 1e-6  # seconds; the times of frames are rounded rationals
_UNITS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d*)?|\.\d+)s)?", re.ASCII)
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d*)?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """Frames from `start` up to, not including, `end`: an int is an index, a float seconds from the
    source's start.

    every: an int keeps each n-th frame, a float one frame per so many seconds. fps: frames per
    second of what does not say when its frames are seen, such as a folder of pictures; None: 25,
    and times do not apply to pictures.

    trusted: what a source may lead to. None: a list is a .txt or @FILE, and playlists stay inside
    their own folder or host. True: playlists go anywhere. False, for what strangers send: no lists,
    no playlists, no addresses, no cameras.

    hardware: that decodes videos, as FFmpeg calls it: cuda, vaapi, videotoolbox, ... (`hardware`).
    """

    start: int | float | None = None
    end: int | float | None = None
    every: int | float = 1
    fps: float | None = None
    trusted: bool | None = None
    hardware: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("start", self.start), ("end", self.end)):
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise OptionError(f"{name} must be 0 or more, got {value}")
        if not (self.every > 0 and math.isfinite(self.every)):
            raise OptionError(f"every must be more than 0, got {self.every}")
        if self.fps is not None and not (SLOWEST <= self.fps <= FASTEST):
            raise OptionError(f"fps must be {SLOWEST} to {FASTEST}, got {self.fps}")
        same = isinstance(self.start or 0, int) == isinstance(self.end, int) or not self.start
        if self.end is not None and same and self.end <= (self.start or 0):
            raise OptionError(
                f"end must come after start, got start {self.start or 0} and end {self.end}"
            )

    @classmethod
    def parse(
        cls,
        start: str | None,
        end: str | None,
        every: str | None,
        *,
        fps: float | None = None,
        trusted: bool | None = None,
        hardware: str | None = None,
    ) -> Selection:
        """What a user types: '120' is an index; '90s', '1.5s', '2m', '1h30m', '0:10' and
        '01:02:03.5' are times.
        """
        parsed_every = _parse("every", every)
        return cls(
            _parse("start", start),
            _parse("end", end),
            1 if parsed_every is None else parsed_every,
            fps,
            trusted,
            hardware,
        )

    def of_pictures(self) -> Selection:
        """The same for pictures, which have no time unless `fps` gives them one: times dropped."""
        if self.fps is not None:
            return self
        start, end = (
            None if isinstance(value, float) else value for value in (self.start, self.end)
        )
        return replace(
            self, start=start, end=end, every=1 if isinstance(self.every, float) else self.every
        )

    def estimate(self, frames: float, rate: float) -> int:
        """About how many of so many frames, at `rate` per second, are kept."""

        def index(value: int | float) -> float:
            return value * rate if isinstance(value, float) else value

        start = index(self.start or 0)
        end = frames if self.end is None else min(index(self.end), frames)
        return max(0, math.ceil((end - start) / max(index(self.every), 1) - _TOLERANCE))


class Sieve:
    """A Selection at work on one source, whose frames it must see in order.

    first: index and time that `every` counts from; None: those of the first frame it sees.
    """

    def __init__(self, select: Selection, first: tuple[int, float] | None = None) -> None:
        self._select = select
        self._first = first
        self._steps = -1

    def within(self, index: int, time: float) -> bool:
        """Whether the frame lies between start and end, `every` aside."""
        return _reached(self._select.start or 0, index, time) and not self.over(index, time)

    def over(self, index: int, time: float) -> bool:
        """Whether the frame, and so all that follow, lie behind the end."""
        return self._select.end is not None and _reached(self._select.end, index, time)

    def keep(self, index: int, time: float) -> bool:
        if not self.within(index, time):
            return False
        start, every = self._select.start, self._select.every
        if self._first is None:
            self._first = (
                start if isinstance(start, int) else index,
                start if isinstance(start, float) else time,
            )
        if isinstance(every, int):
            return (index - self._first[0]) % every == 0
        steps = math.floor((time - self._first[1] + _TOLERANCE) / every)
        if steps <= self._steps:
            return False
        self._steps = steps
        return True


def _reached(limit: int | float, index: int, time: float) -> bool:
    return index >= limit if isinstance(limit, int) else time + _TOLERANCE >= limit


def _parse(name: str, text: str | None) -> int | float | None:
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return int(text)
    match = _CLOCK.fullmatch(text) or (_UNITS.fullmatch(text) if text else None)
    if match is None:
        raise OptionError(
            f"--{name} '{text}': expected a frame index such as 120 "
            "or a time such as 90s, 1.5s, 2m or 0:10"
        )
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds
