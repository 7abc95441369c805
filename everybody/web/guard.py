"""Who may ask. In front of everything, for HTTP and WebSocket alike.

A page of a stranger, open in the same browser, can send requests to this machine. What keeps it
out: a request that a browser says comes from another site is refused (`Origin`, `Sec-Fetch-Site`);
a request must name this machine by a name that strangers cannot point here, against DNS rebinding
(`Host`); and no answer allows another origin to read it. Where other machines may ask, each request
must show the token, which no other page knows, so names do not matter.

Bodies and answers that stand still are given up.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .metrics import Counts
from .settings import Studio

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

OPEN = ("/healthz",)  # besides the page itself, which holds no secret
SECRET = ("/api/", "/metrics")
HERE = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
        "media-src 'self' blob: data:; connect-src 'self' blob: data:; object-src 'none'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}
_ENCODED = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class Guard:
    def __init__(self, app: Any, studio: Studio, counts: Counts) -> None:
        self._app, self._studio, self._counts = app, studio, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        found = refusal(scope, self._studio)
        if scope["type"] == "websocket":
            if found:
                await send({"type": "websocket.close", "code": 1008, "reason": found[1]})
            else:
                await self._app(scope, receive, send)
            return
        answer = self._answering(send)
        with self._counts.request() as counted:
            if found:
                await _refuse(answer, *found)
                counted(found[0])
                return

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    counted(message["status"])
                await answer(message)

            with suppress(TimeoutError):  # the server closes what is not answered to its end
                await self._app(scope, self._asking(receive), told)

    def _answering(self, send: Send) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                more = [(name, value) for name, value in _ENCODED if name not in known]
                message["headers"] = [*message["headers"], *more]
            async with asyncio.timeout(self._studio.limits.stalled):
                await send(message)

        return answer

    def _asking(self, receive: Receive) -> Receive:
        """The body, which must go on coming; then silence is no fault."""
        whole = False

        async def ask() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout(self._studio.limits.patience):
                    message = await receive()
            except TimeoutError:
                return {"type": "http.disconnect"}
            whole = not message.get("more_body", False)
            return message

        return ask


def refusal(scope: Scope, studio: Studio) -> tuple[int, str] | None:
    """Why a request is not let in: status and words; None: it is."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    if studio.token is None and _name(host) not in (*HERE, *studio.hosts):
        return 403, f"this server answers as localhost, not as '{host[:100]}'"
    path = scope["path"]
    if not path.startswith(SECRET):
        return None
    if headers.get(b"sec-fetch-site", "none") not in ("none", "same-origin"):
        return 403, "asked by another site"
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return 403, "asked by another origin"
    if studio.token is not None and not hmac.compare_digest(
        _shown(scope, headers).encode(), studio.token.encode()
    ):
        return 401, "the token is missing or wrong: open the link that the server has printed"
    return None


def _name(host: str) -> str:
    """The name of a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _shown(scope: Scope, headers: dict[bytes, str]) -> str:
    """The token of a request: in its address, or as `Authorization: Bearer`."""
    scheme, _, given = headers.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]


async def _refuse(send: Send, status: int, words: str) -> None:
    import json

    body = json.dumps({"detail": words}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
