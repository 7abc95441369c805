"""Pictures with people drawn on them, as pictures or videos, and crops of people, called like what
they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np

from ..atomic import replacing
from ..draw import draw
from ..errors import OutputError
from ..geometry import clip
from ..messages import Say, warn
from ..people import Frame, Image
from .encode import VideoWriter, unused
from .names import Names, numbered
from .trails import Trails

_QUALITY = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 92],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
    ".bmp": [],
    ".tif": [],
    ".tiff": [],
}


def save_image(path: Path | str, image: Image) -> None:
    """Write a picture [H, W, 3] uint8 RGB in the format of the suffix; whole or not there. Raises
    OutputError.
    """
    path = Path(path)
    if path.suffix.lower() not in _QUALITY:
        raise OutputError(
            f"{path}: cannot write '{path.suffix}' pictures; choose one of {', '.join(_QUALITY)}"
        )
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    encoded = None
    with suppress(cv2.error):  # OpenCV 4 raises it where 5 returns False
        done, data = cv2.imencode(path.suffix.lower(), bgr, _QUALITY[path.suffix.lower()])
        encoded = data if done else None
    if encoded is None:
        height, width = image.shape[:2]
        raise OutputError(
            f"{path}: {width} × {height} is a size that {path.suffix} cannot hold; choose .png"
        )
    with replacing(path) as part:
        part.write_bytes(encoded.tobytes())


def save_crops(
    frame: Frame, directory: Path | str, names: Names, *, grow: float = 1.25
) -> list[Path]:
    """Write the crop of each person, the box grown and cut to the picture, as NAME_person00.jpg or,
    of people who are tracked, NAME_id7.jpg; returns the paths. People outside the picture have
    none. Raises OutputError.
    """
    people, (width, height) = frame.people, frame.size
    boxes = people.boxes.astype(np.float64)
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * grow / 2
    grown = clip(np.concatenate([centre - half, centre + half], axis=1), width, height)
    edges = np.rint(grown + 0.5).astype(int)  # between pixels, counted from the corner
    paths = []
    for n, (x0, y0, x1, y1) in enumerate(edges.tolist()):
        if x0 < x1 and y0 < y1:
            who = f"person{n:02d}" if people.ids is None else f"id{people.ids[n]}"
            paths.append(Path(directory) / f"{names.frame(frame.source, frame.index)}_{who}.jpg")
            save_image(paths[-1], frame.image[y0:y1, x0:x1])
    return paths


class Overlays:
    """Writes each frame with its people drawn: a picture as a picture of the same name, a video as
    NAME.mp4.

    A context manager; the frames of a source come one after the other. video=False: the frames of
    videos become numbered pictures. known: the sources that an earlier run has named, in its order
    (`last_frames`), where this one resumes it; its videos go into NAME.2.mp4 and so on, beside what
    is there. trails: seconds of the way behind each tracked person that are drawn. Further options
    are those of `draw`.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        video: bool = True,
        known: Sequence[str] | None = None,
        trails: float = 0.0,
        say: Say = warn,
        **options: Any,
    ) -> None:
        self.directory = Path(directory)
        self._names, self._video, self._say, self._options = Names(), video, say, options
        self._resumed = known is not None
        for source in known or ():
            self._names(source)
        self._trails = Trails(trails) if trails else None
        self._writer: VideoWriter | None = None
        self._source = ""
        self._begun: set[Path] = set()
        # What looked like a picture and may turn out to begin a video.
        self._first: tuple[str, Image, float] | None = None

    def write(self, frame: Frame) -> Path:
        """Returns the file that the frame went to. Raises OutputError."""
        picture = draw(
            self._trails(frame) if self._trails else frame.image, frame.people, **self._options
        )
        moving = numbered(frame.source, frame.index)
        if moving and self._video:
            return self._write_video(frame.source, picture, frame.time)
        suffix = PurePath(frame.source).suffix
        suffix = suffix if suffix.lower() in _QUALITY and not moving else ".jpg"
        path = self.directory / (self._names.frame(frame.source, frame.index) + suffix)
        if path.exists() and Path(frame.source).exists() and path.samefile(frame.source):
            raise OutputError(
                f"{path}: is the source itself, which stays as it is; choose another folder"
            )
        save_image(path, picture)
        self._first = (frame.source, picture, frame.time)
        return path

    def _write_video(self, source: str, picture: Image, time: float) -> Path:
        if self._writer is None or source != self._source:
            self.close()
            path = self.directory / f"{self._names(source)}.mp4"
            path = unused(path) if self._resumed or path in self._begun else path
            self._writer, self._source = VideoWriter(path, audio=source, say=self._say), source
            self._begun.add(path)
            if self._first and self._first[0] == source:
                self._writer.write(*self._first[1:])
        self._first = None
        self._writer.write(picture, time)
        return self._writer.path

    def close(self) -> None:
        """Complete the video that is being written; another may follow. Raises OutputError."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Overlays:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
