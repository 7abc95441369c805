"""The sound of a video, copied as it is into another one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from ..errors import InputError
from ..messages import Say
from . import trust
from .container import OPTIONS
from .content import head, sniff
from .demux import joins, move, reason
from .video import Video, open_video

_WAITING = 2_000  # packets of sound that are kept until the pictures tell how far a jump goes


class Sound:
    """The packets of a file's first sound track from a time on, moved so that this time is 0.

    Where the file's stamps jump, the sound goes on as the pictures do, whose stamps lead.
    """

    def __init__(self, video: Video, container: OutputContainer, start: float, say: Say) -> None:
        self._video, self._say = video, say
        source: Any = video.container
        zero = (source.start_time or 0) / av.time_base + start  # as `video.frames` counts time
        self._zero = Fraction(zero)
        stream = source.streams.audio[0]
        self._leads = joins(source)
        self._joins = joins(source, self._leads.shifts)
        self._copy = container.add_stream_from_template(stream)
        context = stream.codec_context
        self._unwrap = None  # AAC of broadcasts, each packet with a header that MP4 does not take
        if context.name.startswith("aac") and not context.extradata:
            self._unwrap = BitStreamFilterContext("aac_adtstoasc", stream)
        self._packets = self._moved(source.demux([video.stream, stream]))
        self._last: int | None = None
        self._next = self._read()

    @classmethod
    def open(cls, path: str, container: OutputContainer, start: float, say: Say) -> Sound | None:
        """None where there is no sound to copy, which is said where there is some."""
        source = None
        try:
            if sniff(head(path), path) == "picture":
                return None
            # A trial first, so that the video is not put at risk.
            with cls._source_of(path) as trial:
                if not trial.container.streams.audio:
                    return None
                with av.open(BytesIO(), "w", "mp4", options=OPTIONS) as nowhere:
                    nowhere.mux(cls(trial, nowhere, start, say).until(Fraction(1)))
            source = cls._source_of(path)
            return cls(source, container, start, say)
        except (FFmpegError, OSError, ValueError, InputError) as error:
            why = reason(error).removeprefix(f"{path}: ")
            say(f"{path}: its sound cannot be copied into MP4 ({why}); the video has none")
        if source is not None:
            source.close()
        return None

    @staticmethod
    def _source_of(path: str) -> Video:
        start = head(path)
        playlist = start if sniff(start, path) == "playlist" else None
        return open_video(trust.path(path), path, playlist=playlist)

    def _moved(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        """The packets of the sound, their stamps moved where they have jumped."""
        waiting: deque[Packet] = deque()
        for packet in packets:
            if packet.dts is None:
                continue
            if packet.stream.index == self._video.stream.index:
                self._leads.shift(_stamp(packet), _lasts(packet))
            else:
                waiting.append(packet)
            while waiting and (self._joins.known(_stamp(waiting[0])) or len(waiting) > _WAITING):
                yield self._shifted(waiting.popleft())
        yield from map(self._shifted, waiting)

    def _shifted(self, packet: Packet) -> Packet:
        move(packet, self._joins.shift(_stamp(packet), _lasts(packet)))
        return packet

    def _read(self) -> Packet | None:
        """The next packet that begins at 0 or later, None after the last."""
        try:
            for packet in self._packets:
                zero = round(self._zero / packet.time_base)
                if packet.pts is None or packet.dts is None or packet.pts < zero:
                    continue
                packet.pts, packet.dts = packet.pts - zero, packet.dts - zero
                # Where recordings are joined, the end of one may lie under the next one's start.
                if self._last is None or packet.dts > self._last:
                    self._last = packet.dts
                    if self._unwrap:
                        self._copy.codec_context.extradata = _configuration(bytes(packet))
                        packet = self._unwrap.filter(packet)[0]
                    packet.stream = self._copy
                    return packet
        except (FFmpegError, OSError) as error:
            self._say(f"{self._video.container.name}: its sound breaks off ({reason(error)})")
        return None

    def until(self, time: Fraction) -> list[Packet]:
        """The packets that begin before that time in seconds."""
        packets = []
        while self._next is not None and (self._next.pts or 0) * self._next.time_base < time:
            packets.append(self._next)
            self._next = self._read()
        return packets

    def close(self) -> None:
        self._video.close()


def _configuration(packet: bytes) -> bytes:
    """What MP4 says once of AAC, from the header of a packet: kind, rate and channels (ISO/IEC
    14496-3, 1.6.2.1 and 1.A.2.2).
    """
    if packet[:1] != b"\xff" or len(packet) < 7:
        raise ValueError("it is AAC without headers")
    kind, rate = (packet[2] >> 6) + 1, packet[2] >> 2 & 15
    channels = (packet[2] & 1) << 2 | packet[3] >> 6
    return (kind << 11 | rate << 7 | channels << 3).to_bytes(2, "big")


def _stamp(packet: Packet) -> Fraction:
    """When a packet is to be decoded, in seconds."""
    return (packet.dts or 0) * packet.time_base


def _lasts(packet: Packet) -> Fraction | None:
    """Seconds that a packet lasts, where it says so."""
    return packet.duration * packet.time_base if packet.duration else None
