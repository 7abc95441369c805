"""Pictures -> video: H.264 in a fragmented MP4, which plays up to its last fragment, less than a
second, whatever happens to the program that writes it or to the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.error import ArgumentError, FFmpegError, InvalidDataError
from av.packet import Packet
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from ..atomic import refused
from ..errors import OutputError
from ..messages import Say, warn
from ..people import Image
from . import trust
from .clock import RATE
from .container import OPTIONS
from .demux import reason
from .sound import Sound

_TICKS = 90_000  # per second: what MPEG counts time in, and fine enough for every camera
_KEY = 1.0  # seconds between pictures that players can jump to
# No B-frames: then frames are stored in the order they are shown, and the file starts at 0 without
# an edit list.
_H264 = {
    "crf": "20",
    "preset": "veryfast",
    "bf": "0",
    "forced-idr": "1",
    # Frames that the encoder holds back are lost in a kill.
    "x264-params": "rc-lookahead=5:sync-lookahead=0",
}
# For primaries, transfer and matrix alike: players take unmarked video for this or for that.
_BT709 = 1


def unused(path: Path) -> Path:
    """The path, or where it exists NAME.2.mp4, NAME.3.mp4, ...: a second part destroys no first
    one.
    """
    part, number = path, 1
    while part.exists():
        number += 1
        part = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return part


class VideoWriter:
    """Pictures and their times -> a video; a context manager.

    The first picture is shown at 0 s, the gaps are those of the times: variable rates stay
    variable, and the last one is shown as long as the one before it. audio: the video file whose
    sound goes with the pictures, copied as it is from the first one's time to the last one's; where
    MP4 cannot hold it, `say` is told. A picture of another size than the first is fitted into it
    with black bars. Without pictures there is no file. Raises OutputError where it cannot be
    written, or is `audio` itself; what is there plays.
    """

    def __init__(self, path: Path | str, *, audio: str | None = None, say: Say = warn) -> None:
        self.path = Path(path)
        if (
            audio is not None
            and self.path.exists()
            and Path(audio).exists()
            and self.path.samefile(audio)
        ):
            raise OutputError(
                f"{self.path}: is the source itself, which stays as it is; choose another folder"
            )
        self._audio, self._say = audio, say
        # Opened with the first picture, which tells size and start.
        self._container: OutputContainer | None = None
        self._sound: Sound | None = None
        self._closed = False

    def write(self, image: Image, time: float) -> None:
        """A picture [H, W, 3] uint8 RGB and when it is to be seen, in seconds. Times go up; where
        one does not, its picture follows a tick after the last.
        """
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        with self._failing():
            if self._container is None:
                self._container = self._begin(image, time)
            pts = max(round((time - self._start) * _TICKS), self._pts + 1)
            frame = av.VideoFrame.from_ndarray(_fitted(image, self._size), format="rgb24")
            frame = self._converter.reformat(
                frame,
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts, frame.time_base, frame.pict_type = pts, Fraction(1, _TICKS), PictureType.NONE
            if self._key is None or pts - self._key >= _KEY * _TICKS:
                frame.pict_type, self._key = PictureType.I, pts
            self._last_gap, self._pts = (pts - self._pts if pts else self._last_gap), pts
            self._container.mux(self._encoded(frame))
            self._copy_sound(pts)

    def _encoded(self, frame: av.VideoFrame | None) -> list[Packet]:
        """The encoder's packets. How long they last counts for the last one alone: the others last
        until the next.
        """
        packets = self._stream.encode(frame)
        for packet in packets:
            packet.duration = round(Fraction(self._last_gap, _TICKS) / packet.time_base)
        return packets

    def _begin(self, image: Image, time: float) -> OutputContainer:
        height, width = image.shape[:2]
        self._start, self._pts, self._key = time, -1, None
        self._last_gap = round(_TICKS / RATE)
        self._size = (width, height)
        self._converter = VideoReformatter()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        container = av.open(trust.path(str(self.path)), "w", format="mp4", options=OPTIONS)
        self._stream = stream = container.add_stream("libx264", rate=round(RATE), options=_H264)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.gop_size = 100_000  # key frames come when time is up
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = (
            _BT709
        )
        if self._audio is not None and Path(self._audio).is_file():
            self._sound = Sound.open(self._audio, container, time, self._say)
        return container

    def _copy_sound(self, until: int) -> None:
        if self._sound and self._container:
            try:
                self._container.mux(self._sound.until(Fraction(until, _TICKS)))
            except (ArgumentError, InvalidDataError) as error:  # odd stamps: the pictures go on
                self._say(f"{self._audio}: its sound breaks off ({reason(error)})")
                self._sound.close()
                self._sound = None

    def close(self) -> None:
        """Complete the file. Closing twice is closing once. Raises OutputError."""
        if not self._closed and self._container is not None:
            with self._failing():
                self._container.mux(self._encoded(None))
                self._copy_sound(self._pts + self._last_gap)
                self._container.close()
        self._release()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (FFmpegError, OSError) as error:
            if self._container is not None:
                with suppress(FFmpegError, OSError):  # it failed already, and says so below
                    self._container.close()
            self._release()
            raise refused(self.path, error) from error

    def _release(self) -> None:
        self._closed = True
        if self._sound:
            self._sound.close()
            self._sound = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _fitted(image: Image, size: tuple[int, int]) -> Image:
    """[H, W, 3] -> the picture of that width and height, with black bars where its shape is
    another, and one more column or row where those are odd, which H.264 does not do.
    """
    width, height = size
    if image.shape[:2] != (height, width):
        scale = min(width / image.shape[1], height / image.shape[0])
        inner = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[y : y + inner[1], x : x + inner[0]] = cv2.resize(
            np.ascontiguousarray(image), inner, interpolation=way
        )
        image = canvas
    if width % 2 or height % 2:
        return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)
