"""`everybody scale` on Ray, with networks of known answer: equal to `run`, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="needs the extra scale")

from synthetic import nets, s3
from tests import movies

pytestmark = pytest.mark.slow

BOX = np.array([[8, 8, 56, 40, 0.9]], np.float32)
FRAMES = 40


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    """The command's networks, and a folder of two films."""
    (tmp_path / "films").mkdir()
    for name in ("a", "b"):
        movies.encode(tmp_path / "films" / f"{name}.mp4", FRAMES)
    detector = nets.rtmdet_constant(tmp_path / "detector.onnx", BOX)
    pose = nets.heatmap_finder(tmp_path / "pose.onnx", 17)
    return [
        *("--detector", str(detector), "--det-size", "160", "--pose", str(pose)),
        *("--skeleton", "coco-17", "--codec", "heatmap,alignment=corner", "--normalise", "none"),
    ]


def command(folder: Path, dest: str, line: list[str], **more: str) -> subprocess.Popen[bytes]:
    chunks = ["--chunk", "0.3", "--cpus", "1", "--workers", "1", "--json", "-q"]
    arguments = ["-m", "everybody", "scale", str(folder / "films"), "-o", dest, *chunks, *line]
    return subprocess.Popen(
        [sys.executable, *arguments], env={**os.environ, **more}, stdout=subprocess.PIPE
    )


def report(process: subprocess.Popen[bytes]) -> dict:
    said, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(said.splitlines()[-1])


def unbroken(folder: Path, line: list[str]) -> list[str]:
    out = folder / "run"
    arguments = ["-m", "everybody", "run", str(folder / "films"), "-o", str(out), "-q", *line]
    subprocess.run([sys.executable, *arguments], check=True)
    return sorted((out / "frames.jsonl").read_text().splitlines())


def joined(folder: Path) -> list[str]:
    found = [path.read_text().splitlines() for path in folder.glob("films/*/frames.jsonl")]
    return sorted(line for lines in found for line in lines)


def test_equal_to_run_and_done_once(tmp_path: Path, line: list[str]) -> None:
    dest = tmp_path / "out"
    first = report(command(tmp_path, str(dest), line))
    again = report(command(tmp_path, str(dest), line))
    assert joined(dest) == unbroken(tmp_path, line)
    assert (first["done_before"], first["frames"], first["joined"]) == (0, 2 * FRAMES, 2)
    assert again["done_before"] == again["chunks"] == first["chunks"] > 4


def test_a_driver_that_is_killed(tmp_path: Path, line: list[str]) -> None:
    dest = tmp_path / "out"
    process = command(tmp_path, str(dest), line)
    while process.poll() is None and not list(dest.glob("chunks/*/*.parquet")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    report(command(tmp_path, str(dest), line))
    assert joined(dest) == unbroken(tmp_path, line)


def test_s3_that_fails_now_and_then(
    tmp_path: Path, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3 = pytest.importorskip("boto3")
    fsspec = pytest.importorskip("fsspec")
    with s3.serving() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3", endpoint_url=store.url).create_bucket(Bucket="results")
        store.errors = 0.05
        report(command(tmp_path, "s3://results/out", line, **store.environment))
        assert store.refused > 0
        store.errors = 0.0
        fsspec.filesystem("s3").get("results/out", str(tmp_path / "out"), recursive=True)
    assert joined(tmp_path / "out") == unbroken(tmp_path, line)


def test_a_bucket_that_is_not_there(tmp_path: Path, line: list[str]) -> None:
    with s3.serving() as store:
        arguments = ["-m", "everybody", "scale", str(tmp_path / "films"), "-o", "s3://none/out"]
        done = subprocess.run(
            [sys.executable, *arguments, *line],
            env={**os.environ, **store.environment},
            capture_output=True,
        )
    assert done.returncode == 1
    assert b"s3://none/out" in done.stderr
    assert b"Traceback" not in done.stderr
