"""TFLite files: their engine, what it refuses, and the public MoveNet and PoseNet files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from everybody import runtime
from everybody.errors import ModelError, OptionError
from everybody.estimator import Estimator
from everybody.skeletons import COCO17
from synthetic import nets

FILES = {"movenet-lightning": "movenet-lightning-int8.tflite", "posenet": "posenet-mbv1-075.tflite"}

needs_litert = pytest.mark.skipif("litert" not in runtime.engines(), reason="needs extra tflite")


def test_a_file_without_the_engine_says_which_extra_to_install(tmp_path, monkeypatch):
    file = tmp_path / "net.tflite"
    file.write_bytes(b"TFL3")
    monkeypatch.setattr(runtime, "engines", lambda: ["onnxruntime"])
    with pytest.raises(OptionError, match=r"net\.tflite.*pip install 'everybody\[tflite\]'"):
        runtime.load(file)


@needs_litert
def test_damaged_files_and_wrong_engines_are_refused(tmp_path):
    file = tmp_path / "net.tflite"
    file.write_bytes(b"hello" * 100)
    with pytest.raises(ModelError, match=r"net\.tflite: not a usable TFLite model"):
        runtime.load(file)
    with pytest.raises(OptionError, match="runs on engine 'litert', not on 'openvino'"):
        runtime.load(file, engine="openvino")
    with pytest.raises(OptionError, match="runs on the CPU here"):
        runtime.load(file, device="cuda")
    onnx = nets.constant(tmp_path / "net.onnx", (8, 8), {"out": np.zeros((1, 3))})
    with pytest.raises(OptionError, match=r"'litert' runs \.tflite files"):
        runtime.load(onnx, engine="litert")


@needs_litert
@pytest.mark.parametrize("name", FILES)
def test_public_files_answer_alike_from_all_threads(shared, name):
    session = runtime.load(shared / "weights" / FILES[name])
    rng = np.random.default_rng(0)
    inputs = [rng.integers(0, 255, session.input.shape, np.uint8) for _ in range(6)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(session, inputs))
    for image, answer in zip(inputs, together, strict=True):
        for found, alone in zip(answer, session(image), strict=True):
            assert found.dtype == np.float32
            assert np.array_equal(found, alone)


def test_a_network_of_channels_last_is_fed_so(tmp_path):
    points = np.stack([np.linspace(0.2, 0.8, 17), np.linspace(0.3, 0.7, 17), np.full(17, 0.9)], 1)
    file = nets.constant(tmp_path / "m.onnx", (192, 192), {"p": points[None, None]}, layout="nhwc")
    (tmp_path / "manifest.toml").write_text(
        '[model.own]\ntask = "pose"\nfile = "m.onnx"\nlicence = "?"\nskeleton = "coco-17"\n'
        'padding = 1.0\ncodec = { type = "points", order = "yx", unit = "centre", score = 2 }\n'
        'input = { size = [192, 192], layout = "nhwc" }\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERYBODY_WEIGHTS", str(file.parent))
        people = Estimator(whole=True, pose="own", orientation="upright").estimate(
            np.zeros((96, 96, 3), np.uint8)
        )
    assert people.skeleton == COCO17
    assert people.keypoints[0, :, :2] == pytest.approx(points[:, 1::-1] * 96 - 0.5, abs=0.01)
    assert people.keypoints[0, :, 2] == pytest.approx(0.9)


@needs_litert
@pytest.mark.parametrize("method", ["topdown", "personlab"])
def test_public_files_find_people(shared, method, monkeypatch):
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(shared / "weights"))
    model = {"topdown": "movenet-lightning", "personlab": "posenet-mbv1-075"}[method]
    people = Estimator(method=method, pose=model).estimate(
        Path(__file__).parent.parent / "examples/class.jpg"
    )
    assert len(people) >= 3
    assert (people.keypoints[..., 2] > 0.3).mean() > 0.5
