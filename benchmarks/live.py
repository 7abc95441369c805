"""From capture to result: class.mp4 served on loopback as Motion JPEG at its own pace, live or not.

    python -m benchmarks.live [--seconds 20]

Latency is the time from when the server sends a frame until its people with ids are there.
"""

from __future__ import annotations

import http.server
import threading
import time
from functools import partial

import cv2
import numpy as np

from benchmarks.common import VIDEO, parsed, parser
from everybody.estimator import Estimator
from everybody.follow import Follow
from everybody.media import live
from everybody.media.read import read

PICTURES = 100


class Camera(http.server.BaseHTTPRequestHandler):
    """Serves the pictures over and over at their rate; `sent` says when each frame left."""

    pictures: list[bytes]
    rate: float
    seconds: float
    sent: dict[int, float]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        self.sent.clear()
        begun = time.monotonic()

        for index in range(round(self.seconds * self.rate)):
            time.sleep(max(0.0, begun + index / self.rate - time.monotonic()))
            picture = self.pictures[index % len(self.pictures)]
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}"
            self.sent[index] = time.monotonic()
            try:
                self.wfile.write(f"--frame\r\n{head}\r\n\r\n".encode() + picture + b"\r\n")
            except OSError:
                return

    def log_message(self, *_: object) -> None: ...


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--seconds", type=float, default=20.0)
    given = parsed(command)

    video = cv2.VideoCapture(str(VIDEO / "class.mp4"))
    Camera.rate, Camera.seconds, Camera.sent = video.get(cv2.CAP_PROP_FPS), given.seconds, {}
    frames = [video.read()[1] for _ in range(PICTURES)]
    Camera.pictures = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]

    live.DELAYS = ()  # the server's end is the end
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"

    estimator = Estimator(workers=1)
    ways = {
        "tracked, --live": partial(Follow(smooth="one-euro", live=True), estimator),
        "tracked": partial(Follow(smooth="one-euro"), estimator),
        "not tracked, live": partial(estimator.frames, live=True),
        "not tracked": estimator.frames,
    }
    for name, way in ways.items():
        dropped: list[int] = []
        source = read(address, dropped=dropped.append, problem=lambda error: None)
        late = [time.monotonic() - Camera.sent[frame.index] for frame in way(source)]
        settled = np.array(late[len(late) // 4 :])
        told = f"{Camera.rate:.0f} frames/s served, {len(late)} done, {sum(dropped)} dropped"
        median, most = np.median(settled), np.quantile(settled, 0.95)
        print(
            f"{name:17} {told}; latency: median {median:.2f} s, 95 % under {most:.2f} s", flush=True
        )
    server.shutdown()


if __name__ == "__main__":
    main()
