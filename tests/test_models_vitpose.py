"""ViTPose: the published answers and sizes, both decoders, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import OptionError  # noqa: E402
from everybody.models.vitpose import VARIANTS, VitPoseNet, numbers, published  # noqa: E402
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


MMPOSE = {  # ours -> mmpose's
    "keypoint_head.": "head.",
    ".patch_embed.proj.": ".patch_embed.projection.",
    ".last_norm.": ".ln1.",
    ".blocks.": ".layers.",
    ".norm1.": ".ln1.",
    ".norm2.": ".ln2.",
    ".mlp.fc1.": ".ffn.layers.0.0.",
    ".mlp.fc2.": ".ffn.layers.1.",
}


@pytest.mark.parametrize("decoder", ["classic", "simple"])
def test_names_of_mmpose_are_ours_and_it_has_no_position_of_a_token(decoder):
    state = VitPoseNet(5, decoder=decoder, **SMALL).state_dict()
    theirs = dict(state)
    for ours, other in MMPOSE.items():
        theirs = {name.replace(ours, other): value for name, value in theirs.items()}
    assert not [name for name in theirs if ".norm" in name or "mlp" in name or "blocks" in name]
    positions = theirs["backbone.pos_embed"][:, 1:]
    theirs["backbone.pos_embed"] = positions

    found = published(theirs)
    assert found.keys() == state.keys()
    assert numbers(found) == {"joints": 5, "decoder": decoder}
    assert found["backbone.pos_embed"].shape == state["backbone.pos_embed"].shape
    assert torch.equal(found["backbone.pos_embed"][:, 1:], positions)
    assert not found["backbone.pos_embed"][:, 0].any()
    assert torch.equal(
        found["backbone.blocks.1.mlp.fc2.bias"], state["backbone.blocks.1.mlp.fc2.bias"]
    )


def test_what_only_pretraining_and_other_data_sets_need_goes():
    state = VitPoseNet(5, **SMALL).state_dict()
    more = {
        "backbone.cls_token": torch.zeros(1, 1, 32),
        "backbone.blocks.0.mlp.experts.2.weight": torch.zeros(8, 128),
        "associate_keypoint_heads.0.final_layer.bias": torch.zeros(14),
    }
    assert list(published(state | more)) == list(state)


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
