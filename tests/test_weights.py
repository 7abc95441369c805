"""The manifest and fetching: against a server on loopback, broken off, resumed, corrupted, zipped."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from everybody.errors import ModelError, OptionError
from everybody.estimator import Estimator
from everybody.inputs import Input
from everybody.weights import fetch, manifest
from everybody.weights.manifest import Row

CONTENT = bytes(range(256)) * 4000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        data, start = self.server.files.get(self.path), 0
        if data is None:
            self.send_error(404)
            return
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.server.ranges.append(start)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = self.server.breaks_at or len(data)
        self.wfile.write(data[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.ranges, server.breaks_at = {"/m.onnx": CONTENT}, [], None
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def row(server, path="/m.onnx", **changes) -> Row:
    fields = {
        "name": "m",
        "task": "pose",
        "file": "m.onnx",
        "input": Input(size=(96, 128)),
        "licence": "Apache-2.0",
        "url": f"http://127.0.0.1:{server.server_port}{path}",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    return Row(**(fields | changes))


def test_pulled_once_found_for_ever(server):
    seen = []
    path = fetch.pull(row(server), lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetch.resolve(row(server)) == path
    server.files.clear()
    assert fetch.pull(row(server)) == path, "no second fetch"


def test_a_broken_transfer_leaves_nothing_under_the_name_and_is_resumed(server):
    server.breaks_at = 300_000
    with pytest.raises(ModelError, match="run it again to go on"):
        fetch.pull(row(server))
    assert fetch.find(row(server)) is None
    server.breaks_at = None
    assert fetch.pull(row(server)).read_bytes() == CONTENT
    assert 0 < server.ranges[0] <= 300_000, "what had come is not fetched again"


def test_wrong_content_is_not_kept(server):
    server.files["/m.onnx"] = b"something else"
    with pytest.raises(ModelError, match="could not be fetched"):
        fetch.pull(row(server))
    assert fetch.find(row(server)) is None


def test_members_of_archives(server):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("deep/down/end2end.onnx", CONTENT)
    server.files["/a.zip"] = archive.getvalue()
    assert fetch.pull(row(server, "/a.zip", member="end2end.onnx")).read_bytes() == CONTENT
    with pytest.raises(ModelError, match=r"holds no other\.onnx"):
        fetch.pull(row(server, "/a.zip", member="other.onnx", file="o.onnx", name="o"))


def test_an_address_that_is_not_there(server):
    with pytest.raises(ModelError, match="404"):
        fetch.pull(row(server, "/nothing"))
    with pytest.raises(ModelError, match="has no address"):
        fetch.pull(row(server, url="", origin="somebody"))


def test_a_file_that_is_not_what_the_manifest_means_is_refused(server, tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(b"changed")
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match="checksum differs"):
        fetch.resolve(row(server))


def test_the_manifest_is_sound():
    rows, default = manifest.load()
    assert {rows[name].task for name in default.values()} == {"detector", "pose", "turn"}
    for model in rows.values():
        assert model.licence == "Apache-2.0"
        assert model.url or model.verified
        assert len(model.sha256) in ((64,) if model.verified else (0, 64))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model.x]\ntask = 'pose'", "model 'x': missing key"),
        ("[model.x]\ncolour = 1", "unknown key 'colour'"),
        ("[model", "not a readable manifest"),
        (
            "[model.x]\ntask='magic'\nfile='x'\nlicence='l'\ninput={size=[1,2]}",
            "unknown task 'magic': known are detector, pose",
        ),
        (
            "[model.x]\ntask='detector'\nlayout='x'\nfile='x'\nlicence='l'\ninput={size=[1,2]}",
            "unknown layout 'x': known are rtmdet, yolox, picodet",
        ),
        (
            "[model.x]\ntask='pose'\nfile='x'\nlicence='l'\nskeleton='coco-17'\n"
            "input={size=[8,8]}\ncodec={type='magic'}",
            "unknown codec 'magic': known are heatmap, simcc",
        ),
        (
            "[model.x]\ntask='pose'\nfile='x'\nlicence='l'\nskeleton='squid'\ninput={size=[1,2]}",
            "unknown skeleton 'squid': known are coco-17",
        ),
    ],
)
def test_a_users_manifest_that_is_wrong_is_named(tmp_path, monkeypatch, text, message):
    (tmp_path / "manifest.toml").write_text(text)
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match=rf"manifest\.toml: .*{message}"):
        manifest.load()


def test_a_variant_is_a_pair_of_models(tmp_path, monkeypatch):
    """A user's manifest may bring its own; a wrong one is named with the known."""
    (tmp_path / "manifest.toml").write_text(
        '[variant.mine]\ndetector = "a"\npose = "b"\ndet_size = [320, 256]\n'
    )
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    assert manifest.variant("mine") == manifest.Variant(detector="a", pose="b", det_size=(320, 256))
    with pytest.raises(OptionError, match=r"unknown variant 'mien': known are .*mine"):
        manifest.variant("mien")
    with pytest.raises(ModelError, match="unknown model 'a'"):
        Estimator(model="mine")
    (tmp_path / "manifest.toml").write_text('[variant.mine]\ndetector = "a"\nsize = 3\n# other\n')
    manifest._load.cache_clear()
    with pytest.raises(ModelError, match=r"variant 'mine': .*size"):
        manifest.variant("mine")
