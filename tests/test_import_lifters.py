"""Checkpoints of VideoPose3D: shapes tell joints, frames and channels; options tell the rest."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from typer.testing import CliRunner  # noqa: E402

from everybody import runtime  # noqa: E402
from everybody.cli import app  # noqa: E402
from everybody.errors import DataError  # noqa: E402
from everybody.models.videopose import VideoPoseNet  # noqa: E402
from everybody.train import importing  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def net(joints: int = 17, **numbers: Any) -> VideoPoseNet:
    torch.manual_seed(0)
    return VideoPoseNet(joints, **{"channels": 8, **numbers}).eval()


def saved(path: Path, **content: Any) -> Path:
    """A checkpoint as the authors' training writes it."""
    optimiser = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}
    draws = np.random.RandomState(1234)
    torch.save({"epoch": 80, "lr": 0.1, "random_state": draws, "optimizer": optimiser} | content,
               path)  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("network", "joints", "numbers"),
    [
        ("videopose3d", 17, {}),
        ("videopose3d", 15, {"channels": 128}),
        ("videopose3d", 17, {"widths": (3, 3, 3, 3)}),
        ("videopose3d-causal", 17, {"widths": (3, 3, 3, 3, 3), "causal": True}),
        ("videopose3d", 15, {"widths": (1, 1, 1)}),
        ("videopose3d-dense", 17, {"dense": True}),
        ("videopose3d-dense", 17, {"dense": True, "widths": (1, 1, 1)}),
        ("videopose3d-dense", 17, {"dense": True, "widths": (5, 3)}),
        ("videopose3d-causal-dense", 15, {"dense": True, "causal": True, "widths": (3, 3, 3, 3)}),
    ],
)
def test_shapes_tell_the_numbers(tmp_path, network, joints, numbers):
    made = net(joints, **numbers)
    file = saved(tmp_path / "net.bin", model_pos=made.state_dict())
    found = importing.read(file, network)
    assert (found.joints, found.answered, found.size) == (joints, joints, (joints, made.field))
    assert found.told["channels"] == numbers.get("channels", 8)
    clip = torch.randn(2, made.field + 3, joints, 2)
    assert torch.equal(found.net(clip), made(clip))

    torch.save(made.state_dict(), tmp_path / "plain.pt")
    assert torch.equal(importing.read(tmp_path / "plain.pt", network).net(clip), made(clip))


def test_a_dilated_network_is_not_taken_for_a_dense_one(tmp_path):
    file = saved(tmp_path / "net.bin", model_pos=net().state_dict())
    with pytest.raises(DataError, match=r"architecture than videopose3d-dense: .*layers_conv\.0"):
        importing.read(file, "videopose3d-dense")


def test_the_trajectorys_network_is_imported_by_its_key_and_gives_the_root(tmp_path):
    """The command says what shapes do not tell; the file is the network in torch."""
    made = net(joints_out=1, widths=(3, 3), causal=True)
    file = saved(tmp_path / "both.bin", model_pos=net().state_dict(), model_traj=made.state_dict())
    out = tmp_path / "root.onnx"
    command = ["weights", "import", str(file), "--as", "videopose3d-causal", "-o", str(out)]
    result = CliRunner().invoke(app, [*command, "--key", "model_traj"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "do not tell whether a network is causal or dense" in result.stderr
    assert "root.onnx: 1 joints (lift), inputs of 17x9" in result.stderr
    assert "skeleton" not in tomllib.loads(result.stdout)["model"]["root"]
    clip = torch.randn(1, 12, 17, 2)
    (found,) = runtime.load(out, device="cpu", threads=1)(clip.numpy())
    assert found.shape == (1, 4, 1, 3)
    assert np.allclose(found, made(clip).detach(), atol=1e-5)

    wrong = CliRunner().invoke(app, [*command, "--key", "model"])
    assert isinstance(wrong.exception, DataError)
    assert "no state dict 'model'; expected one of: optimizer, model_pos, model_traj" in str(
        wrong.exception
    )


def test_a_checkpoint_of_the_trajectorys_network_alone_needs_no_key(tmp_path):
    file = saved(tmp_path / "one.bin", model_traj=net(joints_out=1).state_dict())
    assert importing.read(file, "videopose3d").answered == 1
    file = saved(tmp_path / "half.bin", model_pos=net().state_dict(), model_traj=None)
    assert importing.read(file, "videopose3d").answered == 17
