"""Tracking with hindsight: short tracks are joined when later frames are known. For files.

Pose flows after PoseFlow (Xiu et al. 2018): a tracker that ends a track as soon as its person is
out of sight gives short, pure tracks (flows). Two flows of one person at one time are merged (pose
flow NMS); a flow that goes on where another ended is stitched to it, all at once over a window. The
motion at the end of the one, the motion at the beginning of the other and the colours of both have
to fit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from ..errors import Unbroken
from ..geometry import Array, area, oks
from ..media.clock import Films
from ..people import Frame, People
from .affinity import assigned, likeness
from .colours import colours
from .rules import Rules
from .tracker import Tracker
from .tracks import inside

SHORT = 0.1  # seconds that a track goes on unseen before it is left to stitching
SPEED = 0.5  # seconds over which a flow's velocity at its ends is taken
DRIFT = 0.4  # body sizes per second by which people depart from a straight line,
START = 0.2  # and body sizes by which they are off at once
TURNED = 0.5  # standard deviations: the cost of having turned back out of sight
DOUBLE = 0.8  # OKS of two flows in most of their common frames: the same person twice


def tracking(rules: Rules) -> Rules:
    """The rules by which a tracker gives short, pure tracks."""
    return replace(rules, memory=min(SHORT, rules.memory), memory_frames=1, reentry=0.0)


@dataclass(slots=True, eq=False)
class _Flow:
    """What is needed of a track to continue it. Places are relative to the camera's first place."""

    scene: int
    inside: list[bool] = field(default_factory=list)  # first and last: box away from the edges
    begin: list[_Place] = field(default_factory=list)  # of `SPEED` seconds
    end: deque[_Place] = field(default_factory=deque)
    look: Array | None = None  # sum over all frames
    id: int = 0

    def add(self, place: _Place, look: Array | None, inside: bool) -> None:
        self.inside = [self.inside[0] if self.inside else inside, inside]
        if not self.begin or place.time - self.begin[0].time <= SPEED:
            self.begin.append(place)
        self.end.append(place)
        while place.time - self.end[0].time > SPEED:
            self.end.popleft()
        if look is not None:
            self.look = look if self.look is None else self.look + look


class _Place(NamedTuple):
    """Where a person's box was: seconds, centre [2] and size in pixels."""

    time: float
    centre: Array
    size: float


def _velocity(ends: Iterable[_Place]) -> Array:
    """[2] in pixels per second: the slope of a line, damped to 0 where there are few frames."""
    times, centres = (np.array(column) for column in list(zip(*ends, strict=True))[:2])
    times = times - times.mean()
    return times @ (centres - centres.mean(0)) / (np.square(times).sum() + 0.01)


Looks = Callable[[Frame], Array]  # a frame -> what its people look like [N, D]


def looks_of(frame: Frame) -> Array:
    return colours(frame.image, frame.people)


