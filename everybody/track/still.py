"""People who have not moved since their pose was last estimated: equal pixels give equal poses.

A grid of pixels over each person's box is compared with the same pixels at the last estimate.
Noise, a moving camera and a moving background all count as movement, so that a pose is estimated
again in case of doubt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..media.clock import Films
from ..people import Frame, Image, People

GRID = (48, 32)  # pixels down and across
QUIET = 16.0  # grey levels by which a still person's pixels change at most,
BUSY = 0.05  # but for this share of them
HELD = 0.13  # longest time that a pose is kept, in seconds


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
