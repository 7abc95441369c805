"""What users get: the wheel, in an empty environment elsewhere, run without network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from synthetic import nets

REPOSITORY = Path(__file__).resolve().parents[1]
# Every connection fails, as on a machine without network.
OFFLINE = """
import socket
def refuse(*_): raise OSError("no network here")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from everybody.cli import main
main()
"""


def test_the_wheel_does_the_main_job_in_an_empty_environment_without_network(tmp_path):
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(REPOSITORY),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"everybody/py.typed", "everybody/weights/manifest.toml"} <= set(names)
    assert all(name.startswith("everybody") for name in names)

    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", str(wheel)],
        check=True,
        capture_output=True,
    )
    Image.fromarray(nets.blob(160, 160, 60, 70)).save(tmp_path / "picture.png")
    nets.rtmdet_constant(tmp_path / "d.onnx", np.array([[20, 20, 116, 148, 0.9]], np.float32))
    nets.heatmap_finder(tmp_path / "p.onnx", 17)
    options = (
        "--detector d.onnx --det-size 160 --pose p.onnx --skeleton coco-17 "
        "--codec heatmap,alignment=corner"
    )
    command = [
        str(python),
        "-c",
        OFFLINE,
        "run",
        "picture.png",
        *options.split(),
        "--normalise",
        "none",
        "-o",
        "out",
    ]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("EVERYBODY", "PYTHON"))}
    done = subprocess.run(
        [*command, "--save-images", "-f", "coco"], cwd=tmp_path, env=clean, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    (line,) = (tmp_path / "out/frames.jsonl").read_text().splitlines()
    keypoints = np.array(json.loads(line)["people"][0]["keypoints"])
    assert np.abs(keypoints[:, :2] - (60, 70)).max() < 0.6
    assert (tmp_path / "out/images/picture.png").stat().st_size > 0
    has_torch = (
        subprocess.run([str(python), "-c", "import torch"], capture_output=True).returncode == 0
    )
    assert not has_torch, "the base install needs no torch"
