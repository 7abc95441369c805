"""Small videos for tests: 64 × 48, every frame of a grey that tells its number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from everybody.people import Frame

FAST = {"preset": "ultrafast", "g": "8", "bf": "2"}

OPTIONS = {
    "libx264": FAST,
    "mpeg4": {"qmin": "1", "qmax": "1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}


def grey(index: int) -> np.ndarray:
    return np.full((48, 64, 3), 20 + 5 * index, np.uint8)


def number(frame: Frame) -> int:
    """Which of the `grey` pictures the frame shows."""
    return round((float(frame.image.mean()) - 20) / 5)


def encode(
    file: Any,
    pictures: Sequence[np.ndarray] | int = 20,
    *,
    codec: str = "libx264",
    times: Sequence[float] | None = None,
    rotation: tuple[float, bool] | None = None,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    format: str | None = None,
) -> Any:
    """Writes pictures (or so many grey ones) at 25 per second or at the given times; returns the
    file.
    """
    pictures = [grey(i) for i in range(pictures)] if isinstance(pictures, int) else pictures
    name = str(file) if isinstance(file, Path) else file
    with av.open(name, "w", format=format, options=container or {}) as output:
        stream: Any = output.add_stream(codec, rate=25, options=options or OPTIONS.get(codec))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation[0], hflip=rotation[1])
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file


def spoil(path: Path, *numbers: int) -> list[int]:
    """Overwrites the packets at these places; returns the numbers of the frames they held, in the
    order shown.
    """
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        shown = sorted(int(packet.pts or 0) for packet in packets)
        places = [
            (packets[n].pos, packets[n].size, shown.index(int(packets[n].pts or 0)))
            for n in numbers
        ]
    data = bytearray(path.read_bytes())
    for position, size, _ in places:
        assert position is not None
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return sorted(frame for _, _, frame in places)
