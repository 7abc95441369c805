"""Stacked hourglasses: both published layouts, any number of stacks, the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import ModelError  # noqa: E402
from everybody.models.hourglass import (  # noqa: E402
    VARIANTS,
    Hourglass,
    HourglassNet,
    layout,
    published,
)
from tests import golden, network_laws  # noqa: E402

LAYOUTS = {
    "hourglass8": ("hourglass-8", (128, 128, 256)),
    "hourglass2_bearpaw": ("hourglass-2", (128, 256, 256)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_published_weights_give_the_published_answers(name):
    state = published(golden.state(name))
    assert layout(state) == {"front": LAYOUTS[name][1], "blocks": 1}
    net = HourglassNet(16, **{**VARIANTS[LAYOUTS[name][0]], **layout(state)}).eval()
    net.load_state_dict(state)

    image = golden.image(name)
    if image.shape[-1] == 3:  # the authors' port takes NHWC
        image = image.permute(0, 3, 1, 2)
    with torch.no_grad():
        golden.check(name, {"out": torch.stack(net(image), 1)})


def test_two_blocks_a_resolution_are_counted():
    net = HourglassNet(3, **{**VARIANTS["hourglass-tiny"], "blocks": 2})
    assert layout(net.state_dict()) == {"front": (16, 16, 32), "blocks": 2}
    before = {name.split(".")[2] for name in net.state_dict() if name.startswith("front.")}
    assert before == {"0"}, "pytorch-pose has one block each before the first hourglass"


def test_other_weights_are_refused():
    with pytest.raises(ModelError, match="stacked hourglass"):
        published({"conv1.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    ("variant", "stacks"),
    [("hourglass-1", 1), ("hourglass-2", 2), ("hourglass-4", 4), ("hourglass-8", 8)],
)
def test_stacks_are_a_number(variant, stacks):
    """Every stack adds the same: an hourglass, its head and, between stacks, the merges."""
    with torch.device("meta"):
        one, two, net = (
            HourglassNet(16, **v) for v in ({"stacks": 1}, {"stacks": 2}, VARIANTS[variant])
        )
    first, second, found = (sum(p.numel() for p in n.parameters()) for n in (one, two, net))
    assert found == first + (stacks - 1) * (second - first)
    assert len(net.heatmaps) == stacks


@pytest.mark.parametrize("sides", [(16, 24), (12, 9), (5, 7)])
def test_an_hourglass_takes_sides_that_its_pooling_does_not_divide(sides):
    torch.manual_seed(0)
    x = torch.randn(2, 8, *sides)
    assert Hourglass(3, 8, 1)(x).shape == x.shape


def test_the_last_stack_answers():
    net = HourglassNet(5, **VARIANTS["hourglass-tiny"]).eval()
    said = net(torch.randn(1, 3, 64, 96))
    assert [tuple(x.shape) for x in said] == [(1, 5, 16, 24)] * 2
    assert net.answer(said) == (said[-1],)


def test_every_parameter_learns():
    torch.manual_seed(0)
    net = HourglassNet(5, **VARIANTS["hourglass-tiny"])

    def loss(said):
        return sum((maps - 1).square().sum() for maps in said)

    network_laws.every_parameter_learns(net, torch.randn(2, 3, 64, 64), loss)


def test_a_batch_is_its_pictures():
    torch.manual_seed(0)
    net = HourglassNet(5, **VARIANTS["hourglass-tiny"])
    network_laws.batched_equals_single(net, torch.randn(3, 3, 96, 64))


def test_onnx_is_torch(tmp_path):
    torch.manual_seed(0)
    net = HourglassNet(5, **VARIANTS["hourglass-tiny"])
    network_laws.onnx_equals_torch(net, torch.randn(2, 3, 72, 64), tmp_path / "net.onnx")
