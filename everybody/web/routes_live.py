"""Routes that answer at once: people of one picture, and cameras."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

from fastapi import FastAPI, Request, WebSocket

from ..errors import EverybodyError
from . import bodies
from .live import BUSY, POLICY, Camera, Wish
from .pictures import people

if TYPE_CHECKING:
    from .parts import Parts


def live_routes(app: FastAPI, parts: Parts) -> None:
    limits = parts.studio.limits
    one_at_a_time = ThreadPoolExecutor(1, "everybody-people")  # a call of the models uses all cores

    @app.post("/api/people")
    async def picture(
        request: Request, model: Literal["fast", "accurate"] | None = None
    ) -> dict[str, Any]:
        """The people of one picture, which is the body. Answers {"width", "height", "skeleton",
        "people": [{"id", "score", "box", "keypoints"}], "milliseconds"}.
        """
        async with parts.pictures.hold(bodies.length(request, limits.picture)):
            data = await bodies.whole(request, limits.picture)
            loop = asyncio.get_running_loop()
            estimator = await loop.run_in_executor(
                one_at_a_time, parts.models, model or parts.studio.model
            )
            said = await loop.run_in_executor(one_at_a_time, people, data, estimator, limits.pixels)
        parts.counts.pictures += 1
        return said

    @app.websocket("/api/live")
    async def live(socket: WebSocket) -> None:
        known = ("model", "track", "smooth", "coach")
        query = {k: v for k, v in socket.query_params.items() if k in known}
        await socket.accept()
        if parts.counts.live >= limits.live:
            await socket.close(BUSY, f"there are {limits.live} cameras already")
            return
        try:
            wish = Wish.of(query, Wish(parts.studio.model))
        except EverybodyError as error:
            await socket.close(POLICY, str(error)[:120])
            return
        parts.counts.live += 1
        try:
            await Camera(socket, parts.models, parts.counts, wish, limits.frame_pixels).serve()
        finally:
            parts.counts.live -= 1
