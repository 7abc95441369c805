"""The manifest and fetching: against a server on loopback, broken off, resumed, corrupted, zipped,
and malicious.
"""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from everybody.errors import ModelError, OptionError, OutputError
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
        if self.server.says_length:
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
    server.says_length = True
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


def zipped(**members: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return archive.getvalue()


def in_cache() -> list[str]:
    return sorted(path.name for path in fetch.cache().iterdir())


@pytest.mark.parametrize("known", [{}, {"bytes": 1000}])
def test_an_archive_that_unpacks_to_more_than_it_may_is_refused_early(server, monkeypatch, known):
    monkeypatch.setattr(fetch, "LARGEST", 50_000)
    server.files["/a.zip"] = zipped(m=bytes(10_000_000))
    assert len(server.files["/a.zip"]) < fetch.LARGEST
    with pytest.raises(ModelError, match=r"unpacks to more than the (1000|50000) bytes"):
        fetch.pull(row(server, "/a.zip", member="m", **known))
    assert not in_cache(), "nothing is left of it"


def test_a_broken_archive_is_not_kept_for_the_next_time(server):
    archive = zipped(**{"m.onnx": CONTENT})
    server.files["/a.zip"] = archive[:-100]
    with pytest.raises(ModelError, match="could not be fetched"):
        fetch.pull(row(server, "/a.zip", member="m.onnx"))
    server.files["/a.zip"] = archive
    assert fetch.pull(row(server, "/a.zip", member="m.onnx")).read_bytes() == CONTENT
    assert in_cache() == ["m.onnx"]


def test_more_than_the_manifest_says_is_not_fetched(server):
    with pytest.raises(ModelError, match="1000 at most were expected"):
        fetch.pull(row(server, bytes=1000))
    server.says_length = False
    with pytest.raises(ModelError, match="1000 at most were expected"):
        fetch.pull(row(server, bytes=1000))
    assert not in_cache()


def test_a_file_that_is_cut_off_is_not_taken_even_where_nobody_says_how_long_it_is(server):
    server.says_length, server.breaks_at = False, 300_000
    with pytest.raises(ModelError, match="cut off after 300000 of 1024000 bytes"):
        fetch.pull(row(server, bytes=len(CONTENT)))
    server.breaks_at = None
    assert fetch.pull(row(server, bytes=len(CONTENT))).read_bytes() == CONTENT
    assert server.ranges == [300_000]


def test_a_file_without_a_checksum_is_only_taken_when_asked_for(server):
    with pytest.raises(ModelError, match="knows no checksum"):
        fetch.pull(row(server, sha256=""))
    assert not server.ranges
    path = fetch.pull(row(server, sha256=""), unverified=True)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["symlink", "hard link", "folder of links"])
def test_nothing_is_written_through_a_link_in_the_place_of_the_part(server, tmp_path, kind):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    fetch.cache().mkdir(parents=True)
    part = fetch.cache() / "m.onnx.part"
    if kind == "hard link":
        part.hardlink_to(victim)
    else:
        part.symlink_to(victim if kind == "symlink" else tmp_path)
    assert fetch.pull(row(server)).read_bytes() == CONTENT
    assert victim.read_text() == "precious"
    assert in_cache() == ["m.onnx"]


@pytest.mark.parametrize("key", ["file", "member"])
@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "..", "a\\b", "c:x", "x\\u0000", "sub/x"]
)
def test_a_row_whose_file_would_leave_its_folder_is_refused(tmp_path, monkeypatch, key, name):
    rest = {"file": '"m"'} | {key: f'"{name}"'.replace("a\\b", "a\\\\b")}
    text = "\n".join(f"{key} = {value}" for key, value in rest.items())
    (tmp_path / "manifest.toml").write_text(
        f"[model.x]\ntask = 'turn'\nlicence = 'l'\ninput = {{size = [8, 8]}}\n{text}\n"
    )
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match=f"{key} .* must be the plain name of a file"):
        manifest.load()


def homeless(monkeypatch: pytest.MonkeyPatch, temporary: Path | None) -> None:
    """No EVERYBODY_CACHE, no home, and this temporary folder."""
    monkeypatch.delenv("EVERYBODY_CACHE")

    def no_home(_: str) -> str:
        raise RuntimeError("could not determine the home directory")

    def folder() -> str:
        if temporary is None:
            raise FileNotFoundError("no usable temporary directory found")
        return str(temporary)

    monkeypatch.setattr("pooch.os_cache", no_home)
    monkeypatch.setattr("tempfile.gettempdir", folder)


def test_without_a_home_models_are_kept_in_a_temporary_folder_of_ones_own(
    server, tmp_path, monkeypatch
):
    homeless(monkeypatch, tmp_path)
    path = fetch.pull(row(server))
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path)
    assert fetch.find(row(server)) == path
    assert not fetch.lasting(path.parent)
    assert (path.parent.parent.stat().st_mode & 0o077) == 0


def test_a_temporary_folder_that_others_could_write_is_not_used(server, tmp_path, monkeypatch):
    homeless(monkeypatch, tmp_path)
    path = fetch.pull(row(server))
    path.parent.parent.chmod(0o777)
    assert fetch.find(row(server)) is None
    with pytest.raises(OutputError, match="set EVERYBODY_CACHE"):
        fetch.pull(row(server))


def test_without_any_place_bundled_models_are_found_and_others_are_said_to_need_one(
    server, monkeypatch
):
    homeless(monkeypatch, None)
    rows, default = manifest.load()
    assert all(fetch.resolve(rows[name]).is_file() for name in default.values())
    assert fetch.find(row(server)) is None
    with pytest.raises(OutputError, match="set EVERYBODY_CACHE"):
        fetch.pull(row(server))


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
    assert {rows[name].task for name in default.values()} == {"detector", "pose", "turn", "lift"}
    for model in rows.values():
        assert model.licence == "Apache-2.0"
        assert model.url or model.verified
        assert len(model.sha256) in ((64,) if model.verified else (0, 64))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model.x]\ntask = 'pose'", "model 'x': .*missing required field"),
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
