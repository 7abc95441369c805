"""COCO's keypoint JSON (Lin et al. 2014) and every set that speaks it: CrowdPose, AIC, OCHuman,
Halpe, COCO-WholeBody, PoseTrack18.

COCO keypoints are pixel indices and stay; its boxes count from the picture's corner and move by
half a pixel. Ids may be whole numbers, written in any way (7, 7.0, "7"), or any text.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import SAY_JOINTS_OF_DATA, SAY_JOINTS_OF_RESULTS, DataError
from ..skeletons import COCO17, WHOLEBODY133, Skeleton
from ..skeletons.names import plain_names
from ..typed import Id, decode, read_bytes
from .categories import Category, Choice, choose
from .dataset import UNKNOWN, Dataset, Picture, extents, image_folder
from .joints import recognise
from .records import FARTHEST, GREATEST, Array, Records, identities

# COCO's areas are of masks; where a set has none, this share of the box stands in (CrowdPose, Li et
# al. 2019).
AREA_OF_BOX = 0.53
# The lists of joints of COCO-WholeBody (Jin et al. 2020), in the order of its skeleton.
PARTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
HEAD_SHARE = 0.6  # of the head box's diagonal: PCKh's length (Andriluka et al. 2014)


class Person(msgspec.Struct, gc=False):
    """What items of annotations and of results share."""

    image_id: Id
    keypoints: list[float] | None = None
    bbox: list[float] | None = None
    category_id: Id | None = None
    track_id: Id | None = None  # PoseTrack: who is who
    foot_kpts: list[float] | None = None
    face_kpts: list[float] | None = None
    lefthand_kpts: list[float] | None = None
    righthand_kpts: list[float] | None = None


class Label(Person, kw_only=True, gc=False):
    """An item of 'annotations'."""

    id: Id
    area: float | None = None
    iscrowd: bool | float | None = None
    num_keypoints: float | None = None
    bbox_head: list[float] | None = None


class Image(msgspec.Struct, gc=False):
    """An item of 'images'. PoseTrack18 writes one region to ignore without the outer list."""

    id: Id
    file_name: str | None = None
    width: float | None = None
    height: float | None = None
    ignore_regions_x: list[list[float] | float] | None = None
    ignore_regions_y: list[list[float] | float] | None = None
    crowdIndex: float | None = None


class Document(msgspec.Struct, gc=False):
    """The whole file."""

    images: list[Image]
    annotations: list[Label]
    categories: list[Category] | None = None


def read_coco(
    path: Path,
    data: bytes | None = None,
    *,
    skeleton: Skeleton | None = None,
    category: str | None = None,
    joints: bool = True,
) -> Dataset:
    """Annotations in COCO's form: `data`, or what is in the file `path`.

    skeleton: overrides the joint names in the file. category: names or ids of the categories to
    read, with commas between; by default those of people (`categories.choose`). joints: whether
    there must be any; else boxes alone will do, and nobody is ignored for having no joint.
    """
    document = decode(read_bytes(path) if data is None else data, Document, path)
    images = Records.of(path, "images", document.images)
    everybody = Records.of(path, "annotations", document.annotations)
    numbers = images.identifiers("id")
    ids = everybody.identifiers("id")
    pictures = _pictures(images, numbers)
    picture = _places(everybody, images)

    known = document.categories or []
    if not joints and not any(everybody.values("keypoints")):
        known = [Category(one.id, one.name) for one in known]  # their joints do not matter
    choice = choose(known, category, path)
    numbers_of = choice.numbers() or {1: 1}
    counted, categories, notes = _counted(everybody, choice, joints=joints)
    category_numbers = [numbers_of[key] for key in categories]
    people = everybody.keep(counted.tolist())
    bare = not joints and not any(people.values("keypoints")) and any(people.values("bbox"))
    said = _boxes_alone(people, skeleton) if bare else keypoints_of(people, skeleton, choice)
    keypoints, skeleton, blank, note = said
    boxes = boxes_of(people, keypoints, keypoints[..., 2] > 0)
    areas, estimated = _areas(people, boxes)
    crowd = np.array([bool(value) for value in people.values("iscrowd")], bool)
    notes += _remarks(note, blank, estimated)

    return Dataset(
        skeleton=skeleton,
        pictures=pictures,
        picture=picture[counted],
        keypoints=keypoints,
        boxes=boxes,
        areas=areas,
        ids=np.flatnonzero(counted) + 1 if ids is None else ids[counted],
        tracks=people.integers("track_id", default=UNKNOWN),
        category=np.array(category_numbers, np.int64),
        heads=_heads(people),
        crowd=crowd,
        ignored=crowd if bare else crowd | (_stated(people, keypoints, skeleton) == 0),
        categories={numbers_of[key]: one.called for key, one in choice.chosen.items()},
        name=path.name,
        format="COCO annotations",
        folder=image_folder(path, pictures),
        notes=tuple(notes),
    )


def _counted(
    people: Records, choice: Choice, *, joints: bool
) -> tuple[NDArray[np.bool_], list[int | str], list[str]]:
    """Which annotations are of the chosen categories [N], the category of each of those, and notes
    on what is left out: not on objects that have no joints, unless nobody is left. An annotation
    without category is of the first chosen one; in a file that lists no categories, all are of one.
    """
    if not choice.chosen:
        return np.ones(len(people), bool), [1] * len(people), []
    first = next(iter(choice.chosen))
    categories = identities(people.values("category_id"))
    given = [first if key is None else key for key in categories]
    counted = np.array([key in choice.chosen for key in given], bool)

    left: dict[str, int] = {}
    blank: dict[str, int] = {}  # of categories without key points
    for key, record in zip(given, people.records, strict=True):
        if key not in choice.chosen:
            known = choice.left_out.get(key)
            called = f"category {key}" if known is None else known.called
            counts = left if record.keypoints or known is None or not joints else blank
            counts[called] = counts.get(called, 0) + 1
    names = ", ".join(f"{count} of {called}" for called, count in left.items())
    notes = [f"left out: {names}; --category NAME chooses"] if left else []
    if blank:
        some = ", ".join([*blank][:5]) + (", ..." if len(blank) > 5 else "")
        notes.append(f"left out: {sum(blank.values())} without key points ({some})")
    return counted, [key for key, kept in zip(given, counted, strict=True) if kept], notes


def _remarks(joints: str, blank: int, estimated: int) -> list[str]:
    """What is said of the people: how their joints were found, how many have none, and how many
    have no area.
    """
    said = [joints] if joints else []
    if blank:
        said.append(f"{blank} people have no keypoints: they are neither to find nor false")
    if estimated:
        said.append(f"{estimated} people have no area: {AREA_OF_BOX} × their box stands in")
    return said


def _pictures(images: Records, numbers: NDArray[np.int64] | None) -> tuple[Picture, ...]:
    """Ids that are no whole numbers are kept as the pictures' keys, and numbered anew."""
    return tuple(
        Picture(
            record.file_name or "",
            place + 1 if numbers is None else int(numbers[place]),
            _size(images, place, record.width),
            _size(images, place, record.height),
            _regions(images, place, record),
            float("nan") if record.crowdIndex is None else record.crowdIndex,
            str(record.id) if numbers is None else "",
        )
        for place, record in enumerate(images.records)
    )


