"""Augmentation as pure functions on tensors: where people are seen; `spoil.py` has what hides them.
They run where the batch lies, with a generator that is passed.

Geometry is one affine map per picture (source pixels -> crop pixels, under the coordinate law), so
that picture and keypoints move by the same numbers. A generator is on the device of the tensors,
and every call draws the same amount from it, whatever the tensors hold. Pictures are float RGB in
[0, 255]. A function that changes only some of a batch does it in place.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from ..inputs import IMAGENET
from ..models import affine
from ..models.affine import compose as compose
from ..models.affine import inverse, move

FILL = 114.0
MEAN, STD = IMAGENET["mean"], IMAGENET["std"]


def normalised(images: Tensor) -> Tensor:
    """[N, 3, h, w] in [0, 255] -> as the networks want them."""
    return (images - images.new_tensor(MEAN)[:, None, None]) / images.new_tensor(STD)[:, None, None]


def uniform(n: int, low: float, high: float, rng: Generator) -> Tensor:
    """[n] from [low, high)."""
    return torch.rand(n, generator=rng, device=rng.device) * (high - low) + low


def normal(n: int, rng: Generator, *, limit: float = 2.0) -> Tensor:
    """[n] from the standard normal distribution, cut at ± limit."""
    return torch.randn(n, generator=rng, device=rng.device).clamp(-limit, limit)


def chance(n: int, probability: float, rng: Generator) -> Tensor:
    """[n] bool."""
    return torch.rand(n, generator=rng, device=rng.device) < probability


def angles(
    n: int, *, near: float, anywhere: float, quarters: float = 0.0, rng: Generator
) -> Tensor:
    """[n] radians: a share `anywhere` from the full circle; of the others, a share `quarters` of
    one, two or three quarter turns exactly; the rest near upright (standard deviation `near`, in
    degrees).
    """
    whole, small = uniform(n, -math.pi, math.pi, rng), normal(n, rng) * math.radians(near)
    some = chance(n, anywhere, rng)
    turns = torch.randint(1, 4, (n,), generator=rng, device=rng.device) * (math.pi / 2)
    return torch.where(some, whole, torch.where(chance(n, quarters, rng), turns, small))


def half_body(
    boxes: Tensor, keypoints: Tensor, upper: Tensor, probability: float, rng: Generator
) -> tuple[Tensor, Tensor]:
    """[N, 4], [N, K, 3], upper-body joints [K] bool -> boxes [N, 4] and the joints [N, K, 3] that
    they are around.

    Some boxes are around the upper or the lower body only (Wang et al. 2018, MSPN), where at least
    three of its joints are labelled: 15 % larger than their extent on each side. Joints of the
    other half then count as unlabelled.
    """
    n = len(boxes)
    which = torch.where(chance(n, 0.7, rng)[:, None], upper, ~upper) & (keypoints[..., 2] > 0)
    wanted = chance(n, probability, rng) & (which.sum(1) >= 3)
    low, high = extents(torch.cat([keypoints[..., :2], which[..., None]], 2)).split(2, 1)
    part = torch.cat([1.15 * low - 0.15 * high, 1.15 * high - 0.15 * low], 1)
    inside = torch.cat(
        [keypoints[..., :2], (keypoints[..., 2] * (which | ~wanted[:, None]))[..., None]], 2
    )
    return torch.where(wanted[:, None], part, boxes), inside


def crops(
    boxes: Tensor,
    size: tuple[int, int],
    *,
    padding: float,
    scale: Tensor,
    shift: Tensor,
    flip: Tensor,
) -> Tensor:
    """[N, 4] and, per person, scale [N], shift [N, 2] (in sides of the box), flip [N] bool ->
    matrices [N, 2, 3] from source pixels to pixels of a crop of `size` (width, height). With
    neutral numbers it is `geometry.crop_matrices`.
    """
    width, height = size
    extent = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1.0)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + shift * extent
    grown = extent * padding
    s = torch.minimum(width / grown[:, 0], height / grown[:, 1]) * scale
    linear = torch.diag_embed(torch.stack([torch.where(flip, -s, s), s], 1))
    middle = boxes.new_tensor([(width - 1) / 2, (height - 1) / 2])
    return torch.cat([linear, (middle - (linear @ centre[..., None])[..., 0])[..., None]], 2)


def rotations(angle: Tensor) -> Tensor:
    """[N] radians, clockwise on the screen -> matrices [N, 2, 3] about the origin."""
    cos, sin, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    return torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)


def rotations_about(angle: Tensor, width: int, height: int) -> Tensor:
    """[N] radians, clockwise on the screen -> matrices [N, 2, 3] about the middle of a picture."""
    about = rotations(angle)
    middle = angle.new_tensor([(width - 1) / 2, (height - 1) / 2])
    about[:, :, 2] = middle - (about[:, :, :2] @ middle)
    return about


def extents(keypoints: Tensor) -> Tensor:
    """[N, K, 3] -> boxes [N, 4] around the labelled joints; empty (0) where there are none."""
    unlabelled = (keypoints[..., 2] <= 0)[..., None]
    low = keypoints[..., :2].masked_fill(unlabelled, math.inf).amin(1)
    high = keypoints[..., :2].masked_fill(unlabelled, -math.inf).amax(1)
    return torch.cat([low, high], 1).nan_to_num(0, 0, 0)


def turned_boxes(boxes: Tensor, keypoints: Tensor, matrices: Tensor) -> Tensor:
    """[N, 4], [N, K, 3], rotations [N, 2, 3] -> boxes [N, 4] after the turn, as a detector would
    draw them: around the turned joints, with the margin that the box had around the joints before.
    """
    before, after = extents(keypoints), extents(move(keypoints, matrices))
    margin = (
        torch.cat([before[:, :2] - boxes[:, :2], boxes[:, 2:] - before[:, 2:]], 1)
        .mean(1, keepdim=True)
        .clamp(min=0)
    )
    return torch.cat([after[:, :2] - margin, after[:, 2:] + margin], 1)


def relabel(keypoints: Tensor, flip: Tensor, mirror: Tensor) -> Tensor:
    """[N, K, 3], flip [N] bool, mirror [K] -> left and right exchanged on the people who are
    mirrored.
    """
    return torch.where(flip[:, None, None], keypoints[:, mirror], keypoints)


def outside_is_unlabelled(keypoints: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, K, 3] in crop pixels -> weight 0 for joints that the crop does not show."""
    limit = keypoints.new_tensor(size) - 0.5
    inside = ((keypoints[..., :2] >= -0.5) & (keypoints[..., :2] <= limit)).all(-1, keepdim=True)
    return torch.cat([keypoints[..., :2], keypoints[..., 2:] * inside], -1)


def warp(images: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, H, W, 3] uint8, source → crop [N, 2, 3] -> [N, 3, h, w] float; bilinear, grey beyond the
    edges.

    On a CPU OpenCV does it, which reads the bytes as they are: ten times faster, equal within a few
    grey levels.
    """
    if images.device.type != "cpu":
        return warp_on_device(images, matrices, size)
    fill = (FILL,) * 3
    pairs = zip(images.numpy(), matrices.double().numpy(), strict=True)
    made = np.stack(
        [cv2.warpAffine(i, m, size, flags=cv2.INTER_LINEAR, borderValue=fill) for i, m in pairs]
    )
    return torch.from_numpy(made).permute(0, 3, 1, 2).float()


def warp_on_device(images: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """`warp` in torch."""
    _, h, w, _ = images.shape
    source = images.permute(0, 3, 1, 2).float() - FILL
    return affine.sample(source, affine.normalised(inverse(matrices), size, (w, h)), size) + FILL
