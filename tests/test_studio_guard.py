"""What strangers try with the studio's server: each is refused in a sentence, and nothing of it
stays.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from everybody.errors import InputError, OptionError
from everybody.web.guard import refusal
from everybody.web.places import files_of, inside, listing, safe_name, used
from everybody.web.serve import listen, serve
from everybody.web.settings import Limits, Studio
from everybody.web.worker import main as worker_main

from .studio import CLASS, clip, ended, running

ROOT = Path(__file__).resolve().parents[1]
SMALL = Limits(
    upload=2**20, quota=2**22, picture=2**20, pixels=2_000_000, frame=2**18, live=1, patience=1.0
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served folder with a secret beside it, and links to the secret within it."""
    base = tmp_path_factory.mktemp("base")
    (base / "secret.jpg").write_bytes(CLASS.read_bytes())
    folder = base / "served"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/a.jpg").write_bytes(CLASS.read_bytes())
    (folder / "link.jpg").symlink_to(base / "secret.jpg")
    (folder / "up").symlink_to(base)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with running(Studio(folder=folder, model="fast", limits=SMALL)) as client:
        yield client


def jobs_left(folder: Path) -> list[str]:
    return [path.name for path in (folder / "everybody-studio/jobs").iterdir()]


# ---- names


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a.jpg", "a.jpg"),
        ("films/a.mp4", "films/a.mp4"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\x\\a.jpg", "C_/Users/x/a.jpg"),
        ("a/../../b.jpg", "a/b.jpg"),
        (".ssh/authorized_keys", "ssh/authorized_keys"),
        ("a\x00b\n.jpg", "a_b_.jpg"),
        ("x" * 500 + ".jpg", "x" * 120 + ".jpg"),
    ],
)
def test_an_uploads_name_stays_in_its_folder(given, kept):
    assert safe_name(given).as_posix() == kept


@pytest.mark.parametrize("given", ["", "..", "../..", "/", "a/" * 20 + "b"])
def test_a_name_of_nothing_is_refused(given):
    with pytest.raises(InputError):
        safe_name(given)


@pytest.mark.parametrize(
    "name", ["..", "../secret.jpg", "link.jpg", "up/secret.jpg", "/etc/passwd", "a\x00", "none.jpg"]
)
def test_no_name_leads_out_of_the_served_folder(folder, client, name):
    with pytest.raises(InputError):
        inside(folder, name)
    answer = client.post("/api/jobs", json={"paths": [name]})
    assert answer.status_code == 422
    assert "not in the served folder" in answer.json()["detail"]


def test_folders_are_walked_without_links_that_lead_out(folder):
    hidden = folder / "everybody-studio"
    assert files_of(folder, ["."], hidden=hidden, most=9) == ["sub/a.jpg"]
    assert [row["name"] for row in listing(folder, "", hidden=hidden)] == ["sub"]
    with pytest.raises(InputError):
        files_of(folder, ["everybody-studio"], hidden=hidden, most=9)


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/secret.jpg", "/static/app.js", "//etc"],
)
def test_the_page_is_its_files_and_no_others(client, path):
    answer = client.send(client.build_request("GET", str(client.base_url) + path))
    assert answer.status_code == 404


def test_ids_and_numbers_of_jobs_are_no_paths(client):
    for path in ("..", "%2e%2e", "0" * 16, "a" * 17):
        assert client.get(f"/api/jobs/{path}/frames").status_code in (404, 422)


# ---- who asks


def asked(studio: Studio, path: str = "/api/jobs", query: str = "", **headers: str) -> int | None:
    """The status with which a request is refused; None: it is not."""
    encoded = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    found = refusal({"path": path, "headers": encoded, "query_string": query.encode()}, studio)
    return found and found[0]


def test_only_this_machines_own_names_are_answered(tmp_path):
    here = Studio(folder=tmp_path)
    for host in ("localhost:1", "127.0.0.1:8720", "[::1]:8720", "LOCALHOST"):
        assert asked(here, host=host) is None, host
    for host in ("evil.example", "127.0.0.1.evil.example", "", "a@b", "192.168.0.2", "[::1"):
        assert asked(here, host=host) == 403, host
        assert asked(here, "/", host=host) == 403, host
    assert asked(replace(here, hosts=("pose.lan",)), host="pose.lan:80") is None


