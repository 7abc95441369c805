"""The key frames of a video, without decoding it.

MP4 and MOV have a table of their packets, so that few packets need be read; of other containers,
all packets are read. A key frame is one to cut at if seeking leads to it and no frame after it in
the file is shown before it: frames have then the same numbers, and the same pixels, wherever
decoding began.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import dropwhile, islice

import av
from av.packet import Packet

from ..media.demux import Key, Packets
from ..media.video import Video
from .chunks import before, cut_at

_AFTER = 32  # packets after a key frame that are looked at: decoders reorder at most 16


@dataclass(frozen=True, slots=True)
class Index:
    """keys: where the video can be cut; empty where it cannot. frames: how many there are."""

    keys: tuple[Key, ...]
    frames: int
    seconds: float


def index(video: Video, *, seconds: float, overlap: float) -> Index:
    """The key frames that parts of such a length and lead need (`chunks.parts`)."""
    about, frames, length = _listed(video) or _read(video)
    wanted = cut_at(about, seconds)
    needed = {*wanted, *(before(about, key.time - overlap) for key in wanted)}
    keys = [_confirmed(video, key) for key in sorted(needed)]
    cut = len(wanted) > 1 and None not in keys
    return Index(tuple(key for key in keys if key) if cut else (), frames, length)


_About = tuple[list[Key], int, float]  # key frames (pts or dts), frames, seconds


def _listed(video: Video) -> _About | None:
    """From the table of packets, where there is one that tells all; None elsewhere."""
    stream = video.stream
    if "mov" not in video.container.format.name.split(",") or not stream.time_base:
        return None
    entries = list(stream.index_entries)
    if not entries or any(entry.is_discard for entry in entries):  # edit lists
        return None
    keys = [_key(video, n, entry.timestamp) for n, entry in enumerate(entries) if entry.is_keyframe]
    return keys, len(entries), float((stream.duration or 0) * stream.time_base)


def _read(video: Video) -> _About:
    """From all packets. A video whose packets lack stamps, or jump, has no key frames to cut at."""
    packets = Packets(video.container, video.stream)
    keys: list[Key] = []
    latest: int | None = None
    count, stamped = 0, True
    for packet in packets:
        if isinstance(packet, Exception):
            stamped = False
        elif packet.size:
            shown = packet.pts
            if shown is None or packet.is_discard:
                stamped = False
                continue
            if packet.is_keyframe and (latest is None or latest < shown):
                keys.append(_key(video, count, shown))
            latest = shown if latest is None else max(latest, shown)
            count += 1
    cut = stamped and not packets.jumped and video.stream.time_base is not None
    return keys if cut else [], packets.count, packets.end


def _confirmed(video: Video, about: Key) -> Key | None:
    """The key frame with its true stamp, if seeking leads to it and no packet after it is shown
    before it.
    """
    container, stream = video.container, video.stream
    container.seek(about.stamp, stream=stream)

    def another(packet: Packet) -> bool:
        return not packet.is_keyframe or about.stamp not in (packet.pts, packet.dts)

    packets = dropwhile(another, container.demux(stream))
    near = [packet for packet in islice(packets, _AFTER) if packet.size]
    if not near or not near[0].is_keyframe or near[0].pts is None:
        return None
    stamp = near[0].pts
    if any(packet.pts is None or packet.pts < stamp for packet in near):
        return None
    return _key(video, about.index, stamp)


def _key(video: Video, index: int, stamp: int) -> Key:
    start = (video.container.start_time or 0) / av.time_base
    return Key(index, stamp, float(stamp * (video.stream.time_base or 0)) - start)
