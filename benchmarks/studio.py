"""The studio's server, in a process of its own, asked over loopback.

    python -m benchmarks.studio people [--repeats 30]     one picture, against the library
    python -m benchmarks.studio live [--seconds 20]       frames/s of 1 and of 4 cameras
    python -m benchmarks.studio parallel [--requests 200] pictures sent at the same time
    python -m benchmarks.studio soak [--seconds 600]      all of it, over and over: what grows?

The picture is examples/class.jpg, the camera's frames are of class.mp4, 1280 × 720 as JPEG. All but
`people` use the model `fast`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
from websockets.sync.client import connect

from benchmarks.common import ROOT, VIDEO, by_turns, head, medians, parsed, parser, row
from everybody import Estimator

CLASS = ROOT / "examples/class.jpg"
FRAMES = 60  # of the camera, over and over
REPORT = 30.0  # seconds between two lines of the soak


@contextmanager
def served(folder: Path) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """A server of a folder, ready."""
    command = [sys.executable, "-m", "everybody", "studio", str(folder), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--model", "fast"], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stderr
    address = process.stderr.readline().rpartition("studio: ")[2].strip()
    limits = httpx.Limits(max_connections=None)
    try:
        with httpx.Client(base_url=address, timeout=600, limits=limits) as client:
            while True:
                try:
                    client.get("/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def people(client: httpx.Client, repeats: int) -> None:
    """Milliseconds of the server and of the library, by turns; and their ratio."""
    data = CLASS.read_bytes()
    print(head("model", "library", "server", "ratio"))
    for model in ("fast", "accurate"):
        estimator = Estimator(model=model, workers=1)
        works = {
            "library": lambda estimator=estimator: estimator.estimate(data),
            "server": lambda model=model: client.post(f"/api/people?model={model}", content=data),
        }
        by_turns(works, 3)
        spent = medians(by_turns(works, repeats))
        ratio = spent["server"] / spent["library"]
        cells = (f"{spent['library']:.1f} ms", f"{spent['server']:.1f} ms", f"{ratio:.3f}")
        print(row(model, *cells), flush=True)


def pictures() -> list[bytes]:
    """The camera's frames."""
    video = cv2.VideoCapture(str(VIDEO / "class.mp4"))
    shots = [video.read()[1] for _ in range(FRAMES)]
    return [cv2.imencode(".jpg", shot)[1].tobytes() for shot in shots]


def camera(client: httpx.Client, shots: list[bytes], until: float) -> list[float]:
    """Send each frame when the last one is answered -> the latencies that the server reports."""
    address = str(client.base_url).replace("http", "ws")
    latencies, number = [], 0
    with connect(f"{address}api/live?model=fast") as socket:
        while time.monotonic() < until:
            socket.send(shots[number % len(shots)])
            latencies.append(json.loads(socket.recv())["latency"])
            number += 1
    return latencies


def live(client: httpx.Client, seconds: float) -> None:
    shots = pictures()
    camera(client, shots, time.monotonic() + 2)  # loads the models
    print(head("cameras", "frames/s, all", "frames/s, each", "latency, median", "95 %"))
    for cameras in (1, 4):
        begun = time.monotonic()
        with ThreadPoolExecutor(cameras) as pool:
            asked = [pool.submit(camera, client, shots, begun + seconds) for _ in range(cameras)]
            latencies = [latency for one in asked for latency in one.result()]
        rate = len(latencies) / (time.monotonic() - begun)
        middle, high = np.percentile(latencies, [50, 95])
        told = f"{middle:.0f} ms", f"{high:.0f} ms"
        print(row(cameras, f"{rate:.1f}", f"{rate / cameras:.1f}", *told), flush=True)


def parallel(client: httpx.Client, process: psutil.Process, requests: int) -> None:
    data, begun = CLASS.read_bytes(), time.monotonic()

    def ask(_: int) -> int:
        return client.post("/api/people?model=fast", content=data).status_code

    with ThreadPoolExecutor(requests) as pool:
        codes = list(pool.map(ask, range(requests)))
    seconds, memory = time.monotonic() - begun, process.memory_info().rss / 2**20
    print(f"{requests} pictures at once: {codes.count(200)} answered in {seconds:.1f} s, ", end="")
    print(f"server {memory:.0f} MiB")


def soak(client: httpx.Client, process: psutil.Process, seconds: float, folder: Path) -> None:
    """A camera that comes and goes, pictures, jobs made and deleted, half requests."""
    shots, data, until = pictures(), CLASS.read_bytes(), time.monotonic() + seconds
    counts = {"frames": 0, "pictures": 0, "jobs": 0}

    def cameras() -> None:
        while time.monotonic() < until:
            counts["frames"] += len(camera(client, shots, min(until, time.monotonic() + 10)))

    def stills() -> None:
        while time.monotonic() < until:
            client.post("/api/people?model=fast", content=data)
            counts["pictures"] += 1
            time.sleep(0.5)

    def jobs() -> None:
        while time.monotonic() < until:
            made = client.post("/api/jobs", files={"files": ("class.jpg", data)}).json()
            while client.get(f"/api/jobs/{made['id']}").json()["state"] in ("waiting", "running"):
                time.sleep(0.5)
            client.get(f"/api/jobs/{made['id']}/results/csv")
            client.delete(f"/api/jobs/{made['id']}")
            counts["jobs"] += 1

    workers = [threading.Thread(target=work, daemon=True) for work in (cameras, stills, jobs)]
    for worker in workers:
        worker.start()
    print(head("seconds", "frames", "pictures", "jobs", "memory", "files", "threads", "kept"))
    begun = time.monotonic()
    while time.monotonic() < until:
        time.sleep(min(REPORT, max(0.1, until - time.monotonic())))
        held = process.memory_info().rss / 2**20, process.num_fds(), process.num_threads()
        kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        cells = f"{held[0]:.0f} MiB", held[1], held[2], f"{kept / 1024:.0f} KiB"
        print(row(f"{time.monotonic() - begun:.0f}", *counts.values(), *cells), flush=True)
    for worker in workers:
        worker.join()


def main() -> None:
    command = parser(__doc__)
    command.add_argument("what", choices=("people", "live", "parallel", "soak"))
    command.add_argument("--seconds", type=float)
    command.add_argument("--repeats", type=int, default=30)
    command.add_argument("--requests", type=int, default=200)
    given = parsed(command)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (client, process):
        if given.what == "people":
            people(client, given.repeats)
        elif given.what == "live":
            live(client, given.seconds or 20.0)
        elif given.what == "parallel":
            parallel(client, process, given.requests)
        else:
            soak(client, process, given.seconds or 600.0, Path(folder))


if __name__ == "__main__":
    main()
