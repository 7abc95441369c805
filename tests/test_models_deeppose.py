"""DeepPose, then and now: the published networks, RLE's density and loss, the laws of networks."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import OptionError  # noqa: E402
from everybody.models import deeppose, regression  # noqa: E402
from everybody.models.deeppose import DeepPoseNet, own, squared_distance  # noqa: E402
from everybody.models.likelihood import RealNvp, likelihood_loss  # noqa: E402
from everybody.models.published_names import renamed  # noqa: E402
from everybody.models.regression import RegressionNet, published  # noqa: E402
from tests import golden, network_laws  # noqa: E402

SIZE = (72, 96)


def build(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "alexnet":
        return DeepPoseNet(5, size=SIZE, **deeppose.VARIANTS["deeppose-tiny"])
    return RegressionNet(5, **regression.VARIANTS[kind])


KINDS = ["alexnet", "deeppose-resnet-tiny", "deeppose-resnet-tiny-rle"]


@pytest.mark.parametrize(
    ("name", "variant"), [("deeppose_r50", "deeppose-50"), ("deeppose_r50_rle", "deeppose-50-rle")]
)
def test_published_weights_give_the_published_answers(name, variant):
    net = RegressionNet(17, **regression.VARIANTS[variant]).eval()
    net.load_state_dict(published(golden.state(name)))
    with torch.no_grad():
        golden.check(name, {"out": net(golden.image(name))})


@pytest.mark.parametrize(("variant", "numbers"), [("deeppose-18", 2), ("deeppose-18-rle", 4)])
def test_other_sizes_are_numbers(variant, numbers):
    net = RegressionNet(9, **regression.VARIANTS[variant]).eval()
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 9, numbers)


def test_crops_that_its_pooling_leaves_nothing_of_are_refused():
    with pytest.raises(OptionError, match="of a crop of 96x32 its pooling leaves nothing"):
        DeepPoseNet(5, size=(96, 32), **deeppose.VARIANTS["deeppose-tiny"])


def published_flow() -> RealNvp:
    state = {
        k: v for k, v in golden.state("rle_loss").items() if k[-4:] not in (".loc", ".cov", "mask")
    }
    flow = RealNvp()
    flow.load_state_dict(renamed(state, (r"^flow_model\.", "")))
    return flow


def test_the_density_is_the_published_one():
    error = torch.from_numpy(golden.fill().inputs("rle_loss")["error"])
    flow = published_flow()
    z, log_det = flow.normal(error)
    golden.check("rle_loss", {"log_prob": flow(error), "z": z, "log_det": log_det})


@pytest.mark.parametrize("density", ["laplace", "gaussian"])
@pytest.mark.parametrize("alone", [False, True])
def test_the_likelihood_and_its_gradients_are_the_published_ones(density, alone):
    given = {k: torch.from_numpy(v) for k, v in golden.fill().inputs("rle_loss").items()}
    said = torch.cat([given["pred"], given["sigma"]], -1).requires_grad_()
    flow = published_flow()
    total, weight = likelihood_loss(
        said,
        (given["target"],),
        given["weight"][..., 0],
        flow=flow,
        density=None if alone else density,
    )
    loss = total / len(said)  # the published mean is over people
    loss.backward()
    assert said.grad is not None
    assert weight == given["weight"].sum()

    case = f"{density}.flow_only" if alone else density
    norms = torch.stack([p.grad.norm() for p in flow.parameters()])  # type: ignore[union-attr]
    found = {"": loss[None], ".grad_pred": said.grad[..., :2], ".grad_sigma": said.grad[..., 2:]}
    golden.check("rle_loss", {case + key: value for key, value in found.items()})
    golden.check("rle_loss", {f"{case}.grad_flow_norm": norms})


def test_a_density_over_the_plane_integrates_to_one():
    torch.manual_seed(0)
    flow = RealNvp().double()
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    side = torch.linspace(-10, 10, 161, dtype=torch.float64)
    with torch.no_grad():
        mass = flow(torch.cartesian_prod(side, side)).exp().sum() * (side[1] - side[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=1e-3)


def test_sigmas_are_answered_between_0_and_1_and_coordinates_as_they_are():
    net = build("deeppose-resnet-tiny-rle").eval()
    said = 9 * torch.randn(2, 5, 4)
    (answer,) = net.answer(said)
    assert torch.equal(answer[..., :2], said[..., :2])
    assert torch.equal(answer[..., 2:], said[..., 2:].sigmoid())


def test_the_papers_network_has_6_by_6_cells_before_its_hidden_layers():
    with torch.device("meta"):
        net = DeepPoseNet(14, **deeppose.VARIANTS["deeppose-alexnet"])
        shapes = [
            net.features[:n](torch.zeros(1, 3, 220, 220)).shape[1:] for n in (1, 5, 9, 13, 15)
        ]
    assert [tuple(s) for s in shapes] == [
        (96, 55, 55), (256, 27, 27), (384, 13, 13), (256, 13, 13), (256, 6, 6),
    ]  # fmt: skip
    assert net.hidden[1].in_features == 256 * 6 * 6


@pytest.mark.parametrize("size", [(64, 64), (96, 128), (192, 256), (200, 101)])
def test_the_crops_size_is_a_number(size):
    net = DeepPoseNet(3, size=size, **deeppose.VARIANTS["deeppose-tiny"]).eval()
    assert net(torch.zeros(1, 3, size[1], size[0])).shape == (1, 3, 2)


def test_of_a_later_stage_the_joint_that_the_crop_is_around_counts():
    said = torch.arange(24.0).reshape(3, 4, 2)
    joint = torch.tensor([2, 0, 3])
    assert own(said, joint).tolist() == [[4, 5], [8, 9], [22, 23]]
    weights = torch.nn.functional.one_hot(joint, 4).float()
    total, weight = squared_distance(said, (torch.zeros(3, 4, 2),), weights)
    assert total == own(said, joint).square().sum()
    assert weight == 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind):
    net = build(kind)
    targets, weights = (torch.full((8, 5, 2), 0.3),), torch.ones(8, 5)

    def loss(said):
        if kind.endswith("rle"):
            return likelihood_loss(said, targets, weights, flow=net.flow)[0]
        return squared_distance(said, targets, weights)[0]

    network_laws.every_parameter_learns(net, torch.randn(8, 3, *SIZE[::-1]), loss)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_pictures(kind):
    network_laws.batched_equals_single(build(kind), torch.randn(3, 3, *SIZE[::-1]))


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_is_torch(kind, tmp_path):
    network_laws.onnx_equals_torch(build(kind), torch.randn(2, 3, *SIZE[::-1]), tmp_path / "n.onnx")
