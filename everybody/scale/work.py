"""One chunk: read, find, pose, follow, commit. What a worker does, whatever started it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import EverybodyError, InputError
from ..estimator import Estimator
from ..follow import Following
from ..media import images
from ..media.clock import Clock
from ..media.read import read
from ..media.sources import Item
from ..media.video import frames as video_frames
from ..media.video import open_video
from ..people import Frame
from ..results.records import Record, Results
from ..results.table import write_parquet
from .chunks import Part
from .job import Job, Planned, chunk_id, film_folder
from .notes import Notes
from .plan import Source
from .sources import Film
from .store import bytes_of, exists, fingerprint, is_local, located, put, telling, told

Report = Callable[[EverybodyError], None]


@dataclass(slots=True)
class Done:
    """What became of a chunk: frames are its own. error: why it could not be done. stop: why none
    can be, as a full disk.
    """

    frames: int = 0
    people: int = 0
    seconds: float = 0.0  # of work
    problems: list[str] = field(default_factory=list)
    error: str = ""
    stop: str = ""
    again: bool = False  # it was done before


class Worker:
    """Does chunks of a job with a loaded estimator."""

    def __init__(self, job: Job, estimator: Estimator) -> None:
        self.job, self.estimator = job, estimator
        self._fs, self._root = located(job.dest)
        self._following = Following(job.follow, estimator) if job.follow else None

    def __call__(self, planned: Planned, part: Part) -> Done:
        """Raises EverybodyError for a chunk that cannot be done."""
        base = chunk_path(self._root, self.job, planned, part)
        if known := self._known(base):
            return known
        begun, done = time.perf_counter(), Done()

        def report(error: EverybodyError) -> None:
            done.problems.append(str(error))

        records, notes = self.estimated(planned.film, part, report, done)
        self._unchanged(planned)
        done.seconds = time.perf_counter() - begun
        self._commit(base, records, notes, done)
        return done

    def estimated(
        self, film: Film, part: Part, report: Report, done: Done
    ) -> tuple[list[Record], Notes | None]:
        """The chunk's own frames, counted in `done`; of those that are followed, with all that the
        tracker was given, so that the film's tracker can go through them again.
        """
        frames = _frames(self.job, film, part, report)
        following = None if film.pictures else self._following
        tracker = following.tracker() if following else None
        notes = Notes() if tracker else None
        tracked = (
            following.tracked(tracker, frames)
            if following and tracker
            else self.estimator.frames(frames)
        )
        records = []
        with closing(tracked):
            for frame in tracked:
                if frame.index < part.first and not film.pictures:
                    continue  # of the lead
                done.frames, done.people = done.frames + 1, done.people + len(frame.people)
                if tracker and notes:
                    assert tracker.evidence
                    notes.add(tracker.evidence)
                    frame = replace(frame, people=tracker.evidence.people)
                records.append(Record.of(frame))
        return records, notes

    def _unchanged(self, planned: Planned) -> None:
        """Raises InputError where a video is another one than when it was planned."""
        if planned.film.pictures:
            return
        fs, path = located(planned.film.name)
        with telling(planned.film.name):
            now = fingerprint(fs, path)
        if now != planned.fingerprint:
            raise InputError(
                f"{planned.film.name}: has changed while it was read; start again when it is whole"
            )

    def _commit(self, base: str, records: list[Record], notes: Notes | None, done: Done) -> None:
        """The table comes last: it is what makes the chunk done."""
        said = {
            "frames": done.frames,
            "people": done.people,
            "seconds": done.seconds,
            "problems": done.problems,
        }
        if notes:
            put(self._fs, f"{base}.npz", notes.to_bytes())
        put(self._fs, f"{base}.json", json.dumps(said).encode())
        put(self._fs, f"{base}.parquet", table(records, self.estimator))

    def _known(self, base: str) -> Done | None:
        """What the chunk's report says, if it is done; None where the report is broken, too: then
        it is done again.
        """
        if not exists(self._fs, f"{base}.parquet"):
            return None
        said = told(self._fs, f"{base}.json")
        names = ("frames", "people", "seconds", "problems")
        if not said.keys() >= {*names}:
            return None
        return Done(**{name: said[name] for name in names}, again=True)


def chunk_path(root: str, job: Job, planned: Planned, part: Part) -> str:
    """Where a chunk's results are, without the suffix."""
    return f"{root}/chunks/{film_folder(planned.film)}/{chunk_id(job, planned, part)}"


def table(records: list[Record], estimator: Estimator) -> bytes:
    """The records as a Parquet file, not rounded: trackers and filters that go on from it decide as
    those that never stopped.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chunk.parquet"
        write_parquet(Results.of(records, estimator.skeleton), path, lambda text: None, exact=True)
        return path.read_bytes()


def _frames(job: Job, film: Film, part: Part, report: Report) -> Iterator[Frame]:
    if film.pictures:
        return _of_pictures(job, film, part, report)
    return _of_video(job, film, part, report)


def _of_pictures(job: Job, film: Film, part: Part, report: Report) -> Iterator[Frame]:
    clock = Clock(job.fps)
    for place in range(part.first, part.last):
        if place % job.every:
            continue
        name = film.sources[place]
        fs, path = located(name)
        try:
            with telling(name):
                data = bytes_of(fs, path)
            image = images.decode(data, name, job.max_pixels)
        except EverybodyError as error:
            report(error)
            continue
        yield Frame(image, 0, clock.frame(place), name)


def _of_video(job: Job, film: Film, part: Part, report: Report) -> Iterator[Frame]:
    fs, path = located(film.name)
    if part.whole:
        yield from _whole(job, film, report)
        return
    with Source(fs, path, film.name) as file:
        video = open_video(file, film.name, select=job.select)
        frames: Iterable[Frame] = video_frames(
            video,
            film.name,
            report,
            select=job.select,
            max_pixels=job.max_pixels,
            begin=part.seek,
        )
        for frame in frames:
            if frame.index >= part.last:
                return
            if frame.index >= part.first or frame.time >= part.lead:
                yield frame


def _whole(job: Job, film: Film, report: Report) -> Iterator[Frame]:
    """As `run` reads it."""
    fs, path = located(film.name)
    with Source(fs, path, film.name) as file:
        item = Item(film.name, "file", path) if is_local(fs) else Item(film.name, "stream", file)
        yield from read(
            item,
            select=job.select,
            max_pixels=job.max_pixels,
            problem=report,
            say=lambda text: None,
        )
