"""Boxes, OKS, affine crops and mirrors, all under the coordinate law (see `people.py`).

A transform is a 2×3 matrix that sends source pixels to target pixels. Because integers are pixel
centres, a crop of width w shows the box edge to edge from -0.5 to w - 0.5, its middle is (w - 1) /
2, and a mirror is x → (w - 1) - x. OKS: COCO keypoint evaluation (Lin et al. 2014): exp(-d² / (2 ·
area · (2σ)²)), averaged over joints.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]

# What np.rot90 does to (x, y) about the origin, by the number of its quarter turns; y points down.
QUARTERS = np.array(
    [[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]], np.float64
)


def area(boxes: Array) -> Array:
    """[..., 4] xyxy -> [...], 0 for inverted boxes."""
    return np.maximum(boxes[..., 2] - boxes[..., 0], 0) * np.maximum(
        boxes[..., 3] - boxes[..., 1], 0
    )


def iou(a: Array, b: Array) -> Array:
    """[N, 4], [M, 4] -> [N, M] intersection over union; 0 where both are empty."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.maximum(sides, 0)
    overlap = sides[..., 0] * sides[..., 1]
    union = area(a)[:, None] + area(b)[None] - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def clip(boxes: Array, width: int, height: int) -> Array:
    """[N, 4] -> [N, 4], cut to the picture."""
    low, high = (-0.5, -0.5) * 2, (width - 0.5, height - 0.5) * 2
    return np.clip(boxes, np.array(low, boxes.dtype), np.array(high, boxes.dtype))


def whole(width: int, height: int) -> Array:
    """The box [1, 4] of the whole picture."""
    return np.array([[-0.5, -0.5, width - 0.5, height - 0.5]], np.float32)


def box_around(keypoints: Array) -> Array:
    """[N, K, 3] -> [N, 4] xyxy: the boxes around the joints that score above 0, for files that hold
    no boxes.
    """
    seen, points = keypoints[..., 2:] > 0, keypoints[..., :2]
    low = np.where(seen, points, np.inf).min(1, initial=np.inf)
    high = np.where(seen, points, -np.inf).max(1, initial=-np.inf)
    boxes = np.concatenate([low, high], -1)
    return np.where(np.isfinite(boxes), boxes, 0).astype(np.float32)


def xywh(boxes: Array) -> Array:
    """[..., 4] xyxy under the coordinate law -> COCO's x, y, width, height, which count from the
    picture's corner.
    """
    return np.concatenate([boxes[..., :2] + 0.5, boxes[..., 2:] - boxes[..., :2]], -1)


def xyxy(boxes: ArrayLike) -> Array:
    """The inverse of `xywh`."""
    boxes = np.asarray(boxes, np.float32)
    return np.concatenate([boxes[..., :2] - 0.5, boxes[..., :2] + boxes[..., 2:] - 0.5], -1)


def oks(
    a: Array, b: Array, areas: Array, sigmas: Sequence[float], weights: Array | None = None
) -> Array:
    """Object keypoint similarity of poses [N, K, 2+] and [M, K, 2+] -> [N, M].

    areas [N] belong to the poses `a`; weights [N, K] choose the joints of `a` that count (default
    all); 0 if none do.
    """
    variances = (2 * np.asarray(sigmas, np.float64)) ** 2
    distance = np.square(a[:, None, :, :2].astype(np.float64) - b[None, :, :, :2]).sum(
        -1
    )  # [N, M, K]
    scale = 2 * np.maximum(areas, np.finfo(np.float64).eps)[:, None, None] * variances
    similarity = np.exp(-distance / scale)
    weight = np.ones(a.shape[:2]) if weights is None else weights
    total = weight.sum(-1)[:, None]
    summed = (similarity * weight[:, None]).sum(-1)
    return np.divide(summed, total, out=np.zeros_like(summed), where=total > 0)


