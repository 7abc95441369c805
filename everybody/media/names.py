"""How the files that come of a frame are called: like its source, without clashes, the frames of a
video numbered.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import urlsplit

from .images import SUFFIXES

_PICTURES = {"", *SUFFIXES} - {".gif"}  # most of which move
_STREAM = re.compile(r"(?!https?:|file:)\w+://|camera:")


def numbered(source: str, index: int) -> bool:
    """Whether a frame is one of a video, camera or stream, so that files made of it need its
    number, or a picture.

    Told from the name, because who writes a first frame cannot know whether a second one follows; a
    container with a picture's suffix or none gets a first file without a number, and no harm.
    """
    return (
        index > 0 or PurePath(source).suffix.lower() not in _PICTURES or bool(_STREAM.match(source))
    )


class Names:
    """Gives each source a name of its own: its file's name without the suffix; where another source
    has that, with its folder before it; and where that is taken too, with a number behind it.

    The same sources in the same order get the same names, so a run that resumes first names those
    of the journal.
    """

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def __call__(self, source: str) -> str:
        if source not in self._given:
            name = stem = _safe(_path(source).stem)
            folder = _path(source).parent.name
            count = 1 if folder else 2
            while name.casefold() in self._taken:  # file systems differ in whether case counts
                name = _safe(f"{folder}_{stem}") if count == 1 else f"{stem}.{count}"
                count += 1
            self._taken.add(name.casefold())
            self._given[source] = name
        return self._given[source]

    def frame(self, source: str, index: int) -> str:
        """The name of one frame: its source's, with twelve digits behind it where frames are
        numbered.
        """
        name = self(source)
        return f"{name}_{index:012d}" if numbered(source, index) else name


def _path(source: str) -> PurePath:
    if "://" not in source:
        return PurePath(source)
    url = urlsplit(source)  # of which passwords and queries are no part of a name
    return PurePath(url.path if url.path.strip("/") else url.hostname or "stream")


def _safe(name: str) -> str:
    """Without what file systems forbid, and short enough (in bytes) for what is put behind it."""
    name = re.sub(r"[^\w .,+~=@()-]", "_", name).strip(" .")
    return name.encode(errors="replace")[:200].decode(errors="ignore") or "frame"
