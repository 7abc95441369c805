"""One writer per folder: a lock that survives kills, also where several machines see the folder.

The lock is a file that is made only if it is not there (O_EXCL), which network file systems keep
to. It says who holds it: host, process, when that process began. The holder touches it every
`BEAT` seconds.

A lock that a killed run has left is told from a live one: on the same machine the process is
looked for, and one of the same number that began at another time is another process; from another
machine, a file that was not touched for `STALE` seconds is stale. Ages are counted by the clock of
the file system, since machines disagree.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from ..atomic import writing
from ..errors import OutputError

NAME = "run.lock"
BEAT = 10.0  # seconds
STALE = 60.0
MOMENT = 0.05


class Lock:
    """Held from `acquire` to `release`; a context manager.

    Raises OutputError where another run that is alive holds the folder. lost: another run has taken
    it for stale, because it was not touched (a machine that slept).
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder) / NAME
        self._said = b""
        self._ended = threading.Event()
        self._held = False
        self.lost = False

    def acquire(self) -> Lock:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._said = json.dumps({**_here(), "key": uuid4().hex}).encode()
            while not self._made():
                held = _read(self.path)
                if held is not None:
                    self._take_over(held)
        self._held = True
        threading.Thread(target=self._beat, name="everybody-lock", daemon=True).start()
        return self

    def release(self) -> None:
        """Give the folder free; twice is once."""
        self._ended.set()
        if self._held and _read(self.path) == self._said:
            self.path.unlink(missing_ok=True)
        self._held = False

    def _made(self) -> bool:
        """Whether the file was not there and is ours now."""
        part = self.path.with_name(f"{NAME}.{uuid4().hex}")
        part.write_bytes(self._said)  # first, so that nobody sees a lock that says nothing
        try:
            os.link(part, self.path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            return self._made_without_link()
        finally:
            part.unlink(missing_ok=True)
        return True

    def _made_without_link(self) -> bool:
        try:
            with self.path.open("xb") as file:
                file.write(self._said)
        except FileExistsError:
            return False
        return True

    def _take_over(self, held: bytes) -> None:
        """Remove a stale lock that says `held`. Raises OutputError if it is not stale."""
        reason = _alive(held, self.path)
        if reason:
            raise OutputError(
                f"{self.path.parent}: another run writes here ({reason}); wait for its end or "
                f"choose another folder"
            )
        # Of all who find this lock stale, one removes it: who makes the file named after it. A lock
        # that was made in the meantime says something else, and stays.
        marker = self.path.with_name(f"{NAME}.{sha256(held).hexdigest()[:16]}")
        try:
            marker.open("xb").close()
        except FileExistsError:
            if _age(marker) > STALE:  # killed just here
                marker.unlink(missing_ok=True)
            time.sleep(MOMENT)
            return
        try:
            if _read(self.path) == held:
                self.path.unlink(missing_ok=True)
        finally:
            marker.unlink(missing_ok=True)

    def touch(self) -> None:
        """Show that this run is alive; find out whether the folder was taken over."""
        with suppress(OSError):  # the next time may succeed; others count to STALE
            self.lost = _read(self.path) != self._said
            if not self.lost:
                os.utime(self.path)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            self.touch()

    def __enter__(self) -> Lock:
        return self if self._held else self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _here() -> dict[str, Any]:
    """Who we are: the machine (with its boot and its namespace of processes, where the system tells
    them), the process, and when it began.
    """
    boot = _text(Path("/proc/sys/kernel/random/boot_id"))
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    machine = [socket.gethostname(), boot, space]
    return {"machine": machine, "process": os.getpid(), "began": _began(os.getpid())}


def _began(process: int) -> str:
    """When a process began, in the system's own count; "" where it does not tell."""
    _, _, fields = _text(Path(f"/proc/{process}/stat")).rpartition(")")
    return fields.split()[19] if len(fields.split()) > 19 else ""


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _read(path: Path) -> bytes | None:
    """What a lock says; None if it is gone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _alive(held: bytes, path: Path) -> str:
    """Who holds the lock, if that run is alive, else ""."""
    try:
        said = json.loads(held)
        machine, process = list(said["machine"]), int(said["process"])
        began = str(said["began"])
    except (ValueError, KeyError, TypeError):
        machine, process, began = [], 0, ""
    if machine == _here()["machine"] and began:
        return f"process {process} on this machine" if _began(process) == began else ""
    if machine == _here()["machine"] and os.name == "posix" and not _exists(process):
        return ""

    age = _age(path)
    if age > STALE:
        return ""
    holder = f"process {process} on {machine[0]}" if machine else "somebody"
    left = STALE - age
    return f"{holder}, {age:.0f} s ago; if it was killed, its lock ends in {left:.0f} s"


def _age(path: Path) -> float:
    """Seconds since the lock was touched, by the clock of its file system."""
    probe = path.with_name(f"{NAME}.{uuid4().hex}")
    try:
        probe.write_bytes(b"")
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return STALE + 1
    finally:
        probe.unlink(missing_ok=True)
