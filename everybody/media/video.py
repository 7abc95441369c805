"""Video through PyAV (FFmpeg): frames in the order they are shown, with their true numbers and
times.

Frames before the start are decoded, not sought: only counting gives exact numbers in every format,
and decoding is cheap next to what follows. They are not converted to RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError, InvalidDataError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import InputError
from ..people import Frame, Image
from . import hardware, trust
from .aperture import WHOLE, Edges, edges
from .clock import INSTANT, RATE
from .demux import Key, Packets, decoded, reason
from .images import FORMATS, MAX_PIXELS
from .network import shown
from .selection import Selection, Sieve
from .shape import Shown
from .sources import Report

# Formats that say beforehand how long they last; others say how far their last packet goes.
_SAY_LENGTH = {"mov", "matroska", "webm", "flv", "asf", "mxf", "gxf", "wtv", "nut"}
_SHORT = 0.02  # of its length, by which a video may be shorter than it says
_SHORT_WITH_SOUND = 0.05  # where it says only how long the longest of its streams is


@dataclass(slots=True)
class Video:
    """An open video: FFmpeg's container, the stream that is shown, and the edges cut off it."""

    container: InputContainer
    stream: VideoStream
    crop: Edges = WHOLE
    beside: trust.Beside | None = None  # what opens the members of a playlist

    def missing(self) -> list[InputError]:
        """The members of a playlist that could not be opened since this was last asked, which is
        after each frame.
        """
        if self.beside is None:
            return []
        self.beside.alive()
        problems, self.beside.problems = self.beside.problems, []
        return problems

    def close(self) -> None:
        self.container.close()
        if self.beside:
            self.beside.close()

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_video(
    file: Any,
    name: str,
    *,
    options: dict[str, str] | None = None,
    timeout: float | None = None,
    playlist: bytes | None = None,
    select: Selection = Selection(),  # noqa: B008 (frozen)
) -> Video:
    """Opens a path (`trust.path`), address or binary stream that holds video FFmpeg can decode.

    options are FFmpeg's; timeout in seconds, for opening and for each read; playlist: the first
    bytes, where it is one. Raises InputError, one line that says why.
    """
    how: dict[str, Any] = {"options": trust.plain(file)}
    if playlist is not None:
        how = trust.playlist(file, playlist, name, select.trusted)
    how["options"] = {**(options or {}), **how["options"]}
    if select.fps is not None:  # of formats without stamps, which would take 25
        how["options"]["framerate"] = str(select.fps)
    beside = how.get("io_open")
    container: Any = None
    try:
        how |= {"timeout": timeout, "metadata_errors": "replace"}
        container = hardware.opened(file, name, select.hardware, **how)
        stream = shown_stream(container)
        if stream is None:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise InputError(f"{name}: holds no video ({container.format.name} with {kinds})")
        if stream.codec_context is None:
            raise InputError(
                f"{name}: its video codec is unknown to this FFmpeg; convert it to H.264"
            )
        place = [one for one in container.streams.video if not _cover(one)].index(stream)
        size = stream.codec_context.width, stream.codec_context.height
        return Video(container, stream, edges(file, container.format.name, place, size), beside)
    except BaseException as error:
        for opened in filter(None, (container, beside)):
            opened.close()
        unreadable = isinstance(error, (InvalidDataError, ArgumentError))
        missing = beside.problems[:1] if beside and unreadable else []
        raise (missing or [_refused(name, error)])[0] from error


def _refused(name: str, error: BaseException) -> BaseException:
    """Why a video cannot be opened, in a line; what is no reason of that kind as it is."""
    if isinstance(error, (InvalidDataError, ArgumentError)):
        return InputError(
            f"{name}: neither a picture ({FORMATS}) nor a video that FFmpeg can read; is it whole?"
        )
    if isinstance(error, (FFmpegError, OSError, ValueError)):  # ValueError: a stream that is closed
        return InputError(f"{name}: cannot be opened as a video ({reason(error)})")
    return error


def frames(
    video: Video,
    name: str,
    report: Report,
    *,
    select: Selection = Selection(),  # noqa: B008 (frozen)
    after: int = -1,
    max_pixels: int = MAX_PIXELS,
    live: bool = False,
    begin: Key | None = None,
) -> Iterator[Frame]:
    """The selected frames with index > `after`; closes the video, early or late.

    begin: a key frame to decode from, as if all frames before it had been decoded, too; whether the
    video is as long as it says is then not asked.

    time is in seconds from the container's start, as stamped: variable rates stay variable; it
    always goes up (see `clock`). Frames that cannot be decoded go to `report`, and so do those that
    FFmpeg had to mend, which are yielded all the same, and a video that ends before it should.
    """
    with video:
        stream, said = video.stream, shown(name)
        width, height = size = _prepared(stream, max_pixels)
        if width * height > max_pixels:
            report(_too_large(said, 0, width, height, max_pixels))
            return
        shape = Shown(aspect=float(stream.sample_aspect_ratio or 1), crop=video.crop, size=size)
        packets, times = Packets(video.container, stream), _Times(video, live)
        sieve = Sieve(select, first=(0, 0.0) if begin else None)
        source = packets if begin is None else packets.since(begin)
        if source is None:
            report(InputError(f"{said}: seeking does not lead to {begin}; copy the video anew"))
            return
        passed = begin.index if begin else 0
        count = time = 0
        for place, frame, trouble in decoded(source, stream, live=live):
            index = passed + place
            if frame is not None:
                shape.look(frame)
                time = times(index, frame.pts)
                count += 1
            for problem in video.missing():
                report(problem)
            if sieve.over(index, time):
                return
            if trouble and index > after and sieve.within(index, time):
                report(InputError(f"{said}: frame {index} {trouble}"))
            if frame is None or not sieve.keep(index, time) or index <= after:
                continue
            width, height = shape.size(frame)
            if width * height > max_pixels:
                report(_too_large(said, index, width, height, max_pixels))
                return
            image = _converted(shape, frame, f"{said}: frame {index}", report)
            if image is not None:
                yield Frame(image, index, time, name)
        for problem in video.missing():
            report(problem)
        if begin is None and not live and (end := _ended(video, packets, count)):
            report(InputError(f"{said}: {end}"))


