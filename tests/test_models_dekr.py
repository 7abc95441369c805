"""DEKR: as published, by numbers, by law; two pictures by heart."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.methods.dekr import DekrCodec, decode  # noqa: E402
from everybody.models.dekr import (  # noqa: E402
    VARIANTS,
    AdaptiveBlock,
    DekrNet,
    dekr_losses,
    heatmap_loss,
    offset_loss,
    poses,
    published,
)
from tests import golden, network_laws  # noqa: E402

TINY = VARIANTS["dekr-tiny"]


def test_it_says_what_the_published_one_says():
    net = DekrNet(**VARIANTS["dekr-w32"]).eval()
    net.load_state_dict(published(golden.state("dekr_w32")))
    with torch.no_grad():
        said = net(golden.image("dekr_w32"))
    golden.check(
        "dekr_w32",
        {"heatmap": said.heatmaps, "offset": said.offsets, "pose": poses(said.offsets)},
    )


def of_mmpose(state, joints, head, branch):
    """A state by mmpose's names: the joints' layers in groups, linear map and shift in one."""
    theirs = {}
    for name, value in state.items():
        if name.startswith(("offset_feature", "offset_final")):
            continue
        for ours, other in (
            ("transition_heatmap.0.", "heatmap_conv_layers.0.conv."),
            ("transition_heatmap.1.", "heatmap_conv_layers.0.bn."),
            ("head_heatmap.0.0.", "heatmap_conv_layers.1."),
            ("head_heatmap.1.", "heatmap_conv_layers.2."),
            ("transition_offset.0.", f"{branch}.0.conv."),
            ("transition_offset.1.", f"{branch}.0.bn."),
        ):
            name = name.replace(ours, f"{head}.{other}")
        theirs[name if name.startswith(head) else f"backbone.{name}"] = value

    def together(form):
        return torch.cat([state[form.format(joint)] for joint in range(joints)])

    sign = -1 if branch.startswith("displacement") else 1
    for kind in ("weight", "bias"):
        theirs[f"{head}.{branch}.3.{kind}"] = sign * together(f"offset_final_layer.{{}}.{kind}")
        for layer in (1, 2):
            rows = []
            for joint in range(joints):
                block = f"offset_feature_layers.{joint}.{layer - 1}."
                matrix = state[f"{block}transform_matrix_conv.{kind}"].unflatten(0, (2, 2))
                matrix = matrix - torch.eye(2) if kind == "bias" else matrix
                shift = state[f"{block}translation_conv.{kind}"][:, None]
                rows.append(torch.cat([matrix, shift], 1).flatten(0, 1))
            theirs[f"{head}.{branch}.{layer}.transform_matrix_conv.{kind}"] = torch.cat(rows)
    for layer in (1, 2):
        block = f"offset_feature_layers.{{}}.{layer - 1}."
        theirs[f"{head}.{branch}.{layer}.adapt_conv.weight"] = together(f"{block}adapt_conv.weight")
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            theirs[f"{head}.{branch}.{layer}.norm.{leaf}"] = together(f"{block}bn.{leaf}")
        counter = "num_batches_tracked"
        theirs[f"{head}.{branch}.{layer}.norm.{counter}"] = state[f"{block.format(0)}bn.{counter}"]
        grid = state[f"{block.format(0)}regular_matrix"]
        theirs[f"{head}.{branch}.{layer}.regular_matrix"] = torch.cat([grid, torch.ones(1, 9)])
    return theirs


@pytest.mark.parametrize(
    ("head", "branch"),
    [("head", "displacement_conv_layers"), ("keypoint_head", "offset_conv_layers")],
)
def test_names_and_groups_of_mmpose_are_ours(head, branch):
    torch.manual_seed(0)
    state = DekrNet(4, **(TINY | {"channels": 3})).state_dict()
    theirs = of_mmpose(state, 4, head, branch)
    theirs["head.rescore_net.l1.weight"] = torch.zeros(1)
    if head == "keypoint_head":  # the centres' heatmap comes first
        for kind in ("weight", "bias"):
            value = theirs[f"{head}.heatmap_conv_layers.2.{kind}"]
            theirs[f"{head}.heatmap_conv_layers.2.{kind}"] = torch.cat([value[-1:], value[:-1]])
    ours = published(theirs)
    assert ours.keys() == state.keys()
    for name, value in state.items():
        torch.testing.assert_close(ours[name], value, msg=name)


def test_places_of_mmpose_are_ours():
    """It multiplies [A - 1 | t] with the grid and a row of ones."""
    block = AdaptiveBlock(3)
    theirs = torch.randn(6)
    grid = torch.cat([block.regular_matrix, torch.ones(1, 9)])
    wanted = theirs.reshape(2, 3) @ grid
    parts = published({
        "head.displacement_conv_layers.1.transform_matrix_conv.bias": theirs,
        "head.displacement_conv_layers.3.bias": torch.zeros(2),
    })  # fmt: skip
    matrix = parts["offset_feature_layers.0.0.transform_matrix_conv.bias"].reshape(2, 2)
    shift = parts["offset_feature_layers.0.0.translation_conv.bias"]
    found = matrix @ block.regular_matrix - block.regular_matrix + shift[:, None]
    torch.testing.assert_close(found, wanted)


def test_w48_has_about_the_published_number_of_parameters():
    """The paper's table 1 counts 65.7 million."""
    with torch.device("meta"):
        net = DekrNet(**VARIANTS["dekr-w48"])
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(65.7, rel=0.01)


