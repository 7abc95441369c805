"""Where people have been: a line behind each id, drawn under the people."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from ..draw import extent, hue
from ..people import Frame, Image
from .clock import Films

_SHIFT = 4  # fractional bits


class Trails:
    """Called with each frame, returns a copy of its picture with the trails of the last `seconds`:
    of the middle of the lower edge of each tracked person's box. Another film begins anew.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._paths: dict[int, deque[tuple[float, float, float]]] = {}
        self._films = Films()
        self._film: str | None = None

    def __call__(self, frame: Frame) -> Image:
        people, canvas = frame.people, np.array(frame.image, order="C")
        film = self._films(frame.source, frame.index)
        if film != self._film:
            self._paths, self._film = {}, film
        if people.ids is not None:
            for number, box in zip(people.ids.tolist(), people.boxes.tolist(), strict=True):
                path = self._paths.setdefault(number, deque())
                path.append((frame.time, (box[0] + box[2]) / 2, box[3]))
        for number, path in list(self._paths.items()):
            while path and not 0 <= frame.time - path[0][0] <= self.seconds:
                path.popleft()
            if not path:
                del self._paths[number]
        thick = max(1, round(extent(canvas) / 400))
        reach = 4.0 * max(canvas.shape)
        for number, path in self._paths.items():
            points = np.array([(x, y) for _, x, y in path]).clip(-reach, reach)
            line = np.rint(points * (1 << _SHIFT)).astype(np.int32)[:, None]
            cv2.polylines(canvas, [line], False, hue(number), thick, cv2.LINE_AA, _SHIFT)
        return canvas