class Stitch:
    """Called with frames whose people have ids of a `tracker` of the rules `tracking`: yields the
    same frames, in order and `flow_window` seconds later, with ids that stay. A person found twice
    is there once. Without pictures (frames of a pixel or so) colours do not count.
    """

    def __init__(
        self, tracker: Tracker, rules: Rules, *, first: int = 1, looks: Looks = looks_of
    ) -> None:
        self._tracker, self._rules, self._next, self._looks = tracker, rules, first, looks
        self._flows: dict[int, _Flow] = {}
        self._ended: dict[int, _Flow] = {}  # the last flow of each id, once settled
        self._scene = 0
        self._films, self._film = Films(), ""
        self._camera = np.eye(3)
        self._waiting: deque[Frame] = deque()
        self._waiting_films: deque[str] = deque()

    def __call__(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        unbroken = Unbroken(frames)
        try:
            for frame in unbroken:
                self._observe(frame)
                while self._due():
                    yield self._settled()
            while self._waiting:
                yield self._settled()
            unbroken.end()
        finally:
            if isinstance(frames, Generator):
                frames.close()

    def _due(self) -> bool:
        """Whether the frame that has waited longest is settled: nothing after the newest matters to
        it.
        """
        first, last = self._waiting[0], self._waiting[-1]
        another = self._waiting_films[0] != self._waiting_films[-1]
        return another or last.time - first.time > self._rules.flow_window

    def _observe(self, frame: Frame) -> None:
        """Adds a frame's people to their flows."""
        moved = self._tracker.moved
        film = self._films(frame.source, frame.index)
        if moved is None or film != self._film:
            self._scene, self._camera = self._scene + 1, np.eye(3)
        else:
            self._camera = np.vstack([moved, [0, 0, 1]]) @ self._camera
        self._film = film
        self._waiting.append(frame)
        self._waiting_films.append(film)
        people = frame.people
        back = np.linalg.inv(self._camera)
        middles = people.boxes.astype(np.float64).reshape(-1, 2, 2).mean(1)
        centres = middles @ back[:2, :2].T + back[:2, 2]
        sizes = np.sqrt(np.maximum(area(people.boxes), 1.0) * abs(np.linalg.det(back)))
        looks = self._looks(frame)
        inner = inside(people.boxes, frame.size[0])
        for n, number in enumerate(_ids(people)):
            flow = self._flows.setdefault(number, _Flow(self._scene))
            place = _Place(frame.time, centres[n], float(sizes[n]))
            flow.add(place, looks[n] if looks[n].any() else None, bool(inner[n]))

    def _settled(self) -> Frame:
        """The frame that has waited longest, with its people's ids."""
        frame = self._waiting.popleft()
        self._waiting_films.popleft()
        new = [number for number in _ids(frame.people) if not self._flows[number].id]
        if new:
            self._merge(frame)
            self._join(frame.time)
        for number in _ids(frame.people):
            flow = self._flows[number]
            if not flow.id:
                flow.id, self._next = self._next, self._next + 1
            self._ended[flow.id] = flow
        self._forget(frame)

        ids = [self._flows[number].id for number in _ids(frame.people)]
        best: dict[int, int] = {}
        for row in np.argsort(-frame.people.scores, kind="stable").tolist():
            best.setdefault(ids[row], row)
        kept = sorted(best.values())
        known = np.array([ids[row] for row in kept], np.int64)
        return replace(frame, people=replace(frame.people[kept], ids=known))

    def _forget(self, frame: Frame) -> None:
        """Drops flows that are neither in this frame nor in those that wait, and ended ones that
        are too old to be continued.
        """
        there = {number for one in (frame, *self._waiting) for number in _ids(one.people)}
        oldest = frame.time - self._rules.flow_gap
        self._flows = {n: flow for n, flow in self._flows.items() if n in there}
        self._ended = {n: flow for n, flow in self._ended.items() if flow.end[-1].time >= oldest}

    def _merge(self, frame: Frame) -> None:
        """Pose flow NMS: if two flows are alike in most of their common frames, the new one gets
        the other's id.
        """
        together: dict[tuple[int, int], list[float]] = {}
        lengths: dict[int, int] = {}
        for seen in (frame, *self._waiting):
            people, ids = seen.people, _ids(seen.people)
            core = people.core
            points = core.keypoints
            alike = oks(points, points, area(people.boxes), core.skeleton.sigmas)
            for a, b in combinations(range(len(ids)), 2):
                pair = together.setdefault((ids[a], ids[b]), [])
                pair.append(float(max(alike[a, b], alike[b, a])))
            for number in ids:
                lengths[number] = lengths.get(number, 0) + 1

        for (a, b), values in together.items():
            if 2 * len(values) > min(lengths[a], lengths[b]) and np.median(values) >= DOUBLE:
                one, other = sorted((self._flows[a], self._flows[b]), key=lambda flow: not flow.id)
                if one.id and not other.id:
                    other.id = one.id

    def _join(self, now: float) -> None:
        """Stitches flows that begin in the window to ended ones, all at once; the flows
        that begin by `now` get their ids.
        """
        new = [flow for flow in self._flows.values() if not flow.id]
        latest = max(flow.begin[0].time for flow in new)
        old = [flow for flow in self._ended.values() if flow.end[-1].time < latest]
        fit = np.array([[self._fit(a, b) for b in new] for a in old]).reshape(len(old), len(new))
        for row, column in zip(*assigned(fit, max(self._rules.flow_match, 1e-9)), strict=True):
            if new[column].begin[0].time <= now:
                new[column].id = old[row].id

    def _fit(self, a: _Flow, b: _Flow) -> float:
        """How well b continues a, in [0, 1]."""
        (ended, ending, before), (begun, beginning, after) = a.end[-1], b.begin[0]
        gap = begun - ended
        hidden = a.scene == b.scene and a.inside[1] and b.inside[0]
        if not (0 < gap <= self._rules.flow_gap and hidden):
            return 0.0

        spread = (START + DRIFT * gap) * np.sqrt(before * after)
        way = (_velocity(a.end) + _velocity(b.begin)) / 2 * gap
        straight, back = (
            np.linalg.norm(beginning - ending - moved) / spread for moved in (way, 0 * way)
        )
        off = min(straight, back + TURNED)
        place = float(np.exp(-0.5 * off**2 - abs(np.log(after / before))))
        if a.look is None or b.look is None or not self._rules.appearance:
            return place

        looks = [look / max(float(np.linalg.norm(look)), 1e-9) for look in (a.look, b.look)]
        like = float(likeness(looks[0][None], looks[1][None])[0, 0])
        weight = self._rules.appearance
        return (place + weight * like) / (1 + weight) * (place > 0.01)


def _ids(people: People) -> list[int]:
    return [] if people.ids is None else people.ids.tolist()
