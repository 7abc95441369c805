"""One argument, any source -> frames.

A source is the path of a picture or video, a folder, a glob, a list of paths (a .txt, or @FILE), an
http(s) or rtsp address, a camera's number, "-" for stdin, an array [H, W, 3], [H, W] or [N, H, W,
3], a Pillow image, bytes, a binary stream, a Frame, or a list or any iterable of these. What a file
is, its first bytes tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any, NoReturn

from ..errors import EverybodyError, InputError, OptionError
from ..messages import Say, warn
from ..people import Frame
from . import images, network, sources, trust, video
from .clock import RATE
from .content import HEAD, head, sniff
from .images import MAX_PIXELS
from .reader import Reader
from .selection import Selection
from .sources import Asking, Item, Report

__all__ = ["Item", "Selection", "count", "expand", "one", "read"]


def read(
    source: Any,
    *,
    select: Selection = Selection(),  # noqa: B008 (frozen)
    after: Mapping[str, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    problem: Report | None = None,
    dropped: Callable[[int], None] | None = None,
    say: Say = warn,
) -> Iterator[Frame]:
    """Frames of any source (see above), in order and lazily: an endless stream takes constant
    memory.

    select: of a video, by its frames; of pictures, by their place among all pictures. after: per
    source (`Frame.source`) the last index that is done already; it and those before are left out.
    max_pixels: larger pictures are refused by their headers. problem: is called with each
    InputError, and reading goes on with the next frame or input; without it the first is raised.
    dropped: is called with how many frames of a camera or a live address were left out because
    nobody asked for them in time; files drop none. say: is told what a folder or glob holds that is
    neither picture nor video.
    """
    reader = Reader(
        select, after or {}, max_pixels, problem or _raise, dropped or (lambda count: None)
    )
    yield from reader.frames(sources.items(source, Asking(reader.report, say, select.trusted)))


def one(source: Any, **options: Any) -> Frame:
    """The only frame of a source; options as in `read`. Raises InputError where there is none,
    OptionError where there are more.
    """
    frames = read(source, **options)
    first = next(frames, None)
    if first is None:
        raise InputError("the source holds no frames: expected one picture")
    if next(frames, None) is not None:
        raise OptionError(
            f"{first.source}: holds several frames: use stream() instead of estimate()"
        )
    return first


def expand(source: Any, *, say: Say = lambda text: None, trusted: bool | None = None) -> list[Item]:
    """What `source` names, members of folders, globs and lists included, in natural order (img2
    before img10).

    Decodes nothing and draws nothing from iterables; `read` takes the result. say, trusted: as in
    `read` and `Selection`. Raises InputError on what is missing.
    """
    return list(sources.items(source, Asking(_raise, say, trusted)))


def count(items: Iterable[Item], select: Selection = Selection()) -> int | None:  # noqa: B008 (frozen)
    """About how many frames `read` will give, for progress; None where nobody can know (streams,
    cameras, addresses, playlists).

    Videos say how many frames they have, or how long they last. What cannot be read counts as
    nothing.
    """
    pictures = total = 0
    for item in items:
        if item.kind in ("array", "frame"):
            pictures += 1
        elif item.kind == "iterable" and hasattr(item.data, "__len__"):
            pictures += len(item.data)
        elif item.kind in ("file", "bytes"):
            try:
                still, moving = _counted(item, select)
            except (OSError, InputError):  # `read` is the one to tell
                continue
            if moving is None:
                return None
            pictures, total = pictures + still, total + moving
        else:
            return None
    return total + select.of_pictures().estimate(pictures, select.fps or RATE)


def _counted(item: Item, select: Selection) -> tuple[int, int | None]:
    """Pictures, and selected frames of a video, in a file or bytes; None where it does not say."""
    start = item.data[:HEAD] if item.kind == "bytes" else head(item.data)
    kind = sniff(start, item.name)
    file = BytesIO(item.data) if item.kind == "bytes" else item.data
    if kind == "picture":
        frames = images.moving(file, start)
        return (1, 0) if frames == 1 else (0, select.estimate(frames, select.fps or RATE))
    if kind == "playlist":
        return 0, None
    if kind != "video":
        return 0, 0
    source = file if item.kind == "bytes" else trust.path(item.data)
    with video.open_video(source, network.shown(item.name), select=select) as opened:
        return 0, video.estimate(opened, select)


def _raise(error: EverybodyError) -> NoReturn:
    raise error
