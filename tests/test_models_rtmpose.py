"""RTMPose: the published answers and sizes, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import OptionError  # noqa: E402
from everybody.models.rtmpose import VARIANTS, GatedAttention, RtmPoseNet, numbers  # noqa: E402
from tests import golden, network_laws  # noqa: E402

SMALL = {"size": (64, 96), "width": 8, "depths": (1, 1, 1, 1), "hidden": 32, "shared": 16}


def test_published_answers():
    state = golden.state("rtmpose_s")
    net = RtmPoseNet(**numbers(state), **VARIANTS["rtmpose-s"]).eval()
    net.load_state_dict(state)
    with torch.no_grad():
        features = net.backbone(golden.image("rtmpose_s"))
        x, y = net.head(features)
    golden.check("rtmpose_s", {"features": features, "x": x, "y": y})
    assert sum(p.numel() for p in net.parameters()) == golden.fill().spec("rtmpose_s")["parameters"]


@pytest.mark.parametrize(
    ("name", "millions"),
    [("rtmpose-t", 3.34), ("rtmpose-s", 5.47), ("rtmpose-m", 13.59), ("rtmpose-l", 27.66)],
)
def test_published_numbers_of_parameters(name, millions):
    """Table 4 of the paper: 256 × 192, COCO, in millions."""
    with torch.device("meta"):
        net = RtmPoseNet(**VARIANTS[name])
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_laws(tmp_path):
    torch.manual_seed(0)
    net = RtmPoseNet(5, **SMALL)
    images = torch.randn(2, 3, 96, 64)
    x, y = net(images)
    assert (x.shape, y.shape) == ((2, 5, 128), (2, 5, 192))
    network_laws.every_parameter_learns(
        net, images, lambda xy: (torch.cat(xy, 2) - 1).square().sum()
    )
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(net, images, tmp_path / "net.onnx")


def test_training_begins_with_level_bins():
    """As published: the loss has the bins times ten, and softmax(10 · logits) favours none."""
    torch.manual_seed(0)
    for bins in RtmPoseNet(5, **SMALL)(torch.randn(2, 3, *reversed(SMALL["size"]))):
        assert (10 * bins).softmax(-1).max() < 2 / bins.shape[-1]


def test_joints_have_no_order_in_the_attention():
    """Permuting tokens permutes what the gated attention unit says."""
    torch.manual_seed(0)
    unit, tokens = GatedAttention(16, 8), torch.randn(2, 6, 16)
    order = torch.randperm(6)
    assert torch.allclose(unit(tokens)[:, order], unit(tokens[:, order]), atol=1e-6)


@pytest.mark.parametrize("size", [(100, 256), (192, 200), (0, 64)])
def test_crops_that_do_not_divide_are_refused(size):
    with pytest.raises(OptionError, match="multiples of 32"):
        RtmPoseNet(**(SMALL | {"size": size}))
