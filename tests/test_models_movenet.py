"""Our network by MoveNet's design: laws, losses, two pictures by heart."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.codecs.centre_maps import CentreCodec, CentreMaps, decode_people  # noqa: E402
from everybody.models.movenet import (  # noqa: E402
    VARIANTS,
    MoveNet,
    distance_loss,
    focal_loss,
    movenet_losses,
)
from tests import network_laws  # noqa: E402

TINY = {"width": 8, "depths": (1, 1, 1, 1), "grow": 2, "hidden": 16}


def test_the_laws_of_networks(tmp_path):
    torch.manual_seed(0)
    net, images = MoveNet(5, **TINY), torch.randn(2, 3, 64, 96)
    network_laws.every_parameter_learns(
        net, images, lambda said: sum(x.square().sum() for x in said)
    )
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(net, images, tmp_path / "net.onnx")


@pytest.mark.parametrize("name", VARIANTS)
def test_all_variants_answer_at_stride_4(name):
    with torch.no_grad():
        said = MoveNet(**VARIANTS[name]).eval()(torch.randn(1, 3, 64, 32))
    assert [part.shape for part in said] == [(1, c, 16, 8) for c in (1, 17, 34, 34)]
    assert said.centre.sigmoid().max() < 0.1  # nobody, before it has learnt


def test_the_losses_have_known_values():
    wanted = torch.zeros(1, 1, 2, 2)
    wanted[..., 0, 0], wanted[..., 0, 1] = 1, 0.5
    loss, weight = focal_loss(torch.zeros(1, 1, 2, 2), wanted)
    assert weight == 1
    assert loss.item() == pytest.approx(math.log(2) / 4 * (1 + 0.5**4 + 2))
    right = torch.tensor([[[[30.0, -30], [-30, -30]]]])
    assert focal_loss(right, wanted)[0] < 1e-6

    known = torch.tensor([[[[1.0, 0]]]])
    said, target = torch.ones(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    loss, weight = distance_loss(said, target, known)
    assert (loss.item(), weight.item()) == (2, 1)


def test_two_pictures_by_heart():
    """Two bright boxes, side by side, joints at their corners and middle; and nobody."""
    torch.manual_seed(0)
    codec = CentreCodec(cells=(24, 16))
    boxes = np.array([[1.0, 2, 9, 13], [13, 3, 21, 12]])
    image = torch.full((2, 3, 64, 96), -1.0)
    for x0, y0, x1, y1 in (boxes * 4).astype(int):
        image[0, :, y0:y1, x0:x1] = 1
    corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]]
    points = np.concatenate([corners, corners.mean(1, keepdims=True)], 1)
    keypoints = np.concatenate([points, np.ones((2, 5, 1))], 2)
    rows = [codec.encode(keypoints, boxes), codec.encode(keypoints[:0], boxes[:0])]
    targets = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}

    net = MoveNet(5, **TINY).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(150):
        losses = movenet_losses(net(image), targets)
        optimiser.zero_grad()
        sum(loss / weight for loss, weight in losses.values()).backward()
        optimiser.step()
    with torch.no_grad():  # two pictures are too few for running averages
        maps = [part.numpy() for part in net.answer(net(image))]
    found, nobody = (decode_people(CentreMaps(*(part[i] for part in maps))) for i in range(2))
    assert len(nobody[0]) == 0
    assert len(found[0]) == 2
    order = np.argsort(found[0][:, 0, 0])
    assert np.abs(found[0][order, :, :2] - points).max() < 1
