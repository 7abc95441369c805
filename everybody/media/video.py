"""Video through PyAV (FFmpeg): frames in the order they are shown, with their true numbers and
times.

Frames before the start are decoded, not sought: only counting gives exact numbers in every format,
and decoding is cheap next to what follows. They are not converted to RGB. When FFmpeg refuses a
packet, the numbers of the frames after it stay true: the time stamps of packets that came to
nothing tell which frames are missing.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import ExitError, FFmpegError, InvalidDataError
from av.packet import Packet
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ..errors import InputError
from ..people import Frame, Image
from .images import FORMATS, MAX_PIXELS, upright
from .network import shown
from .selection import Selection, Sieve
from .sources import Report

_ORPHANED = "cannot be decoded (it builds on a broken one) and is left out"
_RATE = 25.0  # frames per second where a video does not say
_HELD = 64  # packets that a decoder may have taken without giving their frames: its threads, and frames to reorder
_TAIL = 600  # packets without a key frame that are kept at most
_REFUSALS = 16  # packets in a row that the container fails to deliver before it is given up
# Display matrices by the signs of their a, b, c, d, where x' = ax + cy and y' = bx + dy, as EXIF
# counts orientations.
_ORIENTATIONS = {
    (1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5, (0, 1, -1, 0): 6, (0, -1, -1, 0): 7, (0, -1, 1, 0): 8,
}  # fmt: skip


def open_video(
    file: object, name: str, *, options: dict[str, str] | None = None, timeout: float | None = None
) -> InputContainer:
    """Opens a path, URL or binary stream that holds video FFmpeg can decode.

    options are FFmpeg's; timeout in seconds, for opening and for each read. Raises InputError, one
    line that says why.
    """
    try:
        container = av.open(
            file, "r", options=options or {}, timeout=timeout, metadata_errors="replace"
        )
    except InvalidDataError as error:
        raise InputError(
            f"{name}: neither a picture ({FORMATS}) nor a video that FFmpeg can read; is it whole?"
        ) from error
    except (FFmpegError, OSError) as error:
        raise InputError(f"{name}: cannot be opened as a video ({reason(error)})") from error
    try:
        stream = _stream(container)
        if stream is None:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise InputError(f"{name}: holds no video ({container.format.name} with {kinds})")
        if stream.codec_context is None:
            raise InputError(
                f"{name}: its video codec is unknown to this FFmpeg; convert it to H.264"
            )
    except InputError:
        container.close()
        raise
    return container


def frames(
    container: InputContainer,
    name: str,
    report: Report,
    *,
    select: Selection = Selection(),  # noqa: B008 (frozen)
    after: int = -1,
    max_pixels: int = MAX_PIXELS,
    live: bool = False,
) -> Iterator[Frame]:
    """The selected frames with index > `after`; closes the container, early or late.

    time is in seconds from the container's start, as stamped: variable rates stay variable. Frames
    that cannot be decoded go to `report`, and so do those that FFmpeg had to mend, which are
    yielded all the same.
    """
    with container:
        stream = _stream(container)
        assert stream is not None
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or _RATE)
        # Live, the first frame may come without a stamp, and the container starts with the second.
        start = (
            None if live or container.start_time is None else container.start_time / av.time_base
        )
        said = shown(name)
        sieve, converter, time = Sieve(select), VideoReformatter(), 0.0
        rotation, orientation = None, 1
        for index, frame, trouble in _decoded(container, stream, live=live):
            if frame is not None:
                # Asked once: PyAV's side data keep their frame from being freed. At a broken end it
                # is 0 for not known.
                if rotation is None or frame.rotation not in (0, rotation):
                    rotation, orientation = frame.rotation, _orientation(frame)
                time = index / rate
                if frame.pts is not None and stream.time_base is not None:
                    stamp = float(frame.pts * stream.time_base)
                    start = stamp - time if start is None else start
                    time = stamp - start
            if sieve.over(index, time):
                return
            if trouble and index > after and sieve.within(index, time):
                report(InputError(f"{said}: frame {index} {trouble}"))
            if frame is None or not sieve.keep(index, time) or index <= after:
                continue
            if frame.width * frame.height > max_pixels:
                report(
                    InputError(
                        f"{said}: frame {index} is {frame.width} × {frame.height}, over max_pixels {max_pixels}"
                    )
                )
                return
            try:
                image = _rgb(frame, converter, orientation)
            except (FFmpegError, ValueError) as error:
                report(
                    InputError(
                        f"{said}: frame {index} cannot be converted to RGB ({reason(error)})"
                    )
                )
                continue
            yield Frame(image, index, time, name)
        if rotation is None:
            report(
                InputError(
                    f"{said}: holds no frames that can be decoded; the video is empty or cut short"
                )
            )


def estimate(container: InputContainer, select: Selection) -> int | None:
    """About how many frames `select` keeps, from what the container says of itself; None where it
    says nothing.
    """
    stream = _stream(container)
    rate = float(stream.average_rate or _RATE) if stream else _RATE
    if stream and stream.frames:
        return select.estimate(stream.frames, rate)
    if container.duration:
        return select.estimate(container.duration / av.time_base * rate, rate)
    return None


def reason(error: Exception) -> str:
    """What FFmpeg or the system said, as part of a line."""
    if isinstance(error, ExitError):  # how PyAV's time limits look from inside
        return "timed out"
    return str(getattr(error, "strerror", None) or error).rstrip(".")


def _stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is no cover picture of a song."""
    cover = Disposition.attached_pic
    return next(
        (stream for stream in container.streams.video if not stream.disposition & cover), None
    )


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet | Exception]:
    """Packets and what went wrong between them; the last packet is empty and flushes the decoder."""
    refusals = 0
    while True:
        try:
            for packet in container.demux(stream):
                refusals = 0
                yield packet
            return
        except (
            IndexError
        ):  # PyAV 18 trips over streams that first appear in mid-file, after it has flushed ours
            return
        except (FFmpegError, OSError) as error:
            yield error
            refusals += 1
            if not isinstance(error, InvalidDataError) or refusals == _REFUSALS:
                yield Packet()
                return


