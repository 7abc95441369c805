"""The detector where it is needed, and the poser on people where they are expected.

Between detections the boxes are the tracker's expectations. On a detection, people whom the
detector overlooked are posed at the expected place, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import schedule
from ..geometry import area, iou, oks
from ..methods.orientation import turns_of
from ..people import Frame, People
from ..skeletons import BOX
from ..track import Tracker
from ..track.watch import SLOW, Still, Watch

if TYPE_CHECKING:
    from ..estimator import Estimator

ELSEWHERE = 0.3  # IoU with all detections, below which the detector has missed an expected person
SAME = 0.5  # IoU with an expected box, above which a detection is that person
CLEAR = 0.4  # mean score of the joints, at which a person is there although no detector says so
SOMEBODY = 0.5  # OKS with a pose that was found, above which two poses are one person
MARGIN = 0.1  # of the joints' extent between them and the edges of a box


class Work(NamedTuple):
    """What came of a frame: its people, and the ids of the quiet ones, whose last pose holds."""

    frame: Frame
    quiet: set[int]


class AsNeeded:
    """The guide that runs the detector where it is needed, and the poser on the people who are
    expected; every: as `Follow.detect_every`. live: frames far apart are no reason to look at each,
    because more work would put them farther apart.
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
        people = joined(frame.people, _only(self._last, result.quiet))
        if asked is None:
            people = self._found_again(replace(frame, people=people))
        else:  # people who were found since the poses were asked for
            found = set(_ids(self._last)) - set(_ids(asked))
            news = _only(self._tracker.expected(frame.time), found)
            people = joined(people, self._posed(frame, news))
        # The rows of poses in space, if there are any, are those of people who are not tracked yet.
        frame = replace(frame, people=people, poses3d=None)
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
        return joined(found, replace(again, boxes=boxes, scores=scores))


def _ids(people: People) -> list[int]:
    return [] if people.ids is None else people.ids.tolist()


def _only(people: People, ids: set[int]) -> People:
    return people[[n for n, number in enumerate(_ids(people)) if number in ids]]


def joined(*groups: People) -> People:
    """All people, most confident first, without ids; if there are none, an empty first group."""
    unnamed = [replace(group, ids=None, turns=None) for group in groups if len(group)]
    return People.concatenate(unnamed).by_score() if unnamed else groups[0]
