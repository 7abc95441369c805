"""What a server is told when it starts, as one frozen value, and the folders it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MEBIBYTE = 2**20
GIBIBYTE = 2**30
KEPT = "everybody-studio"  # the folder of the jobs, within the served one


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, and all together, may use. Sizes are in bytes, times in seconds."""

    upload: int = 8 * GIBIBYTE  # one request that makes a job
    files: int = 10_000  # of one job
    quota: int = 50 * GIBIBYTE  # all jobs, with all that is made of them
    picture: int = 64 * MEBIBYTE  # one picture of POST /api/people
    pixels: int = 100_000_000  # of such a picture
    pictures: int = 512 * MEBIBYTE  # all such pictures that are held at a time
    frame: int = 8 * MEBIBYTE  # one frame of a live connection
    frame_pixels: int = 16_000_000
    live: int = 8  # live connections
    small: int = 256 * 1024  # any other body
    edits: int = 20_000  # of one job
    memory: int = 6 * GIBIBYTE  # of one worker
    patience: float = 30.0  # until more of a body, or of a header, has come
    stalled: float = 120.0  # until a reader takes more of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """folder: what jobs may read; jobs are kept in its subfolder `everybody-studio`. model: of jobs
    and cameras that name none. token: what every request must show; None: nothing, which is for
    this machine alone. hosts: the names by which this machine may be asked, besides its own.
    workers: jobs at a time.
    """

    folder: Path
    model: str = "accurate"
    token: str | None = None
    hosts: tuple[str, ...] = ()
    workers: int = 1
    limits: Limits = field(default_factory=Limits)

    @property
    def kept(self) -> Path:
        return self.folder / KEPT
