"""What is learnt from labels of people and of teachers (`teachers`): which of them count, whose win
where both have labelled a person, and which pictures must not be learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import geometry
from ..data import leak
from ..data.dataset import COLUMNS, Array, Dataset, Picture, extents
from ..errors import DataError
from ..media.images import SUFFIXES
from ..skeletons import COCO17, Skeleton

ALMOST = 0.999  # the most that a teacher's joint counts
SURE = 0.5  # a teacher's joint of this score may contradict a person
GROSS = 0.3  # of the box's longer side: further apart, one of the two is wrong
FITS = 0.4  # IoU above which a teacher's box is that of a person whose joints only are labelled
SAME = 0.2  # OKS above which a teacher's pose is that of a labelled person


def merge(
    human: Dataset, teacher: Dataset, *, distrust: Sequence[str] = ()
) -> tuple[Dataset, dict[str, int]]:
    """Human labels in the teacher's joints, and what the teacher adds -> a data set, and counts by
    rule.

    Pictures are matched by file name, people by OKS over the joints that both have. Human joints
    win, with two exceptions. Joints in `distrust`, which the two place differently by definition
    (LSP's hips), are the teacher's, if it is sure. Where a sure teacher disagrees grossly, the
    joints are exchanged left for right if that explains it, and otherwise count as unlabelled. A
    box that is only the extent of the joints is replaced by the teacher's. The third value of a
    keypoint becomes how much it counts: 1 for human labels, the teacher's score for what it adds.
    """
    truth = human.to(teacher.skeleton)
    joints, mirror = list(teacher.skeleton.joints), list(teacher.skeleton.mirror)
    if unknown := set(distrust) - set(joints):
        raise DataError(f"{teacher.skeleton.name} has no joint '{min(unknown)}'")
    doubted = np.array([name in distrust for name in joints])
    place = {name.name.rsplit("/", 1)[-1]: i for i, name in enumerate(teacher.pictures)}
    keypoints, boxes, rows = truth.keypoints.copy(), truth.boxes.copy(), teacher.rows()
    boxless = np.abs(boxes - extents(keypoints)).max(1) < 1e-6
    keypoints[..., 2] = keypoints[..., 2] > 0
    counts: dict[str, int] = dict.fromkeys(
        ("people", "known to the teacher", "swapped", "dropped", "added"), 0
    )
    for person in range(len(keypoints)):
        counts["people"] += 1
        picture = place.get(truth.pictures[truth.picture[person]].name.rsplit("/", 1)[-1])
        found = rows[picture] if picture is not None else np.zeros(0, np.int64)
        other = _match(keypoints[person], truth.boxes[person], teacher, found)
        labelled = keypoints[person, :, 2] > 0
        if other is None:
            keypoints[person, doubted, 2] = 0
            continue
        counts["known to the teacher"] += 1
        if boxless[person]:
            boxes[person] = teacher.boxes[other]
        theirs = teacher.keypoints[other]
        sure = theirs[:, 2] >= SURE
        reach = GROSS * (truth.boxes[person, 2:] - truth.boxes[person, :2]).max()

        def far(a: Array, b: Array = theirs, reach: float = reach) -> NDArray[np.bool_]:
            return np.hypot(*(a - b)[:, :2].T) > reach

        wrong = labelled & sure & ~doubted & far(keypoints[person])
        exchanged = keypoints[person][mirror]
        swapped = wrong & (exchanged[:, 2] > 0) & ~far(exchanged)
        keypoints[person, swapped] = exchanged[swapped]
        keypoints[person, wrong & ~swapped, 2] = 0
        adds = sure & (doubted | ~labelled)
        keypoints[person, doubted, 2] = 0
        keypoints[person, adds] = theirs[adds]
        for name, mask in (("swapped", swapped), ("dropped", wrong & ~swapped), ("added", adds)):
            counts[name] += int(mask.sum())
    return replace(
        truth,
        keypoints=keypoints,
        boxes=boxes,
        ignored=truth.ignored & ~(keypoints[..., 2] > 0).any(1),
    ), counts


def trusted(labels: Dataset, least: float) -> Dataset:
    """Labels whose joints of a score below `least` count as unlabelled. COCO's flags of people (1
    hidden, 2 visible) stay; a teacher's joints are always a little below 1, because 1 and more mean
    that a person has labelled the joint.
    """
    keypoints = labels.keypoints.copy()
    scores = keypoints[..., 2]
    if ((scores > 0) & (scores < 1)).any():  # no flags
        scores = scores.clip(max=ALMOST)
    keypoints[..., 2] = np.where(scores >= least, scores, 0)
    return replace(
        labels, keypoints=keypoints, ignored=labels.ignored | ~(keypoints[..., 2] > 0).any(1)
    )


def nobody(folder: Path, skeleton: Skeleton = COCO17) -> Dataset:
    """The pictures of a folder as a data set without people. Raises DataError if there are none."""
    names = sorted(path.name for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not names:
        raise DataError(f"{folder}: no pictures here")
    pictures = tuple(Picture(name, number) for number, name in enumerate(names, 1))
    none = np.zeros((0, len(skeleton), 3))
    return Dataset(
        skeleton=skeleton,
        pictures=pictures,
        picture=np.zeros(0, np.int64),
        keypoints=none,
        name=folder.name,
        folder=folder,
    )


def certain(labels: Dataset, least: float, overlap: float = 0.45) -> Dataset:
    """Labels for a detector. People who score below `least`, or overlap a surer person by more than
    `overlap` (IoU), are neither to find nor false. All others are to be found, with or without
    labelled joints.
    """
    ignored = (
        labels.crowd
        | (labels.scores < least)
        | ((labels.boxes[:, 2:] - labels.boxes[:, :2]).min(1, initial=9) <= 0)
    )
    for rows in labels.rows():
        taken: list[int] = []
        for row in rows[np.argsort(-labels.scores[rows], kind="stable")]:
            if (
                labels.scores[row] < 1
                and (geometry.iou(labels.boxes[[row]], labels.boxes[taken]) > overlap).any()
            ):
                ignored[row] = True
            taken.append(row)
    return replace(labels, ignored=ignored)


def with_others(human: Dataset, teacher: Dataset) -> Dataset:
    """Labelled people, and, with the teacher's scores, the people of the teacher on those pictures
    who overlap no labelled person by half (IoU). A box that is only the extent of the joints is
    replaced by the teacher's box that fits it best; if none fits, it grows by a twentieth of its
    longer side.
    """
    truth = human.to(teacher.skeleton)
    boxes, rows = truth.boxes.copy(), teacher.rows()
    boxless = np.abs(boxes - extents(truth.keypoints)).max(1, initial=0) < 1e-6
    place = {picture.name.rsplit("/", 1)[-1]: i for i, picture in enumerate(teacher.pictures)}
    others: list[tuple[int, int]] = []
    for picture, mine in enumerate(truth.rows()):
        theirs = (
            rows[place[name]]
            if (name := truth.pictures[picture].name.rsplit("/", 1)[-1]) in place
            else rows[0][:0]
        )
        for person in mine[boxless[mine]]:
            overlap = geometry.iou(boxes[[person]], teacher.boxes[theirs])[0]
            if overlap.max(initial=0) >= FITS:
                boxes[person] = teacher.boxes[theirs[overlap.argmax()]]
            else:
                grown = (boxes[person, 2:] - boxes[person, :2]).max() / 20
                boxes[person] += [-grown, -grown, grown, grown]
        apart = (geometry.iou(teacher.boxes[theirs], boxes[mine]) < 0.5).all(1)
        others += [(picture, row) for row in theirs[apart]]
    where, added = (
        (np.array(column, np.int64) for column in zip(*others, strict=True)) if others else ([], [])
    )
    extra = replace(teacher.select(added), pictures=truth.pictures, picture=where)  # type: ignore[arg-type]
    truth = replace(truth, boxes=boxes)
    return replace(
        truth,
        **{name: np.concatenate([getattr(truth, name), getattr(extra, name)]) for name in COLUMNS},
    )


def without_leaks(labels: Dataset, judged: Sequence[Path]) -> tuple[Dataset, int]:
    """Labels without the pictures that are near-duplicates of any in the folders `judged`, and how
    many those are.

    Broken ones stay, for the packer to name and to skip. Raises DataError for a judged picture that
    cannot be read.
    """
    if not judged:
        return labels, 0
    there = [
        path
        for folder in judged
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if not there:
        raise DataError(f"{', '.join(map(str, judged))}: no pictures here to avoid")
    avoided, readable = leak.hashes(there)
    if not readable.all():
        raise DataError(
            f"{there[int(readable.argmin())]}: cannot be read, so nothing can be kept apart from it"
        )
    mine, readable = leak.hashes(labels.path(i) for i in range(len(labels)))
    near = leak.near(mine, avoided) & readable
    return labels.subset(np.flatnonzero(~near)), int(near.sum())


def _match(person: Array, box: Array, teacher: Dataset, rows: NDArray[np.int64]) -> int | None:
    """Which of the teacher's people on the picture is this one."""
    if len(rows) == 0:
        return None
    area = geometry.area(box[None])
    similar = geometry.oks(
        person[None], teacher.keypoints[rows], area, teacher.skeleton.sigmas, person[None, :, 2]
    )[0]
    best = int(similar.argmax())
    return int(rows[best]) if similar[best] >= SAME else None
