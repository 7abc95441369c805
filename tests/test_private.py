"""Nothing leaves the machine, and nothing is written but results and our own cache: the command
line under strace, which sees every socket and every file that is made or changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STRACE = shutil.which("strace")
CALLS = (
    "trace=network,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink"
)

_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')
_MADE = re.compile(r"O_CREAT|O_WRONLY|O_RDWR|O_TRUNC|^\d+ +(?:creat|mkdir|rename|link|symlink)")
_CALL = re.compile(r"^(\d+) +(\w+)\(")


def traced(arguments: list[str], home: Path, log: Path) -> list[str]:
    """The system calls of a command, in an environment with this home. The test is skipped where
    nothing can be traced.
    """
    if not STRACE:
        pytest.skip("needs strace, which is not installed")
    kept = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [STRACE, "-f", "-qq", "-e", CALLS, "-o", str(log), sys.executable, *arguments]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    if not log.is_file() or not log.read_text():
        pytest.skip(f"needs strace, which may trace nothing here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    return log.read_text().splitlines()


def sockets(calls: list[str]) -> list[str]:
    """Calls that make a socket other than those by which a process speaks to itself."""
    return [line for line in calls if "socket(" in line and "socket(AF_UNIX" not in line]


def addressed(calls: list[str]) -> list[str]:
    """Calls that name a partner: connections and messages to addresses."""
    return [line for line in calls if "connect(" in line or "sa_family=" in line]


def written(calls: list[str]) -> set[str]:
    """Paths that were made or opened to be written, and were there to be written."""
    out = set()
    for line in calls:
        if _MADE.search(line) and _CALL.match(line) and " = -1 " not in line:
            out |= {match[1] for match in _PATH.finditer(line)}
    return {path for path in out if not path.startswith(("/dev/", "/proc/self/"))}


RUN = ["-m", "everybody", "run", str(ROOT / "examples/class.jpg"), "--track", "--format", "csv"]
COMMANDS = {
    "run": [*RUN, "--save-images", "--out", "out", "--smooth", "one-euro"],
    "models": ["-m", "everybody", "models"],
    "doctor": ["-m", "everybody", "doctor"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_opens_no_socket_and_writes_its_results_only(tmp_path, name):
    home = tmp_path / "home"
    home.mkdir()
    calls = traced(COMMANDS[name], home, tmp_path / "calls")
    assert not sockets(calls)
    assert not addressed(calls)
    outside = {path for path in written(calls) if not (home / path).is_relative_to(home / "out")}
    assert not outside
    assert {path.name for path in home.iterdir()} <= {"out"}
    assert (home / "out/frames.jsonl").is_file() == (name == "run")


def test_a_socket_and_a_file_would_be_seen(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    code = "import socket; open('made', 'w'); socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
    calls = traced(["-c", code], home, tmp_path / "calls")
    assert len(sockets(calls)) == 1
    assert {Path(path).name for path in written(calls)} == {"made"}


def test_a_users_own_choice_stays(monkeypatch):
    from everybody import runtime

    for value in ("0", "1", ""):
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", value)
        runtime.keep_private()
        assert os.environ["ORT_DISABLE_TELEMETRY"] == value
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    runtime.keep_private()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
