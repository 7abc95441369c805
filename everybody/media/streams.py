"""What can be read only once: stdin, pipes, the answers of servers."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any, BinaryIO, cast

from .sources import HEAD

PICTURE_BYTES = 512 * 2**20  # no server may fill the memory
_MOVIE_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"uuid", b"pnot"}


class Rewound:
    """A binary stream whose first bytes (`head`) have been looked at and are read again. It cannot
    seek.
    """

    def __init__(self, stream: Any) -> None:
        # What has arrived is better than what was asked for: a live stream should not wait until a
        # buffer is full.
        self._read = getattr(stream, "read1", stream.read)
        self.head = b""
        while len(self.head) < HEAD and (more := self._read(HEAD - len(self.head))):
            self.head += more
        self._left = self.head

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


def spooled(stream: Rewound) -> BinaryIO:
    """The whole stream as a temporary file, deleted when closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    try:
        shutil.copyfileobj(cast(BinaryIO, stream), file)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return cast(BinaryIO, file)
