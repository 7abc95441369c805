"""Several methods on the same pictures, as of people and of animals: `--model accurate,animals`.

Each method finds its own, as it would alone. All are told in one skeleton, the union of theirs
(`skeletons.union`): what a body does not have scores 0 on it. `People.categories` says who is what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .. import schedule
from ..method import Method, Stage, enough
from ..people import Frame, People
from ..runtime import Session
from ..skeletons import BOX, Skeleton, union


@dataclass(frozen=True, slots=True)
class Together:
    """A method of one stage for each of the methods, by their names. batch: frames in one call."""

    methods: Mapping[str, Method]
    batch: int = 1

    @property
    def skeleton(self) -> Skeleton:
        distinct = dict.fromkeys(method.skeleton for method in self.methods.values())
        return union(*distinct) if len(distinct) > 1 else next(iter(distinct))

    @property
    def sessions(self) -> Mapping[str, Session]:
        return {
            f"{part} of {name}": session
            for name, method in self.methods.items()
            for part, session in method.sessions.items()
        }

    @property
    def stages(self) -> tuple[Stage, ...]:
        skeleton = self.skeleton
        return tuple(
            Stage(f"finding by {name}", Finding(method, skeleton, first=not n), enough(self.batch))
            for n, (name, method) in enumerate(self.methods.items())
        )

    @property
    def poser(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Finding:
    """Frames -> the same, with those whom a method finds beside those whom others have found."""

    method: Method
    skeleton: Skeleton
    first: bool

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        blank = [replace(frame, people=People.empty(BOX)) for frame in frames]
        found = schedule.at_once(self.method.stages, blank)
        return [
            replace(frame, people=self._joined(frame.people, own.people))
            for frame, own in zip(frames, found, strict=True)
        ]

    def _joined(self, before: People, own: People) -> People:
        own = replace(own.to(self.skeleton), categories=own.called)
        groups: Sequence[People] = [own] if self.first else [before, own]
        return People.concatenate(groups).by_score()
