"""The floor that feet stand on: when a foot stands, where the floor lies, and feet that stay put.

A foot stands where its ankle is slow and not above the other one. The floor is the plane that
standing ankles lie a hand above, found by least squares with Huber's weights (Huber 1964), held
near the plane on which the bodies stand upright: the ankles of one person who stays in one place
say little of how it tilts. Camera coordinates (`Poses3D`) become a world with z up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..geometry import Array
from ..people import Poses3D
from ..skeletons import H36M17
from .knees import LEGS, thigh

ANKLES = [H36M17.joints.index(name) for name in ("left_ankle", "right_ankle")]
PELVIS, THORAX = H36M17.joints.index("pelvis"), H36M17.joints.index("thorax")
ANKLE = 0.08  # metres from the floor to the ankle of a foot that stands
SLOW = 0.35  # metres a second: a foot that is faster does not stand
AS_SEEN = (1.0, 1.0, 0.3)  # how much of a velocity before one camera counts: depth is least known
SLOW_SEEN = 0.25  # metres a second, of a velocity that counts so
LOW = 0.08  # metres that a standing foot may be above the other one
SURE = 0.3  # score that an ankle needs
LOOSE = 1.5  # a foot that stands stands on until it is so many times as fast
SMOOTHED = 0.1  # seconds over which a foot's velocity is taken
RELEASE = 0.5  # seconds in which a correction fades when no foot stands
FOLLOWED = 0.15  # seconds in which a body goes along with its standing feet
LOST = 1.0  # metres from where it stood, at which a foot stands anew
REACH = 0.9995  # share of its length to which a leg is stretched at most
TRIES = 10  # to bring a body to where both feet reach the ground
LONGEST = 0.5  # seconds between two frames of a person, above which everything starts anew
HELD = 0.02  # square metres: how much the bodies' upright weighs beside the spread of the ankles
HUBER = 0.05  # metres off the floor from which an ankle counts less
MOST = 20_000  # ankles that are kept


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """A plane in camera coordinates: up · p + height is the distance from the floor. up is a unit
    vector, height the camera's own, in metres.
    """

    up: Array
    height: float

    def to_world(self, joints: Array) -> Array:
        """Camera coordinates [..., 3] -> z up from the floor, x to the camera's right, y away from
        it, the origin below the camera.
        """
        return joints @ self.axes().T + np.array([0, 0, self.height])

    def to_camera(self, joints: Array) -> Array:
        """The inverse."""
        return (joints - np.array([0, 0, self.height])) @ self.axes()

    def axes(self) -> Array:
        """[3, 3]: rows are the world's x, y, z as the camera sees them."""
        right = np.array([1.0, 0, 0]) - self.up[0] * self.up
        if np.linalg.norm(right) < 1e-3:  # the camera lies on its side
            right = np.array([0, 0, 1.0]) - self.up[2] * self.up
        right = right / np.linalg.norm(right)
        return np.stack([right, np.cross(self.up, right), self.up])


@dataclass(slots=True)
class Feet:
    """Which feet of one person stand, frame by frame: those slower than `slow`, where velocities
    along x, y and z count so much.
    """

    counts: tuple[float, float, float] = (1.0, 1.0, 1.0)
    slow: float = SLOW
    _time: float = -np.inf
    _ankles: Array | None = None
    _velocity: Array | None = None  # [2, 3], smoothed
    _stood: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(2, bool))

    def seen(self, time: float) -> bool:
        """Whether the person was there so lately that the next frame goes on from it."""
        return time - self._time <= LONGEST

    def __call__(self, joints: Array, time: float, up: Array) -> NDArray[np.bool_]:
        """Joints [17, 4] of H36M17 and the time in seconds -> [2]: left, right."""
        ankles = joints[ANKLES, :3].astype(np.float64)
        step, self._time = time - self._time, time
        before, self._ankles = self._ankles, ankles
        if before is None or not 0 < step <= LONGEST:
            self._velocity, self._stood = None, np.zeros(2, bool)
            return self._stood

        velocity = (ankles - before) * self.counts / step
        if self._velocity is not None:
            share = 1 - np.exp(-step / SMOOTHED)
            velocity = self._velocity + share * (velocity - self._velocity)
        self._velocity = velocity
        slow = np.linalg.norm(velocity, axis=1) < self.slow * np.where(self._stood, LOOSE, 1)
        above = ankles @ up
        low = above - above.min() <= LOW
        self._stood = slow & low & (joints[ANKLES, 3] >= SURE)
        return self._stood


