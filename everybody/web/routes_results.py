"""Routes of what a job has found: frames, exports, films, corrections, comparisons."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, StreamingResponse

from ..apps.lesson import AUTO
from ..results.formats import FORMATS
from ..results.journal import read_journal
from ..results.lines import read_run
from ..skeletons import SKELETONS
from . import bodies, derived, lessons
from .compare import compare
from .edits import EDIT, EDITS, Rename, check_ids, edited
from .jobs import Conflict
from .routes_jobs import Id, one
from .store import Job

if TYPE_CHECKING:
    from .parts import Parts

# Nothing that is uploaded runs as a page of ours, whatever a browser takes it for.
_PIECE = 256 * 1024  # bytes
_SAFE = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "no-cache"}


def result_routes(app: FastAPI, parts: Parts) -> None:
    _job(app, parts)
    _exports(app, parts)
    _media(app, parts)
    _corrections(app, parts)

    @app.get("/api/compare")
    def compared(a: str, b: str) -> dict[str, Any]:
        """Two jobs of the same files, frame by frame: how far apart their people are, corrections
        applied.
        """
        folders = [found_folder(parts, one(parts.jobs, id)) for id in (a, b)]
        results = [edited(read_journal(at / "out"), derived.edits_of(at)) for at in folders]
        return compare(*results)

    @app.get("/api/exercises")
    def exercises() -> list[dict[str, Any]]:
        """What the coach knows: its names, from where they should be filmed, and units."""
        return lessons.told()

    @app.get("/api/jobs/{id}/coach")
    def coach(
        id: Id, exercise: str = AUTO, person: int | None = None, source: int = 0
    ) -> dict[str, Any]:
        """One person's repetitions in one source (by its number), corrections applied: of an
        exercise, or of the one that is recognised ("auto"). person: an id; without one, whoever is
        largest.
        """
        job = one(parts.jobs, id)
        folder = found_folder(parts, job)
        name = one_source(job, source)["name"]
        results = edited(read_journal(folder / "out"), derived.edits_of(folder))
        return lessons.coached(results, name, exercise, person)


def found_folder(parts: Parts, job: Job) -> Path:
    """The folder of a job that has found something. Raises Conflict."""
    folder = parts.jobs.folder(job)
    if not derived.journal(folder).is_file():
        raise Conflict(f"job {job.id} has no results yet")
    return folder


def one_source(job: Job, number: int) -> dict[str, str]:
    """The source of that number. Raises HTTPException."""
    if not 0 <= number < len(job.sources):
        raise HTTPException(404, f"job {job.id} has {len(job.sources)} sources")
    return job.sources[number]


def _job(app: FastAPI, parts: Parts) -> None:
    @app.get("/api/jobs/{id}")
    def job(id: Id) -> dict[str, Any]:
        """A job with its sources, corrections, and where its results are."""
        found = one(parts.jobs, id)
        folder = parts.jobs.folder(found)
        base = f"api/jobs/{id}"
        sources = [
            {
                **source,
                "url": f"{base}/sources/{number}",
                "overlay": f"{base}/overlays/{number}",
            }
            for number, source in enumerate(found.sources)
        ]
        return {
            **parts.jobs.told(found),
            "skeleton": _skeleton(folder),
            "sources": sources,
            "edits": EDITS.dump_python(derived.edits_of(folder), by_alias=True),
            "lifted": f"{base}/lifted" if derived.lifted(folder).is_file() else None,
            "downloads": [
                {"name": name, "url": f"{base}/results/{name}"} for name in (*FORMATS, "edits")
            ],
        }

    @app.get("/api/jobs/{id}/frames")
    def frames(id: Id) -> StreamingResponse:
        """frames.jsonl as it was found, without corrections; also while the job runs."""
        folder = found_folder(parts, one(parts.jobs, id))
        return _growing(derived.journal(folder))

    @app.get("/api/jobs/{id}/lifted")
    def lifted(id: Id) -> StreamingResponse:
        """People in space, where the job lifted them."""
        path = derived.lifted(parts.jobs.folder(one(parts.jobs, id)))
        if not path.is_file():
            raise HTTPException(404, "this job lifted nobody")
        return _growing(path)

    @app.get("/api/jobs/{id}/overlay")
    def overlay(id: Id) -> FileResponse:
        """The newest frame, drawn; a small JPEG."""
        path = derived.newest(parts.jobs.folder(one(parts.jobs, id)))
        if not path.is_file():
            raise HTTPException(404, "no frame is drawn yet")
        return send_file(path, "image/jpeg")


def _exports(app: FastAPI, parts: Parts) -> None:
    @app.get("/api/jobs/{id}/results/{format}")
    async def results(id: Id, format: str) -> FileResponse:
        """The results in a format, corrections applied; one of several files as a ZIP. "edits": the
        corrections themselves.
        """
        found = one(parts.jobs, id)
        folder = found_folder(parts, found)
        stem = Path(found.sources[0]["name"]).stem
        if format == "edits":
            path = folder / "edits.json"
            if not path.is_file():
                raise HTTPException(404, "there are no corrections")
            return send_file(path, "application/json", name=f"{stem}-edits.json")
        if format not in FORMATS:
            raise HTTPException(404, f"unknown format: known are {', '.join(FORMATS)}, edits")
        async with parts.editing(id):
            path = await asyncio.to_thread(derived.export, folder, format)
        kind = "application/zip" if path.suffix == ".zip" else "application/octet-stream"
        return send_file(path, kind, name=f"{stem}-{format}{path.suffix}")


def _skeleton(folder: Path) -> Any:
    """The name of a run's skeleton, or the whole of one that is not built in."""
    run = read_run(folder / "out" / "run.json")
    if not run:
        return None
    said = run["skeleton"]
    known = SKELETONS.get(said["name"])
    if known and list(known.joints) == list(said["joints"]):
        return said["name"]
    return {name: said.get(name) for name in ("name", "joints", "limbs", "mirror", "parents")}


