"""ViTPose: the published answers and sizes, both decoders, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import OptionError  # noqa: E402
from everybody.models.vitpose import VARIANTS, VitPoseNet, numbers  # noqa: E402
from tests import golden, network_laws  # noqa: E402

SMALL = {"size": (48, 64), "width": 32, "depth": 2, "heads": 4}


@pytest.mark.parametrize(
    ("name", "decoder"), [("vitpose_s", "classic"), ("vitpose_s_simple", "simple")]
)
def test_published_answers(name, decoder):
    state = golden.state(name)
    told = numbers(state)
    assert told == {"joints": 17, "decoder": decoder}
    net = VitPoseNet(**told, **VARIANTS["vitpose-s"]).eval()
    net.load_state_dict(state)
    with torch.no_grad():
        features = net.backbone(golden.image(name))
        golden.check(name, {"features": features, "out": net.keypoint_head(features)})
    assert sum(p.numel() for p in net.parameters()) == golden.fill().spec(name)["parameters"]


@pytest.mark.parametrize(
    ("name", "millions"), [("vitpose-s", 24), ("vitpose-b", 90), ("vitpose-l", 309)]
)
def test_published_numbers_of_parameters(name, millions):
    """Table 1 and 2 of the paper, classic decoder, in millions."""
    with torch.device("meta"):
        net = VitPoseNet(**VARIANTS[name])
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=1)


@pytest.mark.parametrize("decoder", ["classic", "simple"])
def test_laws(decoder, tmp_path):
    torch.manual_seed(0)
    net = VitPoseNet(5, decoder=decoder, **SMALL)
    images = torch.randn(2, 3, 64, 48)
    assert net(images).shape == (2, 5, 16, 12)
    network_laws.every_parameter_learns(net, images, lambda maps: (maps - 1).square().sum())
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(net, images, tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": (100, 256)}, "100x256 .* multiples of 16"),
        ({"width": 32, "heads": 5}, "5 heads"),
        ({"decoder": "best"}, "no decoder 'best'; known: classic, simple"),
    ],
)
def test_numbers_that_cannot_be(wrong, message):
    with pytest.raises(OptionError, match=message):
        VitPoseNet(**(SMALL | wrong))
