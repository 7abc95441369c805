"""From poses frame by frame to people over time: track, detect when needed, smooth, keep some.

    read ──▶ find ──▶ pose ──▶ track ──▶ smooth ──▶ keep
      │                          │
      └──▶ pose where people are expected (`detect_every`)

Where detections are not needed (`as_needed`), the boxes are the tracker's expectations. Poses of
`IN_FLIGHT` frames are estimated at a time, so an expectation is at most that many frames old on any
machine: results do not depend on the number of cores.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import schedule
from ..errors import OptionError
from ..geometry import iou
from ..nms import box_nms
from ..people import Frame
from ..runtime import describe
from ..smooth import Smooth
from ..track import Rules, Tracker
from ..track.flow import Looks, Stitch, looks_of, tracking
from ..track.propagation import Propagation
from ..track.tracker import Embed
from .as_needed import CLEAR, ELSEWHERE, AsNeeded, joined
from .keep import kept, parse_keep

if TYPE_CHECKING:
    from ..estimator import Estimator

IN_FLIGHT = 3  # frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """What to do with people over time.

    rules: of the tracker. camera: follow the camera's motion. appearance: an embedding model, by
    name or path, by which people are recognised too. detect_every: run the detector on each n-th
    frame only, and where somebody is missed; 0: where there may be somebody new, at least three
    times a second, and keep the poses of people who do not move; on every frame of a slow film,
    unless `live` (`track.watch`).
    smooth: a method's name, or a `Smooth`: steady poses. keep: an id, several, "largest" or
    "centre": only these people. flow: decide who is who with hindsight, a second later
    (`track.flow`). propagate: as Simple Baselines tracks, with flow and greedy matching, looking
    at every frame (`track.propagation`); of the other numbers only smooth, keep and first count.
    live: answer soonest, by reading nothing ahead (a camera gives its newest frame when asked).
    first: the first id.
    """

    rules: Rules = Rules()  # noqa: RUF009 (frozen)
    camera: bool = True
    appearance: str | Path | None = None
    detect_every: int = 0
    smooth: str | Smooth | None = None
    keep: str | int | tuple[int, ...] | None = None
    flow: bool = False
    propagate: bool = False
    live: bool = False
    first: int = 1

    def __post_init__(self) -> None:
        if self.detect_every < 0:
            raise OptionError(
                f"detect_every must be 0 (where needed) or more, got {self.detect_every}"
            )
        if self.flow and self.live:
            raise OptionError("flow waits for what follows, live does not: choose one")
        if self.propagate and (self.flow or self.appearance or self.detect_every > 1):
            raise OptionError(
                "propagate looks at every frame, and links people by flow and OKS alone: leave out "
                "flow, appearance and detect_every"
            )
        parse_keep(self.keep)
        self.smoothing()

    def smoothing(self) -> Smooth | None:
        """What smooths the poses, if anything does."""
        return Smooth(name=self.smooth) if isinstance(self.smooth, str) else self.smooth

    def __call__(
        self, estimator: Estimator, frames: Iterable[Frame]
    ) -> Generator[Frame, None, None]:
        """Frames -> the same frames with people who have ids, in order."""
        return Following(self, estimator)(frames)


class Following:
    """`Follow`, ready to run: with the embedding network loaded, if one is asked for."""

    def __init__(self, follow: Follow, estimator: Estimator) -> None:
        self.follow, self.estimator = follow, estimator
        if follow.detect_every > 1 and not estimator.method.poser:
            raise OptionError(
                f"detect_every {follow.detect_every}: this method finds people and joints at once, "
                f"so every frame is run whole: leave it out"
            )
        self._embed = None
        if follow.appearance is not None:
            from ..track.appearance import load_embedder

            engine = replace(estimator.options.engine, threads=1)
            self._embed = load_embedder(follow.appearance, engine)

    def models(self) -> list[dict[str, str]]:
        """What run.json says of the embedding network, if there is one."""
        return [describe("embedding", self._embed.session)] if self._embed else []

    def __call__(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Frames -> the same frames with people who have ids, in order."""
        follow = self.follow
        if follow.propagate:
            tracked = propagated(self.estimator, frames, Propagation(first=follow.first))
        else:
            tracker = self.tracker()
            tracked = linked(follow, tracker, self.tracked(tracker, frames))
        with closing(tracked):
            yield from finished(follow, tracked)

    def tracker(self) -> Tracker:
        return new_tracker(self.follow, self._embed)

    def tracked(self, tracker: Tracker, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Frames -> the same frames with the people and ids of this tracker, before hindsight,
        smoothing and choice.
        """
        follow, estimator = self.follow, self.estimator
        if follow.detect_every == 1 or not estimator.method.poser:
            return tracker(estimator.frames(frames, live=follow.live))
        guide = AsNeeded(estimator, tracker, follow.detect_every, live=follow.live)
        if follow.live:
            return schedule.prompt(guide, frames, workers=estimator.workers)
        return schedule.guided(guide, frames, workers=estimator.workers, most=IN_FLIGHT)


def new_tracker(follow: Follow, embed: Embed | None) -> Tracker:
    """embed: the network of appearance, if there is one."""
    rules, first = follow.rules, follow.first
    if follow.flow:
        rules, first = tracking(rules), 1
    return Tracker(rules, embed=embed, camera=follow.camera, first=first)


def linked(
    follow: Follow, tracker: Tracker, tracked: Generator[Frame, None, None], looks: Looks = looks_of
) -> Generator[Frame, None, None]:
    """The tracker's frames, with hindsight if that is asked for."""
    if not follow.flow:
        return tracked
    return Stitch(tracker, follow.rules, first=follow.first, looks=looks)(tracked)


def finished(follow: Follow, tracked: Iterable[Frame]) -> Iterator[Frame]:
    """Frames with ids -> smoothed, with the people who are kept."""
    smooth = follow.smoothing()
    return kept(smooth(tracked) if smooth else tracked, follow.keep)


def propagated(
    estimator: Estimator, frames: Iterable[Frame], tracker: Propagation
) -> Generator[Frame, None, None]:
    """Each frame with ids: its people are the detections and those whom the flow has carried to
    places where nobody was detected, if their poses are clear there.
    """
    if not estimator.method.poser:
        yield from tracker(estimator.frames(frames))
        return
    *finding, posing = estimator.method.stages
    for frame in frames:
        carried = tracker.carried(frame)
        found = schedule.through(finding, frame)
        missed = carried[iou(carried.boxes, found.people.boxes).max(1, initial=0.0) < ELSEWHERE]
        again = schedule.through([posing], replace(frame, people=box_nms(missed))).people
        again = again[again.core.keypoints[..., 2].mean(1) >= CLEAR]
        people = joined(schedule.through([posing], found).people, again)
        yield tracker.track(replace(frame, people=people))
