"""DSNT: the published values and gradients, hand-drawn maps, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.models import dsnt  # noqa: E402
from tests import golden, network_answer, network_laws  # noqa: E402


@pytest.fixture
def given():
    return {name: torch.from_numpy(a) for name, a in golden.fill().inputs("dsnt").items()}


def test_published_coordinates_and_gaussians(given):
    heatmaps = dsnt.probabilities(given["logits"])
    found = dsnt.mean(heatmaps)
    height, width = heatmaps.shape[-2:]
    golden.check(
        "dsnt",
        {
            "coords": found,
            "coords_pixels": dsnt.to_pixels(found, (width, height)),
            "to_pixels": dsnt.to_pixels(given["target"], (width, width)),
            "gauss": dsnt.gaussians(given["target"], (height, width), 1.0),
        },
    )


@pytest.mark.parametrize(
    "name", [*dsnt.DISTANCES, "js1", "js2", "kl1", "kl2", "variance1", "variance2"]
)
def test_published_losses_and_their_gradients(given, name):
    logits = given["logits"].requires_grad_()
    heatmaps = dsnt.probabilities(logits)
    if name in dsnt.DISTANCES:
        values = dsnt.DISTANCES[name](dsnt.mean(heatmaps), given["target"])
    else:
        values = dsnt.REGULARISERS[name[:-1]](heatmaps, given["target"], float(name[-1]))
    mean = dsnt.average(values, given["mask"])
    mean.backward()
    golden.check(
        "dsnt", {name: values, f"{name}.average": mean.reshape(1), f"{name}.grad": logits.grad}
    )


def test_maps_drawn_by_hand():
    """One cell alight: its middle, without spread. Two: halfway between, half a cell of spread."""
    one = torch.zeros(5, 5)
    one[1, 3] = 1
    assert dsnt.mean(one).tolist() == pytest.approx([0.4, -0.4])
    assert dsnt.to_pixels(dsnt.mean(one), (5, 5)).tolist() == pytest.approx([3, 1])
    assert dsnt.variance(one).tolist() == pytest.approx([0, 0], abs=1e-7)

    two = torch.zeros(4, 8)
    two[2, 3] = two[2, 4] = 0.5
    assert dsnt.mean(two).tolist() == pytest.approx([0, 0.25])
    assert dsnt.variance(two).tolist() == pytest.approx([(1 / 8) ** 2, 0], abs=1e-7)


def test_the_mean_of_a_gaussian_is_its_middle_and_its_divergence_from_itself_is_0():
    at = torch.tensor([[0.1, -0.2], [0.0, 0.3]])
    maps = dsnt.gaussians(at, (24, 16), 1.5)
    assert torch.allclose(maps.sum((1, 2)), torch.ones(2))
    assert torch.allclose(dsnt.mean(maps), at, atol=1e-4)
    for name, regulariser in dsnt.REGULARISERS.items():
        assert regulariser(maps, at, 1.5).abs().max() < 1e-2, name
        assert regulariser(dsnt.gaussians(at, (24, 16), 3.0), at, 1.5).min() > 0.1, name


def test_joints_without_weight_do_not_count():
    said = (torch.rand(1, 2, 2), dsnt.probabilities(torch.randn(1, 2, 6, 6)))
    wanted, weights = torch.zeros(1, 2, 2), torch.tensor([[1.0, 0.0]])
    total, weight = dsnt.dsnt_loss(said, (wanted,), weights)
    said[0][0, 1] = 9.0
    assert dsnt.dsnt_loss(said, (wanted,), weights)[0] == total
    assert weight == 1
    assert dsnt.average(torch.ones(2), torch.zeros(2)) == 0


def test_laws(tmp_path):
    torch.manual_seed(0)
    net = dsnt.DsntNet(3, width=8, depths=(1, 1, 1, 1), head=8)
    images, wanted = torch.randn(2, 3, 96, 64), torch.rand(2, 3, 2)

    def loss(said):
        return dsnt.dsnt_loss(said, (wanted,), torch.ones(2, 3))[0]

    network_laws.every_parameter_learns(network_answer.awake(net), images, loss)
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(network_answer.Answering(net), images, tmp_path / "net.onnx")


def test_the_answer_is_where_the_map_is_and_how_far_it_spreads():
    net = dsnt.DsntNet(3, width=8, depths=(1, 1, 1, 1), head=8)
    maps = dsnt.gaussians(torch.tensor([[[0.25, -0.5]] * 3]), (24, 16), 1.0)
    (found,) = net.answer((dsnt.mean(maps), maps))
    wanted = torch.tensor([0.25, -0.5, 2 / 16, 2 / 24])
    assert torch.allclose(found, wanted.expand(1, 3, 4), atol=1e-2)
