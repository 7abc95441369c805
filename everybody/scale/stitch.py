"""Ids that go on across chunks.

Neighbouring chunks look at the same frames (`chunks`): people of both who are in the same place, in
the same pose, are one person. People who cannot be seen there are told by where they were lost and
by the colours of their clothes, with the tracker's own rules for coming back (`track.rules`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import Array, area, iou, oks
from ..people import People
from ..results.records import Record
from ..track.affinity import assigned
from ..track.rules import Rules
from ..track.tracker import inside

SAME = 0.4  # mean of IoU and OKS over the frames in which both are seen


@dataclass(slots=True)
class _Seen:
    """Where a person was at one end of a track."""

    time: float
    centre: Array  # [2] pixels
    size: float
    inside: bool
    look: Array | None


class Stitcher:
    """Called with the chunks of a film in order, yields their own frames with ids of the film."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._next = 1
        self._tail: dict[int, People] = {}  # by the frame's index: the last chunk's, with new ids
        self._last: dict[int, _Seen] = {}  # of each id of the film

    def __call__(
        self, records: Sequence[Record], looks: Mapping[int, Array], first: int
    ) -> Iterator[Record]:
        """records: with those of the lead. looks: the colours of each of the chunk's ids. first:
        the chunk's first own frame.
        """
        known = self._common(records, first)
        known |= self._back(records, looks, known)
        self._tail = {}
        for record in records:
            if record.index < first:
                continue
            ids = []
            for number in _ids(record.people):
                if number not in known:
                    known[number], self._next = self._next, self._next + 1
                ids.append(known[number])
            people = record.people
            if people.ids is not None:
                people = replace(people, ids=np.array(ids, np.int64))
            self._note(record, people, looks)
            self._tail[record.index] = people
            yield replace(record, people=people)
        newest = max((seen.time for seen in self._last.values()), default=0.0)
        oldest = newest - self._rules.reentry
        self._last = {n: seen for n, seen in self._last.items() if seen.time >= oldest}

    def _common(self, records: Sequence[Record], first: int) -> dict[int, int]:
        """The chunk's ids -> the film's, of people who are seen in the frames of both chunks."""
        sums: defaultdict[tuple[int, int], float] = defaultdict(float)
        counts: defaultdict[tuple[int, int], int] = defaultdict(int)
        for record in records:
            before = self._tail.get(record.index)
            if record.index >= first or before is None or not len(before) * len(record.people):
                continue
            alike = _alike(before, record.people)
            for a, row in zip(_ids(before), alike, strict=True):
                for b, value in zip(_ids(record.people), row, strict=True):
                    sums[a, b] += float(value)
                    counts[a, b] += 1
        olds, news = sorted({a for a, _ in sums}), sorted({b for _, b in sums})
        fit = np.zeros((len(olds), len(news)))
        for (a, b), total in sums.items():
            if total >= SAME * counts[a, b]:
                fit[olds.index(a), news.index(b)] = total
        pairs = zip(*assigned(fit, 1e-9), strict=True)
        return {news[column]: olds[row] for row, column in pairs}

    def _back(
        self, records: Sequence[Record], looks: Mapping[int, Array], known: Mapping[int, int]
    ) -> dict[int, int]:
        """The same for people who were out of sight at the seam."""
        begun: dict[int, _Seen] = {}
        for record in records:
            for row, number in enumerate(_ids(record.people)):
                if number not in known and number not in begun:
                    begun[number] = _seen(record, record.people, row, looks.get(number))
        lost = {n: seen for n, seen in self._last.items() if n not in known.values()}
        fit = np.array([[self._fit(a, b) for b in begun.values()] for a in lost.values()])
        fit = fit.reshape(len(lost), len(begun))
        olds, news = list(lost), list(begun)
        pairs = zip(*assigned(fit, 1e-9), strict=True)
        return {news[column]: olds[row] for row, column in pairs}

    def _fit(self, lost: _Seen, back: _Seen) -> float:
        """How well one who appears is one who was lost, in [0, 1]."""
        rules, gap = self._rules, back.time - lost.time
        if not 0 < gap <= rules.reentry or not (lost.inside and back.inside):
            return 0.0
        if lost.look is None or back.look is None:
            return 0.0
        cosine = float(lost.look @ back.look)
        far = float(np.linalg.norm(back.centre - lost.centre)) / np.sqrt(lost.size * back.size)
        near = rules.reach * (1 + gap)
        return cosine if cosine >= rules.reentry_nearby and far <= near else 0.0

    def _note(self, record: Record, people: People, looks: Mapping[int, Array]) -> None:
        for row, (number, own) in enumerate(zip(_ids(people), _ids(record.people), strict=True)):
            self._last[number] = _seen(record, people, row, looks.get(own))


def _alike(a: People, b: People) -> Array:
    """[A, B] in [0, 1]: by place, and by pose where there are joints."""
    place = iou(a.boxes, b.boxes)
    if not len(a.skeleton):
        return place
    return (place + oks(a.keypoints, b.keypoints, area(a.boxes), a.skeleton.sigmas)) / 2


def _seen(record: Record, people: People, row: int, look: Array | None) -> _Seen:
    box = people.boxes[row].astype(np.float64)
    size = float(np.sqrt(max(float(area(box[None])[0]), 1.0)))
    within = bool(inside(box[None], record.width)[0])
    return _Seen(record.time, box.reshape(2, 2).mean(0), size, within, look)


def _ids(people: People) -> list[int]:
    return [] if people.ids is None else people.ids.tolist()
