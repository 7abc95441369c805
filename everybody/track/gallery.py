"""People whose tracks have ended, remembered, so that they get their old id when they come back.

With an embedding network, a person who looks the same may come back anywhere. Clothes alone do not
identify a person, but most scenes have their doors at the edges: a person lost in the middle of the
picture is still there, hidden or overlooked, and one who appears in the middle was hidden before.
So a person who appears there, near where one was lost and in similar colours, is that one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from .affinity import assigned
from .rules import Rules


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """N people: ids, time when last seen, looks [N, D] (zeros: unknown), boxes' centres [N, 2] and
    sizes [N] in pixels, and whether the whole box was away from the picture's edges.
    """

    ids: NDArray[np.int64]
    seen: Array
    looks: Array
    centres: Array
    sizes: Array
    inside: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: NDArray[np.bool_] | slice) -> Known:
        return Known(*(getattr(self, name)[rows] for name in Known.__slots__))

    def joined(self, other: Known) -> Known:
        columns = [(getattr(self, name), getattr(other, name)) for name in Known.__slots__]
        return Known(*map(np.concatenate, columns))


class Gallery:
    """Holds the last `Rules.gallery` people; forgets each after `Rules.reentry` seconds. strong:
    whether looks alone identify a person.
    """

    def __init__(self, rules: Rules, *, strong: bool) -> None:
        self._rules, self._strong = rules, strong
        self._gone: Known | None = None

    def add(self, ended: Known) -> None:
        """Remember people whose tracks have ended, if they have an id and looks."""
        ended = ended[(ended.ids > 0) & ended.looks.any(1)]
        if len(ended):
            gone = self._gone.joined(ended) if self._gone else ended
            self._gone = gone[slice(-self._rules.gallery, None)]

    def moved(self, matrix: Array) -> None:
        """Follow the camera: matrix [2, 3] maps pixels of the last picture to this one."""
        if self._gone:
            stretch = abs(float(np.linalg.det(matrix[:, :2]))) ** 0.5
            centres = self._gone.centres @ matrix[:, :2].T + matrix[:, 2]
            self._gone = replace(self._gone, centres=centres, sizes=self._gone.sizes * stretch)

    def cut(self) -> None:
        """Begin another scene: the old places mean nothing there."""
        if self._gone:
            self._gone = replace(self._gone, inside=np.zeros(len(self._gone), bool))

    def recognised(self, new: Known, now: float, hidden: Known) -> NDArray[np.int64]:
        """New people -> their old ids [N], 0 for strangers; the recognised leave the gallery.
        hidden: tracks that are out of sight but have not ended; the new may be these, too.
        """
        ids, rules = np.zeros(len(new), np.int64), self._rules
        hidden = hidden[np.logical_or.reduce(hidden.looks, axis=1)]
        gone = self._gone if self._gone is not None else hidden
        if self._gone is not None and len(hidden):
            gone = self._gone.joined(hidden)
        if not len(gone) or not new.looks.any():
            return ids
        gone = gone[now - gone.seen <= rules.reentry]
        alike = gone.looks @ new.looks.T
        far = np.linalg.norm(gone.centres[:, None] - new.centres, axis=-1) / gone.sizes[:, None]
        near = far <= rules.reach * (1 + now - gone.seen[:, None])
        same = near & gone.inside[:, None] & new.inside & (alike >= rules.reentry_nearby)
        if self._strong:
            same |= alike >= rules.reentry_similarity
        rows, columns = assigned(alike * same, 1e-9)
        ids[columns] = gone.ids[rows]
        left = ~np.isin(gone.ids, np.concatenate([ids, hidden.ids]))
        self._gone = gone[left] if left.any() else None
        return ids
