"""The published ResNet: sizes, strides and names."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.models.resnet_published import (  # noqa: E402
    VARIANTS,
    BasicBlock,
    Bottleneck,
    ResNet,
)
from tests import golden  # noqa: E402

CLASSIFIER = {
    18: 512 * 1000 + 1000,
    34: 512 * 1000 + 1000,
}  # of the published network; ours has none
PUBLISHED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


@pytest.mark.parametrize("layers", VARIANTS)
def test_published_numbers_of_parameters(layers):
    with torch.device("meta"):
        net = ResNet(**VARIANTS[layers])
    ours = sum(p.numel() for p in net.parameters())
    assert ours + CLASSIFIER.get(layers, 2048 * 1000 + 1000) == PUBLISHED[layers]


@pytest.mark.parametrize("layers", [18, 50])
def test_features_have_strides_4_to_32(layers):
    net = ResNet(**VARIANTS[layers], width=8).eval()
    features = net(torch.zeros(2, 3, 64, 96))
    wanted = [(2, c, 64 // s, 96 // s) for c, s in zip(net.channels, (4, 8, 16, 32), strict=True)]
    assert [tuple(x.shape) for x in features] == wanted


@pytest.mark.parametrize(("name", "layers"), [("simple_baseline_r18", 18), ("deeppose_r50", 50)])
def test_names_and_shapes_are_the_published_ones(name, layers):
    head = ("deconv_layers", "final_layer", "head")
    published = {
        key.removeprefix("backbone."): tuple(shape)
        for key, (shape, _) in golden.fill().spec(name)["state"].items()
        if not key.startswith(head)
    }
    with torch.device("meta"):
        net = ResNet(**VARIANTS[layers])
    assert {key: tuple(value.shape) for key, value in net.state_dict().items()} == published


@pytest.mark.parametrize("early", [False, True])
def test_a_bottleneck_that_halves_early_sees_every_other_cell_alone(early):
    """As Caffe's; parameters look the same."""
    torch.manual_seed(0)
    block = Bottleneck(8, 2, 2, early=early).eval()
    x = torch.randn(1, 8, 6, 6)
    others = x.clone()
    others[..., 1::2, :], others[..., 1::2] = 9, 9
    assert torch.equal(block(x), block(others)) == early
    usual = {name: value.shape for name, value in Bottleneck(8, 2, 2).state_dict().items()}
    assert {name: value.shape for name, value in block.state_dict().items()} == usual


def test_a_block_of_another_kind_takes_the_place_of_the_usual_ones():
    class Twice(BasicBlock):
        pass

    net = ResNet(**VARIANTS[18], width=8, block=Twice)
    built = [m for m in net.modules() if isinstance(m, BasicBlock)]
    assert len(built) == 8
    assert all(type(m) is Twice for m in built)


def test_every_normalisation_is_the_one_asked_for():
    def norm(channels: int) -> torch.nn.Module:
        return torch.nn.GroupNorm(1, channels)

    net = ResNet(**VARIANTS[50], width=8, norm=norm)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())
    assert all(torch.isfinite(x).all() for x in net(torch.randn(1, 3, 32, 32)))
