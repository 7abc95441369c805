"""COCO's list of results (cocodataset.org/#format-results): one item per person found.

Pictures are known by number, or by name where an image_id is text (as AlphaPose writes them).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..results.records import by_name
from ..skeletons import BOX, COCO17, Skeleton
from ..typed import decode, read_bytes
from .coco import Person, boxes_of, keypoints_of
from .dataset import UNKNOWN, Dataset, Picture
from .records import Records, whole


class Result(Person, kw_only=True, gc=False):
    """An item of a list of results."""

    score: float
    box: list[float] | None = None  # as AlphaPose calls bbox
    category: str | None = None
    skeleton: str | None = None


def read_coco_results(
    path: Path,
    data: bytes | None = None,
    *,
    skeleton: Skeleton | None = None,
    usual: Skeleton = COCO17,
) -> Dataset:
    """Results in COCO's form: `data`, or what is in the file `path`. Their joints are those of
    `skeleton`; None: of the one that the file names, as ours do, else of the `usual` one. Boxes
    alone, as of a detector, have no joints (`BOX`).
    """
    found = decode(read_bytes(path) if data is None else data, list[Result], path)
    for one in found:
        one.bbox = one.bbox or one.box
    people = Records.of(path, "results", found)
    pictures, picture = _named_pictures(people)
    if found and not any(people.values("keypoints")) and all(people.values("bbox")):
        keypoints, skeleton, blank = np.zeros((len(found), 0, 3)), BOX, 0
    else:
        skeleton = skeleton or by_name(found[0].skeleton if found else None) or usual
        keypoints, skeleton, blank, _ = keypoints_of(people, skeleton, None)
    if blank:
        row = next(row for row, one in enumerate(people.records) if not one.keypoints)
        raise people.fail(row, f"has no keypoints, expected {3 * len(skeleton)} numbers")
    scores = people.numbers(people.values("score"), None, "score")
    outside = int(((scores < 0) | (scores > 1)).sum())
    return Dataset(
        skeleton=skeleton,
        pictures=pictures,
        picture=picture,
        keypoints=keypoints,
        boxes=boxes_of(people, keypoints, np.ones(keypoints.shape[:2], bool)),
        scores=scores,
        tracks=people.integers("track_id", default=UNKNOWN),
        category=people.integers("category_id", default=UNKNOWN),
        categories={
            int(key): name
            for key, name in zip(
                people.values("category_id"), people.values("category"), strict=True
            )
            if name and whole(key) is not None
        },
        ignored=np.zeros(len(people), bool),
        name=path.name,
        format="COCO results",
        notes=(f"{outside} of {len(scores)} scores lie outside [0, 1]",) if outside else (),
    )


def _named_pictures(people: Records) -> tuple[tuple[Picture, ...], NDArray[np.int64]]:
    """The pictures of results, and everybody's place among them [N]."""
    given = people.values("image_id")
    if "" in given:
        raise people.fail(given.index(""), "has an empty image_id, expected a number or a name")
    if any(isinstance(value, str) for value in given):
        names, picture = np.unique(np.array([str(value) for value in given]), return_inverse=True)
        return tuple(Picture(str(name), i + 1) for i, name in enumerate(names)), picture
    numbers = people.integers("image_id", default=UNKNOWN)
    found, picture = np.unique(numbers, return_inverse=True)
    return tuple(Picture("", int(number)) for number in found), picture
