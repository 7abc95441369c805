"""ViTPose: the published answers and sizes, both decoders, and the laws of all networks."""

from __future__ import annotations

import re

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
    assert told.pop("size") == (192, 256)
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
    assert numbers(found) == {"joints": 5, "decoder": decoder, "size": (48, 64)}
    assert found["backbone.pos_embed"].shape == state["backbone.pos_embed"].shape
    assert torch.equal(found["backbone.pos_embed"][:, 1:], positions)
    assert not found["backbone.pos_embed"][:, 0].any()
    assert torch.equal(
        found["backbone.blocks.1.mlp.fc2.bias"], state["backbone.blocks.1.mlp.fc2.bias"]
    )


TRANSFORMERS = {  # ours -> those of transformers
    ".patch_embed.proj.": ".embeddings.patch_embeddings.projection.",
    ".pos_embed": ".embeddings.position_embeddings",
    ".last_norm.": ".layernorm.",
    ".blocks.": ".encoder.layer.",
    ".norm1.": ".layernorm_before.",
    ".norm2.": ".layernorm_after.",
    ".attn.proj.": ".attention.output.dense.",
    "keypoint_head.deconv_layers.0.": "head.deconv1.",
    "keypoint_head.deconv_layers.1.": "head.batchnorm1.",
    "keypoint_head.deconv_layers.3.": "head.deconv2.",
    "keypoint_head.deconv_layers.4.": "head.batchnorm2.",
    "keypoint_head.final_layer.": "head.conv.",
}


@pytest.mark.parametrize("decoder", ["classic", "simple"])
def test_names_of_transformers_are_ours_and_its_three_layers_are_one(decoder):
    state = VitPoseNet(5, decoder=decoder, **SMALL).state_dict()
    theirs = {}
    for name, value in state.items():
        block, three, leaf = name.partition(".attn.qkv.")
        if three:
            kinds = zip(("query", "key", "value"), value.chunk(3), strict=True)
            theirs |= {f"{block}.attention.attention.{kind}.{leaf}": part for kind, part in kinds}
            continue
        for ours, other in TRANSFORMERS.items():
            name = name.replace(ours, other)
        theirs[name] = value
    theirs = {name.replace(".blocks.", ".encoder.layer."): v for name, v in theirs.items()}
    assert not [name for name in theirs if re.search(r"qkv|keypoint|blocks|\.norm\d|embed\.", name)]

    found = published(theirs)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())


@pytest.mark.parametrize("names", [".mlp.experts.", ".mlp.experts.experts."])
def test_of_experts_the_first_is_taken_and_what_only_others_need_goes(names):
    state = VitPoseNet(5, **SMALL).state_dict()
    theirs = {
        "backbone.cls_token": torch.zeros(1, 1, 32),
        "associate_keypoint_heads.0.final_layer.bias": torch.zeros(14),
    }
    for name, value in state.items():
        block, part, leaf = name.partition(".mlp.fc2.")
        theirs[name] = value[:24] if part else value
        if part:
            theirs |= {f"{block}{names}{n}.{leaf}": value[24:] + n for n in range(3)}
    found = published(theirs)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    ("size", "told"),
    [((288, 384), (288, 384)), ((256, 256), (256, 256)), ((128, 256), None), ((64, 48), (48, 64))],
)
def test_positions_tell_a_crop_of_a_published_shape(size, told):
    with torch.device("meta"):
        state = VitPoseNet(5, **(SMALL | {"size": size})).state_dict()
    assert numbers(state).get("size") == told


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
