"""What changes from frame to frame: when the detector must run again, and whose pose still holds.

`Watch`: most frames show nobody new, and tracked people are found where they are expected. Between
two detections, a new person shows as movement where nobody is expected, a lost one as a pose that
fades (`Tracker.missed`), and an uncertain one (`Tracker.unsure`) asks for another detection. So
does time, because a person may stand still.

`Still`: equal pixels give equal poses. A grid of pixels over each person's box is compared with the
same pixels at the last estimate. Noise, a moving camera and a moving background all count as
movement, so that a pose is estimated again in case of doubt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..media.clock import Films
from ..people import Frame, Image, People
from .camera_motion import outside
from .tracker import Tracker

BLIND = 0.35  # longest time between two detections, in seconds
SLOW = 0.06  # seconds from frame to frame, from which every frame is looked at: people go too far
# to be followed, and few frames looked at take no longer than many that are not
SMALL = 128  # pixels of the longer side of the picture in which movement is looked for
MOVED = 20.0  # mean grey levels by which a pixel changes where something moves
STIR = 0.001  # least share of moving pixels; a person a tenth of the picture high covers .002
GROWN = 0.15  # share by which boxes grow on each side: known people move there

GRID = (48, 32)  # pixels down and across
QUIET = 16.0  # grey levels by which a still person's pixels change at most,
BUSY = 0.05  # but for this share of them
HELD = 0.13  # longest time that a pose is kept, in seconds


@dataclass(slots=True)
class Watch:
    """Called with each frame before it is estimated: True if the detector must run on it. That is
    so at the first frame of a source and where a person is missed. every: also at each n-th frame
    after a detection; 0: also where there may be a new person, and at frames that come `slow`
    seconds after the one before or later (`apart`).
    """

    every: int = 0
    slow: float = SLOW
    looks: int = field(default=0, init=False)  # detections at this source so far
    apart: bool = field(default=False, init=False)  # whether the last frame came so late
    _source: str | None = field(default=None, init=False)
    _since: int = field(default=0, init=False)
    _time: float = field(default=0.0, init=False)  # of the last detection
    _before: float = field(default=0.0, init=False)  # of the last frame
    _small: Any = field(default=None, init=False)  # the last picture with a detection,
    _boxes: Any = field(default=None, init=False)  # and the boxes expected on it

    def __call__(self, frame: Frame, tracker: Tracker, *, looking: bool) -> bool:
        """looking: a detection in an earlier frame has no result yet."""
        first, self._source = frame.source != self._source, frame.source
        self._since += 1
        self.apart, self._before = frame.time - self._before >= self.slow, frame.time
        if self.every == 1 or (self.every and not first):
            due = self._since >= self.every
        else:
            late = self.apart or not 0 <= frame.time - self._time < BLIND
            due = first or late or (not looking and self._stirred(frame, tracker))
        due = due or first or ((tracker.missed or tracker.unsure) and not looking)

        if due:
            self.looks = 1 if first else self.looks + 1
            self._since, self._time = 0, frame.time
            if not self.every:
                self._small = _small(frame.image)
                self._boxes = np.zeros((0, 4)) if first else tracker.expected(frame.time).boxes
        return due

    def _stirred(self, frame: Frame, tracker: Tracker) -> bool:
        """Whether something has moved since the last detection where nobody is or was expected."""
        small = _small(frame.image)
        if small.shape != self._small.shape:
            return True
        boxes = np.concatenate([self._boxes, tracker.expected(frame.time).boxes])
        step = max(frame.image.shape[:2]) / max(small.shape[:2])
        moved = np.abs(small - self._small).mean(-1) > MOVED
        return bool((moved & outside(moved.shape, _grown(boxes) / step)).mean() > STIR)


def _small(image: Image) -> Array:
    step = max(1, round(max(image.shape[:2]) / SMALL))
    return image[::step, ::step].astype(np.float32)


def _grown(boxes: Array) -> Array:
    margin = GROWN * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


class Still:
    """Called with each frame and its people with ids (boxes are enough): [N] bool, True where the
    pixels under a person have not changed since the last estimate. All others are recorded as
    estimated now.
    """

    def __init__(self) -> None:
        self._films, self._film = Films(), ""
        # Of each id at its last estimate: time, places [2, G], colours [G, 3].
        self._known: dict[int, tuple[float, NDArray[np.intp], Array]] = {}

    def __call__(self, frame: Frame, people: People) -> NDArray[np.bool_]:
        assert people.ids is not None
        ids = people.ids.tolist()
        film = self._films(frame.source, frame.index)
        before = self._known if film == self._film else {}
        still = np.array([n in before and self._same(frame, *before[n]) for n in ids], bool)
        places = _places(people.boxes, frame.image)
        self._film = film
        self._known = {
            n: before[n] if kept else (frame.time, place, _colours(frame.image, place))
            for n, kept, place in zip(ids, still, places, strict=True)
        }
        return still

    @staticmethod
    def _same(frame: Frame, time: float, places: NDArray[np.intp], colours: Array) -> bool:
        if not 0 <= frame.time - time <= HELD:
            return False
        change = np.abs(_colours(frame.image, places) - colours).mean(-1)
        return bool((change > QUIET).mean() <= BUSY)


def _places(boxes: Array, image: Image) -> NDArray[np.intp]:
    """Boxes [N, 4] -> rows and columns of the picture [N, 2, G]; for places outside of it, the
    nearest edge.
    """
    steps = ((np.arange(n) + 0.5) / n for n in GRID)
    down, across = (axis.ravel() for axis in np.meshgrid(*steps, indexing="ij"))
    corner, size = boxes[:, 1::-1, None], (boxes[:, 3:1:-1] - boxes[:, 1::-1])[..., None]
    places = np.nan_to_num(corner + size * np.stack([down, across]))
    return places.clip(0, np.array(image.shape[:2])[:, None] - 1).astype(np.intp)


def _colours(image: Image, places: NDArray[np.intp]) -> Array:
    return image[places[0], places[1]].astype(np.float32)
