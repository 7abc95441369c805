"""Tracking measures of data sets: the measures of `tracking.py`, by name, from columns of people
with tracks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import DataError, OptionError
from ..people import People
from .tracking import figures, per_joint, precision

NAMES = ("HOTA", "DetA", "AssA", "MOTA", "MOTP", "IDF1", "SwitchesPerMinute", "PoseTrackAP")


def tracked(truth: Dataset, results: Dataset) -> dict[str, dict[str, float]]:
    """Each measure of `NAMES` -> its figure under "all", and per joint for MOTA, MOTP and
    PoseTrackAP. SwitchesPerMinute is NaN where neither side says when the frames are.

    A film is what pictures of one folder, or frames of one video, are together; ids mean nothing
    beyond it. `results` are joined to `truth`. Raises OptionError where the people of either side
    have no track ids.
    """
    for what, data in (("the data", truth), ("the results", results)):
        if len(data.picture) and (data.tracks < 0).all():
            raise OptionError(
                f"{data.name or what}: has no track ids, which HOTA, MOTA, IDF1 and PoseTrackAP "
                "need; give data with track_id, and results of `everybody run --track`"
            )
    films: dict[str, int] = {}
    names = [_film(picture.name) for picture in truth.pictures]
    film = np.array([films.setdefault(name, len(films)) for name in names], np.int64)
    sides = [_people(data, film) for data in (truth, results)]
    pairs = [(true, found) for (true, _), (found, _) in zip(*sides, strict=True)]

    measured = figures(pairs)
    minutes = _seconds(truth, results, film) / 60
    measured["SwitchesPerMinute"] = measured["switches"] / minutes if minutes else float("nan")
    out = {name: {"all": value} for name, value in measured.items() if name in NAMES}
    for joint, values in per_joint(pairs).items():
        for name, value in values.items():
            out[name][joint] = value
    precisions = precision(pairs, [heads for _, heads in sides[0]])
    return out | {"PoseTrackAP": {"all": precisions.pop("mAP"), **precisions}}


def _film(name: str) -> str:
    return name.rpartition("#")[0] or str(PurePath(name).parent)


def _seconds(truth: Dataset, results: Dataset, film: NDArray[np.int64]) -> float:
    """How long all films last together; the last frame of a film as long as the others on average.
    NaN if the time of a frame is not known; 0 if no film has two frames.
    """
    pairs = zip(truth.pictures, results.pictures, strict=True)
    times = np.array([b.time if np.isnan(a.time) else a.time for a, b in pairs])
    total = 0.0
    for number in np.unique(film):
        own = times[film == number]
        if len(own) > 1:
            total += float(np.ptp(own)) * len(own) / (len(own) - 1)
    return total


def _people(data: Dataset, film: NDArray[np.int64]) -> list[tuple[People, NDArray[np.floating]]]:
    """Of each picture: those people who count and whose track is known, with ids of their own in
    each film, and their head lengths.
    """
    known = (data.tracks >= 0) & ~data.ignored
    of_film = np.stack([film[data.picture], data.tracks], 1)
    ids = np.unique(of_film, axis=0, return_inverse=True)[1].reshape(-1)
    out = []
    for picture, rows in zip(data.pictures, data.rows(), strict=True):
        some = rows[known[rows]]
        if len(np.unique(ids[some])) < len(some):
            raise DataError(
                f"{data.name}: picture '{picture.name or picture.id}' has two people of one track: "
                "an id is one person's"
            )
        out.append((replace(data.of(some), ids=ids[some]), data.heads[some]))
    return out
