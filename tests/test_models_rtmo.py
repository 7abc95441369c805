"""RTMO: as published, by numbers, by law; its losses; coordinate classification."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.models import rtmo  # noqa: E402
from everybody.models.dcc import DCC, region_of  # noqa: E402
from everybody.models.one_stage_losses import (  # noqa: E402
    density_loss,
    oks,
    one_overlap,
    rtmo_losses,
    varifocal,
)
from everybody.models.rtmo import RtmoNet  # noqa: E402
from everybody.models.suppression import area, overlap  # noqa: E402
from everybody.skeletons import COCO17  # noqa: E402
from tests import golden, network_laws  # noqa: E402
from tests.one_stage_scene import scene, total  # noqa: E402

TINY = {"width": 8, "inner": 16, "maps": 32, "group": 2, "pose": 16, "encoder": 32, "most": 20}
SIGMAS = torch.tensor(COCO17.sigmas)


# --- as published


def test_rtmo_says_what_the_published_one_says():
    name = "rtmo_s"
    given = {key: torch.from_numpy(value) for key, value in golden.fill().inputs(name).items()}
    net = RtmoNet(**rtmo.VARIANTS["rtmo-s"]).eval()
    net.load_state_dict(rtmo.published(golden.state(name)))
    image, cells, found = golden.image(name), given["index"].long(), {}
    with torch.no_grad():
        maps = net.neck(net.backbone(image))
        for number, (features, level) in enumerate(zip(maps, net.levels(image), strict=True)):
            parts = {
                "neck": features,
                "cls": level.score,
                "bbox": level.box,
                "vis": level.visible,
                "pose": level.pose,
            }
            found |= {f"{part}.{number}": value for part, value in parts.items()}
        said, region = net(image), region_of(given["boxes"])
        bins = net.head.dcc(said.poses[0, cells], said.at[cells], region)
        found |= {"grids": said.at[cells], "box_cs": region}
        found["keypoints"] = net.head.dcc.coordinates(bins, region)
    assert set(found) == set(golden.fill().outputs(name))
    golden.check(name, found)


def test_other_sizes_of_rtmo_have_about_the_published_numbers():
    """The paper counts 9.9, 22.6 and 44.8 million."""
    for name, millions in (("rtmo-s", 9.9), ("rtmo-m", 22.6), ("rtmo-l", 44.8)):
        net = RtmoNet(**rtmo.VARIANTS[name])
        assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, rel=0.005)


# --- laws


class Answer(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return self.net.answer(self.net(image))


def test_rtmo_keeps_the_laws_of_networks(tmp_path):
    torch.manual_seed(0)
    net, images = RtmoNet(**TINY).eval(), torch.randn(2, 3, 64, 96)
    with torch.no_grad():  # cells that score alike would change places
        for level, layer in zip(net.levels(images), net.head.head_module.out_cls, strict=True):
            layer.weight /= level.score.std()
    network_laws.batched_equals_single(Answer(net), images, tolerance=0.01)  # of pixels
    network_laws.onnx_equals_torch(net, images, tmp_path / "net.onnx", optimize=False)


def test_bins_far_from_the_cell_are_told_from_near_ones_and_joints_stay_in_the_region():
    torch.manual_seed(0)
    dcc = DCC(16, 5, bins=(30, 40)).eval()
    pose, at = torch.randn(3, 16), torch.rand(3, 2) * 100
    region = torch.tensor([[50.0, 40, 20, 60], [10, 10, 5, 5], [0, 0, 100, 1]])
    with torch.no_grad():
        said = dcc(pose, at, region)
        joints = dcc.coordinates(said, region)
        assert [part.shape for part in said] == [(3, 5, 30), (3, 5, 40)]
        assert ((joints - region[:, None, :2]).abs() <= region[:, None, 2:] / 2).all()
        moved = dcc.coordinates(dcc(pose, at + 7, region + torch.tensor([7.0, 7, 0, 0])),
                                region + torch.tensor([7.0, 7, 0, 0]))  # fmt: skip
    torch.testing.assert_close(moved, joints + 7, rtol=1e-4, atol=1e-3)


# --- learning


def test_the_losses_have_known_values():
    zero, half = torch.tensor([0.0]), torch.tensor([0.5])
    assert varifocal(zero, half).item() == pytest.approx(0.5 * math.log(2))
    assert varifocal(zero, torch.zeros(1)).item() == pytest.approx(0.75 / 4 * math.log(2))
    a = torch.tensor([[0.0, 0, 10, 10]])
    assert one_overlap(a, torch.tensor([[5.0, 0, 15, 10]])).item() == pytest.approx(1 / 3)

    joints = torch.tensor([[[3.0, 4, 2], [9, 9, 0]]])
    assert oks(joints[..., :2], joints, torch.tensor([100.0]), SIGMAS[:2]) == 1
    apart = joints[..., :2] + torch.tensor([3.0, 4])
    wanted = math.exp(-25 / (2 * 100 * (2 * SIGMAS[0].item()) ** 2))
    assert oks(apart, joints, torch.tensor([100.0]), SIGMAS[:2]).item() == pytest.approx(wanted)

    # All on the bin where the joint is: only the deviation costs; log σ for each axis.
    sure = torch.tensor([[[0.0, -100, -100], [0, 0, 0]]])
    places = torch.tensor([[3.0, 5, 7]]), torch.tensor([[4.0, 5, 7]])
    deviation = torch.full((1, 2), 0.5)
    loss, weight = density_loss((sure, sure), places, joints, deviation, torch.tensor([100.0]))
    assert weight == 1
    assert loss.item() == pytest.approx(2 * math.log(0.5))


def test_rtmo_learns_two_pictures_by_heart_and_every_parameter_takes_part():
    torch.manual_seed(0)
    net, (image, truth) = RtmoNet(**TINY).train(), scene()
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for step in range(70):
        losses = rtmo_losses(net, net(image), truth, SIGMAS)
        optimiser.zero_grad()
        total(losses, boxes=5, proxies=5).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        if step == 0:
            silent = [n for n, p in net.named_parameters() if p.grad is None]
            assert not silent
            assert set(losses) == {"scores", "boxes", "proxies", "visible", "joints"}
        optimiser.step()
    with torch.no_grad():  # two pictures are too few for running averages
        boxes, scores, joints = net.answer(net(image))
    assert scores[0, 0] > 0.5 > scores[1, 0]
    sure = scores[0] > 0.5
    assert (overlap(truth[0].boxes, boxes[0, sure]).max(1).values > 0.6).all()
    assert joints.shape == (2, 20, 17, 3)


def test_coordinate_classification_learns_where_joints_are():
    """Two people, told apart by their pose vectors alone, of different sizes."""
    torch.manual_seed(0)
    dcc = DCC(8, 5, width=32, bins=(48, 64))
    pose, at = torch.randn(2, 8), torch.tensor([[40.0, 40], [100, 50]])
    boxes = torch.tensor([[10.0, 10, 70, 90], [80, 20, 120, 60]])
    share = torch.rand(2, 5, 2)
    points = boxes[:, None, :2] + share * (boxes[:, 2:] - boxes[:, :2])[:, None]
    joints, region = torch.cat([points, torch.ones(2, 5, 1)], 2), region_of(boxes)
    optimiser = torch.optim.Adam(dcc.parameters(), lr=1e-3)
    places = dcc.places(region, 0), dcc.places(region, 1)
    for _ in range(300):
        said = dcc(pose, at, region)
        loss, weight = density_loss(said, places, joints, dcc.deviation(pose), area(boxes))
        optimiser.zero_grad()
        (loss / weight).backward()
        optimiser.step()
    error = (dcc.coordinates(dcc(pose, at, region), region) - points).abs()
    assert error.median() < 1  # pixel; between two of them normalisation leaves little but signs
    assert error.mean() < 2.5
    assert (dcc.deviation(pose) < 0.05).all()  # and knows that it is good at it
