"""Runs of `everybody scale` that are hurt at a seeded moment, then run to their end.

    python -m benchmarks.scale_faults [--seeds 20] [--first 0] [--kinds worker node driver ...]

worker:  SIGKILL of a worker of Ray while it works
node:    a node of a cluster of two vanishes
driver:  SIGKILL of the command
disk:    the disk of DEST is full; then it has room (needs to be root, for a small tmpfs)
s3:      S3 answers a tenth of all requests with 500, and some later than is waited for
half:    committed chunks lose their second half, as after a power cut; so do reports

Each ends with the same command until it succeeds, then each frame must be there once, in order,
and be what an unbroken `run` gives, byte for byte. Films and networks are made here. All runs share
a cluster of one node; people are followed in every other run, every frame detected.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from benchmarks.common import parsed, parser
from everybody.scale.cluster import keep_private
from everybody.scale.store import bytes_of, located
from synthetic import nets, s3

FRAMES, FILMS, SIZE = 150, 3, 160
BOX = np.array([[20, 20, 116, 148, 0.9]], np.float32)
PATIENCE = 600  # seconds for one run of the command
TRACK = ("--track", "--detect-every", "1", "--overlap", "0.4")
STORE = 100 * 2**20  # bytes of a node's object store


def film(path: Path, number: int) -> None:
    """A film whose spot goes across."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"g": "10", "preset": "ultrafast"})
        stream.width = stream.height = SIZE
        for n in range(FRAMES):
            picture = nets.blob(SIZE, SIZE, 40 + (n + 17 * number) % 60, 70)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())


def models(folder: Path) -> list[str]:
    detector = nets.rtmdet_constant(folder / "detector.onnx", BOX)
    pose = nets.heatmap_finder(folder / "pose.onnx", 17)
    return [
        *("--detector", str(detector), "--det-size", "160", "--pose", str(pose)),
        *("--skeleton", "coco-17", "--codec", "heatmap,alignment=corner", "--normalise", "none"),
    ]


class Scene:
    """Films, networks and what is right; the cluster; the command; where its results go."""

    def __init__(self, folder: Path, cluster: Any) -> None:
        self.folder, self.cluster, self.track = folder, cluster, False
        (folder / "films").mkdir()
        for number in range(FILMS):
            film(folder / "films" / f"{number}.mp4", number)
        self.models = models(folder)
        self.right: dict[bool, dict[str, list[str]]] = {}
        for track in (False, True):
            flags = TRACK[:-2] if track else ()
            out = folder / f"run-{track}"
            for one in sorted((folder / "films").iterdir()):  # ids begin at 1 in each film
                arguments = ("run", str(one), "-o", str(out / one.name), "-q", *flags)
                subprocess.run(self.line(*arguments), check=True, timeout=PATIENCE)
            self.right[track] = journals(str(out))

    def line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "everybody", *arguments, *self.models]

    def start(self, dest: str, **environment: str) -> subprocess.Popen[bytes]:
        films = str(self.folder / "films")
        arguments = ["scale", films, "-o", dest, "--chunk", "0.8", "--cpus", "1", "-q"]
        arguments += ["--address", self.cluster.address, *(TRACK if self.track else ())]
        if environment:
            arguments += ["--runtime-env", json.dumps({"env_vars": environment})]
        return subprocess.Popen(
            self.line(*arguments),
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
        )

    def verdict(self, dest: str) -> str:
        """'equal', or what is wrong."""
        found = journals(f"{dest}/films")
        if found == self.right[self.track]:
            return "equal"
        return f"WRONG: {[(name, len(lines)) for name, lines in found.items()]}"


def journals(folder: str) -> dict[str, list[str]]:
    """The lines of all journals in the folders of a folder, by source."""
    fs, root = located(folder)
    fs.invalidate_cache()
    found: dict[str, list[str]] = {}
    for path in sorted(fs.glob(f"{root}/*/frames.jsonl")):
        for line in bytes_of(fs, path).decode().splitlines():
            found.setdefault(json.loads(line)["source"], []).append(line)
    return found


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said.decode(errors="replace").strip()


def chunks(dest: str) -> int:
    fs, root = located(dest)
    fs.invalidate_cache()
    return len(fs.glob(f"{root}/chunks/*/*.parquet"))


def until(process: subprocess.Popen[bytes], dest: str, count: int) -> None:
    """Waits until so many chunks are done, or the process has ended."""
    while process.poll() is None and chunks(dest) < count:
        time.sleep(0.05)


