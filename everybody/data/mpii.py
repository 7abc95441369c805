"""MPII Human Pose (Andriluka et al. 2014): the JSON of its people, a CSV of joints, and the .mat in
which predictions, truth and head boxes of the validation set are exchanged. All three count pixels
from 1, so everything moves by one.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..skeletons import MPII16
from .coco import HEAD_SHARE
from .dataset import Dataset, Picture, image_folder
from .records import Array, Records, load_json

PERSON = 200.0  # pixels per unit of MPII's 'scale': the person's height


def read_mpii(path: Path, content: Any = None) -> Dataset:
    """The JSON: a list of people with image, joints [16][2], joints_vis [16], and center and scale
    for the box.
    """
    people = Records.of(path, "people", load_json(path) if content is None else content)
    count = len(MPII16)
    flat = people.numbers(
        [_flat(joints) for joints in people.values("joints")], 2 * count, "joints (16 of MPII)"
    )
    seen = people.numbers(people.values("joints_vis"), count, "joints_vis")
    middle = people.numbers(people.values("center"), 2, "center") - 1
    side = people.numbers(people.values("scale"), None, "scale")[:, None] * PERSON / 2
    pictures, picture = _pictures([str(name) for name in people.values("image")])
    return Dataset(
        skeleton=MPII16,
        pictures=pictures,
        picture=picture,
        keypoints=_keypoints(flat, seen > 0),
        boxes=np.concatenate([middle - side, middle + side], 1),
        name=path.name,
        format="MPII",
        folder=image_folder(path, pictures),
    )


def read_mpii_csv(path: Path) -> Dataset:
    """The CSV: a picture's name and 16 × (x, y) per person; a joint at (-1, -1) or below (0, 0) is
    not labelled.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    if rows and not _number(rows[0][-1]):
        rows = rows[1:]
    people = Records(path, "rows", [{}] * len(rows), range(1, len(rows) + 1))
    flat = people.numbers([row[1:] for row in rows], 2 * len(MPII16), "joints (16 of MPII)")
    pictures, picture = _pictures([row[0] for row in rows])
    seen = (flat.reshape(-1, len(MPII16), 2) > 0).any(2)
    return Dataset(
        skeleton=MPII16,
        pictures=pictures,
        picture=picture,
        keypoints=_keypoints(flat, seen),
        name=path.name,
        format="MPII",
        folder=image_folder(path, pictures),
    )


def read_mpii_predictions(path: Path, content: dict[str, Any]) -> tuple[Dataset, Dataset]:
    """The .mat: pos_gt_src and pos_pred_src [16, 2, N], jnt_missing [16, N], headboxes_src [2, 2,
    N] -> truth, results.

    Pictures are not named: every person is the only one of picture 1, 2, 3 …
    """
    missing = np.asarray(content["jnt_missing"])
    for key, leading in {
        "pos_gt_src": (16, 2),
        "pos_pred_src": (16, 2),
        "headboxes_src": (2, 2),
    }.items():
        expected, got = (*leading, missing.shape[-1]), np.shape(content.get(key, ()))
        if got != expected:
            raise DataError(f"{path}: {key} is {got}, expected {expected} as jnt_missing says")
    corners = np.asarray(content["headboxes_src"], np.float64)
    pictures = tuple(Picture("", number) for number in range(1, missing.shape[1] + 1))
    seen = (missing == 0).T

    def people(key: str, flags: Any, **columns: Any) -> Dataset:
        points = np.moveaxis(np.asarray(content[key], np.float64), 2, 0) - 1
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


def _keypoints(flat: Array, seen: Any) -> Array:
    points = flat.reshape(-1, len(MPII16), 2) - 1
    return np.concatenate([points, np.where(seen, 2.0, 0.0)[..., None]], 2)


def _pictures(names: list[str]) -> tuple[tuple[Picture, ...], Any]:
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return tuple(Picture(name, i + 1) for name, i in place.items()), np.array(
        [place[name] for name in names], np.int64
    )


def _flat(joints: Any) -> Any:
    return [value for joint in joints for value in joint] if isinstance(joints, list) else joints


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
