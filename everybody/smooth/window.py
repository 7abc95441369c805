"""Smoothing that looks ahead: each frame waits until the frames of the next `reach` seconds are
known.

Memory holds the pictures of the frames that wait and the people of twice as many, so that endless
streams can be smoothed, too. People who are missing for less than `gap` are inserted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import replace

import numpy as np

from ..errors import Unbroken
from ..media.clock import Films
from ..people import Frame, People
from .filters import Filter
from .points import moved, points, rows, sizes
from .repair import outliers

MOST = 64  # frames that wait at most, whatever their times


def windowed(
    frames: Iterable[Frame], filter: Filter, *, reach: float, gap: float, deviations: float
) -> Generator[Frame, None, None]:
    """Frames with ids -> the same frames, smoothed, in order. reach and gap in seconds; deviations
    that make an outlier, 0: none. Another film, or a time that is not later, begins anew.
    """
    past: deque[Frame] = deque()
    waiting: deque[Frame] = deque()

    def finish() -> Frame:
        frame = waiting.popleft()
        people = _smoothed([*past, frame, *waiting], len(past), filter, gap, deviations)
        past.append(replace(frame, image=frame.image[:1, :1].copy()))
        while past and (past[0].time < frame.time - reach or len(past) > MOST):
            past.popleft()
        return replace(frame, people=people)

    films, film = Films(), ""
    unbroken = Unbroken(frames)
    for frame in unbroken:
        last = waiting[-1] if waiting else past[-1] if past else None
        before, film = film, films(frame.source, frame.index)
        if last is not None and (film != before or frame.time <= last.time):
            while waiting:
                yield finish()
            past.clear()
        waiting.append(frame)
        while waiting and (waiting[-1].time - waiting[0].time >= reach or len(waiting) > MOST):
            yield finish()
    while waiting:
        yield finish()
    unbroken.end()


def _smoothed(
    window: list[Frame], place: int, filter: Filter, gap: float, deviations: float
) -> People:
    """The people of one frame of the window."""
    here = window[place].people
    if here.ids is None:
        return here
    here, filled = _filled(window, place, gap)
    assert here.ids is not None
    if not len(here):
        return here
    times = np.array([frame.time for frame in window])
    own, count = points(here)
    everywhere = np.zeros((len(window), *own.shape))
    weights = np.zeros((len(window), *count.shape))
    for n, frame in enumerate(window):
        if frame.people.ids is not None and len(frame.people):
            row = rows(here.ids, frame.people.ids)
            known = row >= 0
            places, seen = points(frame.people[row[known]])
            everywhere[n, known], weights[n, known] = places, seen
    everywhere[place] = own
    weights[place, filled] = 0.0
    if deviations:
        weights[outliers(everywhere, weights, sizes(own), deviations)] = 0.0
    everywhere = np.where(weights[..., None] > 0, everywhere, own)
    unseen = weights.sum(0) == 0  # such joints stay where they are
    flat = (len(window), -1)
    smooth = filter(times, everywhere.reshape(*flat, 2), weights.reshape(flat), place)
    return moved(here, np.where(unseen[..., None], own, smooth.reshape(own.shape)))


def _filled(window: list[Frame], place: int, gap: float) -> tuple[People, np.ndarray]:
    """The people of a frame, and behind them people that are missing between two frames at most
    `gap` apart: interpolated, at half the score. Also [N] bool: True for the inserted ones.
    """
    frame, people = window[place], window[place].people
    before: dict[int, tuple[Frame, int]] = {}
    after: dict[int, tuple[Frame, int]] = {}
    if gap > 0:
        for other in window[:place]:
            if frame.time - other.time <= gap:
                before |= _places(other)
        for other in reversed(window[place + 1 :]):
            if other.time - frame.time <= gap:
                after |= _places(other)

    assert people.ids is not None
    missing = sorted((before.keys() & after.keys()) - set(people.ids.tolist()))
    added = []
    for number in missing:
        (old, m), (new, n) = before[number], after[number]
        if new.time - old.time <= gap + 1e-9:
            share = (frame.time - old.time) / (new.time - old.time)
            someone = _between(old.people[m], new.people[n], share)
            added.append(replace(someone, ids=np.array([number]), turns=None))

    filled = np.arange(len(people) + len(added)) >= len(people)
    return People.concatenate([replace(people, turns=None), *added]) if added else people, filled


def _places(frame: Frame) -> dict[int, tuple[Frame, int]]:
    """The frame and the row of each id in it."""
    ids = frame.people.ids
    return {} if ids is None else {number: (frame, n) for n, number in enumerate(ids.tolist())}


def _between(old: People, new: People, share: float) -> People:
    """The older ones, a share of the way to where they are later, at half the score."""
    keypoints, boxes, scores = (
        (1 - share) * getattr(old, name) + share * getattr(new, name)
        for name in ("keypoints", "boxes", "scores")
    )
    keypoints[..., 2] *= 0.5
    return replace(old, keypoints=keypoints, boxes=boxes, scores=scores / 2)
