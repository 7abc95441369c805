"""Pictures and videos from servers on loopback: http by the standard library, RTSP by a server of
sixty lines.
"""

from __future__ import annotations

import base64
import http.server
import re
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from everybody.errors import EverybodyError, InputError
from everybody.media import live, network, reader
from everybody.media.read import Selection, count, expand, read

from .movies import encode, grey, number
from .servers import dripping, serving, whole


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(network, "TIMEOUT", 5.0)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; below /ranges/ with ranges, /silent says nothing, /moved sends on."""

    ended = threading.Event()
    seen: list[tuple[str, str | None, str | None]]

    def do_GET(self) -> None:
        Handler.seen.append((self.path, self.headers["User-Agent"], self.headers["Range"]))
        if self.path == "/silent":
            Handler.ended.wait(5)
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/a.png")
            self.end_headers()
        elif self.path.startswith("/ranges/"):
            self.partly(Path(self.directory, self.path.removeprefix("/ranges/")).read_bytes())
        else:
            super().do_GET()

    def partly(self, data: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        start = int(wanted[1]) if wanted else 0
        end = int(wanted[2]) + 1 if wanted and wanted[2] else len(data)
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data[start:end])))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[start:end])

    def log_message(self, format: str, *args: object) -> None:
        pass


class Quiet(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # readers may hang up whenever they like


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    Handler.seen, Handler.ended = [], threading.Event()
    server = Quiet(("127.0.0.1", 0), lambda *a, **k: Handler(*a, directory=str(tmp_path), **k))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Handler.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


def line(source: str) -> str:
    problems: list[EverybodyError] = []
    assert list(read(source, problem=problems.append)) == []
    with pytest.raises(InputError) as caught:
        list(read(source))
    assert str(problems[0]) == str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_picture(site: str, tmp_path: Path) -> None:
    Image.fromarray(grey(3)).save(tmp_path / "a.png")
    for path in ("a.png", "moved"):
        (frame,) = read(f"{site}/{path}")
        assert (frame.source, frame.index) == (f"{site}/{path}", 0)
        assert (frame.image == grey(3)).all()
    assert Handler.seen[0][1] == network.AGENT
    assert count(expand(f"{site}/a.png")) is None


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.mkv"])
def test_a_video_is_left_to_ffmpeg(site: str, tmp_path: Path, name: str) -> None:
    encode(tmp_path / name)
    for url in (f"{site}/ranges/{name}", f"{site}/{name}"):
        frames = list(read(url, select=Selection(2), after={url: 4}))
        assert [(frame.source, frame.index, number(frame)) for frame in frames] == [
            (url, i, i) for i in range(5, 20)
        ]


def test_a_movie_with_its_index_last_is_sought_where_the_server_can(
    site: str, tmp_path: Path, monkeypatch: Any
) -> None:
    noise = list(np.random.default_rng(0).integers(0, 255, (4, 240, 320, 3), dtype=np.uint8))
    encode(tmp_path / "a.mp4", noise)
    assert len(list(read(f"{site}/a.mp4"))) == 4  # through a temporary file
    monkeypatch.setattr(
        reader, "spooled", lambda *_: pytest.fail("spooled though it can be sought")
    )
    assert len(list(read(f"{site}/ranges/a.mp4"))) == 4
    assert any(wanted and wanted != "bytes=0-" for _, _, wanted in Handler.seen)


def test_what_is_not_there_or_no_picture(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.jpg").write_text("<html>Log in first</html>")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 20)
    Image.fromarray(grey(3)).save(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:-30])
    assert "the server answers 404" in line(f"{site}/gone.jpg")
    assert "is text (a web page or a list?)" in line(f"{site}/page.jpg")
    assert "is empty" in line(f"{site}/empty.jpg")
    assert "nor a video" in line(f"{site}/noise.mp4")
    assert "truncated PNG" in line(f"{site}/cut.png")
    assert "refused" in line(f"http://127.0.0.1:{closed_port()}/a.jpg").lower()
    assert "cannot be reached" in line("http:///a.jpg")
    assert "cannot be reached" in line("http://[::1/a.jpg")
    monkeypatch.setattr("everybody.media.reader.PICTURE_BYTES", 50)
    assert "more than" in line(f"{site}/a.png")


def test_a_silent_server_is_given_up(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "TIMEOUT", 0.1)
    assert "timed out" in line(f"{site}/silent")


def test_passwords_stay_out_of_messages() -> None:
    port = closed_port()
    for scheme in ("http", "rtsp"):
        message = line(f"{scheme}://user:secret@127.0.0.1:{port}/a")
        assert f"{scheme}://127.0.0.1:{port}/a: " in message
        assert "secret" not in message


def packets(pictures: int) -> tuple[bytes, list[list[bytes]]]:
    """H.264 parameter sets as SDP wants them, and the units of each frame."""
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    frames = [av.VideoFrame.from_ndarray(grey(i), format="rgb24") for i in range(pictures)]
    streams = [bytes(packet) for frame in [*frames, None] for packet in encoder.encode(frame)]
    units = [[unit for unit in re.split(b"\0*\0\0\x01", stream) if unit] for stream in streams]
    sets = [unit for unit in units[0] if unit[0] & 31 in (7, 8)]
    return b",".join(map(base64.b64encode, sets)), [
        [u for u in frame if u[0] & 31 in (1, 5)] for frame in units
    ]


class Rtsp(socketserver.StreamRequestHandler):
    """OPTIONS, DESCRIBE, SETUP over the same TCP connection, PLAY; then RTP, a unit per packet (RFC
    2326, 6184).
    """

    frames = 12
    hold: threading.Event | None = None
    asked: list[str]

    def handle(self) -> None:
        sets, frames = packets(self.frames)
        sdp = (
            b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
            b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
            b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets="
            + sets
            + b"\r\na=control:track\r\n"
        )
        while request := self.rfile.readline().split():
            fields = dict(
                re.findall(
                    r"(\S+): *(.*)\r\n",
                    b"".join(iter(self.rfile.readline, b"\r\n")).decode() + "\r\n",
                )
            )
            method = request[0].decode()
            Rtsp.asked.append(f"{method} {fields.get('Transport', '')}")
            extra, body = {
                "DESCRIBE": (
                    f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n",
                    sdp,
                ),
                "SETUP": ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n", b""),
            }.get(method, ("Session: 1\r\n", b""))
            self.wfile.write(
                f"RTSP/1.0 200 OK\r\nCSeq: {fields['CSeq']}\r\n{extra}\r\n".encode() + body
            )
            if method == "PLAY":
                self.play(frames)
                return

    def play(self, frames: list[list[bytes]]) -> None:
        sequence = 0
        for time, units in enumerate(frames):
            for n, unit in enumerate(units):
                last = 0x80 if n == len(units) - 1 else 0
                packet = (
                    struct.pack(">BBHII", 0x80, last | 96, sequence, 90000 + time * 3600, 1) + unit
                )
                self.wfile.write(b"$\0" + struct.pack(">H", len(packet)) + packet)
                sequence += 1
        if self.hold:
            self.hold.wait(5)


@pytest.fixture
def camera() -> Iterator[Callable[[], str]]:
    class Server(Quiet, socketserver.TCPServer):
        allow_reuse_address = True

    Rtsp.asked, Rtsp.hold = [], None
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Rtsp)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield lambda: f"rtsp://127.0.0.1:{server.server_address[1]}/live"
    if Rtsp.hold:
        Rtsp.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends is not tried again."""
    monkeypatch.setattr(live, "DELAYS", ())


