"""What the camera did between two pictures: nothing, a motion, or a cut.

A motion is a similarity (shift, turn, zoom) that RANSAC (Fischler and Bolles 1981) fits to the
sparse optical flow (Lucas and Kanade 1981, in pyramids as Bouguet 2001) of corners outside people's
boxes. Corners are only followed if a small picture of the background changes at all, so that a
camera on a tripod costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..people import Image

SMALL = 64  # pixels of the longer side of the picture in which cuts are looked for
WIDE = 480  # pixels of the longer side of the picture in which corners are followed
CORNERS = 200
STILL = 2.0  # mean grey levels by which the background of a camera at rest changes at most

# Two pictures show one scene if they correlate by LIKENESS (whatever their brightness and contrast)
# or share COLOURS of their histograms: a fast pan shows other things in the same light.
LIKENESS = 0.3
COLOURS = 0.7
IDENTITY = np.eye(2, 3)


@dataclass(slots=True)
class Camera:
    """Remembers the last picture. Called with each picture and the boxes of people on the last one
    [N, 4], it returns the motion [2, 3] that maps pixels of the last picture to this one, or None
    after a cut. A picture of another size is a cut. follow=False: only cuts are looked for.
    """

    follow: bool = True
    _small: Any = field(default=None, init=False)
    _image: Any = field(default=None, init=False)

    def forget(self) -> None:
        """Begin anew: the next picture is the first one."""
        self._small = self._image = None

    def __call__(self, image: Image, boxes: Array) -> Array | None:
        step = max(1, round(max(image.shape[:2]) / SMALL))
        small, before, last = image[::step, ::step].astype(np.float32), self._small, self._image
        self._small, self._image = small, image if self.follow else None
        if before is None:
            return IDENTITY
        if small.shape != before.shape:
            return None
        difference = np.abs(small - before).mean(-1)
        if difference.mean() < STILL:
            return IDENTITY
        if is_cut(before, small):
            return None
        if not self.follow or last is None or last.shape != image.shape:
            return IDENTITY
        background = outside(difference.shape, boxes / step)
        if not background.any() or difference[background].mean() < STILL:
            return IDENTITY
        return _followed(last, image, boxes)


def is_cut(before: Array, after: Array) -> bool:
    """Whether two small pictures [h, w, 3] show different scenes: neither the same things nor the
    same colours.
    """
    a, b = before.mean(-1).ravel(), after.mean(-1).ravel()
    spread = a.std() * b.std()
    if spread < 1.0:  # flat pictures: a fade shows nothing to compare
        return False
    if float(np.mean((a - a.mean()) * (b - b.mean()))) / spread >= LIKENESS:
        return False
    common = np.minimum(_histogram(before), _histogram(after)).sum()
    return bool(common < COLOURS)


def _histogram(small: Array) -> Array:
    """Shares [512] of 8 × 8 × 8 colours."""
    bins = (small.reshape(-1, 3) // 32).astype(np.int64) @ (64, 8, 1)
    return np.bincount(bins, minlength=512) / len(bins)


def outside(shape: tuple[int, ...], boxes: Array) -> NDArray[np.bool_]:
    """Shape (h, w) and boxes [N, 4] -> [h, w] bool: True where no box is."""
    mask = np.ones(shape, bool)
    for x0, y0, x1, y1 in np.nan_to_num(boxes).clip(-1, max(shape) + 1).astype(int).tolist():
        mask[max(y0, 0) : y1 + 2, max(x0, 0) : x1 + 2] = False
    return mask


def _followed(before: Image, after: Image, boxes: Array) -> Array:
    """The similarity [2, 3] of most corners of the background; identity where too few are found."""
    scale = min(1.0, WIDE / max(before.shape[:2]))
    old, new = (_grey(image, scale) for image in (before, after))
    mask: Any = outside(old.shape, boxes * scale).astype(np.uint8)
    corners = cv2.goodFeaturesToTrack(old, CORNERS, 0.01, 7, mask=mask)
    if corners is None or len(corners) < 8:
        return IDENTITY
    unknown: Any = None
    found, status, _ = cv2.calcOpticalFlowPyrLK(old, new, corners, unknown)
    kept = status.ravel() == 1
    if kept.sum() < 8:
        return IDENTITY
    matrix, inliers = cv2.estimateAffinePartial2D(
        corners[kept], found[kept], ransacReprojThreshold=1.5
    )
    if matrix is None or inliers.sum() < max(8, 0.3 * kept.sum()):
        return IDENTITY

    # From pixels of the smaller pictures to those of the picture: integers are centres in both.
    shift = (1 / scale - 1) / 2
    linear = matrix[:, :2]
    centred = matrix[:, 2] / scale + shift - linear @ np.full(2, shift)
    return np.concatenate([linear, centred[:, None]], axis=1).astype(np.float64)


def _grey(image: Image, scale: float) -> Any:
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