@dataclass(slots=True)
class Upright:
    """Where up is in camera coordinates, by the trunks of people who neither lie nor bend."""

    _total: Array = field(default_factory=lambda: np.array([0.0, -1.0, 0.0]))

    def add(self, joints: Array) -> None:
        """A person's joints [17, 4]."""
        trunk = joints[THORAX, :3].astype(np.float64) - joints[PELVIS, :3]
        length = np.linalg.norm(trunk)
        if length > 0 and -trunk[1] > 0.7 * length:
            self._total = self._total + trunk / length

    @property
    def up(self) -> Array:
        """[3], a unit vector; before anybody is seen, that of a level camera."""
        return self._total / np.linalg.norm(self._total)


@dataclass(slots=True)
class FloorFinder:
    """Collects where people stand, in camera coordinates, and finds the floor."""

    _feet: dict[int, Feet] = field(default_factory=dict)
    _ankles: list[Array] = field(default_factory=list)
    _upright: Upright = field(default_factory=Upright)
    _every: int = 1
    _count: int = 0

    def add(self, poses: Poses3D, time: float) -> None:
        """The people of a frame; those without ids are not followed, so none of them stands."""
        ids = [] if poses.ids is None else poses.ids.tolist()
        level = np.array([0.0, -1.0, 0.0])
        for number, joints in zip(ids, poses.joints, strict=False):
            feet = self._feet.setdefault(number, Feet(AS_SEEN, SLOW_SEEN))
            self._upright.add(joints)
            for ankle in joints[ANKLES, :3][feet(joints, time, level)]:
                self._keep(ankle.astype(np.float64))
        here = {number: feet for number, feet in self._feet.items() if feet.seen(time)}
        self._feet = here  # nobody is remembered for ever

    def _keep(self, ankle: Array) -> None:
        """Every ankle, then every second, … so that there are never more than `MOST`."""
        self._count += 1
        if self._count % self._every == 0:
            self._ankles.append(ankle)
        if len(self._ankles) > MOST:
            self._ankles = self._ankles[1::2]
            self._every *= 2

    def floor(self) -> Floor:
        """Raises DataError where nobody stood."""
        if len(self._ankles) < 10:
            raise DataError("no floor: nobody was seen to stand on it; leave --world out")
        return fitted(np.array(self._ankles), self._upright.up)


def fitted(ankles: Array, upright: Array) -> Floor:
    """Standing ankles [N, 3] and how bodies stand [3] -> the floor below them."""
    sides = Floor(upright, 0).axes()[:2]
    middle = np.median(ankles, axis=0)
    apart = ankles - middle
    columns = np.column_stack([apart @ sides.T, np.ones(len(apart))])
    above = apart @ upright
    weights = np.ones(len(apart))
    held = HELD * np.diag([1.0, 1.0, 0.0])
    tilt = np.zeros(3)
    for _ in range(10):
        share = weights / weights.sum()
        normal = columns.T @ (share[:, None] * columns) + held
        tilt = np.linalg.solve(normal, -columns.T @ (share * above))
        off = np.abs(above + columns @ tilt)
        weights = np.minimum(1, HUBER / np.maximum(off, 1e-9))

    up = upright + tilt[:2] @ sides
    length = float(np.linalg.norm(up))
    height = (tilt[2] - up @ middle) / length + ANKLE
    return Floor(up / length, float(height))


@dataclass(slots=True)
class Planted:
    """One person, moved so that a foot that stands stays where it is: the body goes along slowly,
    and the legs bend by what is left.
    """

    _feet: Feet = field(default_factory=lambda: Feet(AS_SEEN, SLOW_SEEN))
    _time: float = -np.inf
    _anchors: Array = field(default_factory=lambda: np.full((2, 3), np.nan))
    _moved: Array = field(default_factory=lambda: np.zeros(3))  # of the body
    _left: Array = field(default_factory=lambda: np.zeros((2, 3)))  # of the ankles, beside that

    def __call__(self, joints: Array, time: float, up: Array) -> Array:
        """Joints [17, 4], time in seconds and where up is -> the same, moved."""
        step, self._time = time - self._time, time
        if not 0 < step <= LONGEST:
            self._anchors[:], self._moved, self._left = np.nan, np.zeros(3), np.zeros((2, 3))
            step = LONGEST
        stands = self._feet(joints, time, up)
        ankles = joints[ANKLES, :3].astype(np.float64)
        away = self._anchors - ankles
        held = stands & (np.linalg.norm(away, axis=1) < LOST)  # NaN: it has just come down
        if held.any():
            share = 1 - np.exp(-step / FOLLOWED)
            self._moved = self._moved + share * (away[held].mean(0) - self._moved)
        else:
            self._moved = self._moved * np.exp(-step / RELEASE)
        fading = self._left * np.exp(-step / RELEASE)
        self._anchors[~held] = np.where(
            stands[~held, None], (ankles + self._moved + fading)[~held], np.nan
        )
        self._left = np.where(stands[:, None], self._anchors - ankles - self._moved, fading)

        out = joints.copy()
        body = joints[:, :3].astype(np.float64) + self._moved
        out[:, :3] = reaching(body, body[ANKLES] + self._left, stands)
        return out


