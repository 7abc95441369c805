"""Changes of jobs, told to all who listen; a slow listener gets the newest state of each job, and
memory stays bounded by the number of jobs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

_ALIVE = 15.0  # seconds without news until a comment keeps the connection open
_PAUSE = 0.25  # seconds between two messages about one job


class Events:
    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def tell(self, said: dict[str, Any]) -> None:
        for listener in self._listeners:
            listener.pending[said["id"]] = said
            listener.news.set()

    async def stream(self) -> AsyncIterator[bytes]:
        """Server-sent events, without end."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            yield b": open\n\n"
            while True:
                try:
                    async with asyncio.timeout(_ALIVE):
                        await listener.news.wait()
                except TimeoutError:
                    yield b": alive\n\n"
                    continue
                listener.news.clear()
                pending, listener.pending = listener.pending, {}
                for said in pending.values():
                    yield f"data: {json.dumps(said)}\n\n".encode()
                await asyncio.sleep(_PAUSE)
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self) -> None:
        self.pending: dict[str, dict[str, Any]] = {}
        self.news = asyncio.Event()
