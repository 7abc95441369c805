"""What the studio's tests share: a server on a free port of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from everybody.web.serve import listen, server
from everybody.web.settings import Studio

CLASS = Path(__file__).resolve().parents[1] / "examples/class.jpg"
PATIENCE = 120.0  # seconds, after which a job that does not end is a failure


@contextmanager
def running(studio: Studio) -> Iterator[httpx.Client]:
    """A server in a thread, and a client whose addresses are its own."""
    listening, port = listen("127.0.0.1", 0)
    serving = server(studio)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            yield client
    finally:
        serving.should_exit = True
        thread.join()
        listening.close()


def ended(client: httpx.Client, id: str) -> dict[str, Any]:
    """The job, once it neither waits nor runs: the server tells."""
    until = time.monotonic() + PATIENCE
    with client.stream("GET", "/api/events") as events:
        for line in events.iter_lines():  # the first line comes when we are listening
            assert time.monotonic() < until
            job = client.get(f"/api/jobs/{id}").json()
            if job["state"] not in ("waiting", "running"):
                return job
            if line.startswith("data:"):
                continue
    raise AssertionError("the server has ended its events")


def clip(path: Path, frames: int, *, codec: str = "libx264") -> Path:
    """A video of a few frames of the class photo, which moves a little."""
    import av

    image = cv2.cvtColor(cv2.imread(str(CLASS)), cv2.COLOR_BGR2RGB)
    image = cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(image, number % 20, axis=1), format="rgb24")
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return path
