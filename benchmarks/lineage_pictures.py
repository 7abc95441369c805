"""Pictures of docs/lineage: what each network thinks on the way to its answer.

    python -m benchmarks.overfit --work WORK             # first: networks to look into
    python -m benchmarks.lineage_pictures --work WORK    # docs/lineage/NAME.jpg
    python -m benchmarks.lineage_pictures --work WORK --only cpm

The networks are small variants, after they have learnt some people of class.mp4 by heart
(`overfit`): the pictures show how they work, not how good they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.common import ROOT, parsed, parser
from benchmarks.overfit import SMALLEST, film, recipe_of
from everybody.draw import draw
from everybody.people import Image, People
from everybody.skeletons import COCO17
from everybody.train.augment import normalised
from everybody.train.tasks import task

FOLDER, ZOOM = ROOT / "docs/lineage", 3
JOINT = COCO17.joints.index("right_wrist")
Panels = list[tuple[str, Image]]


class Seen:
    """A trained network of WORK and a crop: images [1, 3, H, W] normalised, its picture enlarged,
    and what the network says.
    """

    def __init__(self, model: str, work: Path, row: int) -> None:
        self.task: Any = task(recipe_of(model, SMALLEST[model]), film(work / "film"))
        self.task.learnt = torch.arange(len(self.task.keypoints))
        self.net = self.task.net
        self.net.load_state_dict(torch.load(work / f"{model}.pth", weights_only=True))
        self.net.eval()
        rng = torch.Generator().manual_seed(0)
        images, self.truth, _, _ = self.task.augmented(torch.tensor([row]), rng)
        self.images = normalised(images)
        self.picture = enlarged(images[0].permute(1, 2, 0).numpy().clip(0, 255).astype(np.uint8))
        with torch.no_grad():
            self.said = self.net(self.images)
            answers = self.task.model.answer(self.net, self.said)
        self.found = self.task.codec.decode([answer.float().numpy() for answer in answers])[0]

    def pose(self, keypoints: np.ndarray | None = None) -> Image:
        """The crop with a pose [K, 3] in its pixels; by default what was found."""
        body = np.array(self.found if keypoints is None else keypoints, np.float32)
        body[:, :2] = (body[:, :2] + 0.5) * ZOOM - 0.5
        body[:, 2] = 1
        box, score = np.zeros((1, 4), np.float32), np.ones(1, np.float32)
        people = People(body[None], box, score, COCO17)
        return draw(self.picture // 2 + 64, people, boxes=False)


def enlarged(image: Image) -> Image:
    """ZOOM times as large."""
    height, width = image.shape[:2]
    large = cv2.resize(image, (ZOOM * width, ZOOM * height), interpolation=cv2.INTER_CUBIC)
    return large.astype(np.uint8)


def heat(seen: Seen, values: Tensor | np.ndarray, strength: float = 0.75) -> Image:
    """A map [h, w] of any scale laid over the crop in colours."""
    return over(seen.picture, np.asarray(values, np.float32), strength)


def over(picture: Image, values: np.ndarray, strength: float = 0.75) -> Image:
    """A map [h, w] of any scale laid over a picture in colours."""
    low, high = float(values.min()), float(values.max())
    level = np.uint8(255 * (values - low) / max(high - low, 1e-9))
    height, width = picture.shape[:2]
    large = cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[arg-type]
    colours = cv2.applyColorMap(large, cv2.COLORMAP_INFERNO)[..., ::-1]
    share = strength * (0.35 + 0.65 * large[..., None] / 255.0)
    return np.uint8(picture * (1 - share) + colours * share)  # type: ignore[return-value]


def marked(
    image: Image, at: Sequence[float], colour: tuple[int, int, int] = (0, 255, 255)
) -> Image:
    """A cross at a place in the crop's pixels."""
    image = np.ascontiguousarray(image)
    x, y = (round(ZOOM * (float(value) + 0.5)) for value in at)
    cv2.drawMarker(image, (x, y), colour, cv2.MARKER_CROSS, 6 * ZOOM, 2)
    return image


