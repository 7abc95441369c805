"""Pictures and videos at an address: only http(s), and no server may let us wait without end.

Each wait for a byte takes `TIMEOUT` seconds at most. All waits for one answer, redirects and
headers included, take `GRACE` seconds and one second more per `SLOWEST` bytes that have come, so
that a server that sends byte by byte is given up after half a minute.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import time
import urllib.error
import urllib.request
from functools import partial
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from ..errors import InputError

TIMEOUT = 10.0  # seconds without a byte
GRACE = 30.0  # seconds of waiting for a whole answer that comes slower than `SLOWEST`
SLOWEST = 20_000  # bytes per second
AGENT = "everybody (Python; pose estimation)"  # some servers turn Python's own name away


def shown(url: str) -> str:
    """The address as it may stand in messages and logs: without user name and password."""
    return re.sub(r"//[^/@]*@", "//", url)


class Pace:
    """How long one answer may still take; only waiting counts, not what is done between reads.

    total: seconds that it may take however fast it comes; None: no limit.
    """

    def __init__(self, total: float | None = None) -> None:
        self.total = total
        self.waited, self.received = 0.0, 0

    def left(self) -> float:
        """Seconds for the next wait. Raises TimeoutError where there are none."""
        left = GRACE + self.received / SLOWEST - self.waited
        if left <= 0:
            raise TimeoutError(
                f"gave {self.received} bytes in {self.waited:.0f} s, which is too slow"
            )
        if self.total is not None and self.waited > self.total:
            raise TimeoutError(f"was not whole after {self.total:.0f} s")
        return min(left, TIMEOUT)


class _Paced(io.RawIOBase):
    """The bytes of a connection, each wait for them as long as its `Pace` allows."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, pace: Pace) -> None:
        self._raw, self._connection, self._pace = raw, connection, pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._pace.left())
        begun = time.monotonic()
        try:
            count = cast(Any, self._raw).readinto(buffer) or 0
        finally:
            self._pace.waited += time.monotonic() - begun
        self._pace.received += count
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, connection: socket.socket, *rest: Any, pace: Pace, **options: Any) -> None:
        super().__init__(connection, *rest, **options)
        raw = cast(Any, self.fp).detach()
        self.fp = cast(Any, io.BufferedReader(_Paced(raw, connection, pace)))


class _Connecting(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens http and https, with one `Pace` for all that is asked."""

    def __init__(self, pace: Pace) -> None:
        urllib.request.HTTPSHandler.__init__(self)
        self._pace = pace

    def _connection(self, kind: Any, host: str, **options: Any) -> http.client.HTTPConnection:
        connection = kind(host, **options)
        connection.response_class = partial(_Response, pace=self._pace)
        return connection

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(cast(Any, partial(self._connection, http.client.HTTPConnection)), req)

    def https_open(self, req: urllib.request.Request) -> Any:
        context = cast(Any, self)._context
        kind = partial(self._connection, http.client.HTTPSConnection, context=context)
        return self.do_open(cast(Any, kind), req)


class _Redirecting(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address; one that must stay at its host, there only."""

    def __init__(self, host: str | None) -> None:
        self._host = host

    def redirect_request(
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any
    ) -> urllib.request.Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request and self._host is not None and host(request.full_url) != self._host:
            fp.close()
            there = host(request.full_url)
            raise OSError(f"leads to another host, {there}; if you trust it: --trust")
        return request


def host(url: str) -> str:
    """Host and port of an address, in lower case."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


class Answer:
    """What a server answers, to be read once and closed; `OSError` where it breaks off."""

    def __init__(self, response: http.client.HTTPResponse, pace: Pace) -> None:
        self._response, self.pace, self.headers = response, pace, response.headers

    def read1(self, size: int = 65536) -> bytes:
        """At most `size` bytes, as many as have come; none at the end."""
        try:
            data = self._response.read1(size)
        except http.client.HTTPException as error:
            raise OSError(f"the server broke off after {self.pace.received} bytes") from error
        if not data and size and self._response.length:
            raise OSError(f"the server broke off, {self._response.length} bytes are missing")
        return data

    read = read1

    @property
    def closed(self) -> bool:
        return self._response.isclosed()

    def close(self) -> None:
        self._response.close()


def fetch(
    url: str, *, within: str | None = None, part: tuple[int, int | None] | None = None
) -> Answer:
    """What the server at an http(s) address answers. Raises InputError that says why not.

    within: the only host that a redirect may lead to. part: the bytes from the first number up to,
    not including, the second.
    """
    name, pace = shown(url), Pace()
    headers = {"User-Agent": AGENT}
    if part:
        headers["Range"] = f"bytes={part[0]}-" + ("" if part[1] is None else str(part[1] - 1))
    try:
        response = _opener(pace, within).open(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT
        )
        return Answer(response, pace)
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(
            f"{name}: the server answers {error.code} {error.reason}; check the address"
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # URLError is an OSError; a ValueError says that this is no address at all
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        said = getattr(why, "strerror", None) or why
        raise InputError(f"{name}: cannot be reached ({said})") from error


def _opener(pace: Pace, within: str | None) -> urllib.request.OpenerDirector:
    """Opens http and https and nothing else, wherever a server leads: no ftp, no files."""
    proxies = {
        scheme: address
        for scheme, address in urllib.request.getproxies().items()
        if scheme in ("http", "https")
    }
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        _Connecting(pace),
        _Redirecting(within),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def endless(answer: Answer | BinaryIO) -> bool:
    """Whether an answer is the picture after picture of a network camera (Motion JPEG), which never
    ends.
    """
    headers: Any = getattr(answer, "headers", {})
    return str(headers.get("Content-Type", "")).lower().startswith("multipart/x-mixed-replace")


def ffmpeg_options(url: str) -> dict[str, str]:
    """What FFmpeg is told when it opens an address. RTSP goes through TCP: over UDP, lost packets
    spoil pictures.
    """
    microseconds = str(int(TIMEOUT * 1e6))
    if url.lower().startswith("rtsp"):
        return {"rtsp_transport": "tcp", "timeout": microseconds, "user_agent": AGENT}
    if url.lower().startswith("http"):
        return {"rw_timeout": microseconds, "user_agent": AGENT}
    return {}