def test_an_untold_adaptive_block_is_an_ordinary_convolution():
    """The identity for the linear map, no shift: the places are the regular grid."""
    torch.manual_seed(0)
    block = AdaptiveBlock(4).eval()
    for layer in (block.transform_matrix_conv, block.translation_conv):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    block.transform_matrix_conv.bias.data[:] = torch.tensor([1.0, 0, 0, 1])
    torch.nn.init.normal_(block.adapt_conv.weight)
    x = torch.randn(2, 4, 7, 9)
    with torch.no_grad():
        plain = torch.nn.functional.conv2d(x, block.adapt_conv.weight, padding=1)
        torch.testing.assert_close(block(x), (block.bn(plain) + x).relu(), rtol=1e-4, atol=1e-5)


def test_the_laws_of_networks(tmp_path):
    torch.manual_seed(0)
    net, images = DekrNet(3, **TINY), torch.randn(2, 3, 64, 96)
    network_laws.every_parameter_learns(
        net, images, lambda said: sum(part.square().sum() for part in said)
    )
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(net, images, tmp_path / "net.onnx")


def test_the_losses_have_known_values():
    said, wanted = torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2)
    weight = torch.full((1, 2, 2, 2), 0.5)
    assert [part.item() for part in heatmap_loss(said, wanted, weight)] == [4, 8]
    loss, count = offset_loss(said, wanted, weight)
    assert count == 4
    assert loss.item() == pytest.approx(4 * (1 - 1 / 18))
    assert offset_loss(wanted, wanted, weight)[0] == 0


def test_two_pictures_by_heart():
    """Two bright boxes, side by side, joints at their corners and middle; and nobody."""
    torch.manual_seed(0)
    codec = DekrCodec(cells=(24, 16), sigma=1.0, centre_sigma=1.5, reach=1)
    boxes = np.array([[1.0, 2, 9, 13], [13, 3, 21, 12]])
    image = torch.full((2, 3, 64, 96), -1.0)
    for x0, y0, x1, y1 in (boxes * 4).astype(int):
        image[0, :, y0:y1, x0:x1] = 1
    corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]]
    points = np.concatenate([corners, corners.mean(1, keepdims=True)], 1)
    keypoints = np.concatenate([points, np.ones((2, 5, 1))], 2)
    rows = [codec.encode(keypoints), codec.encode(keypoints[:0])]
    targets = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}

    net = DekrNet(5, **TINY).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(100):
        losses = dekr_losses(net(image), targets)
        optimiser.zero_grad()
        (heat, cells), (away, weight) = losses["heatmaps"], losses["offsets"]
        (100 * heat / cells + 0.1 * away / weight).backward()
        optimiser.step()
    with torch.no_grad():  # two pictures are too few for running averages
        heatmaps, offsets = (part.numpy() for part in net(image))
    found, scores = decode(heatmaps[0], offsets[0], threshold=0.3)
    sure = found[scores > 0.3]
    assert len(sure) == 2
    assert np.abs(sure[np.argsort(sure[:, 0, 0]), :, :2] - points).max() < 1
    assert len(decode(heatmaps[1], offsets[1], threshold=0.3)[0]) == 0