def finish(scene: Scene, dest: str, **environment: str) -> int:
    """The command, until it succeeds; how often it was run."""
    for run in range(1, 5):
        code, said = ended(scene.start(dest, **environment))
        if code == 0:
            return run
        print(f"  run {run} ended with {code}: {said[-200:]}", flush=True)
    return -1


def worker(scene: Scene, dest: str, rng: random.Random) -> int:
    process = scene.start(dest)
    until(process, dest, rng.randrange(1, 8))
    for child in psutil.Process().children(recursive=True):  # the cluster is ours
        with suppress(psutil.Error):
            if "MapWorker" in " ".join(child.cmdline()):
                child.kill()
                print("  a worker was killed")
                break
    code, said = ended(process)
    print(f"  that run ended with {code} {said[-200:]}")
    return finish(scene, dest)


def driver(scene: Scene, dest: str, rng: random.Random) -> int:
    process = scene.start(dest)
    until(process, dest, rng.randrange(1, 8))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    print(f"  killed after {chunks(dest)} chunks")
    return finish(scene, dest)


def node(scene: Scene, dest: str, rng: random.Random) -> int:
    lost = scene.cluster.add_node(num_cpus=1, object_store_memory=STORE)
    scene.cluster.wait_for_nodes()
    process = scene.start(dest)
    until(process, dest, rng.randrange(1, 8))
    scene.cluster.remove_node(lost, allow_graceful=False)
    print(f"  the node vanished after {chunks(dest)} chunks")
    code, said = ended(process)
    print(f"  that run ended with {code} {said[-200:]}")
    return finish(scene, dest)


def disk(scene: Scene, dest: str, rng: random.Random) -> int:
    Path(dest).mkdir()
    size = rng.randrange(40, 160)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", dest], check=True)
    try:
        code, said = ended(scene.start(dest))
        print(f"  {size} kB: ended with {code}: {said.splitlines()[-1][-160:] if said else ''}")
        assert code == 0 or "free space" in said
        subprocess.run(["mount", "-o", "remount,size=50m", dest], check=True)
        runs = finish(scene, dest)
        print(" ", scene.verdict(dest))
        assert scene.verdict(dest) == "equal"
        return runs
    finally:
        subprocess.run(["umount", "-l", dest], check=True)


def half(scene: Scene, dest: str, rng: random.Random) -> int:
    finish(scene, dest)
    committed = sorted(Path(dest, "chunks").glob("*/*"))
    for path in rng.sample(committed, 4):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for path in Path(dest, "films").glob("*/run.json"):  # so that films are joined again
        path.unlink()
    return finish(scene, dest)


def over_s3(scene: Scene, dest: str, rng: random.Random) -> int:
    import boto3

    with s3.serving(rng.randrange(2**30)) as store:
        os.environ |= store.environment
        located("s3://results")[0].clear_instance_cache()  # of the server before
        boto3.client("s3", endpoint_url=store.url).create_bucket(Bucket="results")
        store.errors, store.stalls, store.stall = 0.1, 0.01, 5.0
        short = json.dumps({"config_kwargs": {"read_timeout": 2}})
        runs = finish(scene, "s3://results/out", **store.environment, FSSPEC_S3=short)
        store.errors = store.stalls = 0.0
        print(f"  {store.refused} of {store.served} requests were refused or stalled")
        print(" ", verdict := scene.verdict("s3://results/out"))
        assert verdict == "equal"
        return runs


KINDS: dict[str, Callable[[Scene, str, random.Random], int]] = {
    "worker": worker,
    "driver": driver,
    "half": half,
    "s3": over_s3,
    "node": node,
    "disk": disk,
}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--seeds", type=int, default=20)
    command.add_argument("--first", type=int, default=0)
    command.add_argument("--kinds", nargs="*", default=list(KINDS))
    given = parsed(command)
    os.environ |= {"RAY_worker_niceness": "0"}  # Ray's workers would yield to all else
    keep_private()
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder), cluster)
        print(f"films are made; load {os.getloadavg()[0]:.0f}", flush=True)
        for seed in range(given.first, given.first + given.seeds):
            kind, begun = given.kinds[seed % len(given.kinds)], time.perf_counter()
            scene.track = seed // len(given.kinds) % 2 == 1
            dest = str(Path(folder) / f"out-{seed}")
            runs = KINDS[kind](scene, dest, random.Random(seed))
            verdict = "equal" if kind in ("s3", "disk") else scene.verdict(dest)
            took = time.perf_counter() - begun
            how = "followed" if scene.track else "poses"
            print(
                f"seed {seed:2} {kind:7} {how:8} {verdict}, {runs} runs to end, {took:.0f} s",
                flush=True,
            )
    cluster.shutdown()


if __name__ == "__main__":
    main()
