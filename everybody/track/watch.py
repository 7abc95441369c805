"""When the detector must run again: most frames show nobody new, and tracked people are found
where they are expected.

Between two detections, a new person shows as movement where nobody is expected, a lost one as a
pose that fades (`Tracker.missed`), and an uncertain one (`Tracker.unsure`) asks for another
detection. So does time, because a person may stand still.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..geometry import Array
from ..people import Frame, Image
from .camera_motion import outside
from .tracker import Tracker

BLIND = 0.35  # longest time between two detections, in seconds
SMALL = 128  # pixels of the longer side of the picture in which movement is looked for
MOVED = 20.0  # mean grey levels by which a pixel changes where something moves
STIR = 0.001  # least share of moving pixels; a person a tenth of the picture high covers .002
GROWN = 0.15  # share by which boxes grow on each side: known people move there


@dataclass(slots=True)
class Watch:
    """Called with each frame before it is estimated: True if the detector must run on it. That is
    so at the first frame of a source and where a person is missed. every: also at each n-th frame
    after a detection; 0: also where there may be a new person.
    """

    every: int = 0
    looks: int = field(default=0, init=False)  # detections at this source so far
    _source: str | None = field(default=None, init=False)
    _since: int = field(default=0, init=False)
    _time: float = field(default=0.0, init=False)
    _small: Any = field(default=None, init=False)  # the last picture with a detection,
    _boxes: Any = field(default=None, init=False)  # and the boxes expected on it

    def __call__(self, frame: Frame, tracker: Tracker, *, looking: bool) -> bool:
        """looking: a detection in an earlier frame has no result yet."""
        first, self._source = frame.source != self._source, frame.source
        self._since += 1
        if self.every == 1 or (self.every and not first):
            due = self._since >= self.every
        else:
            late = not 0 <= frame.time - self._time < BLIND
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
