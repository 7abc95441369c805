"""Decoded frames -> pictures as they are meant to be seen: cropped, of square pixels, upright."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from ..people import Image
from .aperture import WHOLE, Edges
from .images import upright

_WIDEST = (
    8.0  # a pixel that claims to be wider or higher than so many times the other is not believed
)
# Display matrices by the signs of their a, b, c, d, where x' = ax + cy and y' = bx + dy, as EXIF
# counts orientations.
ORIENTATIONS = {
    (1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5, (0, 1, -1, 0): 6, (0, -1, -1, 0): 7, (0, -1, 1, 0): 8,
}  # fmt: skip
_TURNS = {0: 1, -90: 6, 90: 8, 180: 3, -180: 3}  # degrees of `VideoFrame.rotation`


class Shown:
    """Makes the pictures of one video; called with a frame, returns [H, W, 3] uint8 RGB.

    aspect: width of a pixel by its height; pixels become square, and none are lost: the shorter
    side grows. crop: what containers want cut off, of pictures of the size (width, height) alone.
    """

    def __init__(
        self, *, aspect: float = 1.0, crop: Edges = WHOLE, size: tuple[int, int] = (0, 0)
    ) -> None:
        self._aspect = aspect if 1 / _WIDEST <= aspect <= _WIDEST else 1.0
        self._crop, self._whole = crop, size
        self._converter = VideoReformatter()  # one for all frames spares FFmpeg a set-up for each
        self._rotation: int | None = None
        self._orientation = 1

    def look(self, frame: VideoFrame) -> None:
        """Notes how a frame is turned, which those after it do not always say."""
        # Asked once: PyAV's side data keep their frame from being freed. At a broken end the
        # rotation is 0 for not known.
        if self._rotation is None or frame.rotation not in (0, self._rotation):
            self._rotation, self._orientation = frame.rotation, orientation(frame)

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """(width, height) of the picture before it is turned."""
        left, top, right, bottom = self._cut(frame)
        width, height = frame.width - left - right, frame.height - top - bottom
        if self._aspect >= 1:
            return max(1, round(width * self._aspect)), height
        return width, max(1, round(height / self._aspect))

    def __call__(self, frame: VideoFrame) -> Image:
        left, top, right, bottom = self._cut(frame)
        size = self.size(frame)
        whole: Any = self._converter.reformat(frame, format="rgb24").to_ndarray()
        image: Any = whole[top : frame.height - bottom, left : frame.width - right]
        if image.shape[:2] != size[::-1]:
            image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_LINEAR)
        return upright(image, self._orientation)

    def _cut(self, frame: VideoFrame) -> Edges:
        return self._crop if (frame.width, frame.height) == self._whole else WHOLE


def orientation(frame: VideoFrame) -> int:
    """As EXIF counts, from the display matrix; the angle alone would miss mirrors."""
    try:
        side_data: Any = frame.side_data
        matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    except ValueError:  # PyAV knows fewer kinds of side data than FFmpeg, and then gives none
        return _TURNS.get(frame.rotation, 1)
    if matrix is None:
        return 1
    a, b, _, c, d = np.sign(np.frombuffer(matrix, "=i4", 5)).tolist()
    return ORIENTATIONS.get((a, b, c, d), 1)
