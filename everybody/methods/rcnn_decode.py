"""What Mask R-CNN says of its boxes (He et al. 2017, § 3 and § 5) -> keypoints and masks in pixels.

A joint's map covers its box edge to edge. It is enlarged to the box's size in whole pixels, by
cubic interpolation, and the joint is the middle of the pixel where it peaks:

    x = x0 + (column + 1/2) · w / ceil(w)

The network's boxes and these points count from the picture's corner, where a pixel's centre is at a
half: `offset` -0.5 brings them to the coordinate law.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..geometry import Array

MOST = 1 << 14  # pixels along a side: a box of more is not of a picture


def keypoints_from_heatmaps(logits: Array, boxes: Array, *, offset: float = 0.0) -> Array:
    """Logits [N, K, h, w] over boxes [N, 4] xyxy -> [N, K, 4]: x, y, the enlarged map's peak (a
    logit), and the score in [0, 1]: the share of the softmax within one cell of the map's peak.

    Raises DataError where a logit or a box is not a finite number.
    """
    _check(logits, boxes)
    count, joints = logits.shape[:2]
    out = np.zeros((count, joints, 4), np.float32)
    for maps, box, row in zip(logits, boxes, out, strict=True):
        sides = np.maximum(box[2:] - box[:2], 1)
        width, height = np.ceil(sides).astype(int)
        large = _enlarged(maps, (int(width), int(height))).reshape(joints, -1)
        best = large.argmax(1)
        cell = np.stack([best % width, best // width], 1)
        row[:, :2] = box[:2] + (cell + 0.5) * sides / (width, height) + offset
        row[:, 2] = large[np.arange(joints), best]
    out[..., 3] = _peak_share(logits)
    return out


def masks_in_picture(
    logits: Array, boxes: Array, size: tuple[int, int], *, threshold: float = 0.5
) -> NDArray[np.bool_]:
    """Logits [N, h, w] over boxes [N, 4] xyxy that count from the picture's corner, the picture's
    (width, height) -> [N, height, width]: True where a pixel's centre is probably of the object.
    """
    _check(logits, boxes)
    width, height = size
    out = np.zeros((len(logits), height, width), bool)
    for logit, box, mask in zip(logits, boxes, out, strict=True):
        sides = np.maximum(box[2:] - box[:2], 1)
        (x0, y0), (x1, y1) = np.maximum(np.ceil(box[:2] - 0.5), 0), np.ceil(box[:2] + sides - 0.5)
        x = np.arange(int(x0), int(min(x1, width)))
        y = np.arange(int(y0), int(min(y1, height)))
        if not len(x) or not len(y):
            continue

        probability = 1 / (1 + np.exp(-logit.astype(np.float32)))
        cells = logit.shape[1::-1]
        at_x = (x + 0.5 - box[0]) / sides[0] * cells[0] - 0.5
        at_y = (y + 0.5 - box[1]) / sides[1] * cells[1] - 0.5
        columns, rows = np.meshgrid(at_x.astype(np.float32), at_y.astype(np.float32))
        inside = cv2.remap(
            probability, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        mask[y[0] : y[-1] + 1, x[0] : x[-1] + 1] = inside > threshold
    return out


def _check(logits: Array, boxes: Array) -> None:
    if len(logits) != len(boxes):
        raise DataError(f"{len(logits)} maps for {len(boxes)} boxes: there must be one for each")
    if len(logits) and 0 in logits.shape[1:]:
        raise DataError(f"the region network's maps hold no cell: they are {list(logits.shape)}")
    if not (np.isfinite(logits).all() and np.isfinite(boxes).all()):
        raise DataError("the region network's maps or boxes hold NaN or infinity: broken weights?")
    if len(boxes) and (boxes[:, 2:] - boxes[:, :2]).max() > MOST:
        raise DataError(f"a box of the region network is more than {MOST} pixels long")


def _enlarged(maps: Array, size: tuple[int, int]) -> Array:
    """[K, h, w] -> [K, height, width] by cubic interpolation (Keys 1981, a = -3/4)."""
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_CUBIC) for one in maps])


def _peak_share(logits: Array) -> Array:
    """[N, K, h, w] -> [N, K]: the share of each softmax that lies within one cell of its peak."""
    n, k, height, width = logits.shape
    if not n * k:
        return np.zeros((n, k), np.float32)
    weight = np.exp(logits - logits.max((2, 3), keepdims=True)).reshape(n * k, height, width)
    best = weight.reshape(n * k, -1).argmax(1)
    rows = best[:, None] // width + np.repeat([-1, 0, 1], 3)
    columns = best[:, None] % width + np.tile([-1, 0, 1], 3)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    near = weight[np.arange(n * k)[:, None], rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return ((near * inside).sum(1) / weight.sum((1, 2))).reshape(n, k)
