"""The chunks of a film -> a folder of results as `run` writes it: each frame once, in order."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fsspec import AbstractFileSystem

from ..atomic import replacing
from ..errors import DataError
from ..follow import kept
from ..people import Frame
from ..results.formats import write_all
from ..results.journal import Journal
from ..results.lines import RUN
from ..results.records import Record
from ..results.table import read_parquet
from ..skeletons import Skeleton
from .chunks import Part
from .job import Job, Planned, chunk_id, film_folder, film_id
from .stitch import Stitcher
from .store import get, is_local, located, put
from .work import chunk_path


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of a film. broken: chunks that are there but cannot be read; they are to be done
    again, and nothing was joined.
    """

    frames: int = 0
    people: int = 0
    broken: tuple[int, ...] = ()
    again: bool = False  # it was joined before


def join(job: Job, planned: Planned, skeleton: Skeleton, lost: dict[int, str]) -> Joined:
    """Write the film's results to DEST/films. lost: the errors of chunks that could not be done, by
    their place: run.json tells them, and the others are joined.
    """
    fs, root = located(job.dest)
    folder = f"{root}/films/{film_folder(planned.film)}"
    chunks = [chunk_id(job, planned, part) for part in planned.parts]
    name = film_id(job, chunks, sorted(lost.values()))
    old = json.loads(get(fs, f"{folder}/{RUN}") or b"{}")
    if old.get("scale", {}).get("id") == name:
        return Joined(old["frames"], old["people"], again=True)
    with tempfile.TemporaryDirectory() as scratch:
        local = _fetched(fs, root, job, planned, lost, Path(scratch))
        if broken := tuple(place for place, one in local.items() if one is None):
            return Joined(broken=broken)
        whole = {place: one for place, one in local.items() if one}
        record = {**job.record, "scale": {"id": name, "chunks": len(planned.parts)}}

        def write(part: Path) -> Joined:
            return _folder(part, job, planned, skeleton, whole, lost, record)

        return _written(fs, folder, write)


@dataclass(frozen=True, slots=True)
class _Chunk:
    path: Path
    looks: dict[int, Any]
    problems: list[str]
    part: Part


def _fetched(
    fs: AbstractFileSystem,
    root: str,
    job: Job,
    planned: Planned,
    lost: dict[int, str],
    scratch: Path,
) -> dict[int, _Chunk | None]:
    """The chunks by their place, as local files. One that is no whole table, or does not hold what
    its report says, is None, and is removed.
    """
    found: dict[int, _Chunk | None] = {}
    for place, part in enumerate(planned.parts):
        if place in lost:
            continue
        base, path = chunk_path(root, job, planned, part), scratch / f"{place}.parquet"
        try:
            path.write_bytes(get(fs, f"{base}.parquet") or b"")
            said = json.loads(get(fs, f"{base}.json") or b"")
            records = read_parquet(path, None, lambda text: None)
            count = sum(_own(record, planned, part) for record in records)
            if count != said["frames"]:
                raise DataError(f"{base}: holds {count} frames of {said['frames']}")
            looks = {int(number): np.array(look) for number, look in said["looks"].items()}
            found[place] = _Chunk(path, looks, said["problems"], part)
        except (DataError, ValueError, KeyError):
            found[place] = None
            for suffix in ("parquet", "json"):
                if fs.exists(f"{base}.{suffix}"):
                    fs.rm_file(f"{base}.{suffix}")
    return found


def _own(record: Record, planned: Planned, part: Part) -> bool:
    return planned.film.pictures or record.index >= part.first


def _written(fs: AbstractFileSystem, folder: str, write: Callable[[Path], Joined]) -> Joined:
    """What `write` puts into a folder, whole or not at all, in a folder of any file system."""
    if is_local(fs):
        with replacing(Path(folder)) as part:
            return write(part)
    with tempfile.TemporaryDirectory() as scratch:
        joined = write(Path(scratch))
        files = [path for path in sorted(Path(scratch).rglob("*")) if path.is_file()]
        for path in sorted(files, key=lambda path: path.name == RUN):  # last: it is the marker
            put(fs, f"{folder}/{path.relative_to(scratch).as_posix()}", path.read_bytes())
    return joined


def _folder(
    folder: Path,
    job: Job,
    planned: Planned,
    skeleton: Skeleton,
    chunks: dict[int, _Chunk],
    lost: dict[int, str],
    record: dict[str, Any],
) -> Joined:
    """Journal and formats, in a local folder."""
    folder.mkdir(exist_ok=True)
    with Journal(folder, skeleton, record, existing="overwrite") as journal:
        for record_ in _records(job, planned, chunks):
            journal.write(record_)
        for text in dict.fromkeys(text for chunk in chunks.values() for text in chunk.problems):
            journal.problem(text)
        for place, error in lost.items():
            part = planned.parts[place]
            journal.problem(f"frames {part.first} to {part.last} are missing: {error}")
        done = Joined(journal.run["frames"], journal.run["people"])
    write_all(folder, job.formats, say=lambda text: None)
    return done


def _records(job: Job, planned: Planned, chunks: dict[int, _Chunk]) -> Iterator[Record]:
    """All frames of the film, with ids of the film, smoothed over the seams."""
    follow = job.follow
    if planned.film.pictures or not follow:
        for chunk in chunks.values():
            for record in read_parquet(chunk.path, None, lambda text: None):
                if _own(record, planned, chunk.part):
                    yield record
        return
    smooth = follow.smoothing()
    frames = _stitched(job, chunks)
    with closing(frames):
        for frame in kept(smooth(frames) if smooth else frames, follow.keep):
            yield Record.of(frame)


def _stitched(job: Job, chunks: dict[int, _Chunk]) -> Generator[Frame, None, None]:
    assert job.follow is not None
    stitcher = Stitcher(job.follow.rules)
    for chunk in chunks.values():
        records = list(read_parquet(chunk.path, None, lambda text: None))
        for record in stitcher(records, chunk.looks, chunk.part.first):
            yield Frame(_blank(record), record.index, record.time, record.source, record.people)


def _blank(record: Record) -> Any:
    """A picture of the right size that takes no memory: smoothing looks at none."""
    return np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (record.height, record.width, 3))
