"""Integral regression: the published network, its mean cell and gradients, the laws of networks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody import codecs  # noqa: E402
from everybody.models.integral import (  # noqa: E402
    VARIANTS,
    IntegralNet,
    coordinate_loss,
    mean_cell,
    published,
    soft_argmax,
)
from tests import golden, network_laws  # noqa: E402

SETTINGS = {
    "beta1": {"beta": 1.0},
    "beta10": {"beta": 10.0},
    "beta1.debias": {"beta": 1.0, "debias": True},
    "beta4.debias": {"beta": 4.0, "debias": True},
}


def net() -> IntegralNet:
    torch.manual_seed(0)
    return IntegralNet(5, **VARIANTS["integral-tiny"])


def test_published_weights_give_the_published_answers():
    ours = IntegralNet(17, **VARIANTS["integral-50"]).eval()
    ours.load_state_dict(published(golden.state("integral_r50")))
    with torch.no_grad():
        logits = ours(golden.image("integral_r50"))
    size = torch.tensor(logits.shape[:1:-1])
    mass = (25 * logits.flatten(2)).softmax(2).reshape(logits.shape)
    golden.check("integral_r50", {"coords": soft_argmax(logits, beta=25) / size, "heatmaps": mass})


@pytest.mark.parametrize("case", SETTINGS)
def test_the_mean_cell_and_its_gradient_are_the_published_ones(case):
    logits = torch.from_numpy(golden.fill().inputs("soft_argmax")["logits"]).requires_grad_()
    found = soft_argmax(logits, **SETTINGS[case]) / torch.tensor(logits.shape[:1:-1])
    found.square().sum().backward()
    golden.check("soft_argmax", {case: found, f"{case}.grad_sum_of_squares": logits.grad})


@pytest.mark.parametrize("case", SETTINGS)
def test_the_codec_decodes_what_was_trained(case):
    logits = torch.randn(2, 3, 16, 12, generator=torch.Generator().manual_seed(0))
    theirs, _ = codecs.soft_argmax(logits.numpy(), **SETTINGS[case])
    np.testing.assert_allclose(soft_argmax(logits, **SETTINGS[case]).numpy(), theirs, atol=1e-4)


def test_the_mean_of_one_cell_is_the_cell():
    mass = torch.zeros(1, 5, 7)
    mass[0, 3, 6] = 1
    assert mean_cell(mass).tolist() == [[6.0, 3.0]]


def test_the_loss_is_the_distance_in_cells_of_labelled_joints():
    logits = torch.full((1, 2, 5, 7), -1e4)
    logits[:, :, 3, 6] = 0
    cells = torch.tensor([[[4.0, 3.5], [0.0, 0.0]]])
    total, weight = coordinate_loss(logits, (cells,), torch.tensor([[1.0, 0.0]]))
    assert (total.item(), weight.item()) == pytest.approx((2.5, 1.0))


def test_every_parameter_learns():
    cells = torch.full((4, 5, 2), 3.0)

    def loss(logits):
        return coordinate_loss(100 * logits, (cells,), torch.ones(4, 5))[0]

    network_laws.every_parameter_learns(net(), torch.randn(4, 3, 96, 96), loss)


def test_a_batch_is_its_pictures():
    network_laws.batched_equals_single(net(), torch.randn(3, 3, 96, 64))


def test_onnx_is_torch(tmp_path):
    network_laws.onnx_equals_torch(net(), torch.randn(2, 3, 96, 64), tmp_path / "net.onnx")
