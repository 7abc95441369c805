"""Harder candidates from labelled pictures: dense proposals, and people pasted in front of people.

Dense proposals are the true boxes moved and resized at random, as long as they still overlap the
true one by more than half (Fang et al., RMPE, ICCV 2017, which jitters boxes so to augment
training). Crowds are real people cut out along their skeleton, after "Cut, paste and learn"
(Dwibedi et al., ICCV 2017), and put in front of others of their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..geometry import iou
from ..people import Image
from ..skeletons import Skeleton
from .dataset import COLUMNS, Array, Dataset, extents

SHIFT = 0.3  # of the box's sides: the most that a proposal is moved
RESIZE = 1.5  # the greatest factor by which a proposal is larger or smaller
LEAST_JOINTS = 0.7  # share of joints that must be labelled for a person to be cut out
LEAST_HEIGHT = 80.0  # of a box, in pixels
MOST_SCALE = 2.0
OVERLAP = (0.2, 0.6)  # IoU with the box of the person behind


def jittered(boxes: Array, count: int, random: np.random.Generator, least: float = 0.5) -> Array:
    """[N, 4] -> [N, count, 4]: each box moved and resized at random, `count` times, so that the IoU
    with the original stays above `least`. A box without area comes back as it is.
    """
    out = np.repeat(boxes[:, None], count, axis=1)
    for row, box in enumerate(boxes):
        sides, found = box[2:] - box[:2], 0
        while found < count and (sides > 0).all():
            centres = (box[:2] + box[2:]) / 2 + sides * random.uniform(-SHIFT, SHIFT, (count, 2))
            half = sides / 2 * RESIZE ** random.uniform(-1, 1, (count, 2))
            drawn = np.concatenate([centres - half, centres + half], 1)
            good = drawn[iou(box[None], drawn)[0] > least][: count - found]
            out[row, found : found + len(good)] = good
            found += len(good)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A person cut out of a picture.

    image: the pixels around the joints. mask [H, W]: opacity, 0 to 1. corner [2]: where the upper
    left pixel was in the picture. keypoints [K, 3]: in pixels of `image`.
    """

    image: Image
    mask: Array
    corner: Array
    keypoints: Array


def cut_out(image: Image, keypoints: Array, skeleton: Skeleton) -> Cutout:
    """A person [K, 3] cut out of a picture along the skeleton, with soft edges."""
    labelled = keypoints[:, 2] > 0
    low, high = extents(keypoints[None], labelled[None])[0].reshape(2, 2)
    # A limb is an eighth as thick as the body is long.
    width = max(2, round(float(np.hypot(*(high - low))) / 8))
    canvas = np.zeros(image.shape[:2], np.uint8)
    points = keypoints[:, :2].round().astype(int)
    for a, b in skeleton.limbs:
        if labelled[a] and labelled[b]:
            cv2.line(canvas, points[a].tolist(), points[b].tolist(), 255, width)
    trunk = [
        i
        for i, name in enumerate(skeleton.joints)
        if name.endswith(("_shoulder", "_hip")) and labelled[i]
    ]
    if len(trunk) > 2:
        cv2.fillConvexPoly(canvas, cv2.convexHull(points[trunk]), 255)
    mask = cv2.GaussianBlur(canvas, (0, 0), max(1.0, width / 6)) / 255
    x0, y0 = np.maximum(low - width, 0).astype(int)
    x1, y1 = np.minimum(high + width + 1, image.shape[1::-1]).astype(int)
    return Cutout(
        image[y0:y1, x0:x1],
        mask[y0:y1, x0:x1],
        np.array([x0, y0]),
        keypoints - np.array([x0, y0, 0]),
    )


