"""One argument, any source -> frames.

A source is the path of a picture or video, a folder, a glob, a text file that lists paths, an
http(s) or rtsp address, a camera's number, "-" for stdin, an array [H, W, 3], [H, W] or [N, H, W,
3], a Pillow image, bytes, a binary stream, a Frame, or a list or any iterable of these. What a file
is, its first bytes tell; suffixes only pick a folder's files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image as Pillow

from ..errors import EverybodyError, InputError
from ..people import Frame
from . import camera, images, live, network, sources, video
from .images import FORMATS, MAX_PIXELS
from .selection import Selection, Sieve
from .sources import HEAD, Item, Report, sniff
from .streams import PICTURE_BYTES, Rewound, needs_seeking, spooled

__all__ = ["Item", "Selection", "count", "expand", "read"]


def read(
    source: Any,
    *,
    select: Selection = Selection(),  # noqa: B008 (frozen)
    after: Mapping[str, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    problem: Report | None = None,
    dropped: Callable[[int], None] | None = None,
) -> Iterator[Frame]:
    """Frames of any source (see above), in order and lazily: an endless stream takes constant
    memory.

    select: of a video, by its frames; of pictures, by their place among all pictures (times do not
    apply to them). after: per source (`Frame.source`) the last index that is done already; it and
    those before are left out. max_pixels: larger pictures are refused by their headers. problem: is
    called with each InputError, and reading goes on with the next frame or input; without it the
    first one is raised. dropped: is called with how many frames of a camera or a live address were
    left out because nobody asked for them in time; files drop none.
    """
    reader = _Reader(
        select, after or {}, max_pixels, problem or _raise, dropped or (lambda count: None)
    )
    yield from reader.frames(sources.items(source, reader.report))


def expand(source: Any) -> list[Item]:
    """What `source` names, members of folders, globs and lists included, in natural order (img2
    before img10).

    Decodes nothing and draws nothing from iterables; `read` takes the result. Raises InputError on
    what is missing.
    """
    return list(sources.items(source, _raise))


def count(items: Iterable[Item], select: Selection = Selection()) -> int | None:  # noqa: B008 (frozen)
    """About how many frames `read` will give, for progress; None where nobody can know (streams,
    cameras, addresses).

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
                head = item.data[:HEAD] if item.kind == "bytes" else sources.head(item.data)
                kind = sniff(head, item.name)
                if kind == "picture":
                    pictures += 1
                elif kind == "video":
                    with video.open_video(_openable(item), item.name) as container:
                        frames = video.estimate(container, select)
                    if frames is None:
                        return None
                    total += frames
            except (OSError, InputError):  # `read` is the one to tell
                continue
        else:
            return None
    return total + select.untimed().estimate(pictures, 1.0)


def _raise(error: EverybodyError) -> NoReturn:
    raise error