def test_other_sites_are_refused(tmp_path):
    here = Studio(folder=tmp_path)
    own = {"host": "localhost:8720", "origin": "http://localhost:8720"}
    assert asked(here, **own, sec_fetch_site="same-origin") is None
    for origin in ("http://evil.example", "null", "http://localhost:9", "http://localhost"):
        assert asked(here, host="localhost:8720", origin=origin) == 403, origin
    assert asked(here, host="localhost", sec_fetch_site="cross-site") == 403
    assert asked(here, host="localhost", sec_fetch_site="same-site") == 403


def test_a_token_is_wanted_for_everything_that_is_secret(tmp_path):
    open_to_all = Studio(folder=tmp_path, token="right")
    for path in ("/api/jobs", "/api/live", "/api/docs", "/metrics"):
        assert asked(open_to_all, path, host="x") == 401
        assert asked(open_to_all, path, "token=wrong", host="x") == 401
        assert asked(open_to_all, path, "token=right", host="x") is None
        assert asked(open_to_all, path, host="x", authorization="Bearer right") is None
        assert asked(open_to_all, path, host="x", authorization="Bearer ö") == 401
    assert asked(open_to_all, "/", host="x") is None
    assert asked(open_to_all, "/healthz", host="x") is None


def cameras(client: httpx.Client) -> str:
    """The address of cameras, once the server has seen that none is connected."""
    while "\neverybody_live_connections 0\n" not in client.get("/metrics").text:
        pass
    return str(client.base_url).replace("http", "ws")


def test_a_camera_of_another_site_is_refused_and_so_is_one_too_many(client):
    address = cameras(client)
    with pytest.raises(InvalidStatus):
        connect(f"{address}/api/live", origin="http://evil.example")  # type: ignore[arg-type]
    with (
        connect(f"{address}/api/live"),
        connect(f"{address}/api/live") as second,
        pytest.raises(Exception, match="cameras already"),
    ):
        second.recv()


# ---- what is sent


def bomb(width: int, height: int) -> bytes:
    """A small PNG of very many black pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * min((width * 3 + 1) * height, 2**20), 9)
    png = b"\x89PNG\r\n\x1a\n"
    return png + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def archive() -> bytes:
    """A ZIP whose one member is a megabyte of nothing."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.jpg", b"\0" * 2**20)
    return file.getvalue()


def test_bombs_are_refused_by_their_headers(client):
    answer = client.post("/api/people", content=bomb(40_000, 40_000))
    assert answer.status_code == 422
    assert "1600 megapixels" in answer.json()["detail"]
    for data in (archive(), gzip.compress(CLASS.read_bytes()), b"", b"\0" * 1000):
        assert client.post("/api/people", content=data).status_code == 422
    packed = client.post(
        "/api/people",
        content=gzip.compress(CLASS.read_bytes()),
        headers={"Content-Encoding": "gzip"},
    )
    assert packed.status_code == 422  # nothing is unpacked for anybody


def test_a_camera_that_sends_bombs_or_too_much_hears_of_it(client):
    address = cameras(client)
    with connect(f"{address}/api/live?model=fast") as live:
        live.send(bomb(40_000, 40_000))
        assert "megapixels" in json.loads(live.recv())["error"]
        live.send(b"\0" * (2**18 + 1))
        with pytest.raises(Exception, match="1009"):
            live.recv()


@pytest.mark.slow
def test_a_job_of_a_bomb_fails_and_the_next_one_does_not(client):
    made = client.post("/api/jobs", files={"files": ("bomb.png", bomb(40_000, 40_000))}).json()
    job = ended(client, made["id"])
    assert job["state"] == "failed"
    assert "megapixels" in job["error"]
    client.delete(f"/api/jobs/{made['id']}")
    made = client.post("/api/jobs", files={"files": ("a.jpg", CLASS.read_bytes())}).json()
    assert ended(client, made["id"])["state"] == "done"
    client.delete(f"/api/jobs/{made['id']}")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("list.txt", b"/etc/passwd\n../../secret.jpg\n"),
        ("films.m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n"),
        ("films.mp4", b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
        ("a.zip.jpg", archive()[:2] and b"<html><script>alert(1)</script>"),
    ],
)
def test_files_that_lead_to_other_files_make_no_job(client, folder, name, data):
    before = jobs_left(folder)
    answer = client.post("/api/jobs", files={"files": (name, data)})
    assert answer.status_code == 422
    assert "neither a picture nor a video" in answer.json()["detail"]
    assert jobs_left(folder) == before


