"""An online tracker of poses: which person of this frame is which person of the last ones.

Each frame: predict every track (Kalman), follow the camera, assign people to tracks by affinity
(first people that score well, then the others to the tracks that are left: Zhang et al. 2022,
ByteTrack), correct the tracks, begin and end some (`Rules`). Nothing depends on the order in which
a frame lists its people.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..media.clock import Films
from ..people import PERSON, Frame, Image, People
from ..skeletons import BOX, Skeleton
from .affinity import affinity, assigned, with_appearance
from .camera_motion import IDENTITY, Camera
from .colours import colours
from .gallery import Gallery
from .observation import Observation, observe, refitted
from .rules import Rules
from .tracks import Tracks, units

Embed = Callable[[Image, Array], Array]  # picture, boxes [N, 4] -> unit vectors [N, D]
Rows = NDArray[np.intp]

FRAME_TIME = 0.04  # seconds between frames whose times do not tell, as those of pictures
LONGEST = 1.0  # seconds over which a velocity means anything
RECENT = 0.25  # seconds for which an unseen person is still expected at the predicted place
DUPLICATE = 0.7  # affinity to a track that was found already: a person so similar is not new
LEAST = 0.3  # least mean score of joints, in frames without a detection
FADED = 0.5  # share of a person's usual joint score: less, without a detection, is a miss


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that a tracker knows of a frame, so that it can be tracked again without its picture.

    looks [N, D]: what the people look like. moved [2, 3]: what the camera did since the frame
    before; None: a cut. width: of the picture. Without a picture, looks is None.
    """

    people: People
    detected: bool = True
    looks: Array | None = None
    moved: Array | None = None
    width: int = 0


