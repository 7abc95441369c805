"""Smoothing that looks ahead: each frame waits until those of the next `reach` seconds are known.

Memory holds the pictures of the frames that wait and the people of twice as many, so that endless
streams can be smoothed too. Who is missing for less than `gap` is put in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import replace

import numpy as np

from ..people import Frame, People
from .methods import Method
from .people import moved, points, rows, sizes
from .repair import outliers

MOST = 64  # frames that wait at most, whatever their times


def windowed(
    frames: Iterable[Frame], method: Method, *, reach: float, gap: float, deviations: float
) -> Generator[Frame, None, None]:
    """Frames with ids -> the same frames, smoothed, in order. reach and gap in seconds; deviations:
    how many make an outlier, 0 for none. Another source, or a time that does not go on, begins
    anew.
    """
    past: deque[Frame] = deque()
    waiting: deque[Frame] = deque()

    def finish() -> Frame:
        frame = waiting.popleft()
        people = _smoothed([*past, frame, *waiting], len(past), method, gap, deviations)
        past.append(replace(frame, image=frame.image[:1, :1].copy()))
        while past and (past[0].time < frame.time - reach or len(past) > MOST):
            past.popleft()
        return replace(frame, people=people)

    for frame in frames:
        last = waiting[-1] if waiting else past[-1] if past else None
        if last is not None and (last.source != frame.source or frame.time <= last.time):
            while waiting:
                yield finish()
            past.clear()
        waiting.append(frame)
        while waiting and (waiting[-1].time - waiting[0].time >= reach or len(waiting) > MOST):
            yield finish()
    while waiting:
        yield finish()


def _smoothed(
    window: list[Frame], place: int, method: Method, gap: float, deviations: float
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
    alone = weights.sum(0) == 0  # joints nobody has seen stay where they are
    flat = (len(window), -1)
    smooth = method(times, everywhere.reshape(*flat, 2), weights.reshape(flat), place).reshape(
        own.shape
    )
    return moved(here, np.where(alone[..., None], own, smooth))


def _filled(window: list[Frame], place: int, gap: float) -> tuple[People, np.ndarray]:
    """The people of a frame and, behind them, those who were there less than `gap` ago and are
    there again less than `gap` after they went: half way in time between both, at half the score.
    Also which of all these are filled in.
    """
    frame = window[place]
    people = frame.people
    before: dict[int, tuple[Frame, int]] = {}
    after: dict[int, tuple[Frame, int]] = {}
    if gap > 0:
        for other in window[:place]:
            if frame.time - other.time <= gap and other.people.ids is not None:
                before |= {int(i): (other, n) for n, i in enumerate(other.people.ids)}
        for other in reversed(window[place + 1 :]):
            if other.time - frame.time <= gap and other.people.ids is not None:
                after |= {int(i): (other, n) for n, i in enumerate(other.people.ids)}
    assert people.ids is not None
    missing = sorted((before.keys() & after.keys()) - set(people.ids.tolist()))
    added = []
    for number in missing:
        (old, m), (new, n) = before[number], after[number]
        if new.time - old.time <= gap + 1e-9:
            share = (frame.time - old.time) / (new.time - old.time)
            a, b = old.people[m], new.people[n]
            added.append(
                [
                    (1 - share) * getattr(a, name) + share * getattr(b, name)
                    for name in ("keypoints", "boxes", "scores")
                ]
                + [np.array([number])]
            )
    filled = np.arange(len(people) + len(added)) >= len(people)
    if added:
        keypoints, boxes, scores, ids = (
            np.concatenate(column) for column in zip(*added, strict=True)
        )
        keypoints[..., 2] *= 0.5
        parts = ((people.keypoints, keypoints), (people.boxes, boxes), (people.scores, scores / 2))
        keypoints, boxes, scores = (np.concatenate(part).astype(np.float32) for part in parts)
        people = People(
            keypoints, boxes, scores, people.skeleton, np.concatenate([people.ids, ids])
        )
    return people, filled