def test_what_is_too_large_is_refused_before_it_comes(client, folder):
    before = jobs_left(folder)
    for path, most in (("/api/jobs", SMALL.upload), ("/api/people", SMALL.picture)):
        with socket.create_connection((client.base_url.host, client.base_url.port)) as sock:
            sock.sendall(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
                f"boundary=x\r\nContent-Length: {most + 1}\r\n\r\n".encode()
            )
            assert sock.recv(100).startswith(b"HTTP/1.1 413")
    chunked = client.post("/api/people", content=iter([CLASS.read_bytes()]))
    assert chunked.status_code == 411
    assert jobs_left(folder) == before


def test_the_quota_of_all_jobs_holds(folder, client):
    filler = folder / "everybody-studio/filler"
    filler.write_bytes(b"\0" * SMALL.quota)
    try:
        answer = client.post("/api/jobs", files={"files": ("a.jpg", CLASS.read_bytes())})
        assert answer.status_code == 507
        assert "delete some" in answer.json()["detail"]
    finally:
        filler.unlink()
    assert used(folder / "everybody-studio") < SMALL.quota


def test_half_an_upload_leaves_nothing(client, folder):
    before = jobs_left(folder)
    head = (
        b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    )
    place = client.base_url.host, client.base_url.port
    with socket.create_connection(place) as gone:
        gone.sendall(head + b"\xff" * 1000)
    with socket.create_connection(place) as slow:
        slow.sendall(head + b"\xff" * 1000)
        assert slow.recv(100).startswith(b"HTTP/1.1 408")  # after the second of patience
    with socket.create_connection(place) as idle:
        idle.sendall(b"GET / HTT")
        assert idle.recv(100) == b""
    assert jobs_left(folder) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"paths": []}',
        b'{"paths": [1]}',
        b'{"paths": "x", "y": 1}',
        b"1",
    ],
)
def test_bodies_that_are_not_what_is_asked_for_are_refused(client, body):
    answer = client.post("/api/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)


def test_broken_multipart_is_refused(client):
    for body in (b"junk", b"--x\r\nno header\r\n--x--", b"--x--", b"--x\r\n\r\n"):
        answer = client.post(
            "/api/jobs",
            content=body,
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
        assert answer.status_code == 422, body
    assert client.post("/api/jobs", content=b"x").status_code == 415


# ---- many at once, ports, kills


def test_two_hundred_requests_at_once_are_all_answered(client):
    paths = ("/api/jobs", "/api/info", "/", "/healthz")
    every = httpx.Limits(max_connections=200)
    with (
        httpx.Client(base_url=client.base_url, limits=every, timeout=60) as many,
        ThreadPoolExecutor(200) as pool,
    ):
        answers = pool.map(lambda number: many.get(paths[number % 4]), range(200))
        assert {answer.status_code for answer in answers} == {200}


@pytest.mark.slow
def test_two_hundred_pictures_at_once_are_all_answered(tmp_path):
    every, data = httpx.Limits(max_connections=200), CLASS.read_bytes()
    with (
        running(Studio(folder=tmp_path)) as own,
        httpx.Client(base_url=own.base_url, limits=every, timeout=600) as many,
        ThreadPoolExecutor(200) as pool,
    ):
        answers = pool.map(lambda _: many.post("/api/people?model=fast", content=data), range(200))
        assert {len(answer.json()["people"]) for answer in answers} == {5}


def test_a_port_in_use_means_the_next():
    first, port = listen("127.0.0.1", 0)
    with first:
        second, other = listen("127.0.0.1", port)
        second.close()
    assert port < other < port + 20
    with pytest.raises(OptionError, match="cannot be served"):
        listen("192.0.2.1", 0)


def test_a_certificate_and_its_key_go_together(tmp_path):
    for files in ({"certificate": tmp_path / "c.pem"}, {"key": tmp_path / "k.pem"}):
        with pytest.raises(OptionError, match="go together"):
            serve(Studio(folder=tmp_path), say=print, **files)
    missing = tmp_path / "none.pem"
    with pytest.raises(OptionError, match="no such file"):
        serve(Studio(folder=tmp_path), say=print, certificate=missing, key=missing)


def test_what_is_no_certificate_is_said_before_the_link(tmp_path, capsys):
    notes = tmp_path / "notes.pem"
    notes.write_text("this is no certificate\n")
    with pytest.raises(OptionError, match=r"notes\.pem: expected a certificate and its key"):
        serve(Studio(folder=tmp_path), say=print, certificate=notes, key=notes)
    assert not capsys.readouterr().out


@pytest.fixture
def encrypted(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate, and its key under the password "open sesame"."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("needs openssl")
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
    to = ["-keyout", key, "-out", certificate, "-passout", "pass:open sesame"]
    subprocess.run([openssl, "req", "-x509", *curve, *to], check=True, capture_output=True)
    return certificate, key


def test_the_password_of_a_key_is_asked_for_once(encrypted, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "open sesame")
    secure = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: secure.append(self.config))
    serve(Studio(folder=tmp_path), say=print, port=0, certificate=encrypted[0], key=encrypted[1])
    (config,) = secure
    config.load()  # reads the key again
    assert config.ssl is not None
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, r"k\.pem: the key is encrypted; set EVERYBODY_STUDIO_KEY_PASSWORD"),
        ("open", r"k\.pem: this is not the password"),
        ("open" * 1000, r"k\.pem: this is not the password"),
    ],
)
def test_an_encrypted_key_without_its_password_is_said(
    encrypted, tmp_path, monkeypatch, given, words
):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    certificate, key = encrypted
    with pytest.raises(OptionError, match=words):
        serve(Studio(folder=tmp_path), say=print, certificate=certificate, key=key, password=given)


