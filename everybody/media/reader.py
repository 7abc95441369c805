"""One call of `read`: each input by its kind, and what goes wrong with one is its own problem."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from ..errors import EverybodyError, InputError
from ..people import Frame
from . import animation, camera, images, live, network, sources, trust, video
from .clock import Clock
from .content import HEAD, head, sniff
from .images import FORMATS
from .selection import Selection, Sieve
from .sources import Asking, Item, Report
from .streams import PICTURE_BYTES, PICTURE_SECONDS, Rewound, needs_seeking, spooled


@dataclass
class Reader:
    """What was asked for, and how many pictures have gone by."""

    select: Selection
    after: Mapping[str, int]
    max_pixels: int
    problem: Report
    dropped: Callable[[int], None]
    pictures: int = 0
    arrays: int = 0  # have no name, so they are numbered through
    sieve: Sieve = field(init=False)
    clock: Clock = field(init=False)
    raised: BaseException | None = None  # by the caller, who is told of problems

    def __post_init__(self) -> None:
        self.sieve = Sieve(self.select.of_pictures())
        self.clock = Clock(self.select.fps)

    def report(self, error: EverybodyError) -> None:
        try:
            self.problem(error)
        except BaseException as raised:
            self.raised = raised
            raise

    def frames(self, items: Iterable[Item]) -> Iterator[Frame]:
        for item in items:
            if item.kind == "iterable":
                ask = Asking(self.report, trusted=self.select.trusted)
                for member in sources.items(item, ask, flat=True):
                    yield from self.one(member)
                    if self.sieve.over(self.pictures, self.clock.frame(self.pictures)):
                        break  # it may be endless
            else:
                yield from self.one(item)

    def one(self, item: Item) -> Iterator[Frame]:
        """The frames of one input; whatever is raised on the way is a problem of this one alone."""
        if self.select.trusted is False and item.kind in ("url", "live", "camera"):
            self.report(
                InputError(
                    f"{network.shown(item.name)}: is not opened for a source that is not trusted; "
                    "send the pictures or the video themselves"
                )
            )
            return
        try:
            yield from _KINDS[item.kind](self, item)
        except EverybodyError as error:
            if error is self.raised:
                raise
            self.report(error)
        except Exception as error:
            if error is self.raised:
                raise
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            name = network.shown(item.name)
            unexpected = InputError(f"{name}: cannot be read any further ({said})")
            unexpected.__cause__ = error
            self.report(unexpected)

    def of_frame(self, item: Item) -> Iterator[Frame]:
        """One that the caller made."""
        if self.chosen(item.name, item.data.index):
            if not item.data.image.size:
                raise InputError(f"{item.name or 'frame'}: its picture has no pixels")
            yield item.data

    def of_camera(self, item: Item) -> Iterator[Frame]:
        connect = partial(camera.frames, item.data, item.name, self.report, select=Selection())
        yield from self.latest(item.name, live.reconnected(connect, item.name, self.report))

    def of_live(self, item: Item) -> Iterator[Frame]:
        yield from self.latest(item.name, self.lasting(item))

    def chosen(self, name: str, index: int) -> bool:
        """Counts one more picture; whether it is wanted."""
        kept = self.sieve.keep(self.pictures, self.clock.frame(self.pictures))
        self.pictures += 1
        return kept and index > self.after.get(name, -1)

    def of_array(self, item: Item) -> Iterator[Frame]:
        index = self.arrays
        self.arrays += 1
        if not self.chosen(item.name, index):
            return
        image = item.data
        if isinstance(image, Pillow.Image):
            image = images.rgb(image, item.name)
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        yield Frame(np.ascontiguousarray(image), index, self.clock.frame(index), item.name)

    def picture(self, item: Item, load: Callable[[], bytes]) -> Iterator[Frame]:
        """load: () -> the bytes, called only when the picture is wanted."""
        time = self.clock.picture(item.name)
        if not self.chosen(item.name, 0):
            return
        try:
            image = images.decode(load(), network.shown(item.name), self.max_pixels)
        except OSError as error:
            raise sources.unreadable(network.shown(item.name), error) from error
        yield Frame(image, 0, time, item.name)

    def moving(self, item: Item, data: bytes) -> Iterator[Frame]:
        """A picture of several frames, which is read as a video is."""
        yield from animation.frames(
            data,
            item.name,
            self.report,
            name=network.shown(item.name),
            select=self.select,
            after=self.after.get(item.name, -1),
            max_pixels=self.max_pixels,
        )

    def video(self, item: Item, file: Any, playlist: bytes | None = None) -> Iterator[Frame]:
        """file: as FFmpeg takes it; a file of ours may take its time, an address may not."""
        remote = isinstance(file, str) and not file.startswith("file:")
        opened = video.open_video(
            file,
            network.shown(item.name),
            options=network.ffmpeg_options(file) if remote else None,
            timeout=network.TIMEOUT if remote else None,
            playlist=playlist,
            select=self.select,
        )
        yield from video.frames(
            opened,
            item.name,
            self.report,
            select=self.select,
            after=self.after.get(item.name, -1),
            max_pixels=self.max_pixels,
        )

    def lasting(self, item: Item) -> Iterator[Frame]:
        """A live address, connected to again when it is lost. All its frames: `live` chooses."""
        options, name = network.ffmpeg_options(item.data), network.shown(item.name)

        def connect() -> Iterator[Frame]:
            try:
                opened = video.open_video(item.data, name, options=options, timeout=network.TIMEOUT)
            except InputError as error:
                self.report(error)
                return
            yield from video.frames(
                opened, item.name, self.report, max_pixels=self.max_pixels, live=True
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
                if sieve.over(frame.index + 1, frame.time):
                    return  # do not wait for a frame that nobody wants

    def of_file(self, item: Item) -> Iterator[Frame]:
        def load() -> bytes:
            size = os.stat(item.data).st_size
            if size > PICTURE_BYTES:
                raise OSError(f"{size // 2**20} MB, more than {PICTURE_BYTES // 2**20} MB")
            return Path(item.data).read_bytes()

        try:
            start = head(item.data)
            kind = sniff(start, item.name)
            if kind == "picture" and images.moving(item.data, start) > 1:
                yield from self.moving(item, load())
                return
        except OSError as error:
            raise sources.unreadable(item.name, error) from error
        yield from self.told(item, kind, start, load, trust.path(item.data))

    def of_bytes(self, item: Item) -> Iterator[Frame]:
        data: bytes = item.data
        kind = sniff(data[:HEAD], item.name)
        if kind == "picture" and images.moving(BytesIO(data), data[:HEAD]) > 1:
            yield from self.moving(item, data)
        else:
            yield from self.told(item, kind, data[:HEAD], lambda: data, BytesIO(data))

    def told(
        self, item: Item, kind: str, start: bytes, load: Callable[[], bytes], file: Any
    ) -> Iterator[Frame]:
        """By what the first bytes tell."""
        if kind == "picture":
            yield from self.picture(item, load)
        elif kind == "video":
            yield from self.video(item, file)
        elif kind == "playlist":
            yield from self.video(item, file, start)
        else:
            raise _useless(network.shown(item.name), kind)

    def of_stream(self, item: Item) -> Iterator[Frame]:
        """Stdin, a pipe or any binary stream; one that was opened elsewhere stays open."""
        name = item.name
        try:
            own = isinstance(item.data, str)
            with open(item.data, "rb") if own else nullcontext(item.data) as file:
                stream = Rewound(file)
                yield from self.once(item, stream, sniff(stream.head, name))
        except OSError as error:
            raise sources.unreadable(name, error) from error

    def of_url(self, item: Item) -> Iterator[Frame]:
        """A video or playlist at an address is left to FFmpeg, which can seek where the server
        can.
        """
        address: str = item.data
        answer = network.fetch(address)
        if network.endless(answer):
            answer.close()
            yield from self.latest(item.name, self.lasting(item))
            return
        try:
            with closing(answer):
                stream = Rewound(answer)
                kind = sniff(stream.head, item.name)
                whole = needs_seeking(stream.head)
                if kind == "picture":
                    answer.pace.total = PICTURE_SECONDS
                if kind == "video" and not (
                    whole and answer.headers.get("Accept-Ranges") != "bytes"
                ):
                    answer.close()
                    yield from self.video(item, address)
                elif kind == "playlist":
                    answer.close()
                    yield from self.video(item, address, stream.head)
                else:
                    yield from self.once(item, stream, kind)
        except OSError as error:
            raise sources.unreadable(network.shown(item.name), error) from error

    def once(self, item: Item, stream: Rewound, kind: str) -> Iterator[Frame]:
        """What can be read once."""
        start = stream.head
        if kind == "picture" and images.picture_format(start) in images.MOVING:
            data = stream.whole(PICTURE_BYTES)
            if images.moving(BytesIO(data), start) > 1:
                yield from self.moving(item, data)
            else:
                yield from self.picture(item, lambda: data)
        elif kind == "video" and needs_seeking(start):
            with spooled(stream) as copy:
                yield from self.video(item, copy)
        else:
            yield from self.told(item, kind, start, lambda: stream.whole(PICTURE_BYTES), stream)


def _useless(name: str, kind: str) -> InputError:
    if kind == "empty":
        return InputError(f"{name}: is empty (0 bytes); copy or download it again")
    return InputError(
        f"{name}: is text (a web page or a list?), neither a picture ({FORMATS}) nor a video; "
        "a list of sources is a .txt, or given as @FILE"
    )


_KINDS: dict[str, Callable[[Reader, Item], Iterator[Frame]]] = {
    "file": Reader.of_file,
    "bytes": Reader.of_bytes,
    "stream": Reader.of_stream,
    "url": Reader.of_url,
    "live": Reader.of_live,
    "camera": Reader.of_camera,
    "array": Reader.of_array,
    "frame": Reader.of_frame,
}