def crop_matrices(
    boxes: Array, size: tuple[int, int], padding: float = 1.0, turns: ArrayLike = 0
) -> Array:
    """[N, 4], quarter turns [N] or one for all -> [N, 2, 3]: the transforms that turn each box
    about its centre, grown by `padding` and widened or heightened to the aspect of `size` (width,
    height), and put it edge to edge into a crop of that size: the crop that the picture, turned by
    np.rot90(picture, turn), gives of the turned box. Parts of a quarter turn, too: then the box is
    what holds the turned ellipse in it. A box without area is taken as one pixel.
    """
    boxes = np.asarray(boxes, np.float64)
    angles = np.broadcast_to(np.asarray(turns, np.float64), len(boxes)) * (np.pi / 2)
    cos, sin = np.cos(angles).round(12), np.sin(angles).round(12)  # whole quarters are exact
    rotation = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)
    width, height = size
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    extent = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0) * padding
    extent = np.sqrt(
        (np.square(rotation) @ np.square(extent)[:, :, None])[..., 0]
    )  # a quarter turn swaps the sides
    scale = np.minimum(width / extent[:, 0], height / extent[:, 1])
    linear = scale[:, None, None] * rotation
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.concatenate([linear, middle[:, None] - linear @ centre[:, :, None]], axis=2)


def turn_matrix(width: int, height: int, turns: int) -> Array:
    """[2, 3]: from the pixels of a picture to those of np.rot90(picture, turns), quarter turns
    against the clock.
    """
    linear = QUARTERS[turns % 4]
    far = linear @ np.array([width - 1, height - 1])
    return np.column_stack(
        [linear, np.maximum(-far, 0)]
    )  # the corner that would lie below 0 comes to lie at 0


def compose(after: Array, before: Array) -> Array:
    """[N, 2, 3], [N, 2, 3] -> [N, 2, 3]: first `before`, then `after`."""
    linear = after[:, :, :2] @ before[:, :, :2]
    return np.concatenate([linear, after[:, :, :2] @ before[:, :, 2:] + after[:, :, 2:]], 2)


def mirrored(matrices: Array, axis: float) -> Array:
    """[N, 2, 3] -> [N, 2, 3]: the same, then mirrored at the line x = axis of the target."""
    out = np.array(matrices)
    out[:, 0] *= -1
    out[:, 0, 2] += 2 * axis
    return out


def transform(matrices: Array, points: Array) -> Array:
    """[N, 2, 3], [N, K, 2+] -> [N, K, 2+]: x and y moved, what follows them (scores) kept."""
    out = np.array(points)
    out[..., :2] = points[..., :2] @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]
    return out


def transform_boxes(matrix: Array, boxes: Array) -> Array:
    """[2, 3] of quarter turns, scales and shifts, [N, 4] xyxy -> [N, 4] xyxy, of the boxes' moved
    corners.
    """
    corners = boxes.reshape(-1, 2, 2) @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(1), corners.max(1)], axis=1)


def invert(matrices: Array) -> Array:
    """[N, 2, 3] -> [N, 2, 3], the transforms back."""
    linear = np.linalg.inv(matrices[:, :, :2])
    return np.concatenate([linear, -linear @ matrices[:, :, 2:]], axis=2)


def in_pixels(theta: Array, region: tuple[int, int], crop: tuple[int, int]) -> Array:
    """θ [N, 2, 3] of an SSTN, between the normalised coordinates u = (2x + 1) / W - 1, and the
    sizes (width, height) of region and crop -> [N, 2, 3], the same maps from pixels of the region
    to those of the crop.
    """
    a, b = np.array(region, np.float64), np.array(crop, np.float64)
    linear = theta[:, :, :2] * b[:, None] / a
    shift = (b * (theta[:, :, :2] @ (1 / a - 1) + theta[:, :, 2] + 1) - 1) / 2
    return np.concatenate([linear, shift[..., None]], 2)


def mirror_keypoints(keypoints: Array, width: float, mirror: Sequence[int]) -> Array:
    """[..., K, 2+] -> [..., K, 2+] of the mirrored picture: x → width - 1 - x, left joints become
    right.
    """
    out = np.array(keypoints[..., list(mirror), :])
    out[..., 0] = width - 1 - out[..., 0]
    return out
