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
from ..follow import finished, linked, new_tracker
from ..geometry import Array
from ..people import Frame
from ..results.formats import write_all
from ..results.journal import Journal
from ..results.lines import RUN
from ..results.records import Record
from ..results.table import read_parquet
from ..skeletons import Skeleton
from ..track import Tracker
from .job import Job, Planned, chunk_id, film_folder, film_id
from .notes import check, evidence
from .store import get, is_local, located, put, told
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
    old = told(fs, f"{folder}/{RUN}")
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
    """Local files: of records and, where people are followed, of the tracker's notes."""

    table: Path
    notes: Path | None
    problems: list[str]

    def records(self) -> Iterator[Record]:
        return iter(read_parquet(self.table, None, lambda text: None))


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
        base = chunk_path(root, job, planned, part)
        try:
            found[place] = _chunk(fs, base, scratch / str(place), job.followed(planned.film))
        except (DataError, ValueError, KeyError):
            found[place] = None
            for suffix in ("parquet", "json", "npz"):
                if fs.exists(f"{base}.{suffix}"):
                    fs.rm_file(f"{base}.{suffix}")
    return found


def _chunk(fs: AbstractFileSystem, base: str, local: Path, followed: bool) -> _Chunk:
    """Raises DataError, ValueError or KeyError where it is not whole."""
    said = json.loads(get(fs, f"{base}.json") or b"")
    table, notes = local.with_suffix(".parquet"), local.with_suffix(".npz")
    table.write_bytes(get(fs, f"{base}.parquet") or b"")
    chunk = _Chunk(table, notes if followed else None, said["problems"])
    records = list(chunk.records())
    if len(records) != said["frames"]:
        raise DataError(f"{base}: holds {len(records)} frames of {said['frames']}")
    if followed:
        notes.write_bytes(get(fs, f"{base}.npz") or b"")
        check(notes, records)
    return chunk


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
    """All frames of the film; where people are followed, as one tracker sees all chunks in a row,
    smoothed over the seams.
    """
    if not job.follow or not job.followed(planned.film):
        for chunk in chunks.values():
            yield from chunk.records()
        return
    tracker = new_tracker(job.follow, _seen_before if job.follow.appearance else None)

    def looks(frame: Frame) -> Array:
        assert tracker.evidence
        assert tracker.evidence.looks is not None
        return tracker.evidence.looks[tracker.rows]

    frames = linked(job.follow, tracker, _tracked(tracker, chunks), looks)
    with closing(frames):
        for frame in finished(job.follow, frames):
            yield Record.of(frame)


def _tracked(tracker: Tracker, chunks: dict[int, _Chunk]) -> Generator[Frame, None, None]:
    for chunk in chunks.values():
        assert chunk.notes
        for record, known in evidence(chunk.notes, list(chunk.records())):
            people = tracker.again(known, record.time)
            yield Frame(blank(record), record.index, record.time, record.source, people)


def _seen_before(picture: Any, boxes: Array) -> Array:
    """Stands for the network of appearance, whose answers are in the notes."""
    raise AssertionError("no picture is looked at when a film is joined")


def blank(record: Record) -> Any:
    """A picture of the right size that takes no memory: smoothing looks at none."""
    return np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (record.height, record.width, 3))
