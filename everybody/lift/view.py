"""What one camera saw, and the rules by which several cameras' people become people in space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import DataError, OptionError
from ..geometry import Array
from ..people import Frame, People
from ..skeletons import Skeleton
from .associate import NEARNESS, Nearness
from .refine import SMOOTHNESS, Smoothness
from .triangulate import TRUST, Trust


class Pictured(Protocol):
    """A record of a frame."""

    @property
    def time(self) -> float: ...
    @property
    def people(self) -> People: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What one camera saw: times [T] in seconds, keypoints [N, K, 3] of each time, in pixels of
    pictures of this (width, height), or None where that is not known.
    """

    name: str
    skeleton: Skeleton
    times: Array
    people: list[Array]
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        times = np.asarray(self.times, np.float64)
        if len(times) != len(self.people) or not (np.diff(times) > 0).all():
            raise DataError(f"{self.name}: expected a rising time for each frame")
        object.__setattr__(self, "times", times)

    @classmethod
    def of(cls, name: str, records: Iterable[Pictured | Frame], skeleton: Skeleton) -> View:
        """Frames or records of one film; those whose time does not go on are left out."""
        times, people, size = [], [], None
        for record in records:
            if times and record.time <= times[-1]:
                continue
            times.append(record.time)
            people.append(record.people.keypoints.astype(np.float64))
            if isinstance(record, Frame):
                width, height = record.size
            else:
                width, height = record.width, record.height
            size = size or ((width, height) if width > 0 < height else None)
        return cls(name, skeleton, np.array(times), people, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All that triangulating people depends on. shown: seconds for which a person must be seen by
    two cameras to count. lost: seconds after which somebody is forgotten. synchronise: seconds that
    clocks may be apart; 0: they are right.
    """

    trust: Trust = TRUST
    nearness: Nearness = NEARNESS
    smoothness: Smoothness = SMOOTHNESS
    shown: float = 0.2
    lost: float = 1.0
    synchronise: float = 0.0

    def __post_init__(self) -> None:
        if not (self.shown >= 0 and self.lost >= 0 and 0 <= self.synchronise < 3600):
            raise OptionError("rules of views: expected shown, lost and synchronise from 0 up")


RULES = Rules()
