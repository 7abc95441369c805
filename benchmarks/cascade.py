"""Does DeepPose's second look help? PCK of a first stage alone, and with a cascade's second stage.

    everybody train sppe-fast -d SHARDS -o ONE --set model=deeppose-tiny  # size 96x128, near 20 …
    everybody train cascade -d SHARDS -o TWO --set model=deeppose-tiny
    everybody export ONE/best.safetensors -o one.onnx, and two.onnx alike
    python -m benchmarks.cascade one.onnx two.onnx   # and docs/lineage/cascade.jpg

True boxes. Pictures: those of coco_train that training holds back (by their names), coco_val and
lspet/val. The second stage is trained for places that are off by .2 diameters of a person (the
recipe's `shift`); the last column says how far off they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import COCO_TRAIN, COCO_VAL, DATA, ROOT, head, parsed, parser, row
from everybody.data.dataset import Dataset
from everybody.data.join import common
from everybody.data.read import read
from everybody.draw import draw
from everybody.media.images import decode
from everybody.methods.cascade import diameters, joint_boxes
from everybody.metrics import pck
from everybody.metrics.predict import predict
from everybody.people import Image, People
from everybody.skeletons import COCO17
from everybody.train.shards import held_back
from everybody.train.squares import name_of

SHARES = (0.1, 0.2)  # of the trunk
SHOWN = ("left_wrist", "right_wrist", "left_knee")


def held() -> Dataset:
    """The pictures of coco_train that no training sees."""
    data = read(COCO_TRAIN)
    back = held_back([name_of(data.path(number)) for number in range(len(data))])
    return data.subset(np.flatnonzero(back).tolist())


def compared(data: Dataset, one: Path, two: Path) -> list[tuple[str, dict[str, float], Dataset]]:
    """(name, figures, answers) of the first stage and of both."""
    told: list[tuple[str, dict[str, float], Dataset]] = []
    for name, refine in (("first", ()), ("second", (two,))):
        options: dict[str, Any] = {"pose": str(one), "orientation": "upright", "refine": refine}
        found, truth = common(predict(data, boxes="gt", **options), data, mapped=True)
        told.append((name, figures(found, truth), found))
    return told


def figures(found: Dataset, truth: Dataset) -> dict[str, float]:
    """PCK by the trunk, and the mean distance in diameters of the person."""
    distance = pck.distances(found.keypoints, truth.keypoints)
    trunk = pck.torso_length(truth.keypoints, truth.labelled, truth.skeleton)
    made = {
        f"PCK@{share}": pck.pck(distance, truth.labelled, trunk, share).over_all for share in SHARES
    }
    wide = diameters(truth.keypoints, truth.boxes, truth.skeleton)[:, None]
    return made | {"off": float(np.median((distance / wide)[truth.labelled]))}


def looks(data: Dataset, first: Dataset, second: Dataset, number: int, path: Path) -> None:
    """One person: the first answer with the second stage's boxes, these enlarged, both answers."""
    from benchmarks.lineage_pictures import strip

    picture = data.path(int(data.picture[number]))
    image = decode(picture.read_bytes(), str(picture))
    box = data.boxes[number]
    boxes = joint_boxes(first.keypoints[[number]], data.boxes[[number]], COCO17)[0]
    joints = [COCO17.joints.index(name) for name in SHOWN]
    panels = [("first look", shown(image, first, number, box))]
    panels += [
        (name.replace("_", " "), part(image, boxes[joint]))
        for name, joint in zip(SHOWN, joints, strict=True)
    ]
    strip([*panels, ("second look", shown(image, second, number, box))], path)


def shown(image: Image, found: Dataset, number: int, box: np.ndarray) -> Image:
    """A person's pose, cut out with a margin."""
    body = found.keypoints[[number]].astype(np.float32).copy()
    body[..., 2] = 1
    people = People(body, box[None].astype(np.float32), np.ones(1, np.float32), COCO17)
    margin = 0.15 * np.array([box[2] - box[0], box[3] - box[1]])
    return part(draw(image, people, boxes=False), np.r_[box[:2] - margin, box[2:] + margin])


def part(image: Image, box: np.ndarray) -> Image:
    """What lies in a box, as far as the picture goes."""
    height, width = image.shape[:2]
    left, top = np.floor(box[:2]).astype(int).clip(0)
    right, bottom = np.minimum(np.ceil(box[2:]).astype(int) + 1, (width, height))
    return image[top : max(bottom, top + 1), left : max(right, left + 1)]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("one", type=Path)
    command.add_argument("two", type=Path)
    command.add_argument("--limit", type=int, default=0, help="of the first so many pictures")
    command.add_argument("--person", type=int, default=0, help="of coco_train's, to draw")
    given = parsed(command)
    sets = {"coco_train, held back": held(), "coco_val": read(COCO_VAL)}
    sets["lspet/val"] = read(DATA / "lspet/val.npz")
    print(head("pictures", "people", "look", *(f"PCK@{share}" for share in SHARES), "off (median)"))
    for name, data in sets.items():
        if given.limit:
            data = data.subset(range(min(given.limit, len(data))))
        told = compared(data, given.one, given.two)
        for look, said, _ in told:
            print(row(name, len(data.picture), look, *(f"{v:.3f}" for v in said.values())))
        if name.startswith("coco_train"):
            first, second = (answers for _, _, answers in told)
            looks(data, first, second, given.person, ROOT / "docs/lineage/cascade.jpg")


if __name__ == "__main__":
    main()
