"""Pictures of two people who overlap by as much as is wanted, both poses known.

    python -m synthetic.overlaps ../shared/data/coco_train pairs --count 600

A labelled person is cut out (GrabCut, Rother et al. 2004, begun from the box and the limbs) and
pasted over another labelled person so that their boxes have a given IoU. Joints of the person
behind that the other one hides stay labelled, as hidden: where they are is known. The written
folder is a data set in COCO's form; the first two people of each picture are the pair, the one
behind first. Occlusion by cut-outs: Sárándi et al. 2018; people as occluders: Ghiasi et al. 2021,
Khirodkar et al. 2021.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from everybody import geometry
from everybody.data.dataset import Dataset
from everybody.data.read import read
from everybody.geometry import Array
from everybody.media.images import decode
from everybody.people import Image
from everybody.skeletons import COCO17

OVERLAPS = (0.3, 0.5, 0.7)  # IoU of the two boxes
JOINTS = 9  # labelled joints that a person of a pair has
LEAST = 96  # pixels of the longer side of the box
MARGIN = 0.6  # of the pair's longer side: what is kept of the picture around the pair
MASK, AROUND = 160, 12  # pixels: longer side of a box that is cut out; what is seen around it
FILLED = (0.25, 0.85)  # of the box that a believable mask covers
INSIDE = 0.85  # of the visible joints that lie in a believable mask


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A person with what is needed to paste it: the pixels of its box [h, w, 3], their share [h, w]
    in [0, 1], joints [K, 3] and area in these pixels.
    """

    image: Image
    share: Array
    keypoints: Array
    area: float


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """image [H, W, 3] and its people, the pair first: joints [N, K, 3], boxes [N, 4], areas [N]."""

    image: Image
    keypoints: Array
    boxes: Array
    areas: Array


