"""Routes of jobs: make, list, cancel, resume, delete, and what the server tells of itself."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from .. import __version__
from ..atomic import writing
from ..results.formats import FORMATS
from . import bodies, places
from .jobs import Jobs, clear, new_id
from .options import JobOptions
from .store import Job

if TYPE_CHECKING:
    from .parts import Parts

Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="of a job")]


class Paths(BaseModel):
    """A job of files of the served folder."""

    model_config = ConfigDict(extra="forbid")

    paths: list[Annotated[str, Field(max_length=4096)]] = Field(min_length=1, max_length=10_000)
    options: JobOptions = Field(default_factory=JobOptions)


def one(jobs: Jobs, id: str) -> Job:
    """The job of that id. Raises HTTPException."""
    job = jobs.store.get(id)
    if job is None:
        raise HTTPException(404, f"there is no job {id}")
    return job


def job_routes(app: FastAPI, parts: Parts) -> None:
    _telling(app, parts)
    _making(app, parts)

    @app.post("/api/jobs/{id}/cancel")
    async def cancel(id: Id) -> dict[str, Any]:
        """End a job early. What it has found stays, and resume goes on behind it."""
        return parts.jobs.told(parts.jobs.cancel(one(parts.jobs, id)))

    @app.post("/api/jobs/{id}/resume")
    async def resume(id: Id) -> dict[str, Any]:
        """Go on behind the last frame of a job that was cancelled or has failed."""
        return parts.jobs.told(parts.jobs.resume(one(parts.jobs, id)))

    @app.delete("/api/jobs/{id}", status_code=204)
    async def remove(id: Id) -> Response:
        """Delete a job, its uploads and its results. Files of the served folder stay."""
        await parts.jobs.remove(one(parts.jobs, id))
        return Response(status_code=204)


def _telling(app: FastAPI, parts: Parts) -> None:
    studio = parts.studio

    @app.get("/api/info")
    async def info() -> dict[str, Any]:
        """What this server is, offers and allows."""
        limits = studio.limits
        return {
            "version": __version__,
            "model": studio.model,
            "folder": studio.folder.name,
            "options": JobOptions.model_json_schema()["properties"],
            "formats": [*FORMATS, "edits"],
            "limits": {
                "upload_bytes": limits.upload,
                "picture_bytes": limits.picture,
                "picture_pixels": limits.pixels,
                "live": limits.live,
            },
        }

    @app.get("/api/folder")
    def folder(path: Annotated[str, Query(max_length=4096)] = "") -> list[dict[str, Any]]:
        """What the served folder holds: folders, pictures, videos."""
        return places.listing(studio.folder, path, hidden=studio.kept)

    @app.get("/api/events")
    async def events() -> StreamingResponse:
        """Server-sent events: a job, as GET /api/jobs has it, whenever it moves on."""
        return StreamingResponse(
            parts.jobs.events.stream(),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    @app.get("/api/jobs")
    def jobs() -> list[dict[str, Any]]:
        """All jobs, the newest first."""
        return [parts.jobs.told(job) for job in parts.jobs.store.all()]


def _making(app: FastAPI, parts: Parts) -> None:
    studio, limits = parts.studio, parts.studio.limits

    @app.post("/api/jobs", status_code=201)
    async def make(request: Request) -> JSONResponse:
        """Find everybody in files: multipart/form-data with the fields "files" (several; a name may
        hold folders) and "options" (JSON), or JSON {"paths": [...], "options": {...}} with files
        and folders of the served one. Options are those of `everybody run` (GET /api/info).
        """
        id = new_id()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            asked = Paths.model_validate(await bodies.as_json(request, limits.small))
            options, root = asked.options.check(), "folder"
            names = await asyncio.to_thread(
                places.files_of, studio.folder, asked.paths, hidden=studio.kept, most=limits.files
            )
            await asyncio.to_thread(parts.jobs.room)
            job = await asyncio.to_thread(parts.jobs.add, id, names, options, root)
        else:
            job = await _uploaded(request, parts, id)
        parts.jobs.queued(job)
        return JSONResponse(parts.jobs.told(job), 201)


async def _uploaded(request: Request, parts: Parts, id: str) -> Job:
    """A job of what is uploaded; nothing is left of one that does not come to its end."""
    limits, folder = parts.studio.limits, parts.studio.kept / "jobs" / id
    size = bodies.length(request, limits.upload)
    upload = bodies.Upload(folder / "inputs", limits.files)
    with parts.jobs.coming(size):
        try:
            await asyncio.to_thread(parts.jobs.room)
            with writing(folder):
                await upload.receive(request)
            if not upload.names:
                raise HTTPException(422, 'no file came: expected the field "files"')
            options = _options(upload.options)
            return await asyncio.to_thread(parts.jobs.add, id, upload.names, options, "inputs")
        except BaseException:
            await asyncio.shield(asyncio.to_thread(clear, folder))
            raise


def _options(text: bytes) -> JobOptions:
    try:
        said = json.loads(text or b"{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"options are not JSON ({error})") from None
    return JobOptions.model_validate(said).check()
