"""`everybody pack`: data sets, people's labels or a teacher's, into shards (`shards.py`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..data.dataset import Dataset
from ..data.read import read
from ..errors import DataError
from ..messages import Say
from ..skeletons import COCO17, Skeleton
from . import distill, shards, squares
from .slips import check_places, odd

# Notes of people and pictures that are not there any more; others are of joints and areas.
_GONE = re.compile(r"left out: \d|\d+ pictures (left|held) out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """What is packed, and how; see `everybody pack --help`."""

    pictures: bool = False  # whole pictures, for detectors; else crops
    size: int = 0  # side in pixels; 0: 416 for pictures, 256 for crops
    teacher: Path | None = None  # results that add to human labels
    distrust: Sequence[str] = ()  # joints to take from the teacher
    least_score: float = 0.3  # joints that score less count as unlabelled
    sure: float = 0.5  # for pictures: people who score less are neither to find nor false
    grid: int = 1  # for pictures: so many side by side, and below
    nobody: bool = False  # for pictures: the data are folders of pictures with nobody on them
    hold_out: float = 0.0  # share of the pictures to leave out, to be judged on
    avoid: Sequence[Path] = ()  # folders of judged pictures; near-duplicates are left out
    turns: squares.Turns | None = None  # for turn nets
    skeleton: Skeleton | None = None  # whose joints; None: as the data say
    category: str | None = None  # names of the categories to pack; None: as `read` chooses


def pack_all(data: Sequence[Path], out: Path, options: Packing, *, say: Say) -> int:
    """Pack data sets into a folder, or, if there are several, into a folder of each: how many
    pictures or crops. Raises DataError if there is nothing to pack.
    """
    teachers = None if options.teacher is None else read(options.teacher)
    total, missed = 0, []
    for number, path in enumerate(data):
        labels = prepared(path, options, teachers, say)
        folder = out if len(data) == 1 else out / f"{number:02}"
        if options.pictures:
            size = options.size or squares.SIDE
            total += squares.pack_pictures(labels, folder, size=size, grid=options.grid, say=say)
        else:
            size = options.size or 256
            total += squares.pack_crops(labels, folder, size=size, turns=options.turns, say=say)
        missed.append(f"{path}: nothing to pack: {left_out(labels, options.pictures)}")
    if total == 0:
        raise DataError("; ".join(missed))
    return total


def left_out(labels: Dataset, pictures: bool = False) -> str:
    """What data hold of which nothing was packed, and how many were left out for which reason."""
    reasons = {} if pictures else squares.unfit(labels)
    counts = squares.counted(reasons) if reasons else []
    if len(labels) and (pictures or not np.all(np.any(list(reasons.values()), 0))):
        counts.append("the pictures cannot be read")

    held = f"{len(labels)} pictures, {len(labels.picture)} annotations"
    gone = [note for note in labels.notes if _GONE.match(note)]
    return "; ".join([f"{held}: {', '.join(counts)}" if counts else held, *gone])


def _read(path: Path, options: Packing, say: Say) -> Dataset:
    """A data set in the joints that are asked for; what is odd about it is said. Raises DataError
    for pictures that are not there, and for a label that no picture can have.
    """
    labels = read(
        path,
        skeleton=options.skeleton,
        category=options.category,
        joints=not options.pictures,
    )
    if options.skeleton is not None:
        labels = labels.to(options.skeleton)
    for note in (*labels.notes, *odd(labels)):
        say(f"{path}: {note}")
    if len(labels) and labels.folder is None and not labels.path(0).is_file():
        raise DataError(
            f"{path}: its pictures are not there: put '{labels.pictures[0].name}' and the others "
            "into a folder images beside it"
        )
    check_places(labels)
    return labels


def _noted(labels: Dataset, note: str) -> Dataset:
    return replace(labels, notes=(*labels.notes, note))


def prepared(path: Path, options: Packing, teachers: Dataset | None, say: Say) -> Dataset:
    """A data set as it is packed: without what is held out or judged on, with what teachers add."""
    if options.nobody:
        labels = distill.nobody(path, options.skeleton or COCO17)
    else:
        labels = _read(path, options, say)
    if options.hold_out:
        names = [squares.name_of(labels.path(i)) for i in range(len(labels))]
        held = shards.held_back(names, options.hold_out)
        part = labels.subset(np.flatnonzero(~held))
        labels = _noted(part, f"{int(held.sum())} pictures held out to be judged on")
    if options.pictures:
        labels = labels if teachers is None else distill.with_others(labels, teachers)
        labels = distill.certain(labels, options.sure)
    else:
        labels = distill.trusted(labels, options.least_score)
    if teachers is not None and not options.pictures:
        trusted = distill.trusted(teachers, options.least_score)
        labels, counts = distill.merge(labels, trusted, distrust=options.distrust)
        say(f"{path}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    labels, leaks = distill.without_leaks(labels, options.avoid)
    if leaks:
        note = f"{leaks} pictures left out, near-duplicates of pictures that are judged on"
        say(f"{path}: {note}")
        labels = _noted(labels, note)
    return labels
