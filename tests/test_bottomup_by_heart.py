"""Networks like OpenPose and PoseNet learn two pictures by heart: their losses teach what their
codecs encode, and the codecs decode what was learnt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.codecs.part_fields import PartFields  # noqa: E402
from everybody.codecs.personlab import Decoding, PersonLabMaps  # noqa: E402
from everybody.models import openpose, openpose_light, posenet  # noqa: E402
from everybody.skeletons import COCO17, OPENPOSE18, Skeleton  # noqa: E402
from synthetic import planted  # noqa: E402

pytestmark = pytest.mark.slow


def pictures(skeleton: Skeleton, size: tuple[int, int]) -> tuple[torch.Tensor, list[np.ndarray]]:
    """Two pictures [2, 3, h, w] of stick people, and their people: one alone, two who cross."""
    middle = size[1] / 2
    people = [
        planted.body(skeleton, (size[0] / 2, middle), 0.8 * size[1])[None],
        np.stack([
            planted.body(skeleton, (0.38 * size[0], middle), 0.75 * size[1], turn=8),
            planted.body(skeleton, (0.62 * size[0], middle), 0.75 * size[1], turn=-8),
        ]),
    ]  # fmt: skip
    images = np.zeros((2, size[1], size[0], 3), np.uint8)
    for image, bodies in zip(images, people, strict=True):
        for number, joints in enumerate(bodies):
            for a, b in skeleton.limbs:
                ends = (joints[k].round().astype(int).tolist() for k in (a, b))
                cv2.line(image, *ends, (255, 90 * number, 12 * a), 2)
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1, people


def learn(net: Any, loss: Callable[[Any], Any], image: torch.Tensor, steps: int, rate: float):
    """What the network answers to the pictures once it knows them."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for _ in range(steps):
        total, weight = loss(net(image))
        optimiser.zero_grad()
        (total / weight).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    with torch.no_grad():  # two pictures are too few for running averages
        return [part.numpy() for part in net.answer(net(image))]


def together(rows) -> list[torch.Tensor]:
    """What is encoded of each picture -> batches."""
    return [torch.from_numpy(np.stack(parts)) for parts in zip(*rows, strict=True)]


def test_openpose():
    torch.manual_seed(0)
    size, codec = (160, 128), PartFields()
    image, people = pictures(OPENPOSE18, size)
    targets = together(codec.encode(planted.seen(some), size) for some in people)
    ones = [torch.ones(2, 1, *target.shape[2:]) for target in targets]
    net = openpose_light.LightOpenPoseNet(18, limbs=len(codec.layout.limbs), width=64).train()
    answers = learn(net, lambda said: openpose.maps_loss(said, targets, ones), image, 200, 3e-3)
    for (found, _, _), wanted in zip(codec.decode(answers, size), people, strict=True):
        assert planted.same_people(found, wanted, within=codec.stride)


def test_posenet():
    torch.manual_seed(0)
    size = (161, 129)
    codec = PersonLabMaps(options=Decoding(stride=8), disc=16.0)
    image, people = pictures(COCO17, size)
    kinds = zip(*(codec.targets(planted.seen(some), size) for some in people), strict=True)
    (heat, everywhere), *fields = (together(pairs) for pairs in kinds)
    known = [(maps, counts[:, : counts.shape[1] // 2]) for maps, counts in fields]

    def loss(said):
        return posenet.posenet_loss(said, (heat, everywhere.expand_as(heat)), known, 32.0)

    net = posenet.PoseNet(17, multiplier=0.5, stride=8).train()
    answers = learn(net, loss, image, 200, 1e-3)
    for (found, _, _), wanted in zip(codec.decode(answers, size), people, strict=True):
        assert planted.same_people(found, wanted, within=codec.options.stride / 2)