@pytest.mark.usefixtures("once")
def test_rtsp_goes_over_tcp_and_frames_that_are_dropped_are_counted(
    camera: Callable[[], str],
) -> None:
    problems: list[EverybodyError] = []
    dropped: list[int] = []
    frames = list(read(camera(), problem=problems.append, dropped=dropped.append))
    numbers = [frame.index for frame in frames]
    assert numbers == sorted(numbers) == [number(frame) for frame in frames]
    assert numbers[-1] == 11
    assert len(frames) + sum(dropped) == 12
    assert np.allclose([frame.time for frame in frames], np.array(numbers) / 25, atol=0.001)
    assert frames[0].source == camera()
    assert any("SETUP" in line and "TCP" in line for line in Rtsp.asked)
    assert count(expand(camera())) is None


@pytest.mark.usefixtures("once")
def test_rtsp_ends_with_the_selection(camera: Callable[[], str]) -> None:
    assert {
        frame.index for frame in read(camera(), select=Selection(1, 6), problem=lambda _: None)
    } <= {1, 2, 3, 4, 5}


@pytest.mark.usefixtures("once")
def test_an_rtsp_stream_that_falls_silent_is_given_up(
    camera: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "TIMEOUT", 0.5)
    Rtsp.hold = threading.Event()
    problems: list[EverybodyError] = []
    assert len(list(read(camera(), problem=problems.append))) > 0
    assert any("timed out" in str(problem) for problem in problems)


def test_rtsp_that_is_not_there() -> None:
    assert "refused" in line(f"rtsp://127.0.0.1:{closed_port()}/live").lower()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    monkeypatch.setattr(network, "GRACE", 0.3)
    return threading.Event()


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n\x89PNG\r\n\x1a\n" + bytes(5000),
    ],
)
def test_a_server_that_sends_byte_by_byte_is_given_up(start: bytes, hasty: threading.Event) -> None:
    with serving({"/a.png": dripping(start, hasty, 0.03)}) as site:
        problems: list[EverybodyError] = []
        assert list(read(f"{site.url}/a.png", problem=problems.append)) == []
        assert len(problems) == 1
        assert "too slow" in str(problems[0]) or "timed out" in str(problems[0])
        assert len(site.asked) == 1
        hasty.set()


def test_a_picture_that_takes_too_long_is_given_up(
    hasty: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "GRACE", 60.0)
    monkeypatch.setattr("everybody.media.reader.PICTURE_SECONDS", 0.2)
    start = b"HTTP/1.1 200 OK\r\n\r\n\x89PNG\r\n\x1a\n" + bytes(5000)
    with serving({"/a.png": dripping(start, hasty, 0.03)}) as site:
        assert "was not whole after" in line(f"{site.url}/a.png")
        hasty.set()


def test_answers_cut_short_are_told(tmp_path: Path) -> None:
    Image.fromarray(grey(3)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes() * 40

    def chunked(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n")
        handler.wfile.write(data)

    answers = {"/chunked.png": chunked, "/short.png": whole(data, short=5)}
    answers["/short.mp4"] = whole(encode(tmp_path / "a.mp4").read_bytes() + bytes(9000), short=7000)
    with serving(answers) as site:
        for path in ("chunked.png", "short.png"):
            assert "broke off" in line(f"{site.url}/{path}")
        problems: list[EverybodyError] = []
        sources = [f"{site.url}/chunked.png", tmp_path / "a.png"]
        assert len(list(read(sources, problem=problems.append))) == 1
        assert len(problems) == 1


def test_spooled_videos_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = list(np.random.default_rng(0).integers(0, 255, (4, 240, 320, 3), dtype=np.uint8))
    data = encode(tmp_path / "a.mp4", noise).read_bytes()
    monkeypatch.setattr("everybody.media.streams.SPOOL_BYTES", len(data) // 2)
    with serving({"/a.mp4": whole(data)}) as site:
        assert "save it as a file first" in line(f"{site.url}/a.mp4")