def masked(image: Image, box: Array, keypoints: Array) -> Array:
    """The share of each pixel [H, W] in [0, 1] that belongs to the person of this box and these
    joints [K, 3]. The person is looked at `MASK` pixels high or wide: GrabCut takes long on more.
    """
    factor = min(1.0, MASK / max(float((box[2:] - box[:2]).max()), 1.0))
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = np.rint(box * factor).clip(0, 1e4).astype(int)
    left, top = max(x0 - AROUND, 0), max(y0 - AROUND, 0)
    part = np.ascontiguousarray(small[top : y1 + AROUND, left : x1 + AROUND])
    mask = np.full(part.shape[:2], cv2.GC_BGD, np.uint8)
    mask[y0 - top : y1 + 1 - top, x0 - left : x1 + 1 - left] = cv2.GC_PR_FGD
    points = np.rint(keypoints[:, :2] * factor - (left, top)).astype(int)
    for a, b in (*COCO17.limbs, (5, 12), (6, 11)):
        if (keypoints[[a, b], 2] > 0).all():
            ends = points[a].tolist(), points[b].tolist()
            cv2.line(mask, *ends, int(cv2.GC_FGD), max(2, round(0.04 * (y1 - y0))))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(part, mask, None, *models, 3, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    share = np.zeros(small.shape[:2], np.float32)
    person = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    share[top : top + len(part), left : left + part.shape[1]] = person
    share = cv2.resize(share, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(share, (0, 0), 0.8)  # type: ignore[return-value]


def cut_out(image: Image, box: Array, keypoints: Array, area: float) -> Cutout | None:
    """The person as a cut-out; None where the mask is not believable."""
    share = masked(image, box, keypoints)
    x0, y0 = np.floor(box[:2]).clip(0).astype(int)
    x1, y1 = np.ceil(box[2:]).astype(int) + 1
    part = share[y0:y1, x0:x1]
    seen = keypoints[keypoints[:, 2] > 1, :2].round().astype(int)
    seen = seen.clip(0, np.array(share.shape[::-1]) - 1)
    inside = (share[seen[:, 1], seen[:, 0]] > 0.5).mean() if len(seen) else 0.0
    if not FILLED[0] <= part.mean() <= FILLED[1] or inside < INSIDE:
        return None
    moved = keypoints - np.array([x0, y0, 0])
    return Cutout(image[y0:y1, x0:x1], part, moved, area)


def scaled(cut: Cutout, factor: float) -> Cutout:
    """The cut-out, larger or smaller."""
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image, share = (
        cv2.resize(part, None, fx=factor, fy=factor, interpolation=way)
        for part in (cut.image, cut.share)
    )
    places = (cut.keypoints[:, :2] + 0.5) * factor - 0.5
    keypoints = np.concatenate([places, cut.keypoints[:, 2:]], 1)
    return Cutout(image, share, keypoints, cut.area * factor**2)  # type: ignore[arg-type]


def placed(box: Array, sides: Array, overlap: float, angle: float) -> Array | None:
    """The top left corner [2] at which a box with these sides has the wanted IoU with another one,
    away from its middle in the direction of the angle; None where it cannot.
    """
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    way = np.array([np.cos(angle), np.sin(angle)]) * (half + sides / 2)

    def corner(step: float) -> Array:
        return middle + step * way - sides / 2

    def shared(step: float) -> float:
        other = np.concatenate([corner(step), corner(step) + sides])
        return float(geometry.iou(box[None], other[None])[0, 0])

    near, far = 0.0, 2.0
    if shared(near) < overlap:
        return None
    for _ in range(20):
        half_way = (near + far) / 2
        near, far = (half_way, far) if shared(half_way) >= overlap else (near, half_way)
    return corner(near)


def pasted(image: Image, behind: Pair, row: int, cut: Cutout, corner: Array) -> Pair | None:
    """A picture whose person `row` has the cut-out over it at this corner, cropped to what is near
    them; None where less than nine tenths of the cut-out fit into the picture.
    """
    x, y = np.rint(corner).astype(int)
    height, width = image.shape[:2]
    (h, w), (x0, y0) = cut.share.shape, (max(x, 0), max(y, 0))
    x1, y1 = min(x + w, width), min(y + h, height)
    if x1 <= x0 or y1 <= y0 or (x1 - x0) * (y1 - y0) < 0.9 * w * h:
        return None

    part = slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)
    out, alpha = image.copy(), cut.share[part][..., None]
    out[y0:y1, x0:x1] = (out[y0:y1, x0:x1] * (1 - alpha) + cut.image[part] * alpha).astype(np.uint8)

    covered = np.zeros((height, width), bool)
    covered[y0:y1, x0:x1] = alpha[..., 0] > 0.5
    old = behind.keypoints.copy()
    at = old[..., :2].round().astype(int).clip(0, (width - 1, height - 1))
    old[..., 2] = np.where(covered[at[..., 1], at[..., 0]], old[..., 2].clip(max=1), old[..., 2])
    new = cut.keypoints + np.array([x, y, 0])
    outside = ((new[:, :2] < -0.5) | (new[:, :2] > np.array([width, height]) - 0.5)).any(1)
    new[outside] = 0

    order = [row, *(n for n in range(len(old)) if n != row)]
    boxes = np.concatenate([behind.boxes[row][None], [[x0, y0, x1 - 1, y1 - 1]]])
    boxes = np.concatenate([boxes, behind.boxes[order[1:]]])
    keypoints = np.concatenate([old[order[:1]], new[None], old[order[1:]]])
    areas = np.concatenate([behind.areas[order[:1]], [cut.area], behind.areas[order[1:]]])
    return near_pair(Pair(out, keypoints, boxes, areas))


def near_pair(whole: Pair) -> Pair:
    """The part of the picture around the pair, with the people most of whom it shows."""
    height, width = whole.image.shape[:2]
    low, high = whole.boxes[:2, :2].min(0), whole.boxes[:2, 2:].max(0)
    room = MARGIN * (high - low).max()
    x0, y0 = np.floor(low - room).clip(0).astype(int)
    x1, y1 = np.ceil(high + room).clip(max=(width, height)).astype(int)
    seen = geometry.clip(whole.boxes - np.array([x0, y0, x0, y0]), x1 - x0, y1 - y0)
    kept = geometry.area(seen) > 0.6 * geometry.area(whole.boxes)
    kept[:2] = True
    keypoints = whole.keypoints[kept] - np.array([x0, y0, 0])
    lost = ((keypoints[..., :2] < -0.5) | (keypoints[..., :2] > (x1 - x0, y1 - y0))).any(-1)
    keypoints[lost | (whole.keypoints[kept][..., 2] == 0)] = 0
    return Pair(whole.image[y0:y1, x0:x1], keypoints, seen[kept], whole.areas[kept])


def pairs(truth: Dataset, count: int, overlaps: tuple[float, ...], seed: int) -> Iterator[Pair]:
    """`count` pairs of people of a data set, the overlaps by turns. No more than eight tries each:
    fewer where the data have too few people.
    """
    rng = np.random.default_rng(seed)
    sides = (truth.boxes[:, 2:] - truth.boxes[:, :2]).max(1, initial=0)
    whole = (truth.keypoints[..., 2] > 0).sum(1) >= JOINTS
    rows = np.flatnonzero(whole & (sides >= LEAST) & ~truth.ignored)
    images = {n: decode(truth.path(n).read_bytes(), str(truth.path(n)))
              for n in np.unique(truth.picture[rows]).tolist()}  # fmt: skip
    found = {row: cut_out(images[int(truth.picture[row])], truth.boxes[row], truth.keypoints[row],
                          truth.areas[row]) for row in rows.tolist()}  # fmt: skip
    cuts = [cut for cut in found.values() if cut is not None]

    made = 0
    for _ in range(8 * count):
        if made == count or not cuts:
            return
        row, cut = int(rng.choice(rows)), cuts[int(rng.integers(len(cuts)))]
        picture = int(truth.picture[row])
        if cut is found[row]:
            continue
        inside = truth.where(picture)
        behind = Pair(images[picture], truth.keypoints[inside], truth.boxes[inside],
                      truth.areas[inside])  # fmt: skip
        size = np.sqrt(geometry.area(truth.boxes[[row]])[0] / cut.share.size)
        cut = scaled(cut, float(size * rng.uniform(0.8, 1.25)))
        angle = rng.choice([0, np.pi]) + rng.uniform(-0.4, 0.4)
        overlap = overlaps[made % len(overlaps)]
        corner = placed(truth.boxes[row], np.array(cut.share.shape[::-1]), overlap, angle)
        if corner is None:
            continue
        pair = pasted(images[picture], behind, int(np.flatnonzero(inside == row)[0]), cut, corner)
        if pair is not None:
            made += 1
            yield pair


def write(found: Iterator[Pair], folder: Path) -> int:
    """Pairs as a data set in COCO's form: how many pictures."""
    (folder / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for number, pair in enumerate(found, 1):
        name = f"{number:05}.jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
        cv2.imwrite(str(folder / "images" / name), pair.image[..., ::-1], quality)
        height, width = pair.image.shape[:2]
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for points, box, area in zip(pair.keypoints, pair.boxes, pair.areas, strict=True):
            people.append({
                "id": len(people) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                "bbox": geometry.xywh(box[None])[0].round(2).tolist(), "area": float(area),
                "num_keypoints": int((points[:, 2] > 0).sum()),
                "keypoints": points.round(2).ravel().tolist(),
            })  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}
    content = {"images": images, "annotations": people, "categories": [category]}
    (folder / "annotations.json").write_text(json.dumps(content))
    return len(images)


def main() -> None:
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("data", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument("--count", type=int, default=600)
    command.add_argument("--seed", type=int, default=0)
    given = command.parse_args()
    print(write(pairs(read(given.data), given.count, OVERLAPS, given.seed), given.out), "pictures")


if __name__ == "__main__":
    main()
