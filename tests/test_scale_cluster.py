"""`everybody scale` on Ray, with networks of known answer: equal to `run`, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="needs the extra scale")

from synthetic import nets, s3
from tests import movies

pytestmark = pytest.mark.slow

BOX = np.array([[8, 8, 56, 40, 0.9]], np.float32)
FRAMES = 40


ENVIRONMENT = {  # Ray makes its workers yield to everything else on the machine, if it is let
    "RAY_worker_niceness": "0",
    "PYTHONPATH": str(Path(__file__).parents[1]),
}

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
head = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=head)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster of one node, which believes that it has a GPU."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **ENVIRONMENT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    yield process.stdout.readline().strip()
    process.communicate()


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


def command(
    folder: Path, dest: str, line: list[str], *flags: str, **more: str
) -> subprocess.Popen[bytes]:
    chunks = ["--chunk", "0.3", "--cpus", "1", "--workers", "1", "--json", "-q"]
    arguments = ["-m", "everybody", "scale", str(folder / "films"), "-o", dest, *chunks, *line]
    return subprocess.Popen(
        [sys.executable, *arguments, *flags],
        env={**os.environ, **ENVIRONMENT, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def report(process: subprocess.Popen[bytes]) -> dict:
    """What a run says at its end; nothing else is said, but by Ray's C++, which cannot be kept from
    it.
    """
    said, told = process.communicate()
    lines = [line for line in told.decode().splitlines() if "core_worker.cc" not in line]
    assert (process.returncode, lines) == (0, [])
    return json.loads(said)


def unbroken(folder: Path, line: list[str], *more: str) -> list[str]:
    """What `run` says of each film, of which each begins with id 1."""
    lines = []
    for film in sorted((folder / "films").iterdir()):
        out = folder / "run" / film.name
        arguments = ["-m", "everybody", "run", str(film), "-o", str(out), "-q", *line, *more]
        subprocess.run([sys.executable, *arguments], check=True)
        lines += (out / "frames.jsonl").read_text().splitlines()
    return sorted(lines)


def joined(folder: Path) -> list[str]:
    found = [path.read_text().splitlines() for path in folder.glob("films/*/frames.jsonl")]
    return sorted(line for lines in found for line in lines)


def test_equal_to_run_and_done_once(tmp_path: Path, line: list[str]) -> None:
    """On this machine, with Ray started for it."""
    dest = tmp_path / "out"
    first = report(command(tmp_path, str(dest), line))
    again = report(command(tmp_path, str(dest), line))
    assert joined(dest) == unbroken(tmp_path, line)
    assert (first["done_before"], first["frames"], first["joined"]) == (0, 2 * FRAMES, 2)
    assert again["done_before"] == again["chunks"] == first["chunks"] > 4


def test_a_driver_that_is_killed(tmp_path: Path, line: list[str], address: str) -> None:
    dest, there = tmp_path / "out", ("--address", address)
    process = command(tmp_path, str(dest), line, *there)
    while process.poll() is None and not list(dest.glob("chunks/*/*.parquet")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    report(command(tmp_path, str(dest), line, *there))
    assert joined(dest) == unbroken(tmp_path, line)


@pytest.mark.parametrize("flag", ["--num-gpus=0.5", "--networks=1"])
def test_networks_in_actors_of_their_own(
    tmp_path: Path, line: list[str], address: str, flag: str
) -> None:
    """Two on one GPU, or one on a core; people are followed where the pictures are."""
    dest, track = tmp_path / "out", ("--track", "--detect-every", "1", "--overlap", "0.2")
    report(command(tmp_path, str(dest), line, *track, flag, "--address", address))
    assert joined(dest) == unbroken(tmp_path, line, *track[:-2])


def test_s3_that_fails_now_and_then(
    tmp_path: Path, line: list[str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3 = pytest.importorskip("boto3")
    fsspec = pytest.importorskip("fsspec")
    with s3.serving() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3", endpoint_url=store.url).create_bucket(Bucket="results")
        store.errors = 0.05
        flags = ("--address", address, "--runtime-env", json.dumps({"env_vars": store.environment}))
        report(command(tmp_path, "s3://results/out", line, *flags, **store.environment))
        assert store.refused > 0
        store.errors = 0.0
        fsspec.filesystem("s3").get("results/out", str(tmp_path / "out"), recursive=True)
    assert joined(tmp_path / "out") == unbroken(tmp_path, line)


def refused(tmp_path: Path, line: list[str], dest: str, *flags: str, **more: str) -> str:
    """What the command says when it cannot begin: in one line, without a traceback."""
    process = command(tmp_path, dest, line, *flags, **more)
    said, told = process.communicate()
    assert (process.returncode, said) == (1, b"")
    assert b"Traceback" not in told
    return told.decode()


def test_a_bucket_that_is_not_there(tmp_path: Path, line: list[str]) -> None:
    with s3.serving() as store:
        told = refused(tmp_path, line, "s3://none/out", **store.environment)
    assert "s3://none/out" in told
    assert "bucket does not exist" in told


def test_credentials_that_are_missing(tmp_path: Path, line: list[str]) -> None:
    with s3.serving() as store:
        more = {**store.environment, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
        nothing = str(tmp_path / "nothing")
        more |= {"AWS_SHARED_CREDENTIALS_FILE": nothing, "AWS_CONFIG_FILE": nothing}
        told = refused(tmp_path, line, "s3://results/out", **more)
    assert "no credentials" in told


def test_credentials_that_are_refused(tmp_path: Path, line: list[str]) -> None:
    with s3.serving() as store:
        store.denied = True
        told = refused(tmp_path, line, "s3://results/out", **store.environment)
    assert "access is refused" in told


def test_results_of_another_run(tmp_path: Path, line: list[str], address: str) -> None:
    dest, there = str(tmp_path / "out"), ("--address", address)
    report(command(tmp_path, dest, line, *there))
    told = refused(tmp_path, line, dest, *there, "--det-score", "0.9")
    assert "holds results of a run with other" in told
    assert "det-score" in told


def test_pictures_and_frames_of_a_dataset(
    tmp_path: Path, line: list[str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, as Ray stays in the one that it was started in."""
    script = tmp_path / "pipeline.py"
    script.write_text(PIPELINE)
    done = subprocess.run(
        [sys.executable, str(script), address, str(tmp_path)],
        env={**os.environ, **ENVIRONMENT, "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "pictures": [["0.png", 0], ["1.png", 0], ["2.png", 0]],
        "frames": [0, 1, 2],
        "same": True,
    }


PIPELINE = """
import json, sys
from pathlib import Path
import cv2, numpy as np, ray
import everybody, everybody.scale
from everybody.options import Options
from synthetic import nets

address, folder = sys.argv[1], Path(sys.argv[2])
ray.init(address, log_to_driver=False)
(folder / "pictures").mkdir()
pictures = [nets.blob(160, 160, 40 + 10 * n, 70) for n in range(3)]
for n, picture in enumerate(pictures):
    cv2.imwrite(str(folder / "pictures" / f"{n}.png"), picture[..., ::-1])
options = Options.of(
    detector=folder / "detector.onnx", det_size=(160, 160), pose=folder / "pose.onnx",
    skeleton="coco-17", codec="heatmap,alignment=corner", normalise="none",
)
read = ray.data.read_images(str(folder / "pictures"), include_paths=True)
people = everybody.scale.estimate(read, options, keep=["path"], batch=2)
rows = sorted(people.take_all(), key=lambda row: row["path"])
frames = ray.data.from_items([{"frame": n, "picture": p} for n, p in enumerate(pictures)])
more = everybody.scale.estimate(frames, options, image="picture", keep=["frame"]).take_all()
more.sort(key=lambda row: row["frame"])
estimator = everybody.Estimator(options)
whole = [estimator.estimate(picture) for picture in pictures]
same = all(
    np.allclose(row["keypoints"], people.keypoints[0])
    for found in (rows, more) for row, people in zip(found, whole, strict=True)
)
print(json.dumps({
    "pictures": [[Path(row["path"]).name, int(row["person"])] for row in rows],
    "frames": [int(row["frame"]) for row in more], "same": bool(same),
}))
"""