class Tracker:
    """Gives people ids that stay: 1, 2, 3 … in the order of their appearance, none of them twice.

    People without an id (yet: see `Rules`) are left out. embed: pictures and boxes -> embeddings of
    appearance (`appearance.Embedder`). camera: follow the camera's motion, where pictures are
    given. first: the first id.

    missed: the last frame lacked a person of the one before it, or was cut to without a detection.
    unsure: the next detection may give a person an id. moved: the camera's motion before the last
    frame [2, 3]; None after a cut. evidence: all that the last frame told; rows: which of its
    people have ids.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        *,
        embed: Embed | None = None,
        camera: bool = True,
        first: int = 1,
    ) -> None:
        self.rules = rules or Rules()
        self.missed = False
        self.unsure = False
        self.moved: Array | None = IDENTITY
        self.evidence: Evidence | None = None
        self.rows: Rows = np.zeros(0, np.intp)
        self._next = first
        self._embed = embed
        self._camera = Camera(follow=camera)
        self._gallery = Gallery(self.rules, strong=embed is not None)
        self._width = np.inf  # of the picture
        self._skeleton: Skeleton | None = None
        self._named = False  # people have categories
        self._tracks = Tracks.starting(observe(People.from_boxes([])), now=0.0)
        self._clock = 0.0  # seconds of all steps so far, which never goes back
        self._time = -np.inf
        self._step = FRAME_TIME
        self._last: Frame | None = None
        self._films, self._film = Films(), ""

    def __call__(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Frames with people -> the same frames, in order, with ids."""
        try:
            for frame in frames:
                yield self.track(frame)
        finally:
            if isinstance(frames, Generator):
                frames.close()

    def track(self, frame: Frame, *, detected: bool = True) -> Frame:
        """The next frame; `detected` as in `update`. Another film (`media.clock.Films`) ends all
        tracks.
        """
        film = self._films(frame.source, frame.index)
        if self._last and film != self._film:
            self.cut()
        self._film = film
        self._last = replace(frame, image=frame.image[:1, :1].copy(), people=frame.people[:0])
        people = self.update(frame.people, frame.time, image=frame.image, detected=detected)
        return replace(frame, people=people)

    def cut(self) -> None:
        """End all tracks: the next people are new, unless their appearance is known."""
        self._end()
        self._camera.forget()
        self._time = -np.inf

    def update(
        self, people: People, time: float, *, image: Image | None = None, detected: bool = True
    ) -> People:
        """The people of the next frame, `time` in seconds -> those of them who have ids.

        image [H, W, 3] shows the camera's motion, cuts and appearances. detected=False: the boxes
        are the `expected` ones rather than a detector's, and are fitted to the poses. If the time
        is not later than the last one, the time of the next frame is assumed.
        """
        if image is None:
            return self.again(Evidence(people, detected), time)
        order = _order(people)
        looks = self._looks(image, people[order])[np.argsort(order)]
        moved = self._camera(image, self._tracks.motion.boxes)
        return self.again(Evidence(people, detected, looks, moved, image.shape[1]), time)

    def again(self, evidence: Evidence, time: float) -> People:
        """`update` by what it has known of the frame (`evidence`)."""
        self.evidence = evidence
        people, detected = evidence.people, evidence.detected
        if self._skeleton != people.skeleton.core:
            self._skeleton = people.skeleton.core
            self._tracks = Tracks.starting(observe(People.empty(self._skeleton)), now=0.0)
        self._named |= people.categories is not None
        elapsed = time - self._time
        if not 0 < elapsed < np.inf:
            elapsed = self._step
        self._time, self._clock, self._step = time, self._clock + elapsed, min(elapsed, LONGEST)

        order = _order(people)
        people = people[order]
        seen = observe(people.core, None if evidence.looks is None else evidence.looks[order])
        self.missed = False
        self._predict(evidence)
        track, person, seen = self._associate(seen, detected)
        ids = np.zeros(len(people), np.int64)
        ids[person] = self._tracks.ids[track]
        self._bury(self._expired())
        self.unsure = bool((self._tracks.ids == 0).any())

        boxes = people.boxes if detected else seen.boxes
        back = np.argsort(order, kind="stable")
        back = back[ids[back] > 0]
        self.rows = order[back]
        return replace(people, boxes=boxes, ids=ids)[back]

    def expected(self, time: float) -> People:
        """The people with ids as predicted for `time`, the joints that decide (`People.core`) with
        their usual scores. Hidden people are left out.
        """
        tracks = self._tracks[(self._tracks.ids > 0) & (self._clock - self._tracks.seen <= RECENT)]
        ahead = float(np.clip(time - self._time, 0.0, LONGEST)) if np.isfinite(self._time) else 0.0
        motion = tracks.motion.predicted(ahead, self._clock - tracks.seen, self.rules)
        keypoints = np.concatenate([motion.position[:, 2:], tracks.joints[..., None]], axis=2)
        kinds = tracks.kinds if self._named else None
        return People(
            keypoints, motion.boxes, tracks.boxes, self._skeleton or BOX, tracks.ids, None, kinds
        )  # type: ignore[arg-type]

    def _predict(self, evidence: Evidence) -> None:
        """Move all tracks to the time of this frame and to the place of its camera."""
        looks = evidence.looks
        if looks is not None:
            self.moved = matrix = evidence.moved
            self._width = evidence.width
            if matrix is None:
                self._end()
                self.missed = True
            elif not np.array_equal(matrix, IDENTITY):
                self._tracks.motion = self._tracks.motion.moved(matrix)
                self._gallery.moved(matrix)
        tracks = self._tracks
        unseen = self._clock - self._step - tracks.seen
        tracks.motion = tracks.motion.predicted(self._step, unseen, self.rules)
        if looks is not None and looks.shape[1] != tracks.looks.shape[1]:
            tracks.looks = np.zeros((len(tracks), looks.shape[1]))

    def _associate(self, seen: Observation, detected: bool) -> tuple[Rows, Rows, Observation]:
        """Corrects and begins tracks -> rows of tracks and of people who belong together, and the
        people as the tracks were corrected by them.
        """
        tracks = self._tracks
        near, likely = self._affinities(seen, detected)
        track, person = self._assigned(likely, seen)

        lost = (tracks.ids > 0) & (tracks.misses == 0)
        lost[track] = False
        self.missed = (self.missed and not detected) or bool(lost.any())
        if not detected:
            seen = self._fitted(seen, track, person)
        tracks.correct(track, seen[person], now=self._clock, detected=detected)

        if detected:
            begun = self._strangers(seen, person, near[track])
            track = np.concatenate([track, len(tracks) + np.arange(len(begun))])
            person = np.concatenate([person, begun])
            if len(begun):
                self._tracks = tracks.joined(Tracks.starting(seen[begun], now=self._clock))
        self._tracks.hits[track] += 1
        self._name(track, seen.scores[person])
        return track, person, seen

    def _affinities(self, seen: Observation, detected: bool) -> tuple[Array, Array]:
        """[T, N] by place and pose, and by all evidence."""
        tracks, rules = self._tracks, self.rules
        assert self._skeleton is not None
        sigmas = np.asarray(self._skeleton.sigmas)
        near = affinity(tracks.motion, tracks.joints, seen, sigmas, rules)
        # A horse is not its rider. Of two animals, the same may look like another in each frame.
        near = near * ((tracks.kinds == PERSON)[:, None] == (seen.kinds == PERSON))
        likely = near
        if seen.looks.shape[1] and len(tracks):
            likely = with_appearance(near, tracks.looks, seen.looks, rules)

        unseen = (self._clock - tracks.seen) / max(rules.memory, self._step)
        hidden = np.where(tracks.misses > 0, unseen, 0.0)
        likely = likely * (1 - rules.patience * np.minimum(hidden, 1.0))[:, None]
        if (
            not detected and seen.joints.shape[1]
        ):  # an empty place still gives a pose, but a faint one
            likely = likely * (seen.joints.mean(1) >= LEAST)
        return near, likely

    def _assigned(self, likely: Array, seen: Observation) -> tuple[Rows, Rows]:
        """Rows of tracks and people: first people that score well, then the others."""
        tracks, rules = self._tracks, self.rules
        good = seen.scores >= rules.high
        track, person = assigned(likely * good, rules.match)
        if good.all():
            return track, person

        left = (tracks.misses == 0)[:, None] & ~good
        left[track] = False
        tracks_left, people_left = assigned(likely * left, rules.second_match)
        return np.concatenate([track, tracks_left]), np.concatenate([person, people_left])

    def _strangers(self, seen: Observation, person: Rows, near: Array) -> Rows:
        """Rows of people that begin a track: not assigned, and no second detection of an assigned
        person; near [M, N]: affinities of the assigned tracks.
        """
        new = seen.usable & (seen.scores >= min(self.rules.high, self.rules.sure))
        new[person] = False
        new &= near.max(0, initial=0.0) < DUPLICATE
        return np.flatnonzero(new)

    def _fitted(self, seen: Observation, track: Rows, person: Rows) -> Observation:
        """The people with predicted boxes fitted to their poses; a faded pose counts as a miss."""
        tracks = self._tracks
        usual, now = tracks.joints[track].mean(1), seen.joints[person].mean(1)
        self.missed = self.missed or bool((now < FADED * usual).any())
        expected = seen.points.copy()
        expected[person] = tracks.motion.position[track]
        return refitted(seen, expected)

    def _name(self, track: Rows, scores: Array) -> None:
        """Gives ids to tracks that were seen often or well enough."""
        tracks, rules = self._tracks, self.rules
        often = tracks.hits[track] >= rules.births
        sure = (scores >= rules.sure) | (often & (scores >= rules.high))
        new = track[(tracks.ids[track] == 0) & sure]
        if not len(new):
            return

        hidden = (tracks.ids > 0) & (self._clock - tracks.seen > RECENT)
        before = tracks[hidden].known(self._width)
        ids = self._gallery.recognised(tracks[new].known(self._width), self._clock, before)
        tracks.ids[hidden & np.isin(tracks.ids, ids)] = 0  # which ends them

        strangers = ids == 0
        ids[strangers] = self._next + np.arange(strangers.sum())
        self._next += int(strangers.sum())
        tracks.ids[new] = ids

    def _expired(self) -> NDArray[np.bool_]:
        tracks, rules = self._tracks, self.rules
        late = (self._clock - tracks.seen > rules.memory) & (tracks.misses >= rules.memory_frames)
        return late | ((tracks.ids == 0) & (tracks.misses > 0))

    def _bury(self, gone: NDArray[np.bool_]) -> None:
        if gone.any():
            self._gallery.add(self._tracks[gone].known(self._width))
            self._tracks = self._tracks[~gone]

    def _end(self) -> None:
        """End the scene, and with it all tracks."""
        self._bury(np.ones(len(self._tracks), bool))
        self._gallery.cut()

    def _looks(self, image: Image, people: People) -> Array:
        """[N, D]: colours, and embeddings if there is a network; zeros for people who are not seen
        well enough.
        """
        clothes = colours(image, people)
        if self._embed is None:
            return clothes
        return units(np.concatenate([clothes, self._embed(image, people.boxes)], axis=1))


def _order(people: People) -> Rows:
    """Rows, the most confident first: the same people in whatever order they are given."""
    return np.lexsort((*people.boxes.T[::-1], -people.scores))
