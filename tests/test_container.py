"""In an environment that is not a desk: a user id that nobody knows, no home, a package that can
only be read, no variables but PATH, no terminal; as in a container.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
USER = "12345"
WAYS = {
    "setpriv": ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"],
    "unshare": ["unshare", "--user", f"--map-user={USER}", f"--map-group={USER}"],
}
BARE = ["env", "-i", "PATH=/usr/bin:/bin", "LANG=C", "LC_ALL=C", "PYTHONDONTWRITEBYTECODE=1"]
# Mounts need a name space in which one is root: a small /tmp, and no /dev/shm.
SMALL = """
mount -t tmpfs -o size=1k,ro none /dev/shm && mount -t tmpfs -o size=64M none "$1" && shift && "$@"
"""


class Room:
    """A folder in which an unknown user may write, beside a package that can only be read."""

    def __init__(self, folder: Path, way: list[str]) -> None:
        self.folder, self.way = folder, way

    def __call__(self, *arguments: str, first: tuple[str, ...] = (), **variables: str):
        """Runs the command line there; first: before the way in."""
        settings = {"PYTHONPATH": str(self.folder / "package")} | variables
        named = [f"{name}={value}" for name, value in settings.items()]
        command = [*first, *self.way, *BARE, *named, sys.executable, "-m", "everybody", *arguments]
        return subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """Skips where no user can be changed."""
    folder = Path(tempfile.mkdtemp(prefix="everybody-room-"))
    folder.chmod(0o777)
    package = folder / "package"
    shutil.copytree(ROOT / "everybody", package / "everybody")
    shutil.copy(ROOT / "examples/class.jpg", folder)
    _set_modes(package, 0o555, 0o444)
    try:
        for way in WAYS.values():
            probe = [*way, *BARE, sys.executable, "-c", "import numpy, os; os.listdir('package')"]
            if shutil.which(way[0]) and not _run(probe, folder).returncode:
                yield Room(folder, way)
                return
        pytest.skip("needs setpriv as root, or unshare with user name spaces")
    finally:
        _set_modes(package, 0o755, 0o644)
        shutil.rmtree(folder)


def _set_modes(package: Path, folders: int, files: int) -> None:
    for path in [package, *package.rglob("*")]:
        path.chmod(folders if path.is_dir() else files)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_main_job_is_done(room):
    done = room("run", "class.jpg", "--out", "out", "--save-images", "--format", "coco,csv")
    assert done.returncode == 0, done.stderr
    assert "5 people" in done.stderr
    names = {path.name for path in (room.folder / "out").iterdir()}
    assert {"frames.jsonl", "run.json", "results.json", "results.csv", "images"} <= names
    assert {path.name for path in room.folder.iterdir()} == {"package", "class.jpg", "out"}


def test_models_and_doctor_answer_and_say_where_models_would_be_kept(room):
    listed = room("models", "--json", TMPDIR=str(room.folder))
    assert listed.returncode == 0, listed.stderr
    bundled = [entry for entry in json.loads(listed.stdout) if entry["bundled"]]
    assert all(entry["path"] for entry in bundled)

    found = room("doctor", TMPDIR=str(room.folder), COLUMNS="200")
    assert found.returncode == 0, found.stderr
    assert f"{room.folder}/everybody-{USER}/weights (temporary" in found.stdout
    assert "set EVERYBODY_CACHE" in found.stdout


def test_models_and_doctor_answer_where_no_folder_can_be_written(room):
    closed = room.folder / "closed"
    closed.mkdir(mode=0o555)
    try:
        for command in ("models", "doctor"):
            done = room(command, EVERYBODY_CACHE=str(closed / "cache"))
            assert done.returncode == 0, done.stderr
        pulled = room("models", "pull", "yolox-nano", EVERYBODY_CACHE=str(closed / "cache"))
    finally:
        closed.rmdir()
    assert pulled.returncode == 1
    (line,) = pulled.stderr.splitlines()
    assert "cannot be written (Permission denied); choose a place where you may write" in line


def test_a_model_that_is_not_here_is_the_only_complaint(room):
    done = room("run", "class.jpg", "--out", "other", "--detector", "yolox-nano")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "everybody models pull yolox-nano" in line


def test_a_folder_that_may_not_be_written_is_said_to_be_one(room):
    closed = room.folder / "closed"
    closed.mkdir(mode=0o555)
    try:
        done = room("run", "class.jpg", "--out", "closed/out")
    finally:
        closed.rmdir()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "(Permission denied); choose a place where you may write" in line
    assert "free space" not in line


def test_a_small_temporary_folder_and_no_shared_memory_are_enough(room):
    small = room.folder / "small"
    small.mkdir(exist_ok=True)
    first = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL, "x", str(small))
    if _run([*first, "true"], room.folder).returncode:
        small.rmdir()
        pytest.skip("needs unshare with user and mount name spaces")
    done = room("run", "class.jpg", "--out", "small/out", first=first, TMPDIR=str(small))
    small.rmdir()
    assert done.returncode == 0, done.stderr
    assert "5 people" in done.stderr


@pytest.mark.slow
def test_the_studio_serves_a_team_as_the_container_file_starts_it(room):
    lines = (ROOT / "Containerfile").read_text("utf-8").splitlines()
    entry = json.loads(next(line for line in lines if line.startswith("ENTRYPOINT"))[11:])
    data = room.folder / "data"
    data.mkdir(mode=0o777)
    data.chmod(0o777)
    shutil.copy(room.folder / "class.jpg", data)
    arguments = [str(data) if one == "/data" else one for one in entry[1:-1]] + ["0"]
    settings = [f"PYTHONPATH={room.folder / 'package'}", "EVERYBODY_STUDIO_TOKEN=ours"]
    command = [*room.way, *BARE, *settings, sys.executable, "-m", "everybody", *arguments]
    with subprocess.Popen(command, cwd=room.folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said = next(line for line in process.stderr if "http://" in line)
            port = int(re.findall(r":(\d+)/", said)[0])
            body = json.dumps({"paths": ["class.jpg"]})
            assert _ask(port, "GET", "/healthz")[0] == 200
            assert _ask(port, "POST", "/api/jobs", body)[0] == 401
            status, job = _ask(port, "POST", "/api/jobs?token=ours", body)
            assert status == 201
            while job["state"] in ("waiting", "running"):
                time.sleep(0.2)
                _, job = _ask(port, "GET", f"/api/jobs/{job['id']}?token=ours")
            assert (job["state"], job["people"]) == ("done", 5)
        finally:
            process.terminate()


def _ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
    """A request to this machine, once something listens there -> status and answer."""
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except ConnectionRefusedError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise AssertionError("nobody listens")


def test_the_room_is_as_bare_as_it_should_be(room):
    """So that the tests above could fail."""
    assert not stat.S_IMODE((room.folder / "package/everybody").stat().st_mode) & 0o222
    seen = _run([*room.way, *BARE, "sh", "-c", "id -u; echo ${HOME-none}"], room.folder)
    assert seen.stdout.split() == [USER, "none"]
    assert os.environ.get("HOME")
