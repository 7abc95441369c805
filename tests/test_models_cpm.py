"""Convolutional pose machines: the published network, stages by number, laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.models.cpm import VARIANTS, CpmNet, published  # noqa: E402
from tests import golden, network_laws  # noqa: E402


def net(joints: int = 5) -> CpmNet:
    torch.manual_seed(0)
    return CpmNet(joints, **VARIANTS["cpm-tiny"])


def test_published_weights_give_the_published_answers_at_every_stage():
    ours = CpmNet(17, **VARIANTS["cpm-6"]).eval()
    ours.load_state_dict(published({f"backbone.{k}": v for k, v in golden.state("cpm6").items()}))
    with torch.no_grad():
        said = ours(golden.image("cpm6"))
    golden.check("cpm6", {str(stage): maps for stage, maps in enumerate(said)})


@pytest.mark.parametrize("stages", [1, 3, 6])
def test_stages_are_a_number_and_each_sees_what_the_one_before_believes(stages):
    torch.manual_seed(0)
    one = CpmNet(4, **{**VARIANTS["cpm-tiny"], "stages": stages}).eval()
    image = torch.randn(1, 3, 64, 48)
    before = one(image)
    assert [tuple(maps.shape) for maps in before] == [(1, 4, 8, 6)] * stages
    assert one.answer(before) == (before[-1],)

    with torch.no_grad():
        one.stem[-1].conv.bias += 1  # what the first stage believes
    assert all(not torch.equal(a, b) for a, b in zip(before, one(image), strict=True))


def test_every_parameter_learns():
    def loss(said):
        return sum((maps - 1).square().sum() for maps in said)

    network_laws.every_parameter_learns(net(), torch.randn(2, 3, 64, 64), loss)


def test_a_batch_is_its_pictures():
    network_laws.batched_equals_single(net(), torch.randn(3, 3, 96, 64))


def test_onnx_is_torch(tmp_path):
    network_laws.onnx_equals_torch(net(), torch.randn(2, 3, 96, 64), tmp_path / "net.onnx")