def _media(app: FastAPI, parts: Parts) -> None:
    def source(id: str, number: int) -> tuple[Job, dict[str, str], Path]:
        job = one(parts.jobs, id)
        return job, one_source(job, number), parts.jobs.source(job, number)

    @app.get("/api/jobs/{id}/sources/{number}")
    async def original(id: Id, number: int) -> FileResponse:
        """A picture or video as browsers show it: as it is, or converted (the first time takes a
        while). Takes ranges.
        """
        job, said, path = await asyncio.to_thread(source, id, number)
        if not await asyncio.to_thread(derived.plays, path, said["kind"]):
            target = derived.playable_target(parts.jobs.folder(job), number, said["kind"])
            path = await parts.jobs.made(job, "playable", number, target)
        return send_file(path, media_type(path, said["kind"]))

    @app.get("/api/jobs/{id}/overlays/{number}")
    async def overlay(id: Id, number: int) -> FileResponse:
        """The same with its people drawn, corrections applied: MP4, or JPEG of a picture. The first
        time takes a while. Takes ranges.
        """
        job, said, _ = await asyncio.to_thread(source, id, number)
        target = derived.overlay_target(found_folder(parts, job), number, said["kind"])
        path = await parts.jobs.made(job, "overlay", number, target)
        stem = Path(said["name"]).stem
        kind = media_type(path, said["kind"])
        return send_file(path, kind, name=f"{stem}-people{path.suffix}", inline=True)


_PICTURES = {
    ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif", ".avif": "image/avif",
    ".bmp": "image/bmp",
}  # fmt: skip


def media_type(path: Path, kind: str) -> str:
    """The media type; never one that a browser would run."""
    if kind == "picture":
        return _PICTURES.get(path.suffix.lower(), "image/jpeg")
    return "video/webm" if path.suffix.lower() == ".webm" else "video/mp4"


def send_file(
    path: Path, kind: str, *, name: str | None = None, inline: bool = False
) -> FileResponse:
    """A file of a job. name: what it is saved as; inline: shown all the same."""
    return FileResponse(
        path,
        media_type=kind,
        headers=_SAFE,
        filename=name,
        content_disposition_type="inline" if inline else "attachment",
    )


def _growing(path: Path) -> StreamingResponse:
    """A file of lines that a worker may be writing: what it holds now."""
    size = path.stat().st_size

    def pieces() -> Iterator[bytes]:
        left = size
        with path.open("rb") as file:
            while left and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                yield piece

    return StreamingResponse(
        pieces(),
        media_type="application/x-ndjson",
        headers={**_SAFE, "Content-Length": str(size)},
    )


def _corrections(app: FastAPI, parts: Parts) -> None:
    @app.post("/api/jobs/{id}/edits")
    async def edit(id: Id, request: Request) -> list[Any]:
        """Keep a correction: {"op": "move", "source", "frame", "person", "joint", "x", "y"} or
        {"op": "rename", "source", "id", "to", "from", "until"}. All of them are the answer.
        """
        said = EDIT.validate_python(await bodies.as_json(request, parts.studio.limits.small))
        folder = found_folder(parts, one(parts.jobs, id))
        async with parts.editing(id):
            edits = [*derived.edits_of(folder), said]
            if len(edits) > parts.studio.limits.edits:
                raise Conflict(f"a job keeps at most {parts.studio.limits.edits} corrections")
            if isinstance(said, Rename):
                results = edited(read_journal(folder / "out"), edits)
                await asyncio.to_thread(check_ids, results)
            await asyncio.to_thread(derived.keep_edits, folder, edits)
        return EDITS.dump_python(edits, by_alias=True)

    @app.delete("/api/jobs/{id}/edits/last")
    async def undo(id: Id) -> list[Any]:
        """Take the last correction back. Those that are left are the answer."""
        folder = parts.jobs.folder(one(parts.jobs, id))
        async with parts.editing(id):
            edits = derived.edits_of(folder)[:-1]
            if folder.is_dir():
                await asyncio.to_thread(derived.keep_edits, folder, edits)
        return EDITS.dump_python(edits, by_alias=True)
