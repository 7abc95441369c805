"""What a network is fed: pictures and crops of its size, its channel order and its normalisation.

All preparation of network inputs is here, so that no network sees a picture in another way than
the one its `Input` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import Array
from .people import Image

STRIDE = 32  # sides of a dynamic input are multiples of this


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a network wants to see: (x - mean) / std of the 0-255 values."""

    size: tuple[int, int]  # width, height
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)  # in the order of `channels`
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: Literal["letterbox", "stretch"] = "letterbox"  # detectors
    fill: int = 0  # grey value around a letterboxed picture or beyond a picture's edge
    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: Literal["float32", "int32", "uint8"] = "float32"


IMAGENET: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
NORMALISATIONS: dict[str, dict[str, Any]] = {
    "imagenet": IMAGENET,
    "unit": {"std": (255.0, 255.0, 255.0)},
    "none": {},
}


def normalise(images: Sequence[Image], input: Input) -> NDArray[Any]:
    """Pictures [H, W, 3] RGB of one size -> [N, 3, H, W], or [N, H, W, 3], as the network wants
    them: channel order, (x - mean) / std, type.
    """
    height, width = images[0].shape[:2]
    batch = np.empty((len(images), 3, height, width), np.float32)
    order = (0, 1, 2) if input.channels == "rgb" else (2, 1, 0)
    for image, planes in zip(images, batch, strict=True):
        # Reading every third byte of the picture, as a view would, takes twice as long.
        channels = cv2.split(image)
        for plane, channel, mean, std in zip(planes, order, input.mean, input.std, strict=True):
            np.multiply(channels[channel], np.float32(1 / std), out=plane)
            plane -= np.float32(mean / std)
    if input.layout == "nhwc":
        batch = np.ascontiguousarray(batch.transpose(0, 2, 3, 1))
    return batch.astype(input.dtype, copy=False)


def letterbox(
    image: Image, size: tuple[int, int], *, fill: int, tight: bool
) -> tuple[Image, Array]:
    """The picture, scaled to fit into `size` (width, height), at the top left of a grey canvas; and
    the factors (x, y).

    A tight canvas is only as large as the scaled picture needs, in steps of `STRIDE`: the network
    is spared the grey.
    """
    height, width = image.shape[:2]
    ratio = min(size[0] / width, size[1] / height)
    new = max(1, round(width * ratio)), max(1, round(height * ratio))
    canvas_size = tuple(-(-n // STRIDE) * STRIDE for n in new) if tight else size
    canvas = np.full((canvas_size[1], canvas_size[0], 3), fill, np.uint8)
    cv2.resize(image, new, dst=canvas[: new[1], : new[0]], interpolation=cv2.INTER_LINEAR)
    return canvas, np.array([new[0] / width, new[1] / height])


def stretch(image: Image, size: tuple[int, int]) -> tuple[Image, Array]:
    """The picture stretched to `size` (width, height), and the factors (x, y)."""
    factors = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), factors  # type: ignore[return-value]


def crop(image: Image, matrix: Array, input: Input) -> Image:
    """The part of a picture that a transform [2, 3] puts into a crop of the input's size; `fill`
    beyond its edges.
    """
    border = (input.fill,) * 3
    return cv2.warpAffine(image, matrix, input.size, flags=cv2.INTER_LINEAR, borderValue=border)  # type: ignore[return-value]


def square(image: Image, box: Array, size: int, padding: float, fill: int) -> Image:
    """The square around a box grown by `padding`, as [size, size, 3]: to the pixel, averaged where
    it shrinks.
    """
    middle, side = (box[:2] + box[2:]) / 2, max(float((box[2:] - box[:2]).max()), 1.0) * padding
    first = np.floor(middle - side / 2 + 0.5).astype(int)
    side = max(round(side), 1)
    height, width = image.shape[:2]
    x0, y0 = np.clip(first, 0, (width, height))
    x1, y1 = np.clip(first + side, 0, (width, height))
    out = np.full((size, size, 3), fill, np.uint8)
    ends = np.array([[x0, y0], [x1, y1]]) - first
    (left, top), (right, bottom) = np.round(ends * size / side).astype(int)
    if right > left and bottom > top:
        across, down, part = right - left, bottom - top, image[y0:y1, x0:x1]
        while (
            part.shape[1] >= 2 * across and part.shape[0] >= 2 * down
        ):  # by halves, as crops are packed for training
            rows, columns = part.shape[0] // 2, part.shape[1] // 2
            part = cv2.resize(
                part[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA
            )
        cv2.resize(part, (across, down), out[top:bottom, left:right], 0, 0, cv2.INTER_LINEAR)
    return out