def _converted(shape: Shown, frame: VideoFrame, where: str, report: Report) -> Image | None:
    """The frame's picture; None, and a report, where it cannot be had."""
    try:
        return shape(frame)
    except (FFmpegError, ValueError) as error:
        report(InputError(f"{where} cannot be converted to RGB ({reason(error)})"))
        return None


def _prepared(stream: VideoStream, max_pixels: int) -> tuple[int, int]:
    """The stream's (width, height), with its decoder told to use all cores and no more memory than
    frames of so many pixels need.
    """
    stream.thread_type = "AUTO"
    context = stream.codec_context
    context.options = {"max_pixels": str(2 * max_pixels)}  # in memory, padding included
    return context.width, context.height


def _too_large(name: str, index: int, width: int, height: int, most: int) -> InputError:
    return InputError(f"{name}: frame {index} is {width} × {height}, over max_pixels {most}")


class _Times:
    """When each frame is shown, in seconds; called with the indices and stamps of all, in order."""

    def __init__(self, video: Video, live: bool) -> None:
        container, stream = video.container, video.stream
        self._rate = float(stream.average_rate or RATE)
        self._base = stream.time_base
        # Live, the first frame may come without a stamp, and the container starts with the second.
        self._start = None
        if not live and container.start_time is not None:
            self._start = container.start_time / av.time_base
        self._last: float | None = None

    def __call__(self, index: int, pts: int | None) -> float:
        time = index / self._rate
        if pts is not None and self._base is not None:
            stamp = float(pts * self._base)
            self._start = stamp - time if self._start is None else self._start
            time = stamp - self._start
        if self._last is not None and time <= self._last:
            time = self._last + INSTANT
        self._last = time
        return time


def estimate(video: Video, select: Selection) -> int | None:
    """About how many frames `select` keeps, from what the container says of itself; None where it
    says nothing.
    """
    rate = float(video.stream.average_rate or RATE)
    if video.stream.frames:
        return select.estimate(video.stream.frames, rate)
    if video.container.duration:
        return select.estimate(video.container.duration / av.time_base * rate, rate)
    return None


def _ended(video: Video, packets: Packets, count: int) -> str | None:
    """What is wrong with a video that has come to its end, if anything is."""
    if not count:
        return "holds no frames that can be decoded; the video is empty or cut short"
    promised = 0 if packets.failed else _promised(video, packets)
    if promised > count:
        return f"holds {count} of about {promised} frames; cut short? Copy or download it again"
    return None


def _promised(video: Video, packets: Packets) -> int:
    """About how many frames a video says it has, where it clearly ends before them, else 0."""
    container, stream = video.container, video.stream
    formats = set(container.format.name.split(","))
    if "mov" in formats and (listed := len(stream.index_entries)):
        return listed if listed > packets.count else 0  # an edit list leaves its own out of it
    if "avi" in formats:  # whose length FFmpeg takes from what is there, but not the number
        return stream.frames if packets.count < stream.frames * (1 - _SHORT) - 1 else 0
    if not formats & _SAY_LENGTH:
        return 0
    rate, short = float(stream.average_rate or RATE), _SHORT
    seconds = float((stream.duration or 0) * (stream.time_base or 0)) or _tagged(stream)
    if not seconds and container.duration:
        seconds = container.duration / av.time_base
        short = _SHORT if len(container.streams) == 1 else _SHORT_WITH_SOUND
    slack = max(short * seconds, 2 / rate, 1.0 if short == _SHORT_WITH_SOUND else 0.0)
    return round(seconds * rate) if packets.end < seconds - slack else 0


def _tagged(stream: VideoStream) -> float:
    """Seconds that Matroska's writers note for each stream, as 00:01:02.345000000; 0 if none."""
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0


def _cover(stream: VideoStream) -> bool:
    """Whether this is the cover picture of a song."""
    return bool(stream.disposition & Disposition.attached_pic)


def shown_stream(container: InputContainer) -> VideoStream | None:
    """The video stream that is marked as the default, else the first one."""
    streams = [stream for stream in container.streams.video if not _cover(stream)]
    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    return (marked or streams or [None])[0]
