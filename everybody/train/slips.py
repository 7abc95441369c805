"""Slips in labels that would teach nonsense: what is refused, and what is said with counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import DataError
from ..skeleton_file import without_partner


def odd(labels: Dataset) -> list[str]:
    """What of the labels may be a slip, with counts."""
    notes = []
    alone = without_partner(labels.skeleton)
    if alone:
        notes.append(
            f"{', '.join(alone)} without a partner on the other side: in mirrored pictures each "
            "counts as itself; is a name misspelt?"
        )
    sizes = sizes_of(labels)[:, None]
    points = labels.keypoints[..., :2]
    outside = ((points < -1.5) | (points > sizes + 0.5)).any(-1) & labels.labelled
    count = int((outside & (sizes > 0).all(-1)).sum())
    if count:
        notes.append(f"{count} of {labels.labelled.sum()} joints are labelled outside the picture")
    flat = int(((labels.boxes[:, 2:] - labels.boxes[:, :2]).min(1, initial=9) <= 0).sum())
    if flat:
        notes.append(f"{flat} of {len(labels.boxes)} boxes have no size")
    return notes


def sizes_of(labels: Dataset) -> NDArray[np.float64]:
    """[N, 2]: width and height of everybody's picture; 0 where the labels do not say."""
    sizes = np.array([(one.width, one.height) for one in labels.pictures], float).reshape(-1, 2)
    return sizes[labels.picture]


def check_places(labels: Dataset) -> None:
    """Raises DataError for a joint or box that is labelled farther outside its picture than the
    picture is large: a slip that would teach nonsense.
    """
    size = sizes_of(labels)[:, None]  # [N, 1, 2]
    points = np.concatenate([labels.keypoints[..., :2], labels.boxes.reshape(-1, 2, 2)], 1)
    known = np.pad(labels.labelled, ((0, 0), (0, 2)), constant_values=True)
    far = ((points < -size) | (points > 2 * size)).any(-1) & known & (size > 0).all(-1)
    if not far.any():
        return
    row, place = np.argwhere(far)[0]
    what = [*labels.skeleton.joints, "the box", "the box"][place]
    picture = labels.pictures[labels.picture[row]]
    x, y = points[row, place]
    raise DataError(
        f"{labels.name}: picture '{picture.name}', annotation {labels.ids[row]}: "
        f"{what} is labelled at ({x:g}, {y:g}), far outside the picture "
        f"of {picture.width} × {picture.height}: correct it, or mark it as not labelled"
    )


def check_picture(labels: Dataset, index: int, width: int, height: int) -> str:
    """The same for one picture whose true size is known, where its labels say none; what is to be
    said where they say another one.
    """
    picture = labels.pictures[index]
    if not (picture.width and picture.height):
        alone = labels.subset([index])
        check_places(replace(alone, pictures=(replace(picture, width=width, height=height),)))
    elif (picture.width, picture.height) != (width, height):
        size = f"{picture.width} × {picture.height}"
        return f"{picture.name} is {width} × {height}, its labels say {size}"
    return ""
