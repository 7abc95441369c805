"""Those whose tracks have ended, remembered by appearance, so that who comes back gets the old id."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from .affinity import assigned
from .rules import Rules


class Gallery:
    """At most `Rules.gallery` people, the last to go; forgets each after `Rules.reentry` seconds."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._people: list[tuple[int, float, Array]] = []  # id, when it was last seen, embedding

    def add(self, ids: NDArray[np.int64], seen: Array, looks: Array) -> None:
        """Ids [N], when each was last seen [N], embeddings [N, D]."""
        if looks.shape[1]:
            self._people += [(int(i), float(t), look) for i, t, look in zip(ids, seen, looks, strict=True) if i > 0]
            self._people = self._people[-self._rules.gallery :]

    def recognised(self, looks: Array, now: float) -> NDArray[np.int64]:
        """Embeddings [N, D] of people nobody knows -> their old ids [N], 0 for the new; these leave the gallery."""
        ids = np.zeros(len(looks), np.int64)
        self._people = [person for person in self._people if now - person[1] <= self._rules.reentry]
        if self._people and looks.size:
            known = np.stack([look for _, _, look in self._people])
            rows, columns = assigned(known @ looks.T, max(self._rules.reentry_similarity, 1e-9))
            for row, column in zip(rows, columns, strict=True):
                ids[column] = self._people[row][0]
            gone = set(rows.tolist())
            self._people = [person for place, person in enumerate(self._people) if place not in gone]
        return ids
