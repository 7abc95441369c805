"""YOLOX: as published, by numbers, by law; which cells answer for whom."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.codecs import YoloxBoxes  # noqa: E402
from everybody.models import yolox  # noqa: E402
from everybody.models.one_stage_losses import (  # noqa: E402
    NOBODY,
    assigned,
    yolox_losses,
)
from everybody.models.suppression import overlap  # noqa: E402
from everybody.models.yolox import YoloxNet  # noqa: E402
from everybody.skeletons import COCO17  # noqa: E402
from tests import golden, network_laws  # noqa: E402
from tests.one_stage_scene import scene, total  # noqa: E402

TINY = {"width": 8, "inner": 16, "maps": 32, "group": 2, "pose": 16, "encoder": 32, "most": 20}
SIGMAS = torch.tensor(COCO17.sigmas)


def test_yolox_says_what_the_published_one_says():
    net = YoloxNet(**yolox.VARIANTS["yolox-nano"]).eval()
    net.load_state_dict(golden.state("yolox_nano"))
    with torch.no_grad():
        said = net(golden.image("yolox_nano"))
        boxes, grid = yolox.boxes(said, (416, 416)), net.answer(said)
        golden.check("yolox_nano", {"out": torch.cat([boxes, grid[..., 4:]], 2)})
    ((_, found, scores),) = YoloxBoxes(offset=0.0).decode([grid.numpy()], (416, 416))
    centre, half = boxes[0, :, :2], boxes[0, :, 2:] / 2
    corners = torch.cat([centre - half, centre + half], 1)
    torch.testing.assert_close(torch.from_numpy(found).float(), corners, rtol=1e-4, atol=1e-2)
    assert scores.shape == (3549,)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("yolox-tiny", 5_055_855), ("yolox-s", 8_968_255), ("yolox-m", 25_326_495)],
)
def test_other_sizes_of_yolox_have_the_published_numbers(name, parameters):
    net = YoloxNet(**yolox.VARIANTS[name])
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_yolox_keeps_the_laws_of_networks(tmp_path):
    torch.manual_seed(0)
    net = YoloxNet(width=8, classes=2)
    images = torch.randn(2, 3, 64, 96)
    network_laws.every_parameter_learns(net, images, lambda said: said.square().sum())
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(net, images, tmp_path / "net.onnx")


def test_cells_answer_for_the_people_they_describe():
    """Two people side by side: cells within each, as many as their likenesses add up to."""
    at = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="xy"), 2)
    at = at.reshape(-1, 2) * 16 + 7.5
    strides, logits = torch.full((64,), 16.0), torch.zeros(64)
    boxes = torch.tensor([[0.0, 0, 60, 120], [64, 0, 127, 127]])
    likeness = torch.full((64, 2), 0.3)
    owner = assigned(logits, likeness, at, strides, boxes)
    assert sorted(owner[owner >= 0].tolist()) == [0] * 3 + [1] * 3
    for person in (0, 1):
        mine = at[owner == person]
        assert ((mine > boxes[person, :2]) & (mine < boxes[person, 2:])).all()

    order = torch.tensor([1, 0])
    swapped = assigned(logits, likeness[:, order], at, strides, boxes[order])
    assert (swapped >= 0).sum() == 6
    nobody = assigned(logits, likeness[:, :0], at, strides, boxes[:0])
    assert (nobody == NOBODY).all()
    outside = assigned(logits, likeness[:, :1], at, strides, torch.tensor([[900.0, 0, 950, 9]]))
    assert (outside == NOBODY).all()


def test_yolox_learns_two_pictures_by_heart():
    torch.manual_seed(0)
    net, (image, truth) = YoloxNet(width=8, separable=True, classes=1).train(), scene()
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(80):
        losses = yolox_losses(net(image), (96, 128), truth)
        optimiser.zero_grad()
        total(losses, boxes=5).backward()
        optimiser.step()
    with torch.no_grad():
        said = net(image)
        centre, sides = yolox.boxes(said, (96, 128)).split(2, 2)
    scores = said[..., 4].sigmoid()
    assert scores[0].max() > 0.5 > scores[1].max()
    boxes = torch.cat([centre - sides / 2, centre + sides / 2], 2)[0, scores[0] > 0.5]
    assert (overlap(truth[0].boxes, boxes).max(1).values > 0.7).all()
