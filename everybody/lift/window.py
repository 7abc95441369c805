"""What the lifter sees: the joints of some frames as if the camera looked straight at the person.

A pose looks different at the edge of a wide picture than in its middle, so the camera is turned to
the person first, and the answer is turned back (perspective crop layers: Yu et al. 2021). Each
frame is then moved and scaled by its own joints; what that takes away (where the frame lies beside
the middle one, and how large it is) goes with it as an 18th point.

A ray is x / z, y / z of a point: a pixel less the centre of the picture, by the focal length.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..skeletons import COCO17

# How much a joint says of where the person is: the trunk moves least.
TRUNK = np.array(
    [1.0 if name.split("_")[-1] in ("shoulder", "hip") else 0.1 for name in COCO17.joints],
    np.float32,
)
LEAST = 1e-3  # of a scale, in rays: a body that is a thousand times as far as it is tall
USUAL = 2.0  # added to the logarithm of the scale, so that it is about 0


class Seen(NamedTuple):
    """Clips as the lifter takes them [B, F, 18, 3], the turn of each camera to the person
    [B, 3, 3] (new = turn @ old), and where the person was [B, 2] and how large [B], in rays.
    """

    clips: NDArray[np.float32]
    turns: Array
    centres: Array
    scales: Array


def rays(points: Array, size: tuple[int, int], length: float) -> Array:
    """Pixels [..., 2] of a picture (width, height) and its focal length -> rays [..., 2]."""
    centre = (np.array(size) - 1) / 2  # an integer is the centre of a pixel
    return (points - centre) / length


def turned_to(centres: Array) -> Array:
    """Rays [B, 2] -> rotations [B, 3, 3] that bring each onto the optical axis, by the shortest
    way: the right edge of the picture stays on the right.
    """
    direction = np.concatenate([centres, np.ones_like(centres[:, :1])], 1)
    x, y, z = (direction / np.linalg.norm(direction, axis=1, keepdims=True)).T
    # Rodrigues, about the axis (y, -x, 0) by the angle of cosine z.
    k = 1 / (1 + z)
    rows = [1 - k * x * x, -k * x * y, -x, -k * x * y, 1 - k * y * y, -y, x, y, z]
    return np.stack(rows, 1).reshape(-1, 3, 3)


def seen(points: Array, *, middle: int) -> Seen:
    """Rays and scores [B, F, 17, 3] of frames around the `middle` one -> what the lifter sees.

    A joint of score 0 is not known, nor is a frame of such joints. Where the middle frame is not,
    the joints of all frames tell where the person is.
    """
    points = points.astype(np.float32)
    scores = points[..., 2]
    weights = scores * TRUNK
    asked = weights[:, middle : middle + 1].sum((1, 2)) > 0
    near = np.where(asked[:, None, None], weights[:, middle : middle + 1], 0)
    centres = _mean(points[:, middle : middle + 1, :, :2], near)
    centres = np.where(asked[:, None], centres, _mean(points[..., :2], weights))

    turns = turned_to(centres).astype(np.float32)
    straight = np.concatenate([points[..., :2], np.ones_like(scores)[..., None]], -1)
    straight = straight @ turns.mT[:, None]
    flat = straight[..., :2] / np.maximum(straight[..., 2:], 0.1)  # at most 84° aside

    known = (weights.sum(2) > 0)[..., None]
    middles = np.where(known, _weighted(flat, weights), 0)  # [B, F, 2]
    offsets = flat - middles[:, :, None]
    scales = np.sqrt(_weighted(_squared(offsets), scores)[..., 0])
    of_all = np.sqrt(_mean(_squared(flat), scores)[:, 0])
    scale = np.maximum(np.where(known[:, middle, 0], scales[:, middle], of_all), LEAST)
    scales = np.maximum(np.where(known[..., 0], scales, scale[:, None]), LEAST)

    joints = offsets / scales[:, :, None, None]
    joints = np.where((scores > 0)[..., None], joints, 0)
    joints = np.concatenate([joints, scores[..., None]], -1)
    beside = (middles - np.where(known[:, middle], middles[:, middle], 0)[:, None]) * known
    beside = beside / scale[:, None, None]
    where = np.concatenate([beside, np.log(scales)[..., None] + USUAL], -1)
    clips = np.concatenate([joints, where[:, :, None]], 2)
    return Seen(clips.astype(np.float32), turns, centres, scale)


def smoothed(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rays and scores [B, F, K, 3] -> the same, each joint averaged with those of the two frames
    before and after it, by binomial weights and scores. Where one of these is not known, with one,
    or none: both sides weigh the same, so nothing lags, and the newest frame of a live film is as
    it was seen.
    """
    known: NDArray[np.bool_] = np.any(clips[..., 2] > 0, axis=2)
    out, whole = clips.copy(), known
    for reach, kernel in ((1, (1, 2, 1)), (2, (1, 4, 6, 4, 1))):
        inner = slice(reach, clips.shape[1] - reach)
        if inner.start >= inner.stop:
            break
        near = [clips[:, n : clips.shape[1] - 2 * reach + n] for n in range(2 * reach + 1)]
        weights = [k * frames[..., 2:] for k, frames in zip(kernel, near, strict=True)]
        total = sum(weights)
        places = sum(w * frames[..., :2] for w, frames in zip(weights, near, strict=True))
        places = np.where(total > 0, places / np.maximum(total, 1e-6), clips[:, inner, :, :2])
        mean = np.concatenate([places, total / sum(kernel)], -1)

        sides = known[:, : -2 * reach] & known[:, 2 * reach :]
        whole = whole.copy()
        whole[:, inner] &= sides
        whole[:, :reach] = whole[:, inner.stop :] = False
        out[:, inner] = np.where(whole[:, inner, None, None], mean, out[:, inner])
    return out


def _weighted(values: Array, weights: Array) -> Array:
    """[B, F, K, C], [B, F, K] -> [B, F, C]: weighted means; 0 where nothing weighs."""
    total = np.maximum(weights.sum(2), 1e-6)[..., None]
    return (weights[:, :, None] @ values)[:, :, 0] / total


def _squared(values: Array) -> Array:
    """[..., 2] -> [..., 1]: squared lengths."""
    return np.square(values[..., :1]) + np.square(values[..., 1:])


def _mean(values: Array, weights: Array) -> Array:
    """[B, F, K, C], [B, F, K] -> [B, C]: the same over all frames."""
    total = np.maximum(weights.sum((1, 2)), 1e-6)[:, None]
    return (values * weights[..., None]).sum((1, 2)) / total


def mirrored(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """Clips [B, F, 18, 3] as a mirror shows them: left is right, and x is -x."""
    order = [*COCO17.mirror, len(COCO17)]
    return clips[:, :, order] * np.array([-1, 1, 1], np.float32)
