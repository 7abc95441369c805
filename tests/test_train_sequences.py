"""Learning to lift: virtual cameras see what they should, and the loop learns from them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.cli import app  # noqa: E402
from everybody.data.cmu import read_captures  # noqa: E402
from everybody.errors import DataError  # noqa: E402
from everybody.lift import window  # noqa: E402
from everybody.lift.anatomy import bones, stature  # noqa: E402
from everybody.lift.lifter import Network  # noqa: E402
from everybody.models import MODELS  # noqa: E402
from everybody.models.lifter import LifterNet  # noqa: E402
from everybody.models.videopose import VideoPoseNet  # noqa: E402
from everybody.runtime import load  # noqa: E402
from everybody.skeletons import COCO17, H36M17  # noqa: E402
from everybody.train import joint_errors, recipes  # noqa: E402
from everybody.train.sequences import AS_CAPTURED, SequenceTask, examples, mirrored_pose  # noqa: E402
from everybody.train.virtual_cameras import Bodies, Shots, clips  # noqa: E402
from tests import motion, network_laws  # noqa: E402

PLAIN = Shots(reach=(4, 4), noise=0.0, **AS_CAPTURED)
SMALL = {"widths": (3, 3), "channels": 16, "dropout": 0.0}


def bodies() -> Bodies:
    return Bodies.of([motion.capture(40), motion.capture(30, seed=1)])


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_what_a_camera_sees_is_the_projection_of_the_pose():
    """Twelve joints are those of both formats: there is one distance at which all of them agree."""
    points, pose = clips(bodies(), np.arange(10, 20), PLAIN, random())
    assert points.shape == (10, 9, 17, 3)
    assert pose.shape == (10, 17, 3)
    for rays, body in zip(points[:, 4], pose, strict=True):
        shared = [n for n in H36M17.joints if n in COCO17.joints]
        u = rays[[COCO17.joints.index(n) for n in shared], :2]
        p = body[[H36M17.joints.index(n) for n in shared]]
        rows = np.concatenate(
            [np.column_stack([np.ones(12), np.zeros(12), -u[:, 0]]),
             np.column_stack([np.zeros(12), np.ones(12), -u[:, 1]])]
        )  # fmt: skip
        wanted = np.concatenate([u[:, 0] * p[:, 2] - p[:, 0], u[:, 1] * p[:, 2] - p[:, 1]])
        found, *_ = np.linalg.lstsq(rows, wanted, rcond=None)
        assert np.allclose(rows @ found, wanted, atol=1e-5)
        assert found[2] > 1


def test_frames_beyond_the_ends_are_not_known_and_sequences_do_not_mix():
    points, _ = clips(bodies(), np.array([0, 39, 40]), PLAIN, random())
    assert (points[0, :4, :, 2] == 0).all()
    assert (points[0, 4:, :, 2] == 1).all()
    assert (points[1, 5:, :, 2] == 0).all()
    assert (points[2, :4, :, 2] == 0).all()


def test_bodies_differ_in_their_bones_but_left_is_as_right():
    _, pose = clips(bodies(), np.arange(5), replace(PLAIN, bones=0.2), random())
    _, same = clips(bodies(), np.arange(5), PLAIN, random())
    change = bones(pose)[:, 1:] / bones(same)[:, 1:]
    assert change.std() > 0.05
    order = np.array(H36M17.mirror)[1:] - 1
    legs = [
        k for k in range(16) if "knee" in H36M17.joints[k + 1] or "ankle" in H36M17.joints[k + 1]
    ]
    assert np.allclose(change[:, legs], change[:, order][:, legs], atol=1e-4)


def test_poses_that_are_learnt_are_turned_and_as_tall_as_one():
    said, truth = examples(bodies(), np.arange(5, 25), PLAIN, random())
    assert said.shape == (20, 9, 18, 3)
    assert stature(truth) == pytest.approx(1.0, abs=1e-5)
    assert (truth[:, H36M17.joints.index("head_top"), 1] < -0.2).mean() > 0.9  # y points down
    assert np.allclose(mirrored_pose(mirrored_pose(truth)), truth)
    assert np.allclose(window.mirrored(window.mirrored(said)), said)


def test_errors_are_greater_where_scores_are_lower():
    shots = replace(PLAIN, noise=1.0, reach=(0, 0))
    many = np.random.default_rng(1).integers(0, 70, 4000)
    noisy, _ = clips(bodies(), many, shots, random())
    clean, _ = clips(bodies(), many, replace(shots, noise=0.0), random())
    size = np.sqrt(
        np.square(clean[..., :2] - clean[..., :2].mean(2, keepdims=True)).sum(-1).mean(2)
    )
    gaps = np.linalg.norm(noisy[..., :2] - clean[..., :2], axis=-1) / size[..., None]
    scores = noisy[..., 2]
    medians = [np.median(gaps[(scores > a) & (scores <= a + 0.2)]) for a in (0.2, 0.4, 0.6, 0.8)]
    assert all(a > b for a, b in pairwise(medians))
    assert medians[-1] == pytest.approx(0.045, abs=0.02)  # as measured


def test_tables_of_errors_are_in_order():
    for name in joint_errors.SCORES:
        table = joint_errors.score_table(name)
        assert (np.diff(table) >= 0).all()
        assert table.max() <= 1
    assert (np.diff(joint_errors.deviation_table()) <= 0).all()
    assert {joint_errors.kind(n) for n in COCO17.joints} == set(joint_errors.SCORES) - {"hidden"}


def test_lost_joints_and_frames_leave_the_middle_frame():
    points, _ = clips(bodies(), np.arange(70).repeat(5), Shots(reach=(4, 4)), random())
    assert np.isfinite(points).all()
    assert (points[:, 4, :, 2] > 0).any(1).all()
    assert (points[..., 2] == 0).any()


def test_still_frames_are_left_out():
    still = motion.capture(50, moving=0.0)
    assert len(Bodies.of([still, motion.capture(50, seed=2)]).distinct()) < 52


@pytest.mark.parametrize("numbers", [{}, {"causal": True}, {"widths": (1, 1)}, {"dense": True}])
def test_a_window_by_strides_is_the_networks_answer(numbers):
    torch.manual_seed(0)
    net = LifterNet(17, **(SMALL | numbers)).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)
    clip = torch.randn(3, net.field, 18, 3)
    assert torch.allclose(net(clip), VideoPoseNet.forward(net, clip), atol=1e-5)
    longer = torch.randn(2, net.field + 3, 18, 3)
    assert net(longer).shape == (2, 4, 17, 3)


def test_laws(tmp_path):
    torch.manual_seed(0)
    net, clip = LifterNet(17, **SMALL), torch.randn(2, 9, 18, 3)
    network_laws.every_parameter_learns(net, clip, lambda said: (said - 1).square().sum())
    network_laws.batched_equals_single(net, clip)
    network_laws.onnx_equals_torch(net, clip, tmp_path / "net.onnx")


@pytest.fixture
def data(tmp_path):
    captures = [motion.capture(60), motion.capture(50, subject=2, seed=1)]
    np.savez(tmp_path / "cmu.npz", **motion.packed(captures))
    return tmp_path / "cmu.npz"


def test_the_command_trains_exports_and_the_file_lifts(data, tmp_path, monkeypatch):
    small = MODELS["lifter"].build.__class__(LifterNet, 17, **SMALL)
    tiny = replace(MODELS["lifter"], build=lambda joints, codec: small())
    monkeypatch.setitem(MODELS, "lifter", tiny)
    monkeypatch.setattr("everybody.train.sequences.JUDGED", 40)
    settings = ("held_out=2", "steps=60", "batch=16", "warmup=5", "precision=32-true", "ema=0.9",
                "evaluate_every=30", "log_every=20")  # fmt: skip
    command = ["train", "lifter", "-d", str(data), "-o", str(tmp_path / "run"), "--device", "cpu"]
    app([*command, *(f"--set={one}" for one in settings)], standalone_mode=False)
    lines = (tmp_path / "run" / "log.csv").read_text().splitlines()
    losses = [float(line.split(",")[2]) for line in lines[1:] if line.split(",")[2]]
    assert losses[-1] < 0.8 * losses[0]

    out = tmp_path / "lifter.onnx"
    app(["export", str(tmp_path / "run" / "last.safetensors"), str(out)], standalone_mode=False)
    net = Network(load(out))
    assert net.reach == 4
    poses = net(np.random.default_rng(0).random((2, 9, 17, 3)).astype(np.float32))
    assert poses.shape == (2, 17, 3)
    assert np.abs(poses[:, 0]).max() == 0


def test_who_is_held_out_must_be_there(data):
    captures = read_captures(data)
    for subjects in ("3", "1,2"):
        chosen = recipes.recipe("lifter", [f"held_out={subjects}"])
        with pytest.raises(DataError, match="the data have subjects 1, 2"):
            SequenceTask(chosen, captures)
