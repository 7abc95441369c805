"""A coach: counts repetitions of an exercise, measures them, and says what to do better.

Each person has a `Coach`. It is given pose after pose, in the picture or in space, and answers at
once: no frame ahead is needed. A repetition is a way of the exercise's signal from rest to work and
back, with both bounds crossed (a Schmitt trigger), so that noise at one bound counts nothing.

    rest ─────╮              ╭────        counted here, where the signal has turned back
              │╲            ╱
    work ─────│─╲──────────╱──
              start  turn  end

Lengths of the person (trunk, leg, arm) are the long ones of the last seconds, so that a trunk that
leans towards the camera does not make the person smaller.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from ..geometry import Array
from .exercise import FAINT, UNITS, Body, Exercise, Rule

UP_IN_PICTURES = (0.0, -1.0)
REMEMBERED = 10.0  # seconds in which a person's lengths are looked for
LONG = 0.9  # quantile of a length that counts as whole: the longest ones are errors
HELD = 0.3  # seconds for which a joint that is not seen stays where it was
SPEED = 5.0  # trunks a second: 99 % of joints are slower in captured exercises (CMU's 14)
ERROR = 0.5  # trunks by which a joint's place may be wrong besides: less lowers counts of captures
LOST = 0.5  # seconds after which a joint is believed wherever it is
STEADY = 3  # frames of which a signal is the median
SHORTEST = 0.2  # seconds; what is there and back sooner is an error of the joints, not a repetition
TURNED = 0.35  # of the way from work to rest, by which a signal has turned at a film's end
SLIPS = 0.5  # share of a repetition's frames that break a rule before it is said
STRAYS = 0.2  # the same of what tells an exercise from others
WIDE, NARROW = 0.5, 0.33  # shoulders' width in trunks: seen from the front, from the side
ADVISED = 1.0  # seconds that a wrong view lasts before it is said


@dataclass(frozen=True, slots=True)
class Repetition:
    """One repetition: times in seconds, the signal at its turn and how far it went; how long the
    way there and back took; each side's signal at the turn; what to do better.

    Of an exercise that is held, the whole time in which it was.
    """

    start: float
    turn: float
    end: float
    value: float
    reach: float  # from the value at rest to that at the turn
    sides: Mapping[str, float]
    say: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def asymmetry(self) -> float:
        """How far left and right differ at the turn; NaN where one is not seen."""
        return abs(self.sides["left"] - self.sides["right"])


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the coach says at one frame: repetitions so far (seconds, if held), the signal and its
    depth (0 at rest, 1 at work), the repetition that this frame ended, and advice for now.
    """

    time: float
    count: float
    value: float
    depth: float
    ended: Repetition | None = None
    say: tuple[str, ...] = ()


