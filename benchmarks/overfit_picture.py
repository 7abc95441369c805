"""Do whole methods learn a picture by heart? Its people found by each head of one network.

    python -m benchmarks.overfit_picture [--work FOLDER] [--steps 150]  # a minute

The picture is the first frame of class.mp4, 320 pixels wide, labelled by the bundled estimator. One
network (`models/many_heads.py`) starts from the bundled detector and learns OpenPose's maps,
MoveNet's maps and joints of the detector's cells (as RTMO) at once. It is kept in --work, where
`method_pictures` finds it and draws what it says.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.common import VIDEO, head, parsed, parser, row
from everybody import geometry
from everybody.codecs import make_people_codec
from everybody.estimator import Estimator
from everybody.geometry import box_around
from everybody.media.read import Selection, read
from everybody.models import MODELS
from everybody.models.detector import STRIDES, centres
from everybody.models.many_heads import CELLS, ManyHeads, many_losses
from everybody.models.picture_truth import Truth
from everybody.people import Frame, Image, People
from everybody.skeletons import COCO17, mapping
from everybody.train import checkpoint
from everybody.train.augment import normalised

HEADS = ("openpose", "movenet", CELLS)
WIDE, SIZE = 320, (320, 192)  # the picture; what the network sees (width, height)
FILL = 114  # grey below the picture
SURE, FOUND = 0.3, 0.5  # score of a person who counts; OKS from which they are the true one
NAME = "picture.pth"


def scene(wide: int) -> Frame:
    """The first frame of class.mp4 as wide as that, with its people."""
    (whole,) = read(VIDEO / "class.mp4", select=Selection(end=1))
    factor = wide / whole.image.shape[1]
    image = cv2.resize(whole.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    (frame,) = Estimator(threads=1)([Frame(image.astype(np.uint8))])
    return frame


def fed(image: Image) -> Tensor:
    """A picture of `WIDE` pixels -> what the network sees [1, 3, H, W]."""
    canvas = np.full((SIZE[1], SIZE[0], 3), FILL, np.uint8)
    canvas[: image.shape[0]] = image
    return normalised(torch.from_numpy(canvas).permute(2, 0, 1)[None].float())


def lesson() -> tuple[Tensor, list[Truth]]:
    """The picture [1, 3, H, W], and who is on it."""
    frame = scene(WIDE)
    keypoints = torch.from_numpy(frame.people.keypoints).float()
    boxes = torch.from_numpy(box_around(frame.people.keypoints)).float()
    people = torch.ones(len(keypoints), dtype=torch.long)
    return fed(frame.image), [Truth(boxes, people, keypoints)]


def untrained() -> ManyHeads:
    """The bundled detector's trunk and new heads."""
    torch.manual_seed(0)
    net = ManyHeads(len(COCO17), heads=HEADS)
    checkpoint.start("everybody-detector", net, MODELS["many-small"])
    net.trunk.stem.requires_grad_(False)
    net.trunk.stages.requires_grad_(False)
    return net


def learn(net: ManyHeads, images: Tensor, truth: Sequence[Truth], steps: int) -> None:
    """All heads at once."""
    taught = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(taught, lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(steps):
        loss, weight = many_losses(net, net(images), truth, SIZE)
        optimiser.zero_grad()
        (loss / weight).backward()
        torch.nn.utils.clip_grad_norm_(taught, 5.0)
        optimiser.step()
        schedule.step()


def said(net: ManyHeads, image: Image) -> dict[str, list[Any]]:
    """What each head says of a picture of `WIDE` pixels, as its codec reads it."""
    with torch.no_grad():
        parts = net(fed(image))
    return {name: [a.numpy() for a in net.answers(name, part)] for name, part in parts.items()}


def sure_cells(net: ManyHeads, image: Image) -> tuple[Any, Any, Any, Any]:
    """The detector's cells that answer for somebody, the surest first: places [N, 2] and widths [N]
    of cells, boxes [N, 4] and joints [N, K, 3] that they say, all in pixels of the picture.
    """
    with torch.no_grad():
        logits, boxes, joints = net(fed(image))[CELLS]
    scores = logits[0, :, 0].sigmoid()
    order = scores.argsort(descending=True)
    best = order[scores[order] >= SURE]
    middle, device = net.trunk.MIDDLE, scores.device
    grids = [centres(SIZE[1] // s, SIZE[0] // s, s, device, middle) - 0.5 for s in STRIDES]
    sides = [torch.full((len(grid),), float(s)) for grid, s in zip(grids, STRIDES, strict=True)]
    said = (torch.cat(grids), torch.cat(sides), boxes[0] - 0.5, joints[0])
    places, strides, corners, points = (part[best].numpy() for part in said)
    return places, strides, corners, points


def kept(work: Path) -> ManyHeads:
    """The network that `main` has left in a folder. Raises SystemExit where there is none.

    Its batch norms go on as in training, by what they see of the one picture that it knows.
    """
    path = work / NAME
    if not path.is_file():
        sys.exit(f"{path} is not there: python -m benchmarks.overfit_picture --work {work}")
    net = ManyHeads(len(COCO17), heads=HEADS)
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.train()


def judged(net: ManyHeads, name: str, answers: Sequence[Any], truth: People) -> tuple[int, int]:
    """(how many of the people a head finds, how many others)."""
    speaks: Any = net.heads[name]
    ((keypoints, _, scores),) = make_people_codec(speaks.CODEC).decode(answers, SIZE)
    found = mapping(speaks.SKELETON, COCO17)(keypoints[scores >= SURE])
    area = geometry.area(box_around(truth.keypoints)) * 0.53  # as OKS of people without masks
    alike = geometry.oks(truth.keypoints, found, area, COCO17.sigmas, truth.keypoints[..., 2])
    right = alike >= FOUND
    return int(right.any(1).sum()), int((~right.any(0)).sum())


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--work", type=Path, default=Path("everybody-overfit"))
    command.add_argument("--steps", type=int, default=150)
    given = parsed(command)
    torch.set_num_threads(1)
    if not (given.work / NAME).is_file():
        net, begun = untrained(), time.process_time()
        learn(net, *lesson(), given.steps)
        print(f"{given.steps} steps, {time.process_time() - begun:.0f} s of CPU", file=sys.stderr)
        given.work.mkdir(parents=True, exist_ok=True)
        torch.save(net.state_dict(), given.work / NAME)

    net, frame = kept(given.work), scene(WIDE)
    print(head("head", "people", "found", "others"))
    for name, answers in said(net, frame.image).items():
        print(row(name, len(frame.people), *judged(net, name, answers, frame.people)))


if __name__ == "__main__":
    main()
