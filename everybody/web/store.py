"""The jobs in SQLite, which survives the server: what was asked for, and how far it is."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

State = Literal["waiting", "running", "done", "cancelled", "interrupted", "failed"]

_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, state TEXT NOT NULL,
    job TEXT NOT NULL
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """sources: of each file its name within `root` and its kind. root: "inputs" of the job's own
    folder, or the served "folder". created: milliseconds since 1970. total: frames, where known.
    """

    id: str
    name: str
    created: int
    options: dict[str, Any]
    sources: list[dict[str, str]]
    root: Literal["inputs", "folder"]
    state: State = "waiting"
    done: int = 0
    people: int = 0
    total: int | None = None
    error: str | None = None
    problems: list[str] = field(default_factory=list)

    def told(self, *, overlay: bool) -> dict[str, Any]:
        """What clients are told of it."""
        said = asdict(self)
        for name in ("sources", "root", "problems"):
            del said[name]
        return {**said, "error": self.error or _first(self.problems), "overlay": overlay}


def _first(problems: list[str]) -> str | None:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}" if problems else None


class Store:
    """Jobs by id; each change is on the disk when the call returns. Use it from any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA wal_autocheckpoint=100")  # pages: 400 KB, then anew
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_TABLE)

    def add(self, job: Job) -> None:
        self._do(
            "INSERT INTO jobs (id, state, job) VALUES (?, ?, ?)", job.id, job.state, _packed(job)
        )

    def get(self, id: str) -> Job | None:
        rows = self._do("SELECT job FROM jobs WHERE id = ?", id)
        return Job(**json.loads(rows[0][0])) if rows else None

    def all(self) -> list[Job]:
        """Newest first."""
        return [
            Job(**json.loads(row[0]))
            for row in self._do("SELECT job FROM jobs ORDER BY number DESC")
        ]

    def waiting(self) -> Job | None:
        """The one that has waited longest."""
        rows = self._do("SELECT job FROM jobs WHERE state = 'waiting' ORDER BY number LIMIT 1")
        return Job(**json.loads(rows[0][0])) if rows else None

    def change(self, id: str, **values: Any) -> Job | None:
        """The job with these values; None where it was deleted."""
        job = self.get(id)
        if job is None:
            return None
        job = replace(job, **values)
        self._do("UPDATE jobs SET state = ?, job = ? WHERE id = ?", job.state, _packed(job), id)
        return job

    def remove(self, id: str) -> None:
        self._do("DELETE FROM jobs WHERE id = ?", id)

    def counts(self) -> dict[str, int]:
        return dict(self._do("SELECT state, COUNT(*) FROM jobs GROUP BY state"))

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _do(self, statement: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()


def _packed(job: Job) -> str:
    return json.dumps(asdict(job))
