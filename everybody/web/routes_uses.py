"""Routes of what the apps make of a job: characters that move, films with things in them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, JSONResponse

from ..apps.characters import TABLES
from ..apps.worn import THINGS
from ..atomic import replacing
from ..errors import InputError
from . import bodies, uses
from .routes_jobs import Id, one
from .routes_results import found_folder, media_type, one_source, send_file

if TYPE_CHECKING:
    from .parts import Parts

_TYPES = {"glb": "model/gltf-binary", "bvh": "text/plain", "json": "application/json"}


def use_routes(app: FastAPI, parts: Parts) -> None:
    @app.get("/api/uses")
    def known() -> dict[str, Any]:
        """What people can wear, and whose names the bones of the stick figure can have."""
        return {"things": THINGS, "characters": list(TABLES)}

    @app.post("/api/jobs/{id}/own", status_code=201)
    async def keep(id: Id, request: Request, name: Annotated[str, Query(max_length=400)]) -> Any:
        """Keep a file for what is made of a job, as the body: a character (.glb, .vrm, .bvh) or a
        picture. name: what it is called, for its kind. {"file"} is what the routes below take.
        """
        folder = parts.jobs.folder(one(parts.jobs, id))
        size = bodies.length(request, parts.studio.limits.picture)
        async with parts.pictures.hold(size):
            await asyncio.to_thread(parts.jobs.room)
            data = await request.body()
            if not data:
                raise InputError("the file is empty")
            path = folder / "own" / uses.own_name(name, data)
            await asyncio.to_thread(_keep, path, data)
        return JSONResponse({"file": path.name}, 201)

    @app.get("/api/jobs/{id}/animations/{number}")
    async def animation(
        id: Id, number: int, asked: Annotated[uses.Animating, Query()]
    ) -> FileResponse:
        """How a person of that source moves, on a character: a .glb, a .bvh, or what the page shows
        (json). Corrections applied. The first time takes a while.
        """
        job = one(parts.jobs, id)
        source, folder = one_source(job, number), found_folder(parts, job)
        target = uses.animation_target(folder, number, asked)
        order = {"asked": asked.model_dump()}
        path = await parts.jobs.made(job, "animation", number, target, **order)
        stem = Path(source["name"]).stem
        return send_file(path, _TYPES[asked.format], name=f"{stem}-moves.{asked.format}")

    @app.get("/api/jobs/{id}/augmented/{number}")
    async def augmented(
        id: Id, number: int, asked: Annotated[uses.Augmenting, Query()]
    ) -> FileResponse:
        """A source in which people wear things, or a picture lies on a target: MP4, or JPEG of a
        picture. Corrections applied. The first time takes a while. Takes ranges.
        """
        job = one(parts.jobs, id)
        source, folder = one_source(job, number), found_folder(parts, job)
        target = uses.augmented_target(folder, number, source["kind"], asked.check())
        order = {"asked": asked.model_dump()}
        path = await parts.jobs.made(job, "augmented", number, target, **order)
        stem, kind = Path(source["name"]).stem, media_type(path, source["kind"])
        return send_file(path, kind, name=f"{stem}-worn{path.suffix}", inline=True)


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_bytes(data)
