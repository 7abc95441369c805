"""Who is who with hindsight: short tracks are joined to flows when what follows is known, too. For
files.

Pose flows after PoseFlow (Xiu et al. 2018): a tracker that trusts nobody out of sight gives short,
pure tracks (flows); those that show the same person twice are merged (pose flow NMS), and those of
which one goes on where another ended are stitched, all at once over a window. Both ways of looking,
from the end of the one forward and from the beginning of the other back, and the colours of both
have to fit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ..geometry import Array, area, oks
from ..people import Frame, People
from .affinity import assigned, likeness
from .colours import colours
from .rules import Rules
from .tracker import Tracker, inside

SHORT = 0.1  # seconds a track is carried on unseen before it is left to stitching
SPEED = 0.5  # seconds over which a flow's velocity at its ends is taken
DRIFT = 0.4  # body sizes per second by which people depart from a straight way
START = 0.2  # and how far they are off at once
TURNED = 0.5  # standard deviations that it costs to have turned back out of sight
SAME = 0.8  # OKS of two flows in most frames that both have: the same person twice


def tracking(rules: Rules) -> Rules:
    """The rules by which a tracker gives short, pure tracks."""
    return replace(rules, memory=min(SHORT, rules.memory), memory_frames=1, reentry=0.0)


@dataclass(slots=True, eq=False)
class _Flow:
    """One track: what is needed of it to go on with it. Places are where the camera was at first."""

    scene: int
    inside: list[bool] = field(
        default_factory=list
    )  # first and last: whether all of the box was away from the edges
    begin: list[tuple[float, Array, float]] = field(
        default_factory=list
    )  # time, centre, size, for `SPEED` seconds
    end: deque[tuple[float, Array, float]] = field(default_factory=deque)
    look: Array | None = None  # sum over all frames
    id: int = 0

    def add(
        self, time: float, centre: Array, size: float, look: Array | None, inside: bool
    ) -> None:
        self.inside = [self.inside[0] if self.inside else inside, inside]
        if not self.begin or time - self.begin[0][0] <= SPEED:
            self.begin.append((time, centre, size))
        self.end.append((time, centre, size))
        while time - self.end[0][0] > SPEED:
            self.end.popleft()
        if look is not None:
            self.look = look if self.look is None else self.look + look


def _velocity(ends: Iterable[tuple[float, Array, float]]) -> Array:
    """[2] in pixels per second: the slope of a line, and next to nothing where few frames tell."""
    times, centres = (np.array(column) for column in list(zip(*ends, strict=True))[:2])
    times = times - times.mean()
    return times @ (centres - centres.mean(0)) / (np.square(times).sum() + 0.01)


class Stitch:
    """Called with frames whose people have ids of a `tracker` by the rules of `tracking`, gives the
    same frames, in order and `window` seconds later, with ids that stay. Someone found twice is
    there once.

    rules: `flow_gap` is the longest time out of sight, `match` the least affinity. Without pictures
    (of a pixel or so) colours do not count.
    """

    def __init__(self, tracker: Tracker, rules: Rules, *, first: int = 1) -> None:
        self._tracker, self._rules, self._next = tracker, rules, first
        self._flows: dict[int, _Flow] = {}
        self._ended: dict[int, _Flow] = {}  # the last flow of each id, once settled
        self._scene, self._source = 0, None
        self._camera = np.eye(3)
        self._waiting: deque[Frame] = deque()

    def __call__(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        try:
            for frame in frames:
                self._observe(frame)
                while self._waiting[-1].time - self._waiting[0].time > self._rules.flow_window or (
                    self._waiting[0].source != frame.source
                    and (frame.index or self._waiting[0].index)
                ):
                    yield self._settled()
            while self._waiting:
                yield self._settled()
        finally:
            if isinstance(frames, Generator):
                frames.close()

    def _observe(self, frame: Frame) -> None:
        """Adds what a frame shows to the flows it belongs to."""
        moved = self._tracker.moved
        if moved is None or (frame.source != self._source and frame.index):
            self._scene, self._camera = self._scene + 1, np.eye(3)
        else:
            self._camera = np.vstack([moved, [0, 0, 1]]) @ self._camera
        self._source = frame.source
        self._waiting.append(frame)
        people = frame.people
        back = np.linalg.inv(self._camera)
        centres = (
            people.boxes.astype(np.float64).reshape(-1, 2, 2).mean(1) @ back[:2, :2].T + back[:2, 2]
        )
        sizes = np.sqrt(np.maximum(area(people.boxes), 1.0) * abs(np.linalg.det(back)))
        looks = colours(frame.image, people)
        inner = inside(people.boxes, frame.size[0])
        for n, number in enumerate(_ids(people)):
            flow = self._flows.setdefault(number, _Flow(self._scene))
            flow.add(
                frame.time,
                centres[n],
                float(sizes[n]),
                looks[n] if looks[n].any() else None,
                bool(inner[n]),
            )

    def _settled(self) -> Frame:
        """The frame that has waited longest, with its people's ids."""
        frame = self._waiting.popleft()
        new = [number for number in _ids(frame.people) if not self._flows[number].id]
        if new:
            self._merge(frame)
            self._join(frame.time)
        for number in _ids(frame.people):
            flow = self._flows[number]
            if not flow.id:
                flow.id, self._next = self._next, self._next + 1
            self._ended[flow.id] = flow
        now = frame.time - self._rules.flow_gap
        there = {number for waiting in self._waiting for number in _ids(waiting.people)} | set(
            _ids(frame.people)
        )
        self._flows = {n: flow for n, flow in self._flows.items() if n in there}
        self._ended = {n: flow for n, flow in self._ended.items() if flow.end[-1][0] >= now}
        ids = [self._flows[number].id for number in _ids(frame.people)]
        best: dict[int, int] = {}
        for row in np.argsort(-frame.people.scores, kind="stable").tolist():
            best.setdefault(ids[row], row)
        kept = sorted(best.values())
        return replace(
            frame,
            people=replace(frame.people[kept], ids=np.array([ids[row] for row in kept], np.int64)),
        )

    def _merge(self, frame: Frame) -> None:
        """Pose flow NMS: of two flows that are alike in most of the frames that both have, the new
        has the other's id.
        """
        together: dict[tuple[int, int], list[float]] = {}
        lengths: dict[int, int] = {}
        for seen in (frame, *self._waiting):
            people, ids = seen.people, _ids(seen.people)
            if len(ids) > 1:
                alike = oks(
                    people.keypoints, people.keypoints, area(people.boxes), people.skeleton.sigmas
                )
                for a, b in zip(*np.nonzero(np.triu(np.ones_like(alike), 1)), strict=True):
                    together.setdefault((ids[a], ids[b]), []).append(
                        float(max(alike[a, b], alike[b, a]))
                    )
            for number in ids:
                lengths[number] = lengths.get(number, 0) + 1
        for (a, b), values in together.items():
            if 2 * len(values) > min(lengths[a], lengths[b]) and np.median(values) >= SAME:
                one, other = sorted((self._flows[a], self._flows[b]), key=lambda flow: not flow.id)
                if one.id and not other.id:
                    other.id = one.id

    def _join(self, now: float) -> None:
        """Stitches the flows that begin in the window to those that have ended before, all at once,
        and gives those that begin now their ids.
        """
        new = [flow for flow in self._flows.values() if not flow.id]
        old = [
            flow
            for flow in self._ended.values()
            if flow.end[-1][0] < max(one.begin[0][0] for one in new)
        ]
        fit = np.array([[self._fit(a, b) for b in new] for a in old]).reshape(len(old), len(new))
        for row, column in zip(*assigned(fit, max(self._rules.flow_match, 1e-9)), strict=True):
            if new[column].begin[0][0] <= now:
                new[column].id = old[row].id

    def _fit(self, a: _Flow, b: _Flow) -> float:
        """How well b goes on where a ended, in [0, 1]."""
        (ended, ending, before), (begun, beginning, after) = a.end[-1], b.begin[0]
        gap = begun - ended
        if (
            not 0 < gap <= self._rules.flow_gap
            or a.scene != b.scene
            or not (a.inside[1] and b.inside[0])
        ):
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
        return (
            (place + self._rules.appearance * like) / (1 + self._rules.appearance) * (place > 0.01)
        )


def _ids(people: People) -> list[int]:
    return [] if people.ids is None else people.ids.tolist()
