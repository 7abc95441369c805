"""One writer per folder: live locks hold, stale ones are taken over by one, whatever was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from everybody.errors import OutputError
from everybody.results import lock as locks
from everybody.results.journal import Journal
from everybody.results.lock import NAME, STALE, Lock
from everybody.results.records import Record
from everybody.skeletons import COCO17

from .test_journal import people

ELSEWHERE = {"machine": ["another", "", ""], "process": 7, "began": "1"}


def leave(folder: Path, said: object, age: float = 0.0) -> Path:
    """A lock that says this and was touched so many seconds ago."""
    path = folder / NAME
    path.write_bytes(said if isinstance(said, bytes) else json.dumps(said).encode())
    os.utime(path, (time.time() - age,) * 2)
    return path


def here(**other: object) -> dict[str, object]:
    return {**locks._here(), **other}


def test_a_folder_has_one_writer_at_a_time(tmp_path):
    with Lock(tmp_path), pytest.raises(OutputError, match="another run writes here"):
        Lock(tmp_path).acquire()
    with Lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_journal_holds_its_folder_until_it_is_closed(tmp_path):
    with (
        Journal(tmp_path, COCO17) as journal,
        pytest.raises(OutputError, match="another run writes here"),
    ):
        Journal(tmp_path, COCO17, existing="resume")
    journal.close()
    with Journal(tmp_path, COCO17, existing="resume"):
        pass
    with pytest.raises(OutputError, match="--resume"):
        Journal(tmp_path, COCO17)
    assert not (tmp_path / NAME).exists()


def test_a_journal_whose_folder_was_taken_over_ends(tmp_path):
    with Lock(tmp_path) as lock, Journal(tmp_path, COCO17, lock=lock) as journal:
        record = Record("a.mp4", 0, 0.0, 9, 9, people(1))
        lock.touch()
        journal.write(record)
        leave(tmp_path, ELSEWHERE)
        lock.touch()
        with pytest.raises(OutputError, match="another run"):
            journal.write(record)
    assert json.loads((tmp_path / NAME).read_text()) == ELSEWHERE  # not ours to remove


@pytest.mark.parametrize(
    ("said", "age", "live"),
    [
        (ELSEWHERE, 0, True),
        (ELSEWHERE, STALE + 5, False),
        (b"", 0, True),
        (b"", STALE + 5, False),
        (b'{"machine": 3}', STALE + 5, False),
        (here(), STALE + 5, True),  # stopped, but there
        (here(began="0"), 0, False),  # another process had our number
        (here(process=2**22 + 1), 0, False),
    ],
)
def test_a_stale_lock_is_told_from_a_live_one(tmp_path, said, age, live):
    if not os.path.exists("/proc/self/stat"):
        pytest.skip("needs a system that tells when processes began")
    leave(tmp_path, said, age)
    if live:
        with pytest.raises(OutputError, match="another run writes here"):
            Lock(tmp_path).acquire()
    else:
        with Lock(tmp_path):
            pass


def test_of_many_who_find_a_stale_lock_one_gets_the_folder(tmp_path):
    leave(tmp_path, ELSEWHERE, STALE + 5)
    racers = [Lock(tmp_path) for _ in range(12)]

    def race(lock: Lock) -> bool:
        try:
            lock.acquire()
        except OutputError:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        won = list(pool.map(race, racers))
    assert sum(won) == 1
    racers[won.index(True)].release()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_holds_nobody_up(tmp_path):
    code = (
        "import os, signal, sys\nfrom everybody.results.lock import Lock\n"
        "Lock(sys.argv[1]).acquire()\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / NAME).exists()
    with Lock(tmp_path):
        pass


def test_file_systems_without_links_have_locks_too(tmp_path, monkeypatch):
    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    test_a_folder_has_one_writer_at_a_time(tmp_path)
    test_of_many_who_find_a_stale_lock_one_gets_the_folder(tmp_path)
