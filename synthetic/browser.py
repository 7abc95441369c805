"""A real browser: a server of the page's files, Debian's Chromium, and films for its camera."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def shot(to: Path, frames: int, size: tuple[int, int] = (640, 360)) -> Path:
    """The first frames of class.mp4, smaller, as a file of the kind of its name."""
    with av.open(str(SHARED / "data/video/class.mp4")) as source, av.open(str(to), "w") as out:
        film = source.streams.video[0]
        moving = to.suffix == ".mjpeg"
        stream = out.add_stream("mjpeg" if moving else "libx264", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if moving else "yuv420p"
        for number, frame in enumerate(source.decode(film)):
            if number == frames:
                break
            small = frame.reformat(*size, stream.pix_fmt)
            small.pts = None
            out.mux(stream.encode(small))
        out.mux(stream.encode())
    return to


def camera(film: Path | None) -> list[str]:
    devices = ["--use-fake-device-for-media-stream"]
    return [*devices, f"--use-file-for-fake-video-capture={film}"] if film else []


@contextmanager
def served(files: Mapping[str, Path | bytes], *, isolated: bool = False) -> Iterator[str]:
    """Files by URL, on a free port of this machine: yields the address, with a last slash."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.split("?")[0].lstrip("/") or "index.html"
            content = files.get(name)
            if content is None:
                return self.send_error(404)
            body = content.read_bytes() if isinstance(content, Path) else content
            self.send_response(200)
            self.send_header(
                "Content-Type", TYPES.get(Path(name).suffix, "application/octet-stream")
            )
            self.send_header("Content-Length", str(len(body)))
            for key, value in (ISOLATED if isolated else {}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test's output is for what failed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def browser(*arguments: str) -> Iterator[Any]:
    """Chromium without a window; further arguments go to it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", *arguments]
        )
        yield chromium
        chromium.close()
