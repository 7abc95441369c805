"""A film -> its parts: looked at where the cluster has time, without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fsspec import AbstractFileSystem

from ..errors import EverybodyError, InputError
from ..media.content import HEAD, sniff
from ..media.video import open_video
from .chunks import Part, groups, parts
from .job import Job, Planned, digest
from .keyframes import index
from .sources import Film
from .store import fingerprint, located, opened, telling


def plan(job: Job, film: Film) -> Planned:
    """The film with its parts; one that cannot be read has none, and says why."""
    try:
        return _pictures(job, film) if film.pictures else _video(job, film)
    except EverybodyError as error:
        return Planned(film, error=str(error))


def _pictures(job: Job, film: Film) -> Planned:
    """Whether a picture can be read, its chunk will tell."""
    parts = groups(len(film.sources), job.pictures)
    length = len(film.sources) / (job.fps or 25.0)
    return Planned(film, digest(film.sources), tuple(parts), length)


def _video(job: Job, film: Film) -> Planned:
    fs, path = located(film.name)
    with telling(film.name):
        tag = fingerprint(fs, path)
        with fs.open(path, "rb") as file:
            start: Any = file.read(HEAD)
            kind = sniff(start, film.name)
    size = int(tag.partition(":")[0]) if tag.partition(":")[0].isdecimal() else 0
    if kind == "picture":  # one that moves
        return Planned(film, tag, (Part(0, -1, whole=True),), 0.0, size)
    if kind != "video":
        raise InputError(f"{film.name}: is {kind}, no video; give the video itself")
    with Source(fs, path, film.name) as file, open_video(file, film.name, select=job.select) as it:
        found = index(it, seconds=job.seconds, overlap=job.lead)
    pieces = parts(found.keys, found.frames, seconds=job.seconds, overlap=job.lead)
    return Planned(film, tag, tuple(pieces), found.seconds, size)


@dataclass(slots=True)
class Source:
    """A context manager: what FFmpeg reads a file from, closed at the end."""

    fs: AbstractFileSystem
    path: str
    name: str
    file: Any = None

    def __enter__(self) -> Any:
        with telling(self.name):
            self.file = opened(self.fs, self.path)
        return self.file

    def __exit__(self, *error: object) -> None:
        if hasattr(self.file, "close"):
            self.file.close()