class Lengths:
    """A person's lengths over the last seconds."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, float]]] = {unit: deque() for unit in UNITS}

    def see(self, time: float, body: Body, faint: Body) -> dict[str, float]:
        """The lengths with this pose among them. A length that is not seen is taken from the pose
        as far as it is guessed, `faint`; NaN for what is not guessed either.
        """
        known = {}
        for unit, seen in self._seen.items():
            length = body.chain(unit)
            if math.isfinite(length) and length > 0:
                seen.append((time, length))
            while seen and seen[0][0] < time - REMEMBERED:
                seen.popleft()
            long = float(np.quantile([n for _, n in seen], LONG)) if seen else faint.chain(unit)
            known[unit] = long
        return known


@dataclass(slots=True)
class _Bounds:
    """Values of the rules over a repetition, by the time that each is judged at."""

    rules: Sequence[Rule]
    values: list[list[float]] = field(init=False)

    def __post_init__(self) -> None:
        self.values = [[] for _ in self.rules]

    def see(self, body: Body, view: str, when: str) -> None:
        for rule, values in zip(self.rules, self.values, strict=True):
            if rule.when in (when, "always") and rule.view in ("any", view):
                values.append(rule.measure(body))

    def broken(self, share: float) -> list[Rule]:
        """Rules that more than a share of their frames break: a single frame may be wrong."""
        found = []
        for rule, values in zip(self.rules, self.values, strict=True):
            known = [value for value in values if math.isfinite(value)]
            if known and sum(not rule.kept(value) for value in known) > len(known) * share:
                found.append(rule)
        return found


class Coach:
    """Counts one person's repetitions of one exercise. Give it poses in the order of their times.

    names: of the joints. up: the direction that is up, in the poses' coordinates.
    """

    def __init__(
        self,
        exercise: Exercise,
        names: Sequence[str],
        *,
        up: Sequence[float] = UP_IN_PICTURES,
    ) -> None:
        self.exercise, self.names, self.up = exercise, names, up
        self.repetitions: list[Repetition] = []
        self._lengths = Lengths()
        self._seen: dict[str, tuple[float, Array]] = {}
        self._recent: deque[float] = deque(maxlen=STEADY)
        self._ways: deque[tuple[float, str]] = deque()
        self._working = False
        self._rested: tuple[float, float] | None = None  # time and value of the last rest
        self._turn: tuple[float, float, Mapping[str, float]] | None = None
        self._rules, self._needs = _Bounds(exercise.rules), _Bounds(exercise.needs)
        self.fits = 0  # repetitions that are what tells this exercise from others

    @property
    def count(self) -> float:
        """Repetitions, or seconds of an exercise that is held."""
        if self.exercise.hold:
            return sum(repetition.seconds for repetition in self.repetitions)
        return len(self.repetitions)

    def see(self, time: float, points: Array) -> Feedback:
        """A pose [K, D + 1] (coordinates and score), at a time in seconds -> what to say. A pose
        whose signal is not seen (or [0, …]: nobody) leaves everything as it is.
        """
        body = self._body(time, np.asarray(points, np.float64))
        value = self.exercise.signal(body)
        if not math.isfinite(value):
            return Feedback(time, self.count, math.nan, math.nan)
        self._recent.append(value)
        value = median(self._recent)
        depth = self.exercise.depth(value)
        view = self._view(time, body)
        ended = self._step(time, value, depth, body, view)
        return Feedback(time, self._so_far(time), value, depth, ended, self._advice(time, ended))

    def finish(self) -> list[Repetition]:
        """All repetitions, with one that the film's end cut off after its turn."""
        if self._working and self._turn and self._recent:
            left = self.exercise.depth(median(self._recent))
            turned = self.exercise.depth(self._turn[1]) - left >= TURNED
            if turned or self.exercise.hold:
                self._end(self._last, self._recent[-1])
        return self.repetitions

    def _body(self, time: float, points: Array) -> Body:
        """The pose with joints that were seen a moment ago, and the person's lengths."""
        now = Body.of(self.names, points, self.up, {})
        faint = Body.of(self.names, points, self.up, {}, FAINT)
        lengths = self._lengths.see(time, now, faint)
        for name in self._believed(time, now.joints, lengths["trunk"]):
            self._seen[name] = time, now.joints[name]
        joints = {name: place for name, (at, place) in self._seen.items() if at >= time - HELD}
        return Body(joints, now.up, lengths)

    def _believed(self, time: float, joints: Mapping[str, Array], trunk: float) -> set[str]:
        """The joints that lie where the body can have moved to since they were seen; none of them
        where most jump, as when head and feet change places.
        """
        recent = {name: self._seen[name] for name in joints if name in self._seen}
        recent = {name: seen for name, seen in recent.items() if time - seen[0] <= LOST}
        jumps = {
            name
            for name, (at, place) in recent.items()
            if np.linalg.norm(joints[name] - place) > (ERROR + SPEED * (time - at)) * trunk
        }
        return set() if len(jumps) > len(recent) / 2 else set(joints) - jumps

    def _so_far(self, time: float) -> float:
        if self.exercise.hold and self._working and self._rested:
            return self.count + time - self._rested[0]
        return self.count

    def _step(
        self, time: float, value: float, depth: float, body: Body, view: str
    ) -> Repetition | None:
        self._last = time
        if not self._working:
            if depth <= 0 or self._rested is None:
                self._rest(time, value)
                self._judge(body, view, "rest")
            if depth >= 1:
                self._working, self._turn = True, (time, value, self.exercise.signal.sides(body))
                self._judge(body, view, "work")
            return None
        if self._turn is None or depth >= self.exercise.depth(self._turn[1]):
            self._turn = time, value, self.exercise.signal.sides(body)
        self._judge(body, view, "work" if depth >= 1 else "")
        if depth > 0:
            return None
        return self._end(time, value) if self._lasts(time) else self._rest(time, value)

    def _lasts(self, time: float) -> bool:
        """Whether what ends now is long enough for a body; the start of some is before the film."""
        assert self._rested is not None
        begun, value = self._rested
        return time - begun >= SHORTEST or self.exercise.depth(value) > 0

    def _judge(self, body: Body, view: str, when: str) -> None:
        self._rules.see(body, view, when)
        self._needs.see(body, view, when)

    def _end(self, time: float, value: float) -> Repetition:
        assert self._turn is not None
        assert self._rested is not None
        turn, reached, sides = self._turn
        say = [rule.say for rule in self._rules.broken(SLIPS) if rule.say]
        full = self.exercise.full
        if full is not None and self.exercise.depth(reached) < self.exercise.depth(full):
            say.insert(0, self.exercise.full_say)
        ended = Repetition(
            self._rested[0], turn, time, reached, abs(reached - self._rested[1]), sides, tuple(say)
        )
        self.repetitions.append(ended)
        self.fits += not self._needs.broken(STRAYS)
        self._rest(time, value)
        return ended

    def _rest(self, time: float, value: float) -> None:
        """A new repetition may begin here."""
        self._working, self._turn = False, None
        self._rested = time, value
        self._rules, self._needs = _Bounds(self.exercise.rules), _Bounds(self.exercise.needs)

    def _view(self, time: float, body: Body) -> str:
        """From where the person is seen: 'front' (or back), 'side', or neither; in space, both."""
        if len(self.up) == 3:
            self._ways.append((time, "any"))
            return self.exercise.view
        left, right = (body.joints.get(f"{side}_shoulder") for side in ("left", "right"))
        trunk = body.lengths.get("trunk", math.nan)
        width = math.nan if left is None or right is None else np.linalg.norm(left - right) / trunk
        way = "front" if width >= WIDE else "side" if width <= NARROW else ""
        self._ways.append((time, way))
        while self._ways and self._ways[0][0] < time - ADVISED:
            self._ways.popleft()
        return way

    def _advice(self, time: float, ended: Repetition | None) -> tuple[str, ...]:
        say = ended.say if ended else ()
        wanted = self.exercise.view
        opposite = {"side": "front", "front": "side"}.get(wanted)
        lasting = time - self._ways[0][0] >= 0.9 * ADVISED
        if opposite and lasting and all(way == opposite for _, way in self._ways):
            turn = "Turn sideways to the camera." if wanted == "side" else "Face the camera."
            say = (*say, turn)
        return say


def coach_clip(
    exercise: Exercise,
    times: Iterable[float],
    points: Array,
    names: Sequence[str],
    *,
    up: Sequence[float] = UP_IN_PICTURES,
) -> list[Repetition]:
    """A whole clip of one person: times [F], points [F, K, D + 1] -> its repetitions."""
    coach = Coach(exercise, names, up=up)
    for time, pose in zip(times, points, strict=True):
        coach.see(time, pose)
    return coach.finish()


def recognise(coaches: Mapping[str, Coach]) -> str | None:
    """Coaches of several exercises that have seen the same person -> the exercise that most
    repetitions fit, less those that do not; of equals the one with more that fit, then the one
    with more needs. None if none does.
    """
    fitting = {name: coach for name, coach in coaches.items() if coach.fits}
    return max(
        fitting,
        key=lambda name: (
            fitting[name].fits - (len(fitting[name].repetitions) - fitting[name].fits),
            fitting[name].fits,
            len(fitting[name].exercise.needs),
        ),
        default=None,
    )
