"""Simple Baselines (Xiao et al. 2018): the published numbers give the published answers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.models import MODELS  # noqa: E402
from everybody.models.simple_baseline import SimpleBaselineNet, published  # noqa: E402
from tests import golden  # noqa: E402


@pytest.mark.parametrize(
    ("name", "layers", "joints"),
    [
        ("simple_baseline_r18", 18, 17),
        ("simple_baseline_r34", 34, 16),
        ("simple_baseline_r50", 50, 17),
    ],
)
def test_the_published_numbers_give_the_published_answers(name, layers, joints):
    net = SimpleBaselineNet(joints, layers=layers).eval()
    net.load_state_dict(golden.state(name))
    with torch.no_grad():
        golden.check(name, {"out": net(golden.image(name))})


@pytest.mark.parametrize(
    ("layers", "millions"), [(50, 34.0), (101, 53.0), (152, 68.6)]
)  # table 2 of the paper
def test_the_published_sizes_are_variants_by_number(layers, millions):
    with torch.device("meta"):
        net = MODELS[f"simple-baseline-{layers}"].build(17, None)
    count = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("head", ["", "keypoint_head.", "head.", "head.pose_head."])
def test_names_of_all_editions_are_ours(head):
    """Those of mmpose's last edition may stand beside a head of visibility, which goes."""
    with torch.device("meta"):
        state = SimpleBaselineNet(5, layers=18, width=8).state_dict()
    body = "backbone." if head else ""
    theirs = {
        (head if name.startswith(("deconv", "final")) else body) + name: value
        for name, value in state.items()
    }
    more = {"head.vis_head.0.weight": torch.zeros(5)} if "pose" in head else {}
    assert list(published(theirs | more)) == list(state)
