"""Frames as browsers show them: an MP4 that can be sought in, or a JPEG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import av

from ..atomic import replacing
from ..errors import InputError
from ..media import trust
from ..media.encode import VideoWriter
from ..media.write import save_image
from ..people import Frame
from ..results.records import Record

TOLD = 25  # frames between two times that the caller is told


def found(frames: Iterable[Frame], records: Iterable[Record]) -> Iterator[tuple[Frame, Record]]:
    """The frames that a journal holds, each with its record; both come in order."""
    waiting = iter(records)
    record = next(waiting, None)
    for frame in frames:
        if record is None:
            return
        if frame.index == record.index:
            yield frame, record
            record = next(waiting, None)


def write_film(
    frames: Iterable[Frame],
    target: Path,
    source: str,
    told: Callable[[int], None] = lambda done: None,
) -> None:
    """Frames -> a picture or a video, by the target's suffix; whole or not there. told: is called
    with how many are done. Raises InputError where there is none.
    """
    with replacing(target) as part:
        if target.suffix == ".jpg":
            written = _picture(frames, part)
        else:
            written = _video(frames, part, source, told)
        if not written:
            raise InputError(f"{source}: holds no frame to show")


def _picture(frames: Iterable[Frame], part: Path) -> int:
    for frame in frames:
        save_image(part.with_suffix(".jpg"), frame.image)
        part.with_suffix(".jpg").replace(part)
        return 1
    return 0


def _video(frames: Iterable[Frame], part: Path, source: str, told: Callable[[int], None]) -> int:
    whole, count = part.with_suffix(".mp4"), 0
    try:
        with VideoWriter(whole, audio=source, say=lambda text: None) as writer:
            for frame in frames:
                writer.write(frame.image, frame.time)
                count += 1
                if count % TOLD == 0:
                    told(count)
        if count:
            _seekable(whole, part)
    finally:
        whole.unlink(missing_ok=True)
    return count


def _seekable(source: Path, target: Path) -> None:
    """The same MP4 with its index in front, by which players seek before all of it is there."""
    with (
        av.open(trust.path(str(source)), "r") as reader,
        av.open(
            trust.path(str(target)), "w", format="mp4", options={"movflags": "faststart"}
        ) as writer,
    ):
        streams = {one.index: writer.add_stream_from_template(one) for one in reader.streams}
        for packet in reader.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                writer.mux(packet)
