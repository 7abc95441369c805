"""SimCC: the published answers with and without deconvolutions, its loss, and the laws of all
networks.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import OptionError  # noqa: E402
from everybody.models.simcc import (  # noqa: E402
    VARIANTS,
    SimccNet,
    divergence,
    numbers,
    published,
)
from tests import golden, network_laws  # noqa: E402

SMALL = {"size": (64, 96), "layers": 18, "width": 8}


@pytest.mark.parametrize(
    ("name", "deconvolutions"), [("simcc_r50", (256, 256, 256)), ("simcc_r50_nodeconv", ())]
)
def test_published_answers(name, deconvolutions):
    state = golden.state(name)
    told = numbers(state)
    assert told.pop("size") == (192, 256)
    assert told.pop("codec") == {"split": 2}
    assert told == {"joints": 17, "deconvolutions": deconvolutions, "per_joint": 1}
    net = SimccNet(**told, **VARIANTS["simcc-50"]).eval()
    net.load_state_dict(state)
    with torch.no_grad():
        features = net.backbone(golden.image(name))[-1]
        x, y = net.head(features)
    golden.check(name, {"features": features, "x": x, "y": y})


PUBLISHED = [  # of the authors: crop, maps per joint without deconvolutions or None, split
    ((64, 64), None, 3.0), ((128, 128), None, 2.0), ((256, 256), None, 2.0),
    ((288, 384), None, 2.0), ((288, 384), None, 1.5),
    ((64, 64), 32, 3.0), ((128, 128), 32, 3.0), ((192, 256), 28, 2.0),
]  # fmt: skip


@pytest.mark.parametrize(("size", "per_joint", "split"), PUBLISHED)
def test_the_authors_names_are_ours_and_tell_crop_maps_and_bins(size, per_joint, split):
    ups = () if per_joint else (8, 8, 8)
    numbers_of = {"deconvolutions": ups, "per_joint": per_joint or 1, "split": split}
    with torch.device("meta"):
        state = SimccNet(17, **(SMALL | {"size": size}), **numbers_of).state_dict()
    theirs = {
        name.removeprefix("backbone.").removeprefix("head.").removeprefix("deconv_head."): value
        for name, value in state.items()
    }
    assert theirs.keys() != state.keys()
    ours = published(theirs)
    assert ours.keys() == state.keys()
    assert published(ours).keys() == state.keys()
    told = numbers(ours)
    assert (told["joints"], told["size"], told["codec"]) == (17, size, {"split": split})
    assert (told["deconvolutions"], told["per_joint"]) == (ups, per_joint or 1)


def test_several_maps_of_a_joint_are_its_own():
    net = SimccNet(3, deconvolutions=(), per_joint=2, **SMALL).head
    features, changed = torch.randn(1, 64, 3, 2), []
    for channel in range(6):
        before = net(features)[0]
        with torch.no_grad():
            net.final_layer.bias[channel] += 1
        changed.append((net(features)[0] - before).abs().amax((0, 2)).argmax().item())
    assert changed == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("setting", "options"),
    [("rtmpose", {"beta": 10.0, "label_softmax": True}), ("simcc", {"beta": 1.0})],
)
def test_published_loss_and_its_gradients(setting, options):
    given = {k: torch.from_numpy(v) for k, v in golden.fill().inputs("simcc_loss").items()}
    said = (given["x"].requires_grad_(), given["y"].requires_grad_())
    total, _ = divergence(said, (given["label_x"], given["label_y"]), given["weight"], **options)
    loss = total / given["weight"].shape[1]  # as published: over the joints, not the people
    loss.backward()
    found = {"": loss.reshape(1), ".grad_x": said[0].grad, ".grad_y": said[1].grad}
    golden.check("simcc_loss", {f"{setting}{key}": value for key, value in found.items()})


def test_loss_is_zero_at_the_target_and_blind_to_joints_of_weight_0():
    target = torch.randn(2, 3, 8).softmax(-1), torch.randn(2, 3, 12).softmax(-1)
    weights = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    said = [part.log() for part in target]
    for part in said:
        part[weights == 0] = 7.0 * torch.randn_like(part[weights == 0])
    total, weight = divergence(said, target, weights)
    assert weight == 3
    assert total == pytest.approx(0, abs=1e-6)
    assert divergence([part.flip(-1) for part in said], target, weights)[0] > 0.01


@pytest.mark.parametrize("deconvolutions", [(16, 16), ()])
def test_laws(deconvolutions, tmp_path):
    torch.manual_seed(0)
    net = SimccNet(5, deconvolutions=deconvolutions, **SMALL)
    images = torch.randn(2, 3, 96, 64)
    x, y = net(images)
    assert (x.shape, y.shape) == ((2, 5, 128), (2, 5, 192))
    network_laws.every_parameter_learns(
        net, images, lambda xy: (torch.cat(xy, 2) - 1).square().sum()
    )
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(net, images, tmp_path / "net.onnx")


def test_crops_that_do_not_divide_are_refused():
    with pytest.raises(OptionError, match=r"100x96 .* multiples of 32"):
        SimccNet(5, **(SMALL | {"size": (100, 96)}))
