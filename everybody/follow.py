"""From poses frame by frame to people over time: track, detect when needed, smooth, keep some.

    read ──▶ find ──▶ pose ──▶ track ──▶ smooth ──▶ keep
      │                          │
      └──▶ pose where people are expected (`detect_every`)

Between detections the boxes are the tracker's expectations. Poses of `IN_FLIGHT` frames are
estimated at a time, so an expectation is at most that many frames old on any machine: results do
not depend on the number of cores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import schedule
from .errors import OptionError
from .geometry import area, iou, oks, whole
from .methods.orientation import turns_of
from .nms import box_nms
from .people import Frame, People
from .runtime import describe
from .skeletons import BOX
from .smooth import Smooth
from .track import Rules, Tracker
from .track.flow import Looks, Stitch, looks_of, tracking
from .track.propagation import Propagation
from .track.tracker import Embed
from .track.watch import SLOW, Still, Watch

if TYPE_CHECKING:
    from .estimator import Estimator

IN_FLIGHT = 3  # frames
ELSEWHERE = 0.3  # IoU with all detections, below which the detector has missed an expected person
SAME = 0.5  # IoU with an expected box, above which a detection is that person
CLEAR = 0.4  # mean score of the joints, at which a person is there although no detector says so
SOMEBODY = 0.5  # OKS with a pose that was found, above which two poses are one person
MARGIN = 0.1  # of the joints' extent between them and the edges of a box


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
            from .track.appearance import load_embedder

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
        people = _joined(schedule.through([posing], found).people, again)
        yield tracker.track(replace(frame, people=people))


class Work(NamedTuple):
    """What came of a frame: its people, and the ids of the quiet ones, whose last pose holds."""

    frame: Frame
    quiet: set[int]


class AsNeeded:
    """The guide that runs the detector where it is needed, and the poser on
    the people who are expected; every: as `Follow.detect_every`. live: frames far apart are no
    reason to look at each, because more work would put them farther apart.
    """

    def __init__(
        self, estimator: Estimator, tracker: Tracker, every: int, *, live: bool = False
    ) -> None:
        self._estimator, self._tracker, self._every = estimator, tracker, every
        self._watch, self._still = Watch(every, slow=np.inf if live else SLOW), Still()
        self._detect = False
        self._last = People.empty(BOX)
        # Of each frame in hand: the people to be posed at expected places; None: the detector runs.
        self._asked: deque[People | None] = deque()

    def waits(self, frame: Frame) -> bool:
        """Nothing is expected before the first frame of a source is known."""
        looking = any(asked is None for asked in self._asked)
        self._detect = self._watch(frame, self._tracker, looking=looking)
        return self._watch.looks == 1 and not self._detect

    def work(self, frame: Frame) -> Callable[[], Work]:
        expected = self._tracker.expected(frame.time)
        quiet = set()
        if not (self._every or self._watch.apart):
            quiet = set(_ids(expected[self._still(frame, expected)]))
        self._asked.append(None if self._detect else expected)
        do = self._looked if self._detect else self._followed
        return partial(do, frame, expected, quiet)

    def finished(self, result: Work) -> Frame:
        asked = self._asked.popleft()
        frame = result.frame
        people = _joined(frame.people, _only(self._last, result.quiet))
        if asked is None:
            people = self._found_again(replace(frame, people=people))
        else:  # people who were found since the poses were asked for
            found = set(_ids(self._last)) - set(_ids(asked))
            news = _only(self._tracker.expected(frame.time), found)
            people = _joined(people, self._posed(frame, news))
        frame = replace(
            frame, people=people, poses3d=None
        )  # its rows are those of people untracked
        frame = self._tracker.track(frame, detected=asked is None)
        self._last = frame.people
        return frame

    def _looked(self, frame: Frame, expected: People, quiet: set[int]) -> Work:
        """The frame with all detections, but without quiet people that are detected alone in their
        place: their last pose still holds.
        """
        *finding, _ = self._estimator.method.stages
        found = schedule.through(finding, frame)
        still = _only(expected, quiet)
        near = iou(still.boxes, found.people.boxes)
        there = (near > SAME).any(1) & ((near > ELSEWHERE).sum(1) == 1)
        others = found.people[np.flatnonzero(~(near[there] > SAME).any(0))]
        posed = self._pose(replace(found, people=others))
        return Work(posed, set(_ids(still[there])))

    def _followed(self, frame: Frame, expected: People, quiet: set[int]) -> Work:
        """The frame with the people who are expected in it and have moved."""
        moving = _only(expected, set(_ids(expected)) - quiet)
        return Work(replace(frame, people=self._posed(frame, moving)), quiet)

    def _posed(self, frame: Frame, expected: People) -> People:
        """The poses of expected people. They are turned as expected, too, so that the turn net need
        not be asked in each frame.
        """
        expected = replace(expected, turns=turns_of(expected))
        return self._pose(replace(frame, people=expected)).people

    def _pose(self, frame: Frame) -> Frame:
        return schedule.through(self._estimator.method.stages[-1:], frame)

    def _found_again(self, frame: Frame) -> People:
        """Detections, plus tracked people that the detector missed whose pose is clear at the
        expected place. They score below `rules.high`, so that they extend a track but never start
        one.
        """
        found, expected = frame.people, self._tracker.expected(frame.time)
        missed = expected[iou(expected.boxes, found.boxes).max(1, initial=0.0) < ELSEWHERE]
        if not len(missed):
            return found
        again = self._posed(frame, missed)
        again = again[again.core.keypoints[..., 2].mean(1) >= CLEAR]
        core, places = found.core, again.core.keypoints
        alike = oks(core.keypoints, places, area(found.boxes), core.skeleton.sigmas)
        again = again[alike.max(0, initial=0.0) < SOMEBODY]

        places = again.core.keypoints[..., :2]
        low, high = places.min(1), places.max(1)
        margin = MARGIN * (high - low)
        boxes = np.concatenate([low - margin, high + margin], axis=1)
        scores = np.minimum(again.scores, 0.99 * self._tracker.rules.high)
        return _joined(found, replace(again, boxes=boxes, scores=scores))


def _ids(people: People) -> list[int]:
    return [] if people.ids is None else people.ids.tolist()


def _only(people: People, ids: set[int]) -> People:
    return people[[n for n, number in enumerate(_ids(people)) if number in ids]]


def _joined(*groups: People) -> People:
    """All people, most confident first, without ids; if there are none, an empty first group."""
    unnamed = [replace(group, ids=None, turns=None) for group in groups if len(group)]
    return People.concatenate(unnamed).by_score() if unnamed else groups[0]


def parse_keep(text: str | int | tuple[int, ...] | None) -> str | tuple[int, ...] | None:
    """'largest', 'centre', 3, '3' or '3,5' -> the word, or ids. Raises OptionError."""
    if text is None or text in ("largest", "centre"):
        return text  # type: ignore[return-value]
    if isinstance(text, int):
        return (text,)
    try:
        return text if isinstance(text, tuple) else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise OptionError(
            f"select '{text}': expected an id as 3, several as 3,5, or largest or centre"
        ) from None


def kept(
    frames: Iterable[Frame], who: str | int | tuple[int, ...] | None
) -> Generator[Frame, None, None]:
    """The same frames with some of their people: those of these ids, or the one who is largest or
    nearest the centre when first seen, as long as the frame shows that person, then the next.
    """
    who = parse_keep(who)
    chosen = 0
    for frame in frames:
        people = frame.people
        if who is None or not len(people):
            yield frame
            continue
        ids = np.zeros(len(people), np.int64) if people.ids is None else people.ids
        if isinstance(who, tuple):
            keep = np.isin(ids, who)
        else:
            keep = (
                ids == chosen
                if chosen in ids and chosen
                else np.arange(len(people)) == _foremost(frame, who)
            )
            chosen = int(ids[keep][0])
        yield replace(frame, people=people[keep])


def _foremost(frame: Frame, who: str) -> int:
    people: People = frame.people
    if who == "largest":
        return int(np.argmax(area(people.boxes)))
    middle = whole(*frame.size).reshape(2, 2).mean(0)
    centres = people.boxes.reshape(-1, 2, 2).mean(1)
    return int(np.argmin(np.square(centres - middle).sum(1)))
