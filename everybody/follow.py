"""From poses frame by frame to people over time: track, skip detections, smooth, keep some.

    read ──▶ find ──▶ pose ──▶ track ──▶ smooth ──▶ keep
      │                          │
      └──▶ pose where they are expected (`detect_every`)

Between detections the boxes are the tracker's expectations. Poses of `IN_FLIGHT` frames are
estimated at a time, so an expectation is that many frames old at most, whatever the machine;
results do not depend on how many cores it has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .errors import OptionError
from .estimator import Estimator, describe, named
from .geometry import area, iou, oks, whole
from .methods.orientation import turns_of
from .people import Frame, People
from .schedule import ahead
from .skeletons import BOX
from .smooth import Smooth
from .track import Rules, Tracker
from .track.flow import Stitch, tracking
from .track.still import Still
from .track.watch import Watch

IN_FLIGHT = 3  # frames
ELSEWHERE = 0.3  # IoU with all boxes of the detector, below which it has overlooked whom the tracker expects
SAME = 0.5  # IoU with where somebody is expected, above which a box is that one's
CLEAR = 0.4  # mean score of joints by which somebody is there although no detector says so
SOMEBODY = 0.5  # OKS of a pose with one that was found: it is that one's
MARGIN = 0.1  # of the joints' extent between them and the edges of a box


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """What to do with people over time.

    rules: of the tracker. camera: follow the camera's motion. appearance: an embedding model, by
    name or path, by which people are recognised too. detect_every: run the detector on each n-th
    frame only, and where somebody is missed; 0: where there may be somebody new, three times a
    second at least, and keep the poses of those who do not move (`track.watch`, `track.still`).
    smooth: a method's name, or a `Smooth`: steady poses. keep: an id, several, "largest" or
    "centre": only these people. flow: decide who is who with hindsight, a second later
    (`track.flow`). live: answer soonest, by reading nothing ahead (a camera gives its newest frame
    when asked). first: the first id.
    """

    rules: Rules = Rules()  # noqa: RUF009 (frozen)
    camera: bool = True
    appearance: str | Path | None = None
    detect_every: int = 0
    smooth: str | Smooth | None = None
    keep: str | int | tuple[int, ...] | None = None
    flow: bool = False
    live: bool = False
    first: int = 1

    def __post_init__(self) -> None:
        if self.detect_every < 0:
            raise OptionError(
                f"detect_every must be 0 (where needed) or more, got {self.detect_every}"
            )
        if self.flow and self.live:
            raise OptionError("flow waits for what follows, live does not: choose one")
        parse_keep(self.keep)
        self._smooth()

    def __call__(
        self, estimator: Estimator, frames: Iterable[Frame]
    ) -> Generator[Frame, None, None]:
        """Frames -> the same frames with people who have ids, in order."""
        embed = None
        if self.appearance is not None:
            from .track.appearance import load_embedder

            embed = load_embedder(self.appearance)
        rules = tracking(self.rules) if self.flow else self.rules
        tracker = Tracker(
            rules, embed=embed, camera=self.camera, first=1 if self.flow else self.first
        )
        if self.detect_every != 1 or self.live:
            tracked = skipping(estimator, frames, tracker, self.detect_every, live=self.live)
        else:
            tracked = tracker(estimator.frames(frames))
        if self.flow:
            tracked = Stitch(tracker, self.rules, first=self.first)(tracked)
        smooth = self._smooth()
        with closing(tracked):
            yield from kept(smooth(tracked) if smooth else tracked, self.keep)

    def models(self) -> list[dict[str, str]]:
        """What run.json says of the embedding network, if there is one."""
        if self.appearance is None:
            return []
        from .track.appearance import load_embedder

        return [describe("embedding", load_embedder(self.appearance).session)]

    def _smooth(self) -> Smooth | None:
        return Smooth(name=self.smooth) if isinstance(self.smooth, str) else self.smooth


def skipping(
    estimator: Estimator,
    frames: Iterable[Frame],
    tracker: Tracker,
    every: int,
    *,
    live: bool = False,
) -> Generator[Frame, None, None]:
    """Frames -> tracked frames; `every` as `Follow.detect_every`. live: no frame is read before
    there is a worker for it.
    """
    most = estimator.workers if live else IN_FLIGHT
    pool = ThreadPoolExecutor(min(estimator.workers, most), "everybody-worker")
    waiting: deque[tuple[Future[tuple[Frame, set[int]]], People | None]] = (
        deque()
    )  # None: the detector looks
    watch, still, last = Watch(every), Still(), People.empty(BOX)

    def finished() -> Frame:
        nonlocal last
        future, asked = waiting.popleft()
        frame, quiet = future.result()
        people = _joined(frame.people, _only(last, quiet))
        if asked is None:
            people = _found_again(estimator, replace(frame, people=people), tracker)
        else:  # who has been found since the poses were asked for
            news = _only(tracker.expected(frame.time), set(_ids(last)) - set(_ids(asked)))
            people = _joined(people, _posed(estimator, frame, news))
        frame = tracker.track(replace(frame, people=people), detected=asked is None)
        last = frame.people
        return frame

    try:
        with closing(_as_generator(frames) if live else ahead(frames, IN_FLIGHT)) as incoming:
            for frame in incoming:
                detect = watch(frame, tracker, looking=any(asked is None for _, asked in waiting))
                while (
                    waiting and watch.looks == 1 and not detect
                ):  # nothing is expected before the first is known
                    yield finished()
                expected = tracker.expected(frame.time)
                quiet = set() if every else set(_ids(expected[still(frame, expected)]))
                work = _looked if detect else _expected
                waiting.append(
                    (
                        pool.submit(work, estimator, frame, expected, quiet),
                        None if detect else expected,
                    )
                )
                while len(waiting) >= most:
                    yield finished()
        while waiting:
            yield finished()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _looked(
    estimator: Estimator, frame: Frame, expected: People, quiet: set[int]
) -> tuple[Frame, set[int]]:
    """The frame with the people whom the detector finds in it, and who of the quiet ones are not
    estimated again: whom it finds, too, alone in one place.
    """
    found = named("finding people", estimator.find, [frame])[0]
    still = _only(expected, quiet)
    near = iou(still.boxes, found.people.boxes)
    there = (near > SAME).any(1) & ((near > ELSEWHERE).sum(1) == 1)
    others = found.people[np.flatnonzero(~(near[there] > SAME).any(0))]
    return named("pose", estimator.pose, [replace(found, people=others)])[0], set(
        _ids(still[there])
    )


def _expected(
    estimator: Estimator, frame: Frame, expected: People, quiet: set[int]
) -> tuple[Frame, set[int]]:
    """The frame with those who are expected in it and have moved, and the others."""
    moving = _only(expected, set(_ids(expected)) - quiet)
    return replace(frame, people=_posed(estimator, frame, moving)), quiet


def _posed(estimator: Estimator, frame: Frame, expected: People) -> People:
    """The poses of those who are expected. They are turned as expected, too: the net that knows how
    people are turned need not be asked again in each frame.
    """
    expected = replace(expected, turns=turns_of(expected))
    return named("pose", estimator.pose, [replace(frame, people=expected)])[0].people


def _found_again(estimator: Estimator, frame: Frame, tracker: Tracker) -> People:
    """Those whom the detector has found, and those whom it has overlooked, but who can be seen
    where they are expected. These score too little to be taken for somebody new.
    """
    found, expected = frame.people, tracker.expected(frame.time)
    overlooked = expected[iou(expected.boxes, found.boxes).max(1, initial=0.0) < ELSEWHERE]
    if not len(overlooked):
        return found
    again = _posed(estimator, frame, overlooked)
    again = again[again.keypoints[..., 2].mean(1) >= CLEAR]
    alike = oks(found.keypoints, again.keypoints, area(found.boxes), found.skeleton.sigmas)
    again = again[alike.max(0, initial=0.0) < SOMEBODY]
    low, high = again.keypoints[..., :2].min(1), again.keypoints[..., :2].max(1)
    margin = MARGIN * (high - low)
    boxes = np.concatenate([low - margin, high + margin], axis=1)
    return _joined(
        found,
        replace(again, boxes=boxes, scores=np.minimum(again.scores, 0.99 * tracker.rules.high)),
    )


def _ids(people: People) -> list[int]:
    return [] if people.ids is None else people.ids.tolist()


def _only(people: People, ids: set[int]) -> People:
    return people[[n for n, number in enumerate(_ids(people)) if number in ids]]


def _joined(*groups: People) -> People:
    """All of them, the most confident first, without ids. The first group says whose skeleton it
    is.
    """
    some = [group for group in groups if len(group)]
    if not some:
        return groups[0]
    keypoints, boxes, scores = (
        np.concatenate([getattr(group, name) for group in some])
        for name in ("keypoints", "boxes", "scores")
    )
    both = People(keypoints, boxes, scores, some[0].skeleton)
    return both[np.argsort(-both.scores, kind="stable")]


def _as_generator(frames: Iterable[Frame]) -> Generator[Frame, None, None]:
    yield from frames


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
