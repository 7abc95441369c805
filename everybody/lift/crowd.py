"""People over time in the views of several cameras: known people are found again, people left over
that two cameras see are new, and somebody lost who comes back near by is still the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..geometry import Array
from ..skeletons import Skeleton
from .associate import Group, Rays, assigned, consistent, grouped
from .cameras import Camera
from .triangulate import from_slopes
from .view import Rules


@dataclass(slots=True)
class Track:
    """Somebody: by frame of the clock, which person of which view."""

    groups: dict[int, Group]
    pose: Array  # [K, 3], the last place of each joint
    last: int = 0


def follow(
    moments: Sequence[Sequence[Rays | None]],
    cameras: Sequence[Camera],
    skeleton: Skeleton,
    rules: Rules,
    step: float,
) -> list[Track]:
    """Views of each moment (None: that camera has no picture then) -> who is seen where."""
    nobody = Rays(np.zeros(3), np.zeros((0, len(skeleton), 3)), np.zeros((0, len(skeleton))))
    tracks: list[Track] = []
    for now, given in enumerate(moments):
        views = [view or nobody for view in given]
        live = [t for t in tracks if (now - t.last) * step <= rules.lost]
        known = np.array([t.pose for t in live]).reshape(len(live), len(skeleton), 3)
        groups, left = assigned(known, views, rules.nearness)
        groups = [consistent(group, views, rules.nearness) for group in groups]
        for track, group in zip(live, groups, strict=True):
            _take(track, group, now, views, cameras, rules)

        rest = [
            Rays(view.centre, view.directions[some], view.scores[some])
            for view, some in zip(views, left, strict=True)
        ]
        fresh = []
        for group in grouped(rest, rules.nearness):
            if len(group) > 1:
                whole = {v: int(left[v][n]) for v, n in group.items()}
                track = Track({}, np.full((len(skeleton), 3), np.nan), now)
                _take(track, whole, now, views, cameras, rules)
                if np.isfinite(track.pose).all(1).sum() >= rules.nearness.joints:
                    fresh.append(track)
        tracks += _renewed([t for t in live if now not in t.groups], fresh, rules)
    # Of a film that is hardly longer than that, or one picture, half is enough.
    needed = max(1.0, min(rules.shown / step, len(moments) / 2))
    seen = {id(t): sum(len(group) > 1 for group in t.groups.values()) for t in tracks}
    return [track for track in tracks if seen[id(track)] >= needed]


def _take(
    track: Track,
    group: Group,
    now: int,
    views: Sequence[Rays],
    cameras: Sequence[Camera],
    rules: Rules,
) -> None:
    """A moment more of somebody, and where their joints are now, if two cameras tell."""
    if not group:
        return
    track.groups[now] = group
    if len(group) < 2:
        return
    some = sorted(group)
    chosen = [cameras[v] for v in some]
    directions = np.stack([views[v].directions[group[v]] for v in some])
    scores = np.stack([views[v].scores[group[v]] for v in some])
    slopes = np.stack([_slopes(c, d) for c, d in zip(chosen, directions, strict=True)])
    found = from_slopes(chosen, slopes, scores, rules.trust)
    known = np.isfinite(found.points.sum(1))
    if known.any():
        track.pose = np.where(known[:, None], found.points, track.pose)
        track.last = now


def _slopes(camera: Camera, directions: Array) -> Array:
    """Rays of the world [K, 3] -> slopes in the camera's axes [K, 2]."""
    inside = directions @ camera.rotation.T
    return inside[:, :2] / np.where(inside[:, 2:] > 0, inside[:, 2:], 1.0)


def _renewed(lost: Sequence[Track], fresh: list[Track], rules: Rules) -> list[Track]:
    """New people who are none of those lost lately; who is goes on as that."""
    if not lost or not fresh:
        return fresh
    away = np.array([[_between(old.pose, new.pose) for new in fresh] for old in lost])
    most = 2 * rules.nearness.moved
    rows, columns = linear_sum_assignment(np.minimum(away, 2 * most))
    again = set()
    for row, column in zip(rows, columns, strict=True):
        if away[row, column] < most:
            old, new = lost[row], fresh[column]
            old.groups |= new.groups
            old.pose, old.last = new.pose, new.last
            again.add(column)
    return [track for n, track in enumerate(fresh) if n not in again]


def _between(a: Array, b: Array) -> float:
    """Metres between two poses, the median over joints that both have."""
    away = np.linalg.norm(a - b, axis=1)
    away = away[np.isfinite(away)]
    return float(np.median(away)) if len(away) else np.inf