@pytest.mark.slow
def test_a_second_server_does_not_take_the_same_folder(folder):
    first, _ = started(folder)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "everybody", "studio", str(folder), "--port", "0"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
        )
    finally:
        first.terminate()
        first.communicate(timeout=30)
    assert done.returncode != 0
    assert "another run writes here" in done.stderr


def started(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A server in a process of its own, and its address."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "everybody",
            "studio",
            str(folder),
            "--port",
            "0",
            "--model",
            "fast",
        ],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stderr
    line = process.stderr.readline()
    address = line.rpartition("everybody studio: ")[2].strip()
    for _ in range(600):
        try:
            httpx.get(f"{address}healthz")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return process, address
    raise AssertionError(line)


@pytest.mark.slow
def test_a_server_that_is_killed_goes_on_where_it_was(tmp_path):
    clip(tmp_path / "clip.mp4", 150)
    process, address = started(tmp_path)
    made = httpx.post(f"{address}api/jobs", json={"paths": ["clip.mp4"]}).json()
    journal = tmp_path / "everybody-studio/jobs" / made["id"] / "out/frames.jsonl"
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 10):
        time.sleep(0.05)
    process.kill()
    process.communicate()
    before = journal.read_bytes().count(b"\n")
    assert before < 150
    process, address = started(tmp_path)
    try:
        with httpx.Client(base_url=address, timeout=60) as again:
            job = ended(again, made["id"])
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert (job["state"], job["done"]) == ("done", 150)
    frames = [json.loads(line)["frame"] for line in journal.read_text().splitlines()]
    assert frames == list(range(150))


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_and_resumed(tmp_path):
    clip(tmp_path / "clip.mp4", 150)
    with running(Studio(folder=tmp_path, model="fast")) as client:
        made = client.post("/api/jobs", json={"paths": ["clip.mp4"]}).json()
        lock = tmp_path / "everybody-studio/jobs" / made["id"] / "out/run.lock"
        while not lock.exists():
            time.sleep(0.05)
        os.kill(json.loads(lock.read_text())["process"], signal.SIGKILL)
        job = ended(client, made["id"])
        assert job["state"] == "failed"
        assert "SIGKILL" in job["error"]
        client.post(f"/api/jobs/{made['id']}/resume")
        assert ended(client, made["id"])["done"] == 150


@pytest.mark.slow
def test_a_worker_ends_with_its_server(tmp_path, monkeypatch):
    order: dict[str, Any] = {"task": "run", "memory": 2**33, "root": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", f"import {worker_main.__module__} as w, time; "
         "w.TASKS['run'] = lambda order: time.sleep(600); w.main()"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.close()
    assert process.wait(60) == 3