def stages(seen: Seen, names: Sequence[str], maps: Sequence[Tensor]) -> Panels:
    """The belief maps of one joint, one panel for each stage."""
    return [(name, heat(seen, m[0, JOINT])) for name, m in zip(names, maps, strict=True)]


# --- one function for each page


def deeppose(seen: Seen) -> Panels:
    """The boxes of the cascade's second stage, and three of them enlarged."""
    left, right = (COCO17.joints.index(name) for name in ("left_shoulder", "right_hip"))
    side = float(np.hypot(*(seen.found[left, :2] - seen.found[right, :2])))
    image = seen.pose()
    crops: Panels = []
    for name in ("left_wrist", "right_wrist", "right_knee"):
        x, y = seen.found[COCO17.joints.index(name), :2]
        corners = [
            (ZOOM * (v + 0.5)) for v in (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        ]
        a, b, c, d = (round(float(v)) for v in corners)
        cv2.rectangle(image, (a, b), (c, d), (255, 255, 255), 2)
        width = seen.picture.shape[1]
        padded = cv2.copyMakeBorder(seen.picture, 300, 300, 300, 300, cv2.BORDER_REPLICATE)
        crop = padded[b + 300 : d + 300, a + 300 : c + 300]
        large = cv2.resize(crop, (width, width)).astype(np.uint8)
        crops.append((name.replace("_", " "), large))
    return [("first stage, boxes of the second", image), *crops]


def tompson(seen: Seen) -> Panels:
    coarse, fine, begin = seen.said
    window = heat(seen, coarse[0, JOINT])
    x, y = (int(v) for v in begin[0, JOINT])
    side = fine.shape[-1]
    cv2.rectangle(
        window, (ZOOM * x, ZOOM * y), (ZOOM * (x + side), ZOOM * (y + side)), (255, 255, 255), 2
    )
    whole = np.zeros(seen.images.shape[2:], np.float32) + float(fine[0, JOINT].min())
    rows, columns = (slice(max(v, 0), v + side) for v in (y, x))
    part = fine[0, JOINT].numpy()[max(-y, 0) :, max(-x, 0) :]
    target = whole[rows, columns]
    target[:] = part[: target.shape[0], : target.shape[1]]
    return [
        ("coarse map, and the window", window),
        ("fine map in the window", heat(seen, whole)),
        ("answer", seen.pose()),
    ]


def cpm(seen: Seen) -> Panels:
    names = [f"stage {number}" for number in range(1, len(seen.said) + 1)]
    return [*stages(seen, names, seen.said), ("answer", seen.pose())]


def hourglass(seen: Seen) -> Panels:
    names = [f"stack {number}" for number in range(1, len(seen.said) + 1)]
    return [*stages(seen, names, seen.said), ("answer", seen.pose())]


def ief(seen: Seen) -> Panels:
    """The guesses y_0 to y_T."""
    poses = seen.said[0][0].numpy()
    ones = np.ones((len(poses[0]), 1))
    return [
        (f"y{step}", seen.pose(np.concatenate([pose, ones], 1))) for step, pose in enumerate(poses)
    ]


def single_map(seen: Seen) -> Panels:
    return [
        ("one joint", heat(seen, seen.said[0, JOINT])),
        ("all joints", heat(seen, seen.said[0].amax(0))),
        ("answer", seen.pose()),
    ]


def hrnet(seen: Seen) -> Panels:
    """Mean activation of the four branches, before the last fusion."""
    kept: list[Any] = []
    hook = seen.net.stage4[-1].register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    with torch.no_grad():
        seen.net(seen.images)
    hook.remove()
    branches = [
        (f"1/{4 * 2**level}", heat(seen, x[0].abs().mean(0))) for level, x in enumerate(kept[0])
    ]
    return [*branches, ("one joint", heat(seen, seen.said[0, JOINT])), ("answer", seen.pose())]


def adversarial(seen: Seen) -> Panels:
    """The stacks' maps of one joint, and what the critics look at."""
    (poses,) = seen.net.answer(seen.said)
    return [
        ("stack 1", heat(seen, seen.said[0][0, JOINT])),
        ("stack 2", heat(seen, poses[0, JOINT])),
        ("all poses: the critics' view", heat(seen, poses[0].amax(0))),
        ("answer", seen.pose()),
    ]


def dsnt(seen: Seen) -> Panels:
    maps = seen.said[1]
    return [
        ("probabilities of one joint", heat(seen, maps[0, JOINT])),
        ("their mean", marked(heat(seen, maps[0, JOINT]), seen.found[JOINT, :2])),
        ("answer", seen.pose()),
    ]


def simcc(seen: Seen) -> Panels:
    """Both axes' probabilities as bars along the crop's edges."""
    image = np.ascontiguousarray(seen.picture // 2 + 64)
    height, width = image.shape[:2]
    x, y = (axis[0, JOINT].float().softmax(0).numpy() for axis in seen.said)
    for index, value in enumerate(x / x.max()):
        at = round((index + 0.5) * width / len(x))
        cv2.line(
            image, (at, height - 1), (at, height - 1 - round(60 * float(value))), (255, 160, 0)
        )
    for index, value in enumerate(y / y.max()):
        at = round((index + 0.5) * height / len(y))
        cv2.line(image, (0, at), (round(60 * float(value)), at), (0, 160, 255))
    return [
        ("both axes as classes", marked(image, seen.found[JOINT, :2])),
        ("answer", seen.pose()),
    ]


def vitpose(seen: Seen) -> Panels:
    """How alike the features of all patches are to that of the joint's patch."""
    with torch.no_grad():
        features = seen.net.backbone(seen.images)[0]
    height, width = features.shape[1:]
    x, y = seen.found[JOINT, :2]
    column, row = (int(np.clip(v // 16, 0, most - 1)) for v, most in ((x, width), (y, height)))
    alike = functional.cosine_similarity(features, features[:, row, column, None, None], 0)
    return [
        ("patches like the joint's", marked(heat(seen, alike), (x, y))),
        *single_map(seen),
    ]


PAGES: dict[str, tuple[str, Callable[[Seen], Panels]]] = {
    "deeppose": ("deeppose-tiny", deeppose),
    "tompson": ("tompson-slim", tompson),
    "cpm": ("cpm-tiny", cpm),
    "ief": ("ief-slim", ief),
    "hourglass": ("hourglass-tiny", hourglass),
    "simple-baselines": ("simple-baseline-slim", single_map),
    "hrnet": ("hrnet-w18-small", hrnet),
    "fastpose": ("fastpose-tiny", single_map),
    "adversarial": ("adversarial-tiny", adversarial),
    "dsnt": ("dsnt-fast", dsnt),
    "simcc-rtmpose": ("simcc-slim", simcc),
    "vitpose": ("vitpose-slim", vitpose),
}


def strip(panels: Panels, path: Path, size: tuple[float, float] = (2.1, 3.0)) -> None:
    """Panels side by side, each under its name and of so many inches -> a JPEG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * len(panels), size[1]), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for place, (name, image) in zip(axes, panels, strict=True):
        place.imshow(image)
        place.set_title(name, fontsize=9)
        place.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, pil_kwargs={"quality": 85})


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--work", type=Path, default=Path("everybody-overfit"))
    command.add_argument("--only", default="", help="pages whose name holds this")
    command.add_argument("--row", type=int, default=2, help="which of the crops")
    given = parsed(command)
    torch.set_num_threads(1)
    for name, (model, panels) in PAGES.items():
        if given.only not in name:
            continue
        if not (given.work / f"{model}.pth").is_file():
            print(f"{name}: {model} is not in {given.work}: run overfit", file=sys.stderr)
            continue
        strip(panels(Seen(model, given.work, given.row)), FOLDER / f"{name}.jpg")


if __name__ == "__main__":
    main()
