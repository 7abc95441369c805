"""COCO's keypoint JSON (Lin et al. 2014) and every set that speaks it: CrowdPose, AIC, OCHuman,
Halpe, COCO-WholeBody, PoseTrack18; and COCO's list of results.

COCO keypoints are pixel indices and stay; its boxes count from the picture's corner and move by
half a pixel.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..skeletons import WHOLEBODY133, Skeleton
from .dataset import Dataset, Picture, extents, image_folder
from .formats import recognise
from .records import Array, Records, load_json

# COCO's areas are of masks; where a set has none, this share of the box stands in (CrowdPose, Li et
# al. 2019).
AREA_OF_BOX = 0.53
PARTS = (
    "keypoints",
    "foot_kpts",
    "face_kpts",
    "lefthand_kpts",
    "righthand_kpts",
)  # COCO-WholeBody (Jin et al. 2020)
HEAD_SHARE = 0.6  # of the head box's diagonal: PCKh's length (Andriluka et al. 2014)


def read_coco(path: Path, content: Any = None, *, skeleton: Skeleton | None = None) -> Dataset:
    """Annotations in COCO's form. `skeleton` overrides the joint names in the file."""
    content = load_json(path) if content is None else content
    categories = content.get("categories") or [{"id": 1, "name": "person"}]
    person = next((category for category in categories if category.get("keypoints")), categories[0])
    images = Records.of(path, "images", content["images"])
    people = Records.of(path, "annotations", content["annotations"])
    people = people.keep(lambda record: record.get("category_id", person["id"]) == person["id"])

    numbers = images.integers("id", unique=True)
    pictures = tuple(_picture(record) for record in images.records)
    picture = _places(people, numbers)
    keypoints, skeleton = _keypoints(people, skeleton, person)
    crowd = np.array([bool(record.get("iscrowd", 0)) for record in people.records], bool)
    # What the file says counts, as in pycocotools: CrowdPose leaves out people of whom no joint is
    # visible. Whole-body files count the body's joints only, and their evaluator all of them.
    stated: Any = np.count_nonzero(keypoints[..., 2] > 0, axis=1)
    if "face_0" not in skeleton.joints:
        stated = [
            record.get("num_keypoints", count)
            for record, count in zip(people.records, stated, strict=True)
        ]
    boxes = _boxes(people, keypoints, keypoints[..., 2] > 0)
    sized = np.array([record.get("area") is not None for record in people.records], bool)
    areas = people.numbers([record.get("area") or 0 for record in people.records], None, "area")
    stand_in = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1) * AREA_OF_BOX
    notes = (
        ()
        if sized.all()
        else (f"{(~sized).sum()} people have no area: {AREA_OF_BOX} × their box stands in",)
    )
    return Dataset(
        skeleton=skeleton,
        pictures=pictures,
        picture=picture,
        keypoints=keypoints,
        boxes=boxes,
        areas=np.where(sized, areas, stand_in),
        ids=people.integers("id", unique=True),
        tracks=_tracks(people),
        heads=_heads(people),
        crowd=crowd,
        ignored=crowd | (np.array(stated, float) == 0),
        name=path.name,
        format="COCO annotations",
        folder=image_folder(path, pictures),
        notes=notes,
    )


def read_coco_results(path: Path, content: Any = None, *, skeleton: Skeleton) -> Dataset:
    """COCO's list of results: image_id, keypoints, score (and bbox). Pictures are known by number
    only, and the joints are in the order of `skeleton`, which the file does not say.
    """
    people = Records.of(path, "results", load_json(path) if content is None else content)
    found, picture = np.unique(people.integers("image_id"), return_inverse=True)
    keypoints, skeleton = _keypoints(people, skeleton, {})
    scores = people.numbers(people.values("score"), None, "score")
    outside = int(((scores < 0) | (scores > 1)).sum())
    return Dataset(
        skeleton=skeleton,
        pictures=tuple(Picture("", int(number)) for number in found),
        picture=picture,
        keypoints=keypoints,
        boxes=_boxes(people, keypoints, np.ones(keypoints.shape[:2], bool)),
        scores=scores,
        tracks=_tracks(people),
        ignored=np.zeros(len(people), bool),
        name=path.name,
        format="COCO results",
        notes=(f"{outside} of {len(scores)} scores lie outside [0, 1]",) if outside else (),
    )


def _tracks(people: Records) -> NDArray[np.int64]:
    """PoseTrack's `track_id`, -1 where there is none."""
    return np.array([record.get("track_id", -1) for record in people.records], np.int64)


def _picture(record: dict[str, Any]) -> Picture:
    xs, ys = record.get("ignore_regions_x") or [], record.get("ignore_regions_y") or []
    if xs and not isinstance(xs[0], list):  # PoseTrack18 writes one region without the outer list
        xs, ys = [xs], [ys]
    return Picture(
        str(record.get("file_name", "")),
        record["id"],
        int(record.get("width") or 0),
        int(record.get("height") or 0),
        tuple(np.stack([x, y], -1).astype(np.float64) for x, y in zip(xs, ys, strict=True)),
        float(record.get("crowdIndex", "nan")),
    )


def _places(people: Records, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    place = {int(number): i for i, number in enumerate(numbers)}
    wanted = people.integers("image_id")
    picture = np.array([place.get(int(number), -1) for number in wanted], np.int64)
    if (picture < 0).any():
        row = int(np.argmax(picture < 0))
        raise people.fail(row, f"is of image {wanted[row]}, which is not in 'images'")
    return picture


def _keypoints(
    people: Records, skeleton: Skeleton | None, person: dict[str, Any]
) -> tuple[Array, Skeleton]:
    """[N, K, 3] and whose joints they are; the parts of COCO-WholeBody are put together."""
    if people.records and all("foot_kpts" in record for record in people.records):
        rows = [list(chain(*parts)) for parts in zip(*map(people.values, PARTS), strict=True)]
        skeleton = skeleton or WHOLEBODY133
    elif any("keypoints" in record for record in people.records):
        rows = people.values("keypoints")
    elif people.records:
        raise DataError(
            f"{people.path}: no record of '{people.list}' has 'keypoints': is this the keypoint file?"
        )
    else:
        rows = []
    if skeleton is None:
        names = person.get("keypoints") or []
        count = len(rows[0]) // 3 if rows else len(names)
        skeleton = recognise(names, count, people.path, person.get("skeleton") or [])
    flat = people.numbers(
        rows, 3 * len(skeleton), f"keypoints ({len(skeleton)} joints of {skeleton.name})"
    )
    return flat.reshape(len(rows), len(skeleton), 3), skeleton


def _boxes(people: Records, keypoints: Array, seen: NDArray[np.bool_]) -> Array:
    """'bbox' as xyxy under the coordinate law (`geometry.xyxy`, in float64); where a record has
    none, around what is seen of its keypoints.
    """
    given = np.array([bool(record.get("bbox")) for record in people.records], bool)
    if not given.any():
        return extents(keypoints, seen)
    sides = people.numbers(
        [record.get("bbox") or [0, 0, 0, 0] for record in people.records], 4, "bbox"
    )
    corners = np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], 1) - 0.5
    return corners if given.all() else np.where(given[:, None], corners, extents(keypoints, seen))


def _heads(people: Records) -> Array:
    """PCKh's length from PoseTrack's head boxes, NaN where there is none."""
    sides = people.numbers(
        [(record.get("bbox_head") or [0, 0, 0, 0])[2:] for record in people.records], 2, "bbox_head"
    )
    length = HEAD_SHARE * np.hypot(sides[:, 0], sides[:, 1])
    return np.where(length > 0, length, np.nan)