def reaching(body: Array, goals: Array, stands: NDArray[np.bool_]) -> Array:
    """Joints [17, 3] -> the same, ankles at goals [2, 3]. If a foot that stands is beyond its leg's
    reach, the body comes nearer; another foot stays within it.
    """
    legs = np.array(LEGS)
    hips, knees, ankles = (body[legs[:, n]] for n in range(3))
    upper, lower = knees - hips, ankles - knees
    a, b = (np.linalg.norm(bone, axis=1, keepdims=True) for bone in (upper, lower))
    most, shift = REACH * (a + b), np.zeros(3)
    for _ in range(TRIES):
        way = goals - hips - shift
        far = np.linalg.norm(way, axis=1, keepdims=True)
        over = np.maximum(far - most, 0)[:, 0] * stands
        if over.max() < 1e-4:
            break
        n = int(over.argmax())
        shift = shift + way[n] * (over[n] / far[n])
    way = goals - hips - shift
    far = np.linalg.norm(way, axis=1, keepdims=True)
    along = way / np.maximum(far, 1e-9)
    far = np.clip(far, np.abs(a - b) + 1e-6, most)
    out = body + shift
    out[legs[:, 1]] = out[legs[:, 0]] + thigh(along, far, upper, a, b)
    out[legs[:, 2]] = out[legs[:, 0]] + far * along
    return out


def grounded(poses: Poses3D, floor: Floor) -> Poses3D:
    """People in camera coordinates -> people in the world."""
    joints = poses.joints.copy()
    known = joints[..., :3].any(-1, keepdims=True)  # what lies in the camera itself is missing
    joints[..., :3] = np.where(known, floor.to_world(joints[..., :3]), 0)
    return replace(poses, joints=joints, frame="world")


def skating(joints: Array, times: Array, up: Array) -> tuple[float, float]:
    """A person's joints [T, 17, 4] over time -> how fast feet move while they stand (metres a
    second, mean), and the share of frames in which one stands.
    """
    feet = Feet()
    stands = np.array([feet(one, float(t), up) for one, t in zip(joints, times, strict=True)])
    ankles = joints[:, ANKLES, :3].astype(np.float64)
    speed = np.linalg.norm(np.diff(ankles, axis=0), axis=2) / np.diff(times)[:, None]
    both = stands[1:] & stands[:-1]
    return (float(speed[both].mean()) if both.any() else 0.0), float(stands.any(1).mean())


def slides(joints: Array, times: Array, up: Array) -> Array:
    """The same -> per contact of a tenth of a second or more, the farthest in metres that its ankle
    is from its mean place meanwhile.
    """
    feet, runs = Feet(), [[], []]
    out: list[float] = []
    for one, time in zip(joints, times, strict=True):
        stands = feet(one, float(time), up)
        for foot, run in enumerate(runs):
            if stands[foot]:
                run.append((float(time), one[ANKLES[foot], :3].astype(np.float64)))
            else:
                out += _slide(run)
                run.clear()
    return np.array(out + _slide(runs[0]) + _slide(runs[1]))


def _slide(run: list[tuple[float, Array]]) -> list[float]:
    if len(run) < 2 or run[-1][0] - run[0][0] < 0.1:
        return []
    places = np.array([place for _, place in run])
    return [float(np.linalg.norm(places - places.mean(0), axis=1).max())]


def stretching(joints: Array) -> Array:
    """Joints [T, 17 or more, 3 or more] -> [16]: how much the length of each bone of H36M17 varies
    over time, its standard deviation by its mean.
    """
    from .anatomy import bones

    lengths = bones(joints[:, : len(H36M17), :3].astype(np.float64))[:, 1:]
    return lengths.std(0) / np.maximum(lengths.mean(0), 1e-9)
