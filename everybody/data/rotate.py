"""Pictures and their people turned together by quarters, counter-clockwise like `numpy.rot90`, by
the coordinate law:

    (x, y) of a picture of W × H  →  (y, W - 1 - x) of one of H × W

because integers are pixel centres. To judge a method on turned pictures, turn the data set, and
turn what the method finds back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import DataError
from .dataset import Array, Dataset


def turned(data: Dataset, quarters: int) -> Dataset:
    """The data set of the pictures after so many quarter turns. Raises DataError if the size of a
    picture is not known.
    """
    for _ in range(quarters % 4):
        data = _quarter(data)
    return data


def _quarter(data: Dataset) -> Dataset:
    unknown = next((picture for picture in data.pictures if not picture.width), None)
    if unknown is not None:
        raise DataError(
            f"{data.name}: the size of picture {unknown.name or unknown.id} is not given: "
            "it cannot be turned"
        )
    widths = np.array([picture.width for picture in data.pictures])[data.picture]
    points = _turn(data.keypoints[..., :2], widths[:, None])
    corners = _turn(data.boxes.reshape(-1, 2, 2), widths[:, None])
    return replace(
        data,
        pictures=tuple(
            replace(
                picture,
                width=picture.height,
                height=picture.width,
                ignore=tuple(_turn(polygon, np.array(picture.width)) for polygon in picture.ignore),
            )
            for picture in data.pictures
        ),
        keypoints=np.concatenate([points, data.keypoints[..., 2:]], -1),
        boxes=np.concatenate([corners.min(1), corners.max(1)], 1),
    )


def _turn(points: Array, width: Array) -> Array:
    return np.stack([points[..., 1], width - 1 - points[..., 0]], -1)
