"""OpenPose, its light variant and PoseNet: the published networks, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.models import openpose, openpose_light, posenet  # noqa: E402
from tests import golden, network_laws  # noqa: E402
from tests.network_answer import Answering  # noqa: E402

BODY = openpose.BodyNet, {"limbs": 2, "stages": 2, "width": 16}
BODY25 = openpose.Body25Net, {"limbs": 2, "field_stages": 2, "widths": ((4, 8), (6, 9))}
PART = openpose.PartNet, {"stages": 2, "width": 16}
LIGHT = openpose_light.LightOpenPoseNet, {"limbs": 2, "width": 16}
POSENET = posenet.PoseNet, {"edges": 2, "multiplier": 0.25}
SMALL = pytest.mark.parametrize(
    ("net", "numbers"),
    [BODY, BODY25, PART, LIGHT, POSENET],
    ids=["body", "body-25", "part", "light", "posenet"],
)


def loaded(net, name):
    """What the net says of the published input, and its answer."""
    net.load_state_dict(openpose.published(golden.state(name)))
    with torch.no_grad():
        said = net(golden.image(name))
    return said, net.answer(said)


def test_published_body_18():
    net = openpose.BodyNet(18, **openpose.VARIANTS["openpose-body-18"])
    _, (joints, fields) = loaded(net, "openpose_body")
    golden.check("openpose_body", {"0": fields, "1": joints})


def test_published_body_25():
    net = openpose.Body25Net(25, **openpose.VARIANTS_25["openpose-body-25"])
    (joints, fields), answer = loaded(net, "openpose_body25")
    stages = {f"Mconv7_stage{s}_L1": joints[:, s] for s in range(1)}
    stages |= {f"Mconv7_stage{s}_L2": fields[:, s] for s in range(4)}
    golden.check("openpose_body25", stages | {"net_output": torch.cat(answer, 1)})


def test_published_face():
    net = openpose.PartNet(70, **openpose.VARIANTS_OF_PARTS["openpose-part"])
    _, (joints,) = loaded(net, "openpose_face")
    golden.check("openpose_face", {"net_output": joints})


def test_published_light_openpose():
    net = openpose_light.LightOpenPoseNet(18).eval()
    net.load_state_dict(golden.state("lightweight_openpose"))
    with torch.no_grad():
        joints, fields = net(golden.image("lightweight_openpose"))
    stages = [joints[:, 0], fields[:, 0], joints[:, 1], fields[:, 1]]
    golden.check("lightweight_openpose", {str(i): maps for i, maps in enumerate(stages)})


def test_published_posenet():
    net = posenet.PoseNet(17, **posenet.VARIANTS["posenet-100"]).eval()
    net.load_state_dict(golden.state("posenet_mobilenet_101"))
    with torch.no_grad():
        said = net.answer(net(golden.image("posenet_mobilenet_101")))
    golden.check("posenet_mobilenet_101", {str(i): maps for i, maps in enumerate(said)})


@pytest.mark.parametrize(
    ("name", "first", "last"), [("posenet-050", 16, 256), ("posenet-075", 24, 384)]
)
def test_posenets_of_less_width_end_as_they_went_on(name, first, last):
    """As published: no seventh stride, so nothing is dilated, and no layer of 1024 · multiplier."""
    net = posenet.PoseNet(17, **posenet.VARIANTS[name])
    assert posenet.numbers(net.state_dict()) == posenet.VARIANTS[name] | {"edges": 16}
    layers = [m for m in net.features.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(layer.dilation == (1, 1) for layer in layers)
    assert len(layers) == 1 + 2 * 13
    assert len(net.features.conv0.conv.weight) == first
    ends = [len(net.features[n].pointwise.weight) for n in range(6, 14)]
    assert ends == [last] * 8
    assert net(torch.zeros(1, 3, 65, 33))[0].shape == (1, 17, 5, 3)


def test_the_posenet_of_full_width_widens_and_is_dilated_at_its_end():
    net = posenet.PoseNet(17, **posenet.VARIANTS["posenet-100"])
    assert posenet.numbers(net.state_dict()) == {"edges": 16, "multiplier": 1, "wide": True}
    assert net.features.conv12.depthwise.dilation == (1, 1)
    assert net.features.conv13.depthwise.dilation == (2, 2)


def test_caffe_names_with_and_without_the_groups_of_the_port_are_ours():
    ours = openpose.BodyNet(3, limbs=2, stages=2, width=8).state_dict()
    caffe = {name.removeprefix("layers."): value for name, value in ours.items()}
    port = {f"model{2 if 'stage2' in n else 0}_1.{n}": value for n, value in caffe.items()}
    assert list(openpose.published(caffe)) == list(openpose.published(port)) == list(ours)


@pytest.mark.parametrize(
    ("build", "megabytes"),
    [
        (lambda: openpose.BodyNet(15, **openpose.VARIANTS["openpose-body-mpii"]), 205.9),
        (lambda: openpose.PartNet(21, **openpose.VARIANTS_OF_PARTS["openpose-part"]), 147.3),
    ],
    ids=["mpii", "hand"],
)
def test_published_sizes_of_files(build, megabytes):
    with torch.device("meta"):
        net = build()
    numbers = sum(p.numel() for p in net.parameters())
    assert 4 * numbers / 1e6 == pytest.approx(megabytes, abs=0.05)


def test_every_refinement_of_the_light_one_says_its_maps():
    net = openpose_light.LightOpenPoseNet(3, **LIGHT[1], refinements=3).eval()
    joints, fields = net(torch.zeros(1, 3, 64, 96))
    assert joints.shape == (1, 4, 4, 8, 12)
    assert fields.shape == (1, 4, 4, 8, 12)


@pytest.mark.parametrize(("stride", "cells"), [(8, (9, 13)), (16, (5, 7)), (32, (3, 4))])
def test_posenet_of_any_stride(stride, cells):
    net = posenet.PoseNet(17, multiplier=0.25, stride=stride).eval()
    said = net(torch.zeros(1, 3, 65, 97))
    assert [tuple(maps.shape[1:]) for maps in said] == [(c, *cells) for c in (17, 34, 32, 32)]


@SMALL
def test_every_parameter_learns(net, numbers):
    torch.manual_seed(0)
    image = torch.randn(2, 3, 65, 97)

    def loss(said):
        return sum((maps - 1).square().mean() for maps in network_laws.tensors(said))

    network_laws.every_parameter_learns(net(3, **numbers), image, loss)


@SMALL
def test_a_batch_is_its_pictures(net, numbers):
    torch.manual_seed(0)
    images = torch.randn(3, 3, 65, 97)
    network_laws.batched_equals_single(net(3, **numbers), images, tolerance=1e-4)


@pytest.mark.parametrize("small", [BODY, LIGHT, POSENET], ids=["body", "light", "posenet"])
def test_onnx_is_torch(tmp_path, small):
    torch.manual_seed(0)
    build, numbers = small
    net = Answering(build(3, **numbers))
    network_laws.onnx_equals_torch(net, torch.randn(2, 3, 65, 97), tmp_path / "net.onnx")


def test_the_loss_of_maps_counts_every_stage_and_no_cell_of_weight_0():
    joints, fields = torch.ones(2, 3, 4, 5, 6), torch.zeros(2, 3, 8, 5, 6)
    targets = torch.zeros(2, 4, 5, 6), torch.zeros(2, 8, 5, 6)
    known = torch.ones(2, 1, 5, 6)
    known[:, :, 0] = 0
    total, weight = openpose.maps_loss((joints, fields), targets, (known, known))
    assert total == 2 * 3 * 4 * 4 * 6
    assert weight == 2


def test_the_loss_of_posenet_is_least_at_the_targets():
    shapes = (3, 6, 4, 4)
    said = tuple(torch.zeros(2, c, 5, 6, requires_grad=True) for c in shapes)
    half = torch.full((2, 3, 5, 6), 0.5), torch.ones(2, 3, 5, 6)
    fields = tuple((torch.zeros(2, c, 5, 6), torch.ones(2, c // 2, 5, 6)) for c in shapes[1:])
    total, weight = posenet.posenet_loss(said, half, fields, 16.0)
    assert (total / weight).item() == pytest.approx(0.6931, abs=1e-4)

    total.backward()
    assert all(maps.grad.abs().max() < 1e-7 for maps in said)
