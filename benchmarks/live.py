"""From capture to result: class.mp4 served on loopback as Motion JPEG at its own pace, live or not.

    python benchmarks/live.py [--seconds 20]

Latency is the time from when the server sends a frame until its people with ids are there.
"""

from __future__ import annotations

import argparse
import http.server
import os
import threading
import time
from pathlib import Path

import cv2
import numpy as np

SHARED = Path(__file__).resolve().parents[2] / "shared"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    from everybody.estimator import Estimator
    from everybody.follow import Follow
    from everybody.media import live
    from everybody.media.read import read

    video = cv2.VideoCapture(str(SHARED / "data/video/class.mp4"))
    rate = video.get(cv2.CAP_PROP_FPS)
    pictures = [cv2.imencode(".jpg", video.read()[1])[1].tobytes() for _ in range(100)]
    sent: dict[int, float] = {}

    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            sent.clear()
            begun = time.monotonic()
            for index in range(round(given.seconds * rate)):
                time.sleep(max(0.0, begun + index / rate - time.monotonic()))
                picture = pictures[index % len(pictures)]
                sent[index] = time.monotonic()
                try:
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                    self.wfile.write(head.encode() + picture + b"\r\n")
                except OSError:
                    return

        def log_message(self, *_: object) -> None: ...

    live.DELAYS = ()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    estimator = Estimator(workers=1)
    ways = {
        "tracked, --live": Follow(smooth="one-euro", live=True),
        "tracked": Follow(smooth="one-euro"),
        "not tracked": None,
    }
    for name, follow in ways.items():
        dropped: list[int] = []
        frames = read(
            f"http://127.0.0.1:{server.server_port}/",
            dropped=dropped.append,
            problem=lambda error: None,
        )
        people = follow(estimator, frames) if follow else estimator.frames(frames)
        late = [time.monotonic() - sent[frame.index] for frame in people]
        settled = np.array(late[len(late) // 4 :])
        print(
            f"{name:16} {rate:.0f} frames/s served, {len(late)} done, {sum(dropped)} dropped; ",
            end="",
        )
        print(
            f"latency: median {np.median(settled):.2f} s, 95 % under {np.quantile(settled, 0.95):.2f} s",
            flush=True,
        )
    server.shutdown()


if __name__ == "__main__":
    main()
