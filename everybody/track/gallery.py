"""Those whose tracks have ended, remembered, so that who comes back gets the old id.

Who looks the same to an embedding network may come back anywhere. Without one, clothes alone do not
tell who somebody is, but most scenes have their doors at the edges: who was lost in the middle of
the picture is still there, hidden or overlooked, and who turns up in the middle was hidden before.
So there, somebody within reach of where one was lost, and of colours that do not speak against it,
is the same.
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
    """N people: ids, when each was last seen, looks [N, D] (zeros: not known), boxes' centres [N,
    2] and sizes [N] in pixels, and whether the whole box was well inside the picture.
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
        return Known(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in Known.__slots__
            )
        )


class Gallery:
    """At most `Rules.gallery` people, the last to go; forgets each after `Rules.reentry` seconds.
    strong: whether looks alone tell who somebody is.
    """

    def __init__(self, rules: Rules, *, strong: bool) -> None:
        self._rules, self._strong = rules, strong
        self._gone: Known | None = None

    def add(self, ended: Known) -> None:
        """People whose tracks have ended; those of id 0 were never known, and those of unknown
        looks cannot be.
        """
        ended = ended[(ended.ids > 0) & ended.looks.any(1)]
        if len(ended):
            self._gone = (self._gone.joined(ended) if self._gone else ended)[
                slice(-self._rules.gallery, None)
            ]

    def moved(self, matrix: Array) -> None:
        """The camera has: matrix [2, 3] sends the pixels of the last picture to those of this one."""
        if self._gone:
            stretch = abs(float(np.linalg.det(matrix[:, :2]))) ** 0.5
            centres = self._gone.centres @ matrix[:, :2].T + matrix[:, 2]
            self._gone = replace(self._gone, centres=centres, sizes=self._gone.sizes * stretch)

    def cut(self) -> None:
        """Another scene: places mean nothing any more."""
        if self._gone:
            self._gone = replace(self._gone, inside=np.zeros(len(self._gone), bool))

    def recognised(self, new: Known, now: float, hidden: Known) -> NDArray[np.int64]:
        """People nobody knows -> their old ids [N], 0 for the new; these leave the gallery. hidden:
        who is not seen, but not given up either, and may be one of them too.
        """
        ids, rules = np.zeros(len(new), np.int64), self._rules
        hidden = hidden[np.logical_or.reduce(hidden.looks, axis=1)]
        gone = (
            hidden
            if self._gone is None
            else self._gone.joined(hidden)
            if len(hidden)
            else self._gone
        )
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
