"""What everything that finds people has in common: `Method`, its `Stage`s, and `Poser`.

A method is a chain of stages from frames to frames with people. The scheduler (`schedule.py`)
runs the stages; it knows nothing of networks. A detector is a method of the skeleton `BOX`, so any
method can find people for a poser, and a poser may wrap another (a cascade, a search over turns).

    top-down    find ──▶ pose          poser: what gives boxes their joints
    one stage   find                   poser: None
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol, runtime_checkable

from .people import Frame, Image, People
from .runtime import Session
from .skeletons import BOX, Skeleton

GROUP_PIXELS = 64_000_000  # more pixels are not gathered into one call, so that memory is bounded


class Stage(NamedTuple):
    """One step of a method over a batch of frames."""

    name: str  # for errors: "finding people failed at match.mp4 [120]"
    run: Callable[[list[Frame]], list[Frame]]
    full: Callable[[list[Frame]], bool]  # whether these frames are enough for one call


class Poser(Protocol):
    """Boxes -> poses."""

    @property
    def skeleton(self) -> Skeleton: ...

    @property
    def sessions(self) -> Mapping[str, Session]: ...

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        """Frames whose people have boxes -> the same frames; their people have joints."""
        ...


class Method(Protocol):
    """Pictures -> people."""

    @property
    def skeleton(self) -> Skeleton: ...

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The loaded networks by their part in the method, for run.json."""
        ...

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Where there is a poser, the last stage runs it, and those before find boxes."""
        ...

    @property
    def poser(self) -> Poser | None:
        """What poses people at expected places; None: each frame must be run whole."""
        ...


class BoxFinder:
    """What methods that find people as boxes without joints have in common."""

    __slots__ = ()

    @property
    def skeleton(self) -> Skeleton:
        return BOX

    @property
    def poser(self) -> Poser | None:
        return None

    @property
    def sessions(self) -> Mapping[str, Session]:
        return {}


class Remark(NamedTuple):
    """What a user should know at the end of a run; a problem, if it was most likely not meant."""

    text: str
    problem: bool


@runtime_checkable
class Remarking(Protocol):
    """A method that has something to say at the end of a run."""

    def remarks(self) -> list[Remark]:
        """What was left unused; empty if there is nothing."""
        ...


def enough(count: int, *, crops: bool = False) -> Callable[[list[Frame]], bool]:
    """A `Stage.full`: `count` frames (or people), or `GROUP_PIXELS`."""

    def full(group: list[Frame]) -> bool:
        size = max(len(group), sum(len(frame.people) for frame in group) if crops else 0)
        return size >= count or sum(f.size[0] * f.size[1] for f in group) >= GROUP_PIXELS

    return full


def finding(look: Callable[[Sequence[Image]], list[People]], batch: int) -> tuple[Stage, ...]:
    """The stages of a method that looks at pictures [H, W, 3] as they are, `batch` in a call."""

    def run(frames: list[Frame]) -> list[Frame]:
        found = look([frame.image for frame in frames])
        return [replace(frame, people=p) for frame, p in zip(frames, found, strict=True)]

    return (Stage("finding people", run, enough(batch)),)