def pasted(image: Image, front: Cutout, scale: float, corner: Array) -> tuple[Image, Array, Array]:
    """Paste a cutout, scaled, with its upper left pixel at `corner` -> the picture, the joints of
    the pasted person in it [K, 3], and how much of each pixel is covered [H, W].
    """
    matrix = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    size = image.shape[1::-1]
    mask = cv2.warpAffine(front.mask, matrix, size)
    person = cv2.warpAffine(front.image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    keypoints = front.keypoints.copy()
    keypoints[:, :2] = keypoints[:, :2] * scale + corner
    mixed = image + mask[..., None] * (person.astype(np.float64) - image)
    return mixed.round().astype(np.uint8), keypoints, np.asarray(mask, np.float64)


def crowds(
    truth: Dataset, images: Sequence[Image], random: np.random.Generator, *, most: int = 2
) -> tuple[Dataset, list[Image]]:
    """Paste people of other pictures in front of up to `most` people per picture, with boxes that
    overlap by `OVERLAP` -> the changed pictures and their truth. Covered joints count as occluded
    (1), as COCO labels them.
    """
    heights = truth.boxes[:, 3] - truth.boxes[:, 1]
    usable = ~truth.ignored & (heights > LEAST_HEIGHT)
    whole_enough = np.flatnonzero(usable & (truth.labelled.mean(1) >= LEAST_JOINTS))
    out, kept = [], []
    for place, rows in enumerate(truth.rows()):
        image, own = images[place], truth.subset([place])
        others = whole_enough[truth.picture[whole_enough] != place]
        behind = random.permutation(rows[usable[rows]])[:most]
        for row in behind if len(others) else ():
            person = int(random.choice(others))
            scale = min(heights[row] / heights[person] * random.uniform(0.8, 1.25), MOST_SCALE)
            size = scale * (truth.boxes[person, 2:] - truth.boxes[person, :2])
            corner = _place(truth.boxes[row], size, image.shape[1::-1], random)
            if corner is not None:
                front = cut_out(
                    images[truth.picture[person]], truth.keypoints[person], truth.skeleton
                )
                image, own = _in_front(
                    image, own, front, truth.select(np.array([person])), scale, corner
                )
        if len(own.picture) > len(rows):
            out.append(own)
            kept.append(image)
    return _joined(truth, out), kept


def _place(
    box: Array, size: Array, picture: Sequence[int], random: np.random.Generator
) -> Array | None:
    """A place at random for the upper left corner of a box of this size, so that it lies in the
    picture and overlaps `box`; None where no place was found.
    """
    sides = box[2:] - box[:2]
    corners = box[:2] + random.uniform(-1, 1, (200, 2)) * (sides + size) / 2
    placed = np.concatenate([corners, corners + size], 1)
    overlap = iou(box[None], placed)[0]
    good = (overlap > OVERLAP[0]) & (overlap < OVERLAP[1])
    good &= (corners >= -0.5).all(1) & (corners + size <= np.array(picture) - 0.5).all(1)
    return corners[good][0] if good.any() else None


def _in_front(
    image: Image, own: Dataset, front: Cutout, person: Dataset, scale: float, corner: Array
) -> tuple[Image, Dataset]:
    """A picture and its people, with a person pasted so that their box begins at `corner`."""
    shift = corner - scale * (person.boxes[0, :2] - front.corner)
    image, keypoints, mask = pasted(image, front, scale, shift)
    points = own.keypoints.copy()
    x, y = (
        points[..., axis].round().astype(int).clip(0, mask.shape[1 - axis] - 1) for axis in (0, 1)
    )
    points[..., 2] = np.where((mask[y, x] > 0.5) & (points[..., 2] > 0), 1, points[..., 2])
    size = scale * (person.boxes[0, 2:] - person.boxes[0, :2])
    columns = {
        "picture": own.picture[:1] * 0,
        "areas": person.areas * scale**2,
        "scores": person.scores,
        "ids": person.ids,
        "tracks": person.tracks,
        "category": person.category,
        "heads": person.heads * scale,
        "crowd": person.crowd,
        "ignored": person.ignored,
        "keypoints": keypoints[None],
        "boxes": np.concatenate([corner, corner + size])[None],
    }
    own = replace(own, keypoints=points)
    return image, replace(
        own, **{name: np.concatenate([getattr(own, name), new]) for name, new in columns.items()}
    )


def _joined(truth: Dataset, parts: Sequence[Dataset]) -> Dataset:
    """Data sets of one picture each -> one; people and pictures numbered anew."""
    columns = [name for name in COLUMNS if name not in ("picture", "ids")]
    none = truth.select(np.zeros(0, np.int64))
    return Dataset(
        skeleton=truth.skeleton,
        pictures=tuple(replace(part.pictures[0], id=i) for i, part in enumerate(parts, 1)),
        picture=np.repeat(np.arange(len(parts)), [len(part.picture) for part in parts]),
        **{
            name: np.concatenate([getattr(part, name) for part in (none, *parts)])
            for name in columns
        },  # type: ignore[arg-type]
        categories=truth.categories,
        name=f"crowds of {truth.name}",
        format=truth.format,
    )