@dataclass
class _Reader:
    """One call of `read`: what was asked for, and how many pictures have gone by."""

    select: Selection
    after: Mapping[str, int]
    max_pixels: int
    report: Report
    dropped: Callable[[int], None]
    pictures: int = 0
    arrays: int = 0  # have no name, so they are numbered through
    sieve: Sieve = field(init=False)

    def __post_init__(self) -> None:
        self.sieve = Sieve(self.select.untimed())

    def frames(self, items: Iterable[Item]) -> Iterator[Frame]:
        for item in items:
            if item.kind == "iterable":
                for member in sources.items(item, self.report, flat=True):
                    yield from self.one(member)
                    if self.sieve.over(self.pictures, 0.0):  # it may be endless
                        break
            else:
                yield from self.one(item)

    def one(self, item: Item) -> Iterator[Frame]:
        if item.kind == "array":
            yield from self.array(item)
        elif item.kind == "frame":
            if self.chosen(item.name, item.data.index):
                yield item.data
        elif item.kind == "camera":
            connect = partial(camera.frames, item.data, item.name, self.report, select=Selection())
            yield from self.latest(item.name, live.reconnected(connect, item.name, self.report))
        elif item.kind == "live":
            yield from self.latest(item.name, self.lasting(item))
        elif item.kind == "url":
            yield from self.url(item)
        elif item.kind == "stream":
            yield from self.stream(item)
        else:
            yield from self.stored(item)

    def chosen(self, name: str, index: int) -> bool:
        """Counts one more picture; whether it is wanted."""
        kept = self.sieve.keep(self.pictures, 0.0)
        self.pictures += 1
        return kept and index > self.after.get(name, -1)

    def array(self, item: Item) -> Iterator[Frame]:
        index = self.arrays
        self.arrays += 1
        if not self.chosen(item.name, index):
            return
        image = item.data
        try:
            if isinstance(image, Pillow.Image):
                image = images.rgb(image, item.name)
        except InputError as error:
            self.report(error)
            return
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        yield Frame(np.ascontiguousarray(image), index, 0.0, item.name)

    def picture(self, item: Item, load: Any) -> Iterator[Frame]:
        """load: () -> the bytes, called only when the picture is wanted."""
        if not self.chosen(item.name, 0):
            return
        try:
            image = images.decode(load(), network.shown(item.name), self.max_pixels)
        except InputError as error:
            self.report(error)
        except OSError as error:
            self.report(sources.unreadable(network.shown(item.name), error))
        else:
            yield Frame(image, 0, 0.0, item.name)

    def video(
        self, item: Item, file: Any, options: dict[str, str] | None = None
    ) -> Iterator[Frame]:
        """options: FFmpeg's, for an address; a file of ours may take its time."""
        name, timeout = network.shown(item.name), None if options is None else network.TIMEOUT
        try:
            container = video.open_video(file, name, options=options, timeout=timeout)
        except InputError as error:
            self.report(error)
            return
        done = self.after.get(item.name, -1)
        yield from video.frames(
            container,
            item.name,
            self.report,
            select=self.select,
            after=done,
            max_pixels=self.max_pixels,
        )

    def lasting(self, item: Item) -> Iterator[Frame]:
        """A live address, connected to again when it is lost. All its frames: `live` chooses."""
        options, name = network.ffmpeg_options(item.data), network.shown(item.name)

        def connect() -> Iterator[Frame]:
            try:
                container = video.open_video(
                    item.data, name, options=options, timeout=network.TIMEOUT
                )
            except InputError as error:
                self.report(error)
                return
            yield from video.frames(
                container, item.name, self.report, max_pixels=self.max_pixels, live=True
            )

        yield from live.reconnected(connect, name, self.report)

    def latest(self, name: str, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The newest frames that are selected."""
        sieve, done = Sieve(self.select), self.after.get(name, -1)
        with closing(live.newest(frames, self.dropped)) as latest:
            for frame in latest:
                if sieve.over(frame.index, frame.time):
                    return
                if sieve.keep(frame.index, frame.time) and frame.index > done:
                    yield frame
                if sieve.over(
                    frame.index + 1, frame.time
                ):  # do not wait for a frame that nobody wants
                    return

    def stored(self, item: Item) -> Iterator[Frame]:
        """A file or bytes: what can be read twice."""
        try:
            head = item.data[:HEAD] if item.kind == "bytes" else sources.head(item.data)
        except OSError as error:
            self.report(sources.unreadable(item.name, error))
            return
        kind = sniff(head, item.name)
        if kind == "picture":
            yield from self.picture(
                item, lambda: item.data if item.kind == "bytes" else Path(item.data).read_bytes()
            )
        elif kind == "video":
            yield from self.video(item, _openable(item))
        else:
            self.report(_useless(item.name, kind))

    def stream(self, item: Item) -> Iterator[Frame]:
        """Stdin, a pipe or any binary stream; one that was opened elsewhere stays open."""
        try:
            with (
                open(item.data, "rb")
                if isinstance(item.data, str)
                else nullcontext(item.data) as file
            ):
                yield from self.once(item, file)
        except OSError as error:
            self.report(sources.unreadable(item.name, error))

    def url(self, item: Item) -> Iterator[Frame]:
        try:
            answer = network.fetch(item.data)
        except InputError as error:
            self.report(error)
            return
        if network.endless(answer):
            answer.close()
            yield from self.latest(item.name, self.lasting(item))
            return
        try:
            with closing(answer):
                yield from self.once(item, answer, address=item.data)
        except OSError as error:
            self.report(sources.unreadable(network.shown(item.name), error))

    def once(self, item: Item, file: Any, address: str | None = None) -> Iterator[Frame]:
        """What can be read once. A video at an address is left to FFmpeg, which can seek where the
        server can.
        """
        stream = Rewound(file)
        kind = sniff(stream.head, item.name)
        if kind == "picture":
            yield from self.picture(item, lambda: stream.whole(PICTURE_BYTES))
        elif kind != "video":
            self.report(_useless(network.shown(item.name), kind))
        elif address and not (
            needs_seeking(stream.head) and file.headers.get("Accept-Ranges") != "bytes"
        ):
            file.close()
            yield from self.video(item, address, network.ffmpeg_options(address))
        elif needs_seeking(stream.head):
            with spooled(stream) as copy:
                yield from self.video(item, copy)
        else:
            yield from self.video(item, stream)


def _openable(item: Item) -> Any:
    # "file:" keeps FFmpeg from taking a colon in a name for a protocol
    return BytesIO(item.data) if item.kind == "bytes" else f"file:{item.data}"


def _useless(name: str, kind: str) -> InputError:
    if kind == "empty":
        return InputError(f"{name}: is empty (0 bytes); copy or download it again")
    return InputError(
        f"{name}: is text (a web page or a list?), neither a picture ({FORMATS}) nor a video"
    )
