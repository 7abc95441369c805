"""What a run on a cluster is, as values: nothing here holds a loaded model or an open file.

Names are hashes of what they stand for. A chunk's is made of the source, its fingerprint, the piece
and all that its results depend on, so the same work is never done twice, and a changed option, or a
changed video, is other work.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..errors import OptionError
from ..follow import Follow
from ..media.selection import Selection
from ..options import Options
from .chunks import Part
from .sources import Film

TRIES = 3  # of a chunk, before it is listed as one that cannot be done


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """dest: where the results go, a folder on any file system. every: each n-th frame. seconds: of
    a chunk; overlap: that a chunk looks back, where people are followed. pictures: of a chunk.
    identity: a hash of settings and models.
    """

    dest: str
    options: Options = field(default_factory=Options)
    follow: Follow | None = None
    every: int = 1
    fps: float | None = None
    max_pixels: int = 200_000_000
    formats: tuple[str, ...] = ()
    seconds: float = 60.0
    overlap: float = 1.0
    pictures: int = 256
    identity: str = ""
    record: dict[str, Any] = field(default_factory=dict)  # what run.json says of it

    def __post_init__(self) -> None:
        if not self.seconds > 0 or not self.overlap >= 0 or self.lead >= self.seconds:
            raise OptionError(
                f"chunks of {self.seconds} s that overlap by {self.overlap} s: expected chunks of "
                "more than 0 s that are longer than their overlap"
            )
        if self.every < 1 or self.pictures < 1:
            raise OptionError("every and pictures must be 1 or more")
        if self.follow and self.follow.live:
            raise OptionError("live is for cameras: leave it out")
        if self.follow and self.follow.propagate:
            raise OptionError(
                "propagate carries people from each picture to the next, so a video cannot be cut: "
                "leave it out, or choose everybody run"
            )

    @property
    def select(self) -> Selection:
        return Selection(every=self.every, fps=self.fps)

    @property
    def lead(self) -> float:
        """Seconds that a chunk looks at before its own frames: none unless people are followed."""
        return self.overlap if self.follow else 0.0

    def followed(self, film: Film) -> bool:
        """Whether its people have ids."""
        return bool(self.follow) and not film.pictures


@dataclass(frozen=True, slots=True)
class Planned:
    """A film and its parts; error: why it cannot be done, then without parts."""

    film: Film
    fingerprint: str = ""
    parts: tuple[Part, ...] = ()
    seconds: float = 0.0
    size: int = 0  # bytes
    error: str = ""


def identity(settings: dict[str, Any], models: list[dict[str, str]], skeleton: str) -> str:
    """A hash of all that the result of a frame depends on, beside the frame."""
    return digest(settings, [model["sha256"] for model in models], skeleton)


def chunk_id(job: Job, planned: Planned, part: Part) -> str:
    """What a chunk is called."""
    piece = [part.first, part.last, part.whole, part.lead, part.seek.stamp]
    return digest(job.identity, planned.film.name, planned.fingerprint, piece)


def film_id(job: Job, chunks: list[str], lost: list[str]) -> str:
    """What a film's joined results are called: their chunks and all that joining depends on."""
    return digest(chunks, lost, job.formats, job.record.get("settings"))


def film_folder(film: Film) -> str:
    """The name of the film's folder: readable, and no other film's."""
    stem = re.sub(r"[^\w.-]", "_", PurePosixPath(film.name).name)[:60].strip("._") or "film"
    return f"{stem}-{digest(film.name, film.pictures)[:8]}"


def digest(*values: Any) -> str:
    text = json.dumps(values, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
