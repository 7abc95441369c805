"""Decoding on hardware, where PyAV and the machine have it; else on the CPU, and why is said."""

from __future__ import annotations

from typing import Any

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError

from ..errors import OptionError
from ..messages import warn
from .demux import reason


def opened(file: Any, name: str, kind: str | None, **how: Any) -> Any:
    """What `av.open` opens, with frames decoded on hardware of that kind (cuda, vaapi, ...). Raises
    OptionError for a kind that this FFmpeg does not know, and what `av.open` raises.
    """
    if kind is None:
        return av.open(file, "r", **how)
    known = hwdevices_available()
    if kind not in known:
        raise OptionError(
            f"no decoding on '{kind}': this FFmpeg knows {', '.join(known) or 'none'}; leave "
            "--hardware out to decode on the CPU"
        )
    try:
        container = av.open(file, "r", hwaccel=HWAccel(kind), **how)
    except (FFmpegError, OSError, RuntimeError) as error:
        warn(f"{name}: is decoded on the CPU: {kind} is not at hand ({reason(error)})")
        if hasattr(file, "seek"):
            file.seek(0)
        return av.open(file, "r", **how)
    for stream in container.streams.video:
        if stream.codec_context and not stream.codec_context.is_hwaccel:
            codec = stream.codec_context.name
            warn(f"{name}: is decoded on the CPU: {kind} decodes no {codec} here")
    return container