def _size(images: Records, place: int, side: float | None) -> int:
    if side is None:
        return 0
    if not 0 <= side < GREATEST or side != int(side):
        raise images.fail(place, f"has a side of {side:g} pixels, expected a whole number")
    return int(side)


def _regions(images: Records, place: int, record: Image) -> tuple[Array, ...]:
    xs, ys = record.ignore_regions_x or [], record.ignore_regions_y or []
    if xs and not isinstance(xs[0], list):
        xs, ys = [xs], [ys]
    try:
        polygons = [
            np.stack([np.array(x, np.float64), np.array(y, np.float64)], -1)
            for x, y in zip(xs, ys, strict=True)
        ]
    except (ValueError, TypeError):
        raise images.fail(place, "has ignore_regions_x and _y of different lengths") from None
    if not all(polygon.ndim == 2 and np.isfinite(polygon).all() for polygon in polygons):
        raise images.fail(place, "has ignore_regions_x and _y that are no lists of numbers")
    return tuple(polygons)


def _places(people: Records, images: Records) -> NDArray[np.int64]:
    """The place of everybody's picture in 'images' [N]."""
    place = {number: i for i, number in enumerate(identities(images.values("id")))}
    wanted = identities(people.values("image_id"))
    picture = np.array([place.get(key, -1) for key in wanted], np.int64)
    if (picture < 0).any():
        row = int(np.argmax(picture < 0))
        raise people.fail(row, f"is of image {wanted[row]}, which is not in 'images'")
    return picture


def _stated(people: Records, keypoints: Array, skeleton: Skeleton) -> Array:
    """How many joints the file says count [N], as in pycocotools: CrowdPose leaves out people
    without a visible joint. Whole-body files count the body's joints only, and their evaluator all
    of them.
    """
    labelled = np.count_nonzero(keypoints[..., 2] > 0, axis=1).astype(np.float64)
    if "face_0" in skeleton.joints:
        return labelled
    rows = zip(people.records, labelled, strict=True)
    return np.array(
        [
            count if one.num_keypoints is None or not one.keypoints else one.num_keypoints
            for one, count in rows
        ],
        np.float64,
    )


def _areas(people: Records, boxes: Array) -> tuple[Array, int]:
    """Areas [N], and how many of them are estimated from the box."""
    given = people.values("area")
    sized = np.array([area is not None for area in given], bool)
    areas = people.numbers([area or 0.0 for area in given], None, "area", limit=FARTHEST**2)
    stand_in = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1) * AREA_OF_BOX
    return np.where(sized, areas, stand_in), int((~sized).sum())


