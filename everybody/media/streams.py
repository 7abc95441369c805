"""What can be read only once: stdin, pipes, the answers of servers."""

from __future__ import annotations

import tempfile
from typing import Any, BinaryIO, cast

from .content import HEAD

PICTURE_BYTES = 512 * 2**20  # no picture may fill the memory
PICTURE_SECONDS = 300.0  # that a server may take for one
SPOOL_BYTES = 8 * 2**30  # of a video that must be whole before it can be read; they go to disk
_MOVIE_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"uuid", b"pnot"}


class Rewound:
    """A binary stream whose first bytes (`head`) have been looked at and are read again. It cannot
    seek. Raises OSError where it gives no bytes.
    """

    def __init__(self, stream: Any) -> None:
        # What has arrived is better than what was asked for: a live stream should not wait until a
        # buffer is full.
        self._give = getattr(stream, "read1", stream.read)
        self.head = b""
        while len(self.head) < HEAD and (more := self._read(HEAD - len(self.head))):
            self.head += more
        self._left = self.head

    def _read(self, size: int) -> bytes:
        try:
            data = self._give(size)
        except ValueError as error:  # how Python's files say that they are closed
            raise OSError(str(error)) from error
        if isinstance(data, str):
            raise OSError("it was opened as text; open it with mode 'rb'")
        return data or b""  # None: one that does not wait has nothing yet

    def read(self, size: int = 65536) -> bytes:
        """At most `size` bytes; none at the end."""
        if self._left:
            now, self._left = self._left[:size], self._left[size:]
            return now
        return self._read(size)

    def whole(self, limit: int) -> bytes:
        """All the rest. Raises OSError when it is more than `limit` bytes."""
        data = bytearray()
        while more := self.read():
            data += more
            if len(data) > limit:
                raise OSError(f"more than {limit // 2**20} MB for one picture")
        return bytes(data)


def needs_seeking(head: bytes) -> bool:
    """Whether this is an MP4 or MOV whose index (moov) does not come before its pictures (mdat)."""
    if head[4:8] not in _MOVIE_BOXES:
        return False
    place = 0
    while place + 8 <= len(head):
        size, kind = int.from_bytes(head[place : place + 4], "big"), head[place + 4 : place + 8]
        if kind in (b"moov", b"moof", b"sidx"):
            return False
        if kind == b"mdat" or size < 8:
            return True
        place += size
    return True


def spooled(stream: Rewound, limit: int | None = None) -> BinaryIO:
    """The whole stream as a temporary file, deleted when closed. Raises OSError when it is more
    than `limit` (`SPOOL_BYTES`) bytes.
    """
    limit = SPOOL_BYTES if limit is None else limit
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    try:
        while more := stream.read():
            file.write(more)
            if file.tell() > limit:
                raise OSError(
                    f"more than {limit // 2**20} MB of a video whose index comes last; "
                    "save it as a file first"
                )
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return cast(BinaryIO, file)
