"""Boards that calibrate cameras: chessboards, and ChArUco boards, whose squares hold markers that
tell which is which, so that part of a board is enough (Garrido-Jurado et al. 2014).

A sighting is what one picture shows of a board: the numbers of its corners and their pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, OptionError, unknown
from ..geometry import Array
from ..media.read import Selection, read

Image = NDArray[np.uint8]

DICTIONARIES = {
    name.removeprefix("DICT_"): getattr(cv2.aruco, name)
    for name in dir(cv2.aruco)
    if name.startswith("DICT_")
}
LEAST = 6  # corners of a board that a picture must show


class Sighting(NamedTuple):
    """ids [n] of a board's corners, and their pixels [n, 2]."""

    ids: NDArray[np.int64]
    pixels: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """columns × rows: inner corners of a chessboard, or squares of a ChArUco board; square: metres
    of a square's side; marker: metres of a marker's, 0 for a chessboard.

    Raises OptionError for a board that tells no camera.
    """

    columns: int
    rows: int
    square: float
    marker: float = 0.0
    dictionary: str = "4X4_50"

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 3:
            raise OptionError(
                f"board {self.columns}x{self.rows}: expected 3 corners or more both ways, since "
                "those of a line tell no camera"
            )
        if not 0 < self.square < 10:
            raise OptionError(f"square {self.square:g}: expected metres, above 0")
        if not 0 <= self.marker < self.square:
            raise OptionError(f"marker {self.marker:g}: expected metres, less than the square's")
        if self.dictionary not in DICTIONARIES:
            raise unknown("dictionary of markers", self.dictionary, DICTIONARIES)

    @property
    def corners(self) -> tuple[int, int]:
        """Columns and rows of inner corners."""
        less = 1 if self.marker else 0
        return self.columns - less, self.rows - less

    @property
    def points(self) -> Array:
        """[n, 3] metres: x along a row, y along a column, z out of its back, as numbered."""
        columns, rows = self.corners
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2)
        return np.concatenate([grid, np.zeros((len(grid), 1))], 1) * self.square

    @property
    def turnable(self) -> bool:
        """Whether the board looks the same when turned: its corners cannot be told apart."""
        columns, rows = self.corners
        return not self.marker and ((columns + rows) % 2 == 0 or columns == rows)

    def charuco(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's board; also draws it (`generateImage`)."""
        markers = cv2.aruco.getPredefinedDictionary(DICTIONARIES[self.dictionary])
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square, self.marker, markers)

    def find(self, image: Image) -> Sighting | None:
        """[H, W, 3] RGB -> the corners, or None where too few are seen, or only those of a line."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        seen = self._markers(grey) if self.marker else self._chessboard(grey)
        return seen if seen is not None and self.flat(seen) else None

    def flat(self, seen: Sighting) -> bool:
        """Whether there are enough corners, and they span the board's plane."""
        if len(seen.ids) < LEAST:
            return False
        places = self.points[seen.ids, :2]
        spread = np.linalg.svd(places - places.mean(0), compute_uv=False)
        return bool(spread[1] > 0.5 * self.square)

    def _markers(self, grey: Image) -> Sighting | None:
        corners, ids, _, _ = cv2.aruco.CharucoDetector(self.charuco()).detectBoard(grey)
        if ids is None or not len(ids):
            return None
        return Sighting(ids.ravel().astype(np.int64), corners.reshape(-1, 2).astype(np.float64))

    def _chessboard(self, grey: Image) -> Sighting | None:
        found, corners = cv2.findChessboardCornersSB(grey, self.corners)
        if not found:
            return None
        pixels = corners.reshape(-1, 2).astype(np.float64)
        # The same corner comes first in every view: the one at a dark square, where ends differ.
        if not self.turnable and not self._dark(grey, pixels):
            pixels = pixels[::-1]
        return Sighting(np.arange(len(pixels)), pixels)

    def _dark(self, grey: Image, pixels: Array) -> bool:
        """Whether the first square between corners is darker than the last."""
        columns, rows = self.corners
        grid = pixels.reshape(rows, columns, 2)
        ends = [grid[:2, :2].mean((0, 1)), grid[-2:, -2:].mean((0, 1))]
        height, width = grey.shape
        x, y = np.clip(np.round(ends).astype(int), 0, (width - 1, height - 1)).T
        return bool(grey[y[0], x[0]] < grey[y[1], x[1]])


def sightings(
    board: Board, source: Any, select: Selection, also: int | None = None
) -> tuple[dict[int, Sighting], tuple[int, int]]:
    """A film, or a folder of pictures -> the board by frame (pictures: by place), where it is seen,
    and the pictures' (width, height). also: a frame to look at, chosen or not.

    Raises DataError for pictures of several sizes.
    """
    found: dict[int, Sighting] = {}
    sizes: set[tuple[int, int]] = set()
    parts = [select]
    if also is not None:
        parts.append(Selection(start=also, end=also + 1))
    for part in parts:
        for number, frame in enumerate(read(source, select=_for_pictures(source, part))):
            moment = frame.index or number + (part.start or 0 if part is not select else 0)
            sizes.add(frame.size)
            seen = board.find(frame.image)
            if seen is not None:
                found[int(moment)] = seen
    if len(sizes) != 1:
        told = ", ".join(f"{width} × {height}" for width, height in sorted(sizes)) or "none"
        raise DataError(f"{source}: expected pictures of one size, got {told}")
    return found, sizes.pop()


def _for_pictures(source: Any, select: Selection) -> Selection:
    """All pictures of a folder: one per so many seconds means nothing there."""
    if isinstance(select.every, float) and Path(source).is_dir():
        return replace(select, every=1)
    return select
