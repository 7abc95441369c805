"""What clients send: small JSON, one picture, or files of a job, each within its limit, none held
in memory beyond it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import HTTPException, Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from ..errors import InputError
from ..media.encode import unused
from .places import safe_name

_OPTIONS = 64 * 1024  # bytes


def length(request: Request, most: int) -> int:
    """The bytes of a body, which must be told beforehand. Raises HTTPException."""
    said = request.headers.get("content-length", "")
    if not (said.isascii() and said.isdecimal()):
        raise HTTPException(411, "say how long it is: Content-Length is missing")
    if int(said) > most:
        raise HTTPException(413, f"{int(said)} bytes are more than the {most} allowed here")
    return int(said)


async def whole(request: Request, most: int) -> bytes:
    """A body of at most so many bytes."""
    length(request, most)
    return await request.body()


async def as_json(request: Request, most: int) -> Any:
    try:
        return json.loads(await whole(request, most))
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"is not JSON ({error})") from None


class Budget:
    """Bytes that all requests together may hold; those who come later wait their turn."""

    def __init__(self, most: int) -> None:
        self._free, self._changed = most, asyncio.Condition()

    @asynccontextmanager
    async def hold(self, bytes: int) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= bytes)
            self._free -= bytes
        try:
            yield
        finally:
            async with self._changed:
                self._free += bytes
                self._changed.notify_all()


class Upload:
    """A multipart body -> its files in a folder, written as they come, and the field "options"."""

    def __init__(self, folder: Path, most_files: int) -> None:
        self.names: list[str] = []
        self.options = b""
        self._folder, self._most = folder, most_files
        self._file: BinaryIO | None = None
        self._header, self._value, self._headers = b"", b"", {}
        self._field = ""

    async def receive(self, request: Request) -> None:
        """Raises HTTPException or InputError; files are left behind for the caller to remove."""
        kind, said = parse_options_header(request.headers.get("content-type", ""))
        if kind != b"multipart/form-data" or not said.get(b"boundary"):
            raise HTTPException(415, "expected multipart/form-data with files, or JSON with paths")
        try:
            parser = MultipartParser(said[b"boundary"], self._callbacks())  # type: ignore[arg-type]
            async for chunk in request.stream():
                await asyncio.to_thread(parser.write, chunk)
            parser.finalize()
        except MultipartParseError as error:
            raise HTTPException(422, f"a broken multipart body ({error})") from None
        finally:
            self._close()
        if self._field != "end":
            raise HTTPException(422, "the multipart body ends before its last boundary")

    def _callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._named,
            "on_header_value": self._valued,
            "on_header_end": self._headed,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._close,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers, self._header, self._value = {}, b"", b""

    def _named(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _valued(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _headed(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _open(self) -> None:
        _, said = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._field = said.get(b"name", b"").decode(errors="replace")
        name = said.get(b"filename", b"").decode(errors="replace")
        if self._field != "files":
            return
        if len(self.names) >= self._most:
            raise InputError(f"more than {self._most} files in one job")
        path = unused(self._folder / safe_name(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("xb")
        self.names.append(path.relative_to(self._folder).as_posix())

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file:
            self._file.write(data[start:end])
        elif self._field == "options":
            self.options += data[start:end]
            if len(self.options) > _OPTIONS:
                raise InputError(f"options are longer than {_OPTIONS} bytes")

    def _close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _end(self) -> None:
        self._field = "end"
