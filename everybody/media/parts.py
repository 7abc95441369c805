"""Videos that came in parts, NAME.mp4, NAME.2.mp4, ..., because a run was resumed."""

from __future__ import annotations

from pathlib import Path

import av
from av.error import FFmpegError

from . import trust


def frames_in_parts(path: Path) -> int:
    """How many frames a video and its further parts hold; what does not play holds none."""
    part, number, total = path, 1, 0
    while part.exists():
        total += _frames(part)
        number += 1
        part = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return total


def _frames(path: Path) -> int:
    count = 0
    try:
        with av.open(trust.path(str(path))) as container:
            for packet in container.demux(video=0):
                count += packet.size > 0
    except (FFmpegError, OSError, IndexError, ValueError):  # cut off: what came before counts
        return count
    return count
