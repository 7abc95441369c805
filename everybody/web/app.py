"""The studio's server: the page, and the routes that work for it (`docs/studio.md`).

`create` makes the ASGI application. What is asked of it passes `guard.py` first; each group of
routes is a function here, and does nothing but translate between HTTP and the modules beside it.
"""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from .. import __version__
from ..errors import DataError, EverybodyError, InputError, OptionError
from . import reference, site
from .bodies import Budget
from .guard import Guard
from .jobs import Conflict, Full, Jobs
from .metrics import text
from .parts import Parts
from .places import used
from .routes_jobs import job_routes
from .routes_live import live_routes
from .routes_results import result_routes
from .routes_uses import use_routes
from .settings import Studio

# What refuses a request says so by its kind.
_STATUS: dict[type[EverybodyError], int] = {
    Conflict: 409,
    DataError: 409,
    InputError: 422,
    OptionError: 422,
    Full: 507,
}
_TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}


def create(studio: Studio) -> Guard:
    """The application, behind its guard. One at a time has a folder: the caller locks it."""
    parts = Parts(studio)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        studio.kept.mkdir(parents=True, exist_ok=True)
        parts.jobs, parts.pictures = Jobs(studio), Budget(studio.limits.pictures)
        parts.jobs.start()
        try:
            yield
        finally:
            await parts.jobs.close()

    app = FastAPI(
        title="everybody studio",
        version=__version__,
        description='Finds every body in pictures and videos. Errors are {"detail": a sentence}.',
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=life,
    )
    for kind in (EverybodyError, ValidationError):
        app.add_exception_handler(kind, _failed)
    app.add_exception_handler(ClientDisconnect, _broken_off)
    job_routes(app, parts)
    result_routes(app, parts)
    use_routes(app, parts)
    live_routes(app, parts)
    _watching(app, parts)
    _page(app)
    return Guard(app, studio, parts.counts)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    """An error of the library, as an answer."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"detail": f"{place or 'body'}: {first['msg']}"}, 422)
    status = next((_STATUS[kind] for kind in type(error).mro() if kind in _STATUS), 500)
    return JSONResponse({"detail": str(error)}, status)


async def _broken_off(request: Request, error: Exception) -> JSONResponse:
    """A client that has gone, or that stands still."""
    return JSONResponse(
        {"detail": "the body did not come to its end in time"}, 408, {"Connection": "close"}
    )


def _watching(app: FastAPI, parts: Parts) -> None:
    """What operators ask."""

    @app.get("/healthz")
    async def health() -> dict[str, bool]:
        """Whether the server answers."""
        return {"ok": True}

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> PlainTextResponse:
        """Counters for Prometheus."""
        jobs = parts.jobs
        said = text(parts.counts, jobs.store.counts(), jobs.frames, used(parts.studio.kept))
        return PlainTextResponse(said, media_type="text/plain; version=0.0.4")

    @app.get("/api/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(document())

    @app.get("/api/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(reference.page(document()))

    def document() -> dict:
        return get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )


def _page(app: FastAPI) -> None:
    """The files of the page, by the names that `site` gives them and by no other."""
    files = site.site_files(server=True)

    @app.get("/{name:path}", include_in_schema=False)
    def page(name: str) -> Response:
        content = files.get(name or "index.html")
        if content is None:
            return JSONResponse({"detail": f"nothing is called '{name[:200]}' here"}, 404)
        suffix = f".{name.rpartition('.')[2]}" if name else ".html"
        kind = _TYPES.get(suffix) or mimetypes.guess_type(f"x{suffix}")[0]
        kind = kind or "application/octet-stream"
        headers = {"Cache-Control": "no-cache"}
        if isinstance(content, bytes):
            return Response(content, media_type=kind, headers=headers)
        return FileResponse(content, media_type=kind, headers=headers)
