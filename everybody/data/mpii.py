"""MPII Human Pose (Andriluka et al. 2014): the JSON of its people, a CSV of joints, and the .mat in
which predictions, truth and head boxes of the validation set are exchanged. All three count pixels
from 1, so everything moves by one.
"""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..skeletons import MPII16
from ..typed import decode, read_bytes
from .coco import HEAD_SHARE
from .dataset import Dataset, Picture, image_folder
from .records import FARTHEST, Array, Records

PERSON = 200.0  # pixels per unit of MPII's 'scale': the person's height


class Person(msgspec.Struct, gc=False):
    """An item of the JSON."""

    image: str
    joints: list[list[float]]
    joints_vis: list[float | bool]
    center: list[float]
    scale: float


def read_mpii(path: Path, data: bytes | None = None) -> Dataset:
    """The JSON: a list of people with image, joints [16][2], joints_vis [16], and center and scale
    for the box.
    """
    found = decode(read_bytes(path) if data is None else data, list[Person], path)
    people = Records.of(path, "people", found)
    count = len(MPII16)
    joints = [[value for joint in person.joints for value in joint] for person in found]
    flat = people.numbers(joints, 2 * count, "joints (16 of MPII)")
    seen = people.numbers(people.values("joints_vis"), count, "joints_vis")
    middle = people.numbers(people.values("center"), 2, "center") - 1
    scale = people.numbers(people.values("scale"), None, "scale", limit=FARTHEST / PERSON)
    side = scale[:, None] * PERSON / 2
    pictures, picture = _pictures(people.values("image"))
    return Dataset(
        skeleton=MPII16,
        pictures=pictures,
        picture=picture,
        keypoints=_keypoints(flat, np.greater(seen, 0)),
        boxes=np.concatenate([middle - side, middle + side], 1),
        name=path.name,
        format="MPII",
        folder=image_folder(path, pictures),
    )


def read_mpii_csv(path: Path, data: bytes | None = None) -> Dataset:
    """The CSV: a picture's name and 16 × (x, y) per person; a joint at (-1, -1) or below (0, 0) is
    not labelled.
    """
    rows = _rows(read_bytes(path) if data is None else data, path)
    people = Records(path, "rows", rows, range(1, len(rows) + 1))
    points = [[_number(text, people, row) for text in cells[1:]] for row, cells in enumerate(rows)]
    flat = people.numbers(points, 2 * len(MPII16), "joints (16 of MPII)")
    pictures, picture = _pictures([row[0] for row in rows])
    seen = np.any(flat.reshape(-1, len(MPII16), 2) > 0, axis=2)
    return Dataset(
        skeleton=MPII16,
        pictures=pictures,
        picture=picture,
        keypoints=_keypoints(flat, seen),
        name=path.name,
        format="MPII",
        folder=image_folder(path, pictures),
    )


def read_mpii_predictions(path: Path, content: dict[str, Array]) -> tuple[Dataset, Dataset]:
    """The .mat: pos_gt_src and pos_pred_src [16, 2, N], jnt_missing [16, N], headboxes_src [2, 2,
    N] -> truth, results.

    Pictures are not named: every person is the only one of picture 1, 2, 3 …
    """
    missing = content["jnt_missing"]
    count = missing.shape[-1]
    shapes = {
        "jnt_missing": (16, count),
        "pos_gt_src": (16, 2, count),
        "pos_pred_src": (16, 2, count),
        "headboxes_src": (2, 2, count),
    }
    for key, expected in shapes.items():
        # MATLAB drops a last side of 1: one person's (16, 2, 1) is written as (16, 2).
        got = np.shape(content.get(key, ()))
        if got != expected and not (count == 1 and got == expected[:-1]):
            raise DataError(f"{path}: {key} is {got}, expected {expected} as jnt_missing says")
    arrays = {key: content[key].reshape(expected) for key, expected in shapes.items()}
    missed = np.isnan(arrays["pos_gt_src"].sum(1))  # so MATLAB may write joints without label
    arrays["pos_gt_src"] = np.where(missed[:, None], 0.0, arrays["pos_gt_src"])
    corners = _bounded(arrays["headboxes_src"], path, "headboxes_src")
    pictures = tuple(Picture("", number) for number in range(1, missing.shape[1] + 1))
    seen = ((missing == 0) & ~missed).T

    def people(key: str, flags: Array, **columns: Any) -> Dataset:
        points = np.moveaxis(_bounded(arrays[key], path, key), 2, 0) - 1
        keypoints = np.concatenate([points, flags[..., None]], 2)
        return Dataset(
            skeleton=MPII16,
            pictures=pictures,
            picture=np.arange(len(pictures)),
            keypoints=keypoints,
            name=path.name,
            format="MPII predictions",
            **columns,
        )

    heads = HEAD_SHARE * np.linalg.norm(corners[1] - corners[0], axis=0)
    truth = people("pos_gt_src", np.where(seen, 2.0, 0.0), heads=np.where(heads > 0, heads, np.nan))
    return truth, people("pos_pred_src", np.ones(seen.shape), ignored=np.zeros(len(pictures), bool))


def _rows(data: bytes, path: Path) -> list[list[str]]:
    """The lines of a CSV that are not empty, without a heading."""
    try:
        text = data.decode("utf-8")
        rows = [row for row in csv.reader(StringIO(text, newline="")) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not CSV in UTF-8 ({error})") from None
    try:
        float(rows[0][-1])
    except (ValueError, IndexError):
        return rows[1:]
    return rows


def _number(text: str, people: Records, row: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise people.fail(row, f"has {text[:40]!r} where a number is expected") from None


def _bounded(values: Array, path: Path, key: str) -> Array:
    if not (np.abs(values) <= FARTHEST).all():
        raise DataError(f"{path}: {key} has a number that is not finite, or beyond ±{FARTHEST:g}")
    return values


def _keypoints(flat: Array, seen: NDArray[np.bool_]) -> Array:
    points = flat.reshape(-1, len(MPII16), 2) - 1
    return np.concatenate([points, np.where(seen, 2.0, 0.0)[..., None]], 2)


def _pictures(names: list[str]) -> tuple[tuple[Picture, ...], NDArray[np.int64]]:
    """The pictures of these names, each once, and the place of each name among them [N]."""
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    pictures = tuple(Picture(name, i + 1) for name, i in place.items())
    return pictures, np.array([place[name] for name in names], np.int64)
