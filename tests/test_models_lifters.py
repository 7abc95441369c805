"""VideoPose3D and MotionBERT: published answers and sizes, time, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import ModelError, OptionError  # noqa: E402
from everybody.models import motionbert, videopose  # noqa: E402
from everybody.models.motionbert import MotionBertNet  # noqa: E402
from everybody.models.videopose import VideoPoseNet, position_error  # noqa: E402
from tests import golden, network_laws  # noqa: E402

SMALL = {"channels": 16, "dropout": 0.0}
TINY = {"width": 16, "depth": 2, "heads": 4, "representation": 24, "frames": 9}


def moved_norms(net):
    """The network in eval mode, with normalisation that is not the identity."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return net.eval()


def test_videopose3d_answers_as_published():
    state = golden.state("videopose3d_27")
    told = videopose.numbers(state)
    assert told.pop("size") == (17, 27)
    assert told == {"joints": 17, "joints_out": 17, "widths": (3, 3, 3), "channels": 1024}
    net = VideoPoseNet(**told).eval()
    net.load_state_dict(state)
    with torch.no_grad():
        golden.check("videopose3d_27", {"out": net(golden.image("videopose3d_27"))})
    assert (
        sum(p.numel() for p in net.parameters())
        == golden.fill().spec("videopose3d_27")["parameters"]
    )


def test_motionbert_answers_as_published():
    state = golden.state("motionbert_lite")
    told = motionbert.numbers(state)
    assert told.pop("size")[0] == 17
    assert told["frames"] == 243
    net = MotionBertNet(**told).eval()
    net.load_state_dict(state)
    with torch.no_grad():
        rep = net.represent(golden.image("motionbert_lite"))
        golden.check("motionbert_lite", {"rep": rep, "out": net.head(rep)})


@pytest.mark.parametrize(
    ("build", "variants", "name", "millions"),
    [
        (VideoPoseNet, videopose.VARIANTS, "videopose3d-27", 8.56),
        (VideoPoseNet, videopose.VARIANTS, "videopose3d-81", 12.75),
        (VideoPoseNet, videopose.VARIANTS, "videopose3d-243", 16.95),
        (MotionBertNet, motionbert.VARIANTS, "motionbert-lite", 16.00),
        (MotionBertNet, motionbert.VARIANTS, "motionbert", 42.5),
    ],
)
def test_published_numbers_of_parameters(build, variants, name, millions):
    with torch.device("meta"):
        net = build(**variants[name])
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"dense": True}, {"widths": (3, 5)}])
def test_a_clip_gives_what_its_windows_give_one_by_one(options):
    torch.manual_seed(0)
    net = moved_norms(VideoPoseNet(4, **options, **SMALL))
    clip = torch.randn(2, net.field + 5, 4, 2)
    whole = net(clip)
    assert whole.shape == (2, 6, 4, 3)
    for t in range(6):
        window = net(clip[:, t : t + net.field])
        assert torch.allclose(whole[:, t : t + 1], window, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_padded_clips_give_a_pose_per_frame_and_causal_ones_know_no_future(causal):
    torch.manual_seed(0)
    net = moved_norms(VideoPoseNet(4, widths=(3, 3), causal=causal, **SMALL))
    clip = torch.randn(1, 12, 4, 2)

    def lifted(clip):
        before, after = net.padding
        return net(torch.cat([clip[:, :1]] * before + [clip] + [clip[:, -1:]] * after, 1))

    one = lifted(clip)
    assert one.shape == (1, 12, 4, 3)
    changed = clip.clone()
    changed[:, 8:] += 1
    same = (lifted(changed) - one).abs().amax((0, 2, 3)) < 1e-6
    assert same[:4].all()  # out of sight of either
    assert same[4:8].all() == causal
    assert not same[8:].any()


def test_a_causal_shortcut_ends_with_the_newest_frame():
    """Without what its convolutions add, a causal block passes the newest frame it sees."""
    for causal, frame in ((False, 4), (True, 7)):
        net = VideoPoseNet(1, widths=(3, 3), causal=causal, **SMALL).eval()
        with torch.no_grad():
            net.layers_conv[1].weight.zero_()
        clip = torch.zeros(1, 9, 1, 2)
        clip[:, frame - 1 : frame + 2] = 5.0  # all that the first layer sees for this frame
        other = torch.zeros(1, 9, 1, 2)
        assert not torch.allclose(net(clip), net(other))
        clip[:, frame - 1 : frame + 2] = 0.0
        clip[:, 0] = 5.0
        assert torch.allclose(net(clip), net(other))


def test_the_roots_network_has_one_joint_and_its_error_is_by_distance():
    net = VideoPoseNet(4, joints_out=1, features=3, **SMALL).eval()
    assert net(torch.randn(2, 27, 4, 3)).shape == (2, 1, 1, 3)
    truth = torch.tensor([[0.0, 0.0, 4.0], [0.0, 0.0, 2.0]])
    total, weight = position_error(truth + torch.tensor([0.3, 0.4, 0.0]), truth, 1 / truth[:, 2])
    assert total == pytest.approx(0.5 / 4 + 0.5 / 2)
    assert weight == pytest.approx(0.75)


def test_motionbert_knows_joints_and_frames_by_their_places_alone():
    """With no embeddings of places, permuted joints and frames give permuted answers."""
    torch.manual_seed(0)
    net = MotionBertNet(5, **TINY).eval()
    with torch.no_grad():
        net.pos_embed.zero_()
        net.temp_embed.zero_()
    clip, joints, frames = torch.randn(2, 7, 5, 3), torch.randperm(5), torch.randperm(7)
    permuted = net(clip[:, frames][:, :, joints])
    assert torch.allclose(net(clip)[:, frames][:, :, joints], permuted, atol=1e-6)


@pytest.mark.parametrize(
    ("net", "clip"),
    [
        (lambda: VideoPoseNet(4, widths=(3, 3), **SMALL), (2, 12, 4, 2)),
        (lambda: VideoPoseNet(4, widths=(3, 3), causal=True, **SMALL), (2, 12, 4, 2)),
        (lambda: MotionBertNet(5, **TINY), (2, 9, 5, 3)),
    ],
)
def test_laws(net, clip, tmp_path):
    torch.manual_seed(0)
    net, clips = net(), torch.randn(clip)
    network_laws.every_parameter_learns(net, clips, lambda said: (said - 1).square().sum())
    network_laws.batched_equals_single(net, clips)
    network_laws.onnx_equals_torch(net, clips, tmp_path / "net.onnx")


def test_what_cannot_be_is_refused():
    with pytest.raises(OptionError, match=r"widths \(3, 2\)"):
        VideoPoseNet(4, widths=(3, 2))
    with pytest.raises(OptionError, match="7 heads"):
        MotionBertNet(5, heads=7)
    with pytest.raises(ModelError, match=r"10 frames .* at most 9"):
        MotionBertNet(5, **TINY)(torch.zeros(1, 10, 5, 3))
