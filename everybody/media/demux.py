"""Packets -> frames with their true numbers, whatever is broken.

When FFmpeg refuses a packet, the numbers of the frames after it stay true: the time stamps of
packets that came to nothing tell which frames are missing. Stamps that jump are moved, so that they
go up in the whole file (`clock.Joins`).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, dropwhile
from typing import Any

import av
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import ExitError, FFmpegError, InvalidDataError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .clock import Joins

_ORPHANED = "cannot be decoded (it builds on a broken one) and is left out"
_MENDED = "is damaged; FFmpeg has mended it as far as it could"
# Packets that a decoder may have taken without giving their frames: its threads, and frames to
# reorder.
_HELD = 64
_TAIL = 600  # packets without a key frame that are kept at most
_REFUSALS = 16  # packets in a row that the container fails to deliver before it is given up
_JUMPING = ("mpegts", "mpeg", "concat", "hls")  # formats in which stamps may jump ahead, too


def reason(error: Exception) -> str:
    """What FFmpeg or the system said, as part of a line."""
    if isinstance(error, ExitError):  # how PyAV's time limits look from inside
        return "timed out"
    return str(getattr(error, "strerror", None) or error).rstrip(".")


def joins(container: InputContainer, shifts: list[Fraction] | None = None) -> Joins:
    """For a stream of the container; shifts: of the one that leads."""
    jumping = any(name in _JUMPING for name in container.format.name.split(","))
    return Joins(discontinuous=jumping, shifts=shifts)


def move(packet: Packet, by: Fraction) -> None:
    """Moves the stamps of a packet by so many seconds."""
    ticks = round(by / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A key frame at which decoding may begin: its index, its stamp (pts), its time in seconds."""

    index: int
    stamp: int
    time: float


class Packets:
    """The packets of a stream and what went wrong between them; the last packet is empty and
    flushes the decoder.

    count, end: how many there have been, and where the last of them ends, in seconds from the
    first. failed: the container did not deliver all it holds.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self._joins = joins(container)
        self._begin: Fraction | None = None
        self.count, self.end, self.failed = 0, 0.0, False

    def __iter__(self) -> Iterator[Packet | Exception]:
        for packet in _demuxed(self._container, self._stream):
            if isinstance(packet, Exception):
                self.failed = True
            elif packet.size or packet.dts is not None:
                self.count += 1
                self._note(packet)
            yield packet

    @property
    def jumped(self) -> bool:
        """Whether stamps have jumped."""
        return self._joins.jumps > 0

    def since(self, key: Key) -> Iterator[Packet | Exception] | None:
        """The packets from a key frame on; None where seeking does not lead to it."""
        self._container.seek(key.stamp, stream=self._stream)

        def earlier(packet: Packet | Exception) -> bool:
            return isinstance(packet, Exception) or (packet.size > 0 and packet.pts != key.stamp)

        found = dropwhile(earlier, self)
        first = next(found, None)
        if not isinstance(first, Packet) or first.pts != key.stamp:
            return None
        return chain([first], found)

    def _note(self, packet: Packet) -> None:
        """Moves the stamps where they have jumped, and notes how far they have come."""
        if packet.dts is None:
            return
        stamp, lasts = packet.dts * packet.time_base, (packet.duration or 0) * packet.time_base
        if by := self._joins.shift(stamp, lasts or None):
            move(packet, by)
        shown = (packet.dts if packet.pts is None else packet.pts) * packet.time_base
        self._begin = shown if self._begin is None else min(self._begin, shown)
        self.end = max(self.end, float(shown + lasts - self._begin))


def _demuxed(container: InputContainer, stream: VideoStream) -> Iterator[Packet | Exception]:
    refusals = 0
    while True:
        try:
            for packet in container.demux(stream):
                refusals = 0
                yield packet
            return
        except IndexError:
            # PyAV 18 trips over streams that first appear in mid-file, after it has flushed ours.
            return
        except (FFmpegError, OSError) as error:
            yield error
            refusals += 1
            if not isinstance(error, InvalidDataError) or refusals == _REFUSALS:
                yield Packet()
                return


def _attempts(
    packets: Iterable[Packet | Exception], stream: VideoStream, waiting: list[int]
) -> Iterator[VideoFrame | FFmpegError | str]:
    """What the decoder gives: frames, errors it raises, and in words why the container gives no
    more.

    `waiting` is a heap of the time stamps of packets whose frames have not come out. When the last
    packets are broken, a decoder with several threads drops whole frames that it still held: one
    without threads then reads the tail again.
    """
    tail: deque[list[Packet]] = deque()  # runs of packets that each begin with a key frame
    for packet in packets:
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
        yield from _again(stream, list(chain.from_iterable(tail)), missing)


def _again(
    stream: VideoStream, packets: list[Packet], missing: set[int]
) -> Iterator[VideoFrame | FFmpegError]:
    """The frames and errors with these stamps, from a decoder without threads."""
    unthreaded = av.CodecContext.create(stream.codec_context.name, "r")
    unthreaded.extradata, unthreaded.thread_count = stream.codec_context.extradata, 1
    for packet in (*packets, None):
        for result in _decode(unthreaded, packet):
            stamp = getattr(packet, "pts", None) if isinstance(result, Exception) else result.pts
            if stamp in missing:
                yield result


def _decode(decoder: Any, packet: Packet | None) -> list[VideoFrame] | list[FFmpegError]:
    try:
        return decoder.decode(packet)
    except EndOfFile:  # flushed already
        return []
    except FFmpegError as error:
        return [error]


def decoded(
    packets: Iterable[Packet | Exception], stream: VideoStream, *, live: bool
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

    for result in _attempts(packets, stream, waiting):
        if isinstance(result, str):
            yield index, None, result
        elif isinstance(result, Exception):
            refused.append(f"cannot be decoded ({reason(result)}) and is left out")
            broken = True
        else:
            stamp = result.pts
            if stamp in gone:
                # Without its key frame FFmpeg puts frames out of order; this one's number is past.
                continue
            stamped = stamp is not None
            missing = 0 if stamped else len(refused)
            while stamp is not None and waiting and waiting[0] <= stamp:
                if (passed := heapq.heappop(waiting)) < stamp:
                    missing += 1
                    if broken:
                        gone.append(passed)
            if live and index == 0:
                # Whoever joins a stream between two key frames misses nothing that was meant for
                # them.
                missing, broken = 0, False
                refused.clear()
            hides |= missing > 0 and index > 0 and not broken
            for _ in range(lost(missing)):
                yield index, None, refused.popleft() if refused else _ORPHANED
                index += 1
            yield index, result, _MENDED if result.is_corrupt else None
            index += 1
    for _ in range(lost(len(waiting)) if stamped or waiting else len(refused)):
        yield index, None, refused.popleft() if refused else _ORPHANED
        index += 1
