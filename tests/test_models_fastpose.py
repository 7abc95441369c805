"""FastPose: the published network, its variants by numbers, the laws of all networks."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import ModelError  # noqa: E402
from everybody.models.fastpose import VARIANTS, FastPoseNet, layout, published  # noqa: E402
from tests import golden, network_laws  # noqa: E402

PLAIN = {
    "squeeze": True,
    "deformable": (False,) * 4,
    "modulated": True,
    "upsampling": ((), (1024,), (512,), ()),
    "kernel": 3,
}
DEFORMABLE = {**VARIANTS["fastpose-tiny"], "deformable": (False, True, True, True)}


def test_published_weights_give_the_published_answers():
    state = published(golden.state("fastpose_r50"))
    net = FastPoseNet(17, **VARIANTS["fastpose-50"]).eval()
    net.load_state_dict(state)
    with torch.no_grad():
        golden.check("fastpose_r50", {"out": net(golden.image("fastpose_r50"))})


@pytest.mark.parametrize(
    "variant", [name for name, numbers in VARIANTS.items() if "width" not in numbers]
)
def test_a_network_of_any_published_layout_is_known_by_its_shapes(variant):
    """Whatever the modules of the upsampling are called."""
    with torch.device("meta"):
        net = FastPoseNet(136, **VARIANTS[variant])
    ours = net.state_dict()
    for theirs in (r"stages.x\1.\2.", r"duc\1.\2."):
        renamed = {re.sub(r"^duc\.(\d+)\.(\d+)\.", theirs, k): v for k, v in ours.items()}
        assert list(published(renamed)) == list(ours)
    assert layout(ours) == PLAIN | VARIANTS[variant]


def test_the_first_version_of_deformable_convolutions_is_known_by_its_shape():
    numbers = PLAIN | DEFORMABLE | {"modulated": False, "squeeze": False}
    ours = FastPoseNet(5, **numbers).state_dict()
    for theirs in (".conv2_offset.", ".conv2.conv_offset."):
        renamed = {k.replace(".conv2.offsets.", theirs): v for k, v in ours.items()}
        assert renamed.keys() != ours.keys()
        assert list(published(renamed)) == list(ours)
    assert layout(ours) == {k: v for k, v in numbers.items() if k != "width"}


def test_a_last_convolution_of_one_cell_is_known_by_its_shape():
    net = FastPoseNet(5, **VARIANTS["fastpose-tiny"], kernel=1).eval()
    assert layout(net.state_dict())["kernel"] == 1
    assert net(torch.zeros(1, 3, 64, 32)).shape == (1, 5, 16, 8)


def test_weights_of_other_networks_are_refused():
    ours = FastPoseNet(5, **VARIANTS["fastpose-tiny"]).state_dict()
    with pytest.raises(ModelError, match=r"expected a ResNet named preact.*conv_out"):
        published({k: v for k, v in ours.items() if not k.startswith("conv_out")})
    with pytest.raises(ModelError, match="expected a ResNet named preact"):
        published({"head.bias": torch.zeros(3), **ours})


@pytest.mark.parametrize("numbers", [VARIANTS["fastpose-tiny"], DEFORMABLE])
def test_every_parameter_learns(numbers):
    torch.manual_seed(0)
    net = FastPoseNet(5, **numbers)
    image = torch.randn(4, 3, 96, 96)
    network_laws.every_parameter_learns(net, image, lambda maps: (maps - 1).square().sum())


@pytest.mark.parametrize("numbers", [VARIANTS["fastpose-tiny"], DEFORMABLE])
def test_a_batch_is_its_pictures(numbers):
    torch.manual_seed(0)
    network_laws.batched_equals_single(FastPoseNet(5, **numbers), torch.randn(3, 3, 96, 64))


@pytest.mark.parametrize("numbers", [VARIANTS["fastpose-tiny"], DEFORMABLE])
def test_onnx_is_torch(numbers, tmp_path):
    torch.manual_seed(0)
    net = FastPoseNet(5, **numbers)
    for name, parameter in net.named_parameters():
        if ".offsets." in name:  # which start at 0
            torch.nn.init.normal_(parameter, std=0.1)
    network_laws.onnx_equals_torch(net, torch.randn(2, 3, 96, 64), tmp_path / "net.onnx")