def keypoints_of(
    people: Records, skeleton: Skeleton | None, choice: Choice | None
) -> tuple[Array, Skeleton, int, str]:
    """[N, K, 3], whose joints they are, how many people have none, and what is to be said of how
    the joints were found; the parts of COCO-WholeBody are put together.
    """
    rows: list[Any] = [record.keypoints or [] for record in people.records]
    if people.records and all(record.foot_kpts is not None for record in people.records):
        rows = _whole_bodies(people)
        skeleton = skeleton or WHOLEBODY133
    given = next((row for row in rows if row), None)
    names = choice.joints if choice else ()
    if choice and choice.chosen and not (people.records or names or skeleton):
        called = ", ".join(one.called for one in choice.chosen.values())
        raise DataError(
            f"{people.path}: no annotation is of the category {called}, which names no 'keypoints'"
        )
    if people.records and given is None:
        chosen = choice.chosen.values() if choice else ()
        bare = ", ".join(one.called for one in chosen if not one.joints)
        raise DataError(
            f"{people.path}: no record of '{people.list}' has 'keypoints'"
            + (f", and the category {bare} names none" if bare else "")
            + ": is this the keypoint file? (Boxes alone are for `everybody pack --pictures`.)"
        )
    places, note = None, ""
    if skeleton is None:
        count = len(names) if given is None else len(given) // 3
        skeleton = recognise(names, count, people.path, choice.limbs if choice else ())
        count = len(skeleton)
    elif given is not None and len(names) == len(given) // 3:
        places, note = _places_of(skeleton, plain_names(names), people.path)
        count = len(names)
    else:
        count = len(skeleton)

    blank = sum(not row for row in rows)
    nothing = [0.0] * (3 * count)
    what = f"keypoints ({count} joints of {skeleton.name})"
    advice = SAY_JOINTS_OF_DATA if choice else SAY_JOINTS_OF_RESULTS
    flat = people.numbers([row or nothing for row in rows], 3 * count, what, advice=advice)
    keypoints = flat.reshape(len(rows), count, 3)
    return keypoints if places is None else keypoints[:, places], skeleton, blank, note


def _boxes_alone(people: Records, skeleton: Skeleton | None) -> tuple[Array, Skeleton, int, str]:
    """As `keypoints_of`, of records without key points: none of the joints is labelled."""
    skeleton = skeleton or COCO17
    nothing = np.zeros((len(people), len(skeleton), 3))
    return nothing, skeleton, 0, "no key points: boxes alone"


def _places_of(
    skeleton: Skeleton, names: tuple[str, ...], where: Path
) -> tuple[list[int] | None, str]:
    """Where a file whose joints have these names holds those of a skeleton that was asked for, and
    what is to be said of it. They are found by their names; a file may have more. None: they lie as
    they are, some under other names.

    Raises DataError where the file lacks joints, and where names contradict places.
    """
    lacking = [joint for joint in skeleton.joints if joint not in names]
    if not lacking and len(set(names)) == len(names):
        more = ", ".join(name for name in names if name not in skeleton.joints)
        note = f"left out: the joints {more}, which {skeleton.name} does not have" if more else ""
        return [names.index(joint) for joint in skeleton.joints], note
    if len(names) != len(skeleton):
        raise DataError(
            f"{where}: has no joint {', '.join(lacking[:9])} for {skeleton.name}; "
            f"its joints are {', '.join(names)}"
        )

    pairs = [(name, joint) for name, joint in zip(names, skeleton.joints, strict=True)]
    renamed = [(name, joint) for name, joint in pairs if name != joint]
    for name, joint in renamed:
        if name in skeleton.joints or joint in names:
            raise DataError(
                f"{where}: has the joint {name} where {skeleton.name} has {joint}, and no joint "
                f"{', '.join(lacking[:9])}: give both the same names"
            )
    said = ", ".join(f"{name} as {joint}" for name, joint in renamed)
    return None, f"joints taken by their places: {said}"


def _whole_bodies(people: Records) -> list[list[float]]:
    rows = []
    for row, record in enumerate(people.records):
        parts = [getattr(record, part) for part in PARTS]
        if None in parts:
            raise people.fail(row, f"has no '{PARTS[parts.index(None)]}', as whole bodies have")
        rows.append(list(chain(*parts)))
    return rows


def boxes_of(people: Records, keypoints: Array, seen: NDArray[np.bool_]) -> Array:
    """'bbox' as xyxy under the coordinate law (`geometry.xyxy`, in float64); where a record has
    none, around what is seen of its keypoints.
    """
    rows = people.values("bbox")
    given = np.array([bool(box) for box in rows], bool)
    if not given.any():
        return extents(keypoints, seen)
    sides = people.numbers([box or (0.0,) * 4 for box in rows], 4, "bbox")
    corners = np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], 1) - 0.5
    return corners if given.all() else np.where(given[:, None], corners, extents(keypoints, seen))


def _heads(people: Records) -> Array:
    """PCKh's length from PoseTrack's head boxes, NaN where there is none."""
    rows = people.values("bbox_head")
    if not any(rows):
        return np.full(len(rows), np.nan)
    sides = people.numbers([box or (0.0,) * 4 for box in rows], 4, "bbox_head")
    length = HEAD_SHARE * np.hypot(sides[:, 2], sides[:, 3])
    return np.where(length > 0, length, np.nan)
