"""Laws of live sources: the newest frame, nothing twice, what is dropped is counted, what is lost
comes back.
"""

from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from everybody import schedule
from everybody.errors import EverybodyError
from everybody.estimator import Estimator
from everybody.media import live
from everybody.media.live import newest, reconnected
from everybody.media.read import read
from everybody.media.sources import flows
from everybody.people import Frame
from everybody.run import Outputs, run

from .movies import grey, number

PICTURE = np.zeros((4, 4, 3), np.uint8)


def frame(index: int, time: float = 0.0) -> Frame:
    return Frame(PICTURE, index, time, "camera")


def test_one_asks_late_and_gets_the_newest():
    given, asked = threading.Event(), threading.Event()

    def source() -> Iterator[Frame]:
        yield frame(0)
        asked.wait(5)
        for index in range(1, 10):
            yield frame(index)
        given.set()
        yield frame(10)

    dropped: list[int] = []
    frames = newest(source(), dropped.append)
    assert next(frames).index == 0
    asked.set()
    given.wait(5)
    later = [one.index for one in frames]
    assert later[0] >= 9
    assert later[-1] == 10
    assert sum(dropped) + 1 + len(later) == 11


def test_an_error_of_the_source_comes_behind_its_last_frame():
    def source() -> Iterator[Frame]:
        yield frame(0)
        raise RuntimeError("unplugged")

    frames = newest(source(), lambda count: None)
    assert next(frames).index == 0
    with pytest.raises(RuntimeError, match="unplugged"):
        next(frames)


def test_the_reader_ends_when_nobody_asks_any_more():
    ended = threading.Event()

    def source() -> Iterator[Frame]:
        try:
            index = 0
            while True:
                yield frame(index)
                index += 1
        finally:
            ended.set()

    frames = newest(source(), lambda count: None)
    next(frames)
    frames.close()
    assert ended.wait(5)


def test_a_lost_connection_is_tried_again_with_longer_and_longer_waits_and_frames_go_on():
    now, waits, told = [100.0], [], []
    connections: list[list[float]] = [[0.0, 0.1], [], [5.0, 5.1], []]

    def connect() -> Iterator[Frame]:
        times = connections.pop(0) if connections else []
        for index, time in enumerate(times):
            now[0] += 0.1
            yield frame(index, time)

    def wait(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    frames = list(
        reconnected(connect, "cam", told.append, delays=(1, 2, 4), wait=wait, clock=lambda: now[0])
    )
    assert [one.index for one in frames] == [0, 1, 2, 3]
    times = [one.time for one in frames]
    assert times == sorted(times)
    assert times[2] - times[1] == pytest.approx(3.1, abs=0.11)
    assert waits == [1, 2, 1, 2, 4]
    assert all(isinstance(one, EverybodyError) and "cam: " in str(one) for one in told)
    assert "given up after 4 frames" in str(told[-1])


def test_a_source_that_never_gave_a_frame_is_not_tried_again():
    told: list[EverybodyError] = []
    assert (
        list(
            reconnected(lambda: iter(()), "cam", told.append, wait=lambda s: pytest.fail("waited"))
        )
        == []
    )
    assert told == []


def test_motion_jpeg_over_http_is_live(monkeypatch):
    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for index in range(30):
                picture = cv2.imencode(".jpg", grey(index)[..., ::-1])[1].tobytes()
                head = (
                    f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                )
                try:
                    self.wfile.write(head.encode() + picture + b"\r\n")
                except OSError:
                    return

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setattr(live, "DELAYS", ())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    try:
        dropped: list[int] = []
        frames = list(
            read(
                f"http://127.0.0.1:{server.server_port}/",
                problem=lambda _: None,
                dropped=dropped.append,
            )
        )
    finally:
        server.shutdown()
        server.server_close()
    assert frames
    numbers = [one.index for one in frames]
    assert numbers == sorted(set(numbers))
    assert [number(one) for one in frames] == pytest.approx(numbers, abs=1)
    assert len(frames) + sum(dropped) == numbers[-1] + 1


@pytest.mark.parametrize(
    ("source", "flowing"),
    [
        (0, True),
        ("0", True),
        ("rtsp://camera/stream", True),
        (["a.mp4", "RTSPS://camera/stream"], True),
        (["a.mp4", "b.mp4"], False),
        ("http://camera/stream.mjpg", False),  # known when it is opened
        (Path("a.mp4"), False),
        (PICTURE, False),
        (True, False),
    ],
)
def test_cameras_and_streams_are_known_by_their_names(source, flowing):
    assert flows(source) is flowing


def test_a_file_that_is_called_0_is_no_camera(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("0").write_bytes(b"")
    assert not flows("0")


@pytest.mark.parametrize("source", ["rtsp://127.0.0.1:9/none", "none.mp4"])
def test_nothing_is_read_ahead_of_a_stream_without_saying_so(source, monkeypatch):
    asked: list[bool] = []

    def noted(stages, frames, *, workers, live=False):
        asked.append(live)
        yield from ()

    monkeypatch.setattr(schedule, "run", noted)
    estimator = Estimator(model="fast", threads=1)
    assert not list(estimator.stream(source))
    run(source, estimator, Outputs(out=io.BytesIO()))
    assert asked == [flows(source)] * 2
