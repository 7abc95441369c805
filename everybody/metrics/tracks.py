"""Tracking measures of data sets: the measures of `tracking.py`, by name, from columns of people
with tracks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

import numpy as np

from ..data.dataset import Dataset
from ..errors import OptionError
from ..people import People
from .tracking import figures, per_joint, precision

NAMES = ("HOTA", "DetA", "AssA", "MOTA", "MOTP", "IDF1", "PoseTrackAP")


def tracked(truth: Dataset, results: Dataset) -> dict[str, dict[str, float]]:
    """Each measure of `NAMES` -> its figure under "all", and per joint for MOTA, MOTP and
    PoseTrackAP.

    A film is what pictures of one folder, or frames of one video, are together; ids mean nothing
    beyond it. `results` are joined to `truth`. Raises OptionError where either side does not know
    who is who.
    """
    for what, data in (("the data", truth), ("the results", results)):
        if len(data.picture) and (data.tracks < 0).all():
            raise OptionError(
                f"{data.name or what}: has no track ids, which HOTA, MOTA, IDF1 and PoseTrackAP need; "
                "give data that say who is who, and results of `everybody run --track`"
            )
    films: dict[str, int] = {}
    film = np.array(
        [films.setdefault(_film(picture.name), len(films)) for picture in truth.pictures], np.int64
    )
    span = int(max(truth.tracks.max(initial=0), results.tracks.max(initial=0))) + 1
    sides = [_people(data, film, span) for data in (truth, results)]
    pairs = [(true, found) for (true, _), (found, _) in zip(*sides, strict=True)]
    out = {name: {"all": value} for name, value in figures(pairs).items() if name in NAMES}
    for joint, values in per_joint(pairs).items():
        for name, value in values.items():
            out[name][joint] = value
    precisions = precision(pairs, [heads for _, heads in sides[0]])
    return out | {"PoseTrackAP": {"all": precisions.pop("mAP"), **precisions}}


def _film(name: str) -> str:
    return name.rpartition("#")[0] or str(PurePath(name).parent)


def _people(data: Dataset, film: np.ndarray, span: int) -> list[tuple[People, np.ndarray]]:
    """Of each picture: those who count and whose track is known, and their head lengths."""
    out = []
    for picture, rows in enumerate(data.rows()):
        some = rows[(data.tracks[rows] >= 0) & ~data.ignored[rows]]
        people = data.of(some)
        out.append(
            (replace(people, ids=film[picture] * span + data.tracks[some]), data.heads[some])
        )
    return out
