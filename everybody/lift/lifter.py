"""From joints in pictures to poses in space, frame by frame: clips, the network, bones, the root.

    people with ids ─▶ clips of 27 frames ─▶ network ─▶ steady bones ─▶ root ─▶ Poses3D

People whose feet are seen get these, faces and necks beside the 17 joints (`further`).

A frame waits for the `ahead` frames after it (13 by default, .43 s; 0 for live), which make it more
accurate; without them the network gets clips whose future is not known. Each person's clip is
lifted together with its mirror image, and the two answers are averaged, so that mirrored people
get mirrored poses exactly. Memory holds a second of joints for each person in sight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, OptionError, Unbroken
from ..geometry import Array
from ..media.clock import Films
from ..options import Engine
from ..people import Frame, People, Poses3D
from ..runtime import Session, describe
from ..skeletons import COCO17, H36M17, H36M29, HALPE26, Skeleton, mapping
from ..weights.locate import opened
from . import root, window
from .anatomy import HEIGHT
from .cameras import focal
from .exif import picture_fov
from .floor import Upright
from .further import tells_feet, with_further
from .knees import as_in_gait
from .track import KEPT, RATE, Track, scores

FOV = 60.0  # degrees across the longer side where nothing is known: a phone's main camera
AHEAD = 13  # frames
TOGETHER = 16  # frames that are lifted in one call, where somebody may wait
GONE = 10.0  # seconds out of sight after which nothing of a person is remembered
BODY, OTHERS = slice(len(COCO17)), slice(len(COCO17), None)  # of HALPE26


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """How people are lifted into space.

    model: a name of the manifest or an ONNX file; None: the default. fov: degrees across the
    picture's longer side; None: as a picture's EXIF says, else 60. height: of the people, in
    metres; None: 1.70. ahead: frames of 1/30 s that a frame waits for, 0 to 13; 0 for live.
    steady: joints are averaged with those of the frames around, as far as they are known; bones
    keep their lengths, depth does not jump, and feet that stand stay where they are.
    """

    model: str | Path | None = None
    fov: float | None = None
    height: float | None = None
    ahead: int = AHEAD
    steady: bool = True

    def __post_init__(self) -> None:
        if self.fov is not None:
            focal((1, 1), self.fov)
        if self.height is not None and not 0.3 <= self.height <= 3:
            raise OptionError(
                f"height {self.height:g}: expected a body's height in metres, .3 to 3, as 1.78"
            )
        if not 0 <= self.ahead <= AHEAD:
            raise OptionError(f"ahead {self.ahead}: expected 0 (live) to {AHEAD} frames")

    @classmethod
    def usual(cls, *, live: bool) -> Lift:
        """By the usual rules: live, no frame waits for others."""
        return cls(ahead=0 if live else AHEAD)

    def __call__(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Frames -> the same frames with their people in space, in order."""
        return Lifting(self)(frames)