def _attempts(
    container: InputContainer, stream: VideoStream, waiting: list[int]
) -> Iterator[VideoFrame | FFmpegError | str]:
    """What the decoder gives: frames, errors it raises, and in words why the container gives no
    more.

    `waiting` is a heap of the time stamps of packets whose frames have not come out. When the last
    packets are broken, a decoder with several threads drops whole frames that it still held: one
    without threads then reads the tail again.
    """
    tail: deque[list[Packet]] = deque()  # runs of packets that each begin with a key frame
    for packet in _packets(container, stream):
        if isinstance(packet, Exception):
            yield f"and what follows cannot be read ({reason(packet)})"
            continue
        if packet.is_keyframe:
            tail.append([])
            while sum(map(len, tail)) - len(tail[0]) >= _HELD:
                tail.popleft()
        if packet.size and tail:
            tail[-1].append(packet)
            if len(tail[-1]) > _TAIL:
                tail.clear()
        if packet.pts is not None and not packet.is_discard:
            heapq.heappush(waiting, packet.pts)
        yield from _decode(stream.codec_context, packet)
    missing = set(waiting)
    if missing and tail:
        unthreaded = av.CodecContext.create(stream.codec_context.name, "r")
        unthreaded.extradata, unthreaded.thread_count = stream.codec_context.extradata, 1
        for packet in (*chain.from_iterable(tail), None):
            for result in _decode(unthreaded, packet):
                stamp = (
                    getattr(packet, "pts", None) if isinstance(result, Exception) else result.pts
                )
                if stamp in missing:
                    yield result


def _decode(decoder: Any, packet: Packet | None) -> list[VideoFrame] | list[FFmpegError]:
    try:
        return decoder.decode(packet)
    except EndOfFile:  # flushed already
        return []
    except FFmpegError as error:
        return [error]


def _decoded(
    container: InputContainer, stream: VideoStream, *, live: bool
) -> Iterator[tuple[int, VideoFrame | None, str | None]]:
    """Frames as (index, frame, None), mended ones as (index, frame, trouble), lost ones as (index,
    None, trouble).
    """
    index, stamped, broken, hides = 0, False, False, False
    waiting: list[int] = []
    refused: deque[str] = deque()  # errors whose frames are not known yet
    gone: deque[int] = deque(maxlen=_HELD)  # time stamps of the frames last lost

    def lost(missing: int) -> int:
        # A broken key frame takes others along without a word. But some formats hold packets that
        # show nothing by design: there, only as many are lost as FFmpeg has complained about.
        return missing if broken and not hides else min(missing, len(refused))

    for result in _attempts(container, stream, waiting):
        if isinstance(result, str):
            yield index, None, result
        elif isinstance(result, Exception):
            refused.append(f"cannot be decoded ({reason(result)}) and is left out")
            broken = True
        else:
            stamp = result.pts
            if (
                stamp in gone
            ):  # without its key frame FFmpeg puts frames out of order; this one's number is past
                continue
            stamped = stamp is not None
            missing = 0 if stamped else len(refused)
            while stamp is not None and waiting and waiting[0] <= stamp:
                if (passed := heapq.heappop(waiting)) < stamp:
                    missing += 1
                    if broken:
                        gone.append(passed)
            if (
                live and index == 0
            ):  # one who joins a stream between two key frames misses nothing that was for him
                missing, broken = 0, False
                refused.clear()
            hides |= missing > 0 and index > 0 and not broken
            for _ in range(lost(missing)):
                yield index, None, refused.popleft() if refused else _ORPHANED
                index += 1
            yield (
                index,
                result,
                "is damaged; FFmpeg has mended it as far as it could"
                if result.is_corrupt
                else None,
            )
            index += 1
    for _ in range(lost(len(waiting)) if stamped or waiting else len(refused)):
        yield index, None, refused.popleft() if refused else _ORPHANED
        index += 1


def _rgb(frame: VideoFrame, converter: VideoReformatter, orientation: int) -> Image:
    """[H, W, 3] uint8 RGB, upright. One converter for the whole video spares FFmpeg a set-up per
    frame.
    """
    image: Any = converter.reformat(frame, format="rgb24").to_ndarray()
    return upright(image, orientation)


def _orientation(frame: VideoFrame) -> int:
    """As EXIF counts, from the display matrix; the angle alone (`VideoFrame.rotation`) would miss
    mirrors.
    """
    side_data: Any = frame.side_data
    matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return 1
    a, b, _, c, d = np.sign(np.frombuffer(matrix, "=i4", 5)).tolist()
    return _ORIENTATIONS.get((a, b, c, d), 1)
