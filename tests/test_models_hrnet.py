"""HRNet: the published networks, number by number, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import ModelError  # noqa: E402
from everybody.models.hrnet import (  # noqa: E402
    VARIANTS,
    HRNet,
    HRNetBackbone,
    numbers,
    published,
)
from tests import golden, network_laws  # noqa: E402


@pytest.mark.parametrize(
    ("name", "variant"), [("hrnet_w32", "hrnet-w32"), ("hrnet_w48_384", "hrnet-w48")]
)
def test_published_weights_give_the_published_answers(name, variant):
    net = HRNet(17, **VARIANTS[variant]).eval()
    net.load_state_dict(published(golden.state(name)))
    with torch.no_grad():
        golden.check(name, {"out": net(golden.image(name))})


def test_both_published_sets_of_names_are_ours():
    ours = HRNet(5, **VARIANTS["hrnet-tiny"]).state_dict()
    head = "keypoint_head.final_layer"
    theirs = {f"backbone.{k}".replace("backbone.final_layer", head): v for k, v in ours.items()}
    assert f"{head}.bias" in theirs
    assert list(published(theirs)) == list(published(ours)) == list(ours)
    with pytest.raises(ModelError, match=r"two published parameters are 'bn1\.bias'"):
        published(dict.fromkeys(("bn1.bias", "backbone.bn1.bias"), torch.zeros(1)))


@pytest.mark.parametrize(
    ("variant", "millions"),
    [("hrnet-w18-small", 1.3), ("hrnet-w32", 28.5), ("hrnet-w48", 63.6)],
)
def test_published_numbers_of_parameters(variant, millions):
    """Sun et al. 2019, table 1; the small one: Yu et al. 2021 (Lite-HRNet), table 1."""
    with torch.device("meta"):
        net = HRNet(17, **VARIANTS[variant])
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 1) == millions


def test_the_small_one_has_the_published_widths():
    with torch.device("meta"):
        net = HRNet(17, **VARIANTS["hrnet-w18-small"])
    assert net.channels == (16, 32, 64, 128)


@pytest.mark.parametrize("variant", ["hrnet-tiny", "hrnet-w18-small", "hrnet-w32"])
def test_weights_tell_how_deep_their_network_is(variant):
    with torch.device("meta"):
        state = HRNet(17, **VARIANTS[variant]).state_dict()
        again = HRNet(17, width=VARIANTS[variant]["width"], **numbers(state)).state_dict()
    assert {k: v.shape for k, v in again.items()} == {k: v.shape for k, v in state.items()}


def test_a_backbone_answers_at_all_strides():
    net = HRNetBackbone(**VARIANTS["hrnet-tiny"]).eval()
    shapes = [tuple(x.shape) for x in net(torch.zeros(2, 3, 64, 96))]
    assert shapes == [(2, 8 * 2**i, 16 // 2**i, 24 // 2**i) for i in range(4)]


def test_every_parameter_learns():
    torch.manual_seed(0)
    net = HRNet(5, **VARIANTS["hrnet-tiny"])
    image = torch.randn(2, 3, 64, 64)
    network_laws.every_parameter_learns(net, image, lambda maps: (maps - 1).square().sum())


def test_a_batch_is_its_pictures():
    torch.manual_seed(0)
    net = HRNet(5, **VARIANTS["hrnet-tiny"])
    network_laws.batched_equals_single(net, torch.randn(3, 3, 96, 64))


def test_onnx_is_torch(tmp_path):
    torch.manual_seed(0)
    net = HRNet(5, **VARIANTS["hrnet-tiny"])
    network_laws.onnx_equals_torch(net, torch.randn(2, 3, 96, 64), tmp_path / "net.onnx")