class Seen(Protocol):
    """What is lifted: a `Frame` or a `Record`."""

    @property
    def source(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def time(self) -> float: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def people(self) -> People: ...


S = TypeVar("S", bound=Seen)


class Lifting:
    """`Lift`, ready to run: with the network loaded."""

    def __init__(self, lift: Lift, engine: Engine | None = None) -> None:
        self.lift = lift
        engine = replace(engine or Engine(), threads=1)
        self._net = Network(opened(lift.model, "lift", engine)[0])

    def models(self) -> list[dict[str, str]]:
        """What run.json says of the network."""
        return [describe("lift", self._net.session)]

    def __call__(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Frames -> the same frames with their people in space, in order."""
        for frame, poses in self.poses(frames):
            yield replace(frame, poses3d=poses)

    def poses(self, frames: Iterable[S]) -> Iterator[tuple[S, Poses3D]]:
        """Frames or records -> the same, in order, each with its people in space."""
        films, film = Films(), None
        reel = Reel(self.lift, self._net)
        unbroken = Unbroken(frames)
        for frame in unbroken:
            if film != (film := films(frame.source, frame.index)):
                yield from reel.rest()
                reel = Reel(self.lift, self._net)
            yield from reel.add(frame)
        yield from reel.rest()
        unbroken.end()


def flat(skeleton: Skeleton) -> str:
    """What to say of the joints that stay in the picture's plane, as points of faces and hands do.
    "" where there are none.
    """
    known = {*COCO17.joints, *mapping(H36M29, skeleton).copied, *mapping(H36M29, skeleton).derived}
    names = [joint for joint in skeleton.joints if joint not in known]
    if not names:
        return ""
    some = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"{len(names)} joints are not put into space, which the lifter does not know: {some}"


class Network:
    """A lifter's session: clips in, poses out, the same for a mirrored world."""

    def __init__(self, session: Session) -> None:
        shape = session.input.shape
        points = len(COCO17) + 1
        if len(shape) != 4 or shape[2:] != (points, 3) or shape[1] is None or shape[1] % 2 == 0:
            raise ModelError(
                f"{session.path}: takes {session.input}: expected a lifter, of clips [?, odd "
                f"number of frames, {points}, 3]"
            )
        self.session = session
        self.reach = shape[1] // 2

    def __call__(self, points: NDArray[np.float32]) -> Array:
        """Rays and scores [N, F, 17, 3] around the middle frames -> poses [N, 17, 3] of H36M17,
        relative to the pelvis, as the camera sees them, in heights of the body.
        """
        if not len(points):
            return np.zeros((0, len(H36M17), 3), np.float32)
        seen = window.seen(points, middle=self.reach)
        both = np.concatenate([seen.clips, window.mirrored(seen.clips)])
        straight, other = np.split(self.session(both)[0][:, 0], 2)
        poses = (straight + other[:, list(H36M17.mirror)] * np.array([-1, 1, 1])) / 2
        poses = poses - poses[:, :1]
        return (poses @ seen.turns).astype(np.float32)  # back: the inverse of a turn is its .T


class Waiting(NamedTuple):
    """A frame that waits, and its people's rays and scores [N, 26, 3]."""

    frame: Any
    points: Array


@dataclass(slots=True)
class Reel:
    """The frames of one film: those that wait, and the people on them, by id."""

    lift: Lift
    net: Network
    waiting: deque[Waiting] = field(default_factory=deque)
    tracks: dict[int, Track] = field(default_factory=dict)
    upright: Upright = field(default_factory=Upright)
    feet: bool = False  # whether people have some, so that 29 joints come out

    def add(self, frame: S) -> Iterator[tuple[S, Poses3D]]:
        """A new frame -> those that need not wait any more."""
        if len(frame.people.skeleton):  # without joints nobody is there, or it is refused
            self.feet = tells_feet(frame.people.skeleton)
        points = self._rays(frame)
        for number, one in zip(_ids(frame.people), points, strict=False):
            self.tracks.setdefault(number, Track()).add(frame.time, one)
        self.waiting.append(Waiting(frame, points))
        latest = frame.time - self.lift.ahead / RATE + 1e-6
        ready = sum(one.frame.time <= latest for one in self.waiting)
        if ready >= (TOGETHER if self.lift.ahead else 1):
            yield from self._lifted(ready)

    def rest(self) -> Iterator[tuple[Any, Poses3D]]:
        """The frames that wait for others, which do not come."""
        while self.waiting:
            yield from self._lifted(min(len(self.waiting), TOGETHER))

    def _rays(self, frame: Seen) -> Array:
        """[N, 26, 3]: rays and scores of HALPE26's joints, of which COCO's come first."""
        people, size = frame.people, frame.size
        if not len(people):
            return np.zeros((0, len(HALPE26), 3), np.float32)
        if not len(people.skeleton):
            raise OptionError("people without joints cannot be lifted: choose a pose model")
        if min(size) <= 0:
            raise OptionError(
                f"frame {frame.index} of '{frame.source}': its size is not known, so its camera is "
                "not: give results that say width and height"
            )
        points = mapping(people.skeleton, HALPE26)(people.keypoints)
        length = focal(size, self.lift.fov or picture_fov(frame.source, frame.index) or FOV)
        rays = window.rays(points[..., :2], size, length)
        return np.concatenate([rays, points[..., 2:]], 2).astype(np.float32)

    def _lifted(self, count: int) -> Iterator[tuple[Any, Poses3D]]:
        """The first so many waiting frames, lifted in one call."""
        now = [self.waiting.popleft() for _ in range(count)]
        clips = np.concatenate([self._clips(*one) for one in now])
        body = self._smoothed(clips[:, :, BODY])
        poses, points = self.net(body), body[:, self.net.reach]
        found, start = [], 0
        for frame, _ in now:
            part = slice(start, start + len(frame.people))
            start = part.stop
            found.append(self._placed(frame, poses[part], points[part]))
        if self.feet:
            others = self._smoothed(clips[:, :, OTHERS])[:, self.net.reach]
            every = np.concatenate([points, others], 1)
            found = with_further(found, every, self.lift.height or HEIGHT)
        yield from zip((frame for frame, _ in now), found, strict=True)
        self._forget(now[-1].frame.time)

    def _smoothed(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        clips = np.ascontiguousarray(clips)
        return window.smoothed(clips) if self.lift.steady else clips

    def _clips(self, frame: Seen, points: Array) -> NDArray[np.float32]:
        """[N, F, 26, 3] around a frame; of people without ids, the frame alone."""
        reach, ahead = self.net.reach, min(self.lift.ahead, self.net.reach)
        clips = np.zeros((len(points), 2 * reach + 1, len(HALPE26), 3), np.float32)
        for clip, number in zip(clips, _ids(frame.people), strict=False):
            clip[: reach + ahead + 1] = self.tracks[number].clip(frame.time, reach, ahead)
        clips[:, reach] = points
        return clips

    def _placed(self, frame: Seen, poses: Array, points: Array) -> Poses3D:
        """Poses [N, 17, 3] in heights -> where the people are, in metres."""
        height = self.lift.height or HEIGHT
        if not len(poses):
            return Poses3D.empty(H36M17)
        people = [self.tracks[number] for number in _ids(frame.people)] if self.lift.steady else []
        if people:
            trust = points[..., 2].mean(1)
            steadied = [p.steadied(*one) for p, *one in zip(people, poses, trust, strict=True)]
            poses = np.stack(steadied)
        poses = as_in_gait(poses) * height
        roots = root.place(poses, points)
        if people:
            roots = np.stack([p.near(r, frame.time) for p, r in zip(people, roots, strict=True)])
        joints = np.concatenate([poses + roots[:, None], scores(points[..., 2])[..., None]], 2)
        scale = np.array([HEIGHT / height] * 3 + [1])
        for n, person in enumerate(people):
            self.upright.add(joints[n])
            scaled = joints[n] * scale  # what stands does not depend on how tall a body is said
            joints[n] = person.feet(scaled, frame.time, self.upright.up) / scale
        return Poses3D(joints.astype(np.float32), H36M17, frame.people.ids)

    def _forget(self, time: float) -> None:
        """What no later frame needs: joints of more than a second ago, people who are gone."""
        for number, track in list(self.tracks.items()):
            track.forget(time - KEPT)
            if track.last < time - GONE:
                del self.tracks[number]


def _ids(people: People) -> list[int]:
    return [] if people.ids is None else people.ids.tolist()
