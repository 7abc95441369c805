"""Augmentation as pure functions on tensors. They run where the batch lies, with a generator that
is passed.

Geometry is one affine map per picture (source pixels -> crop pixels, under the coordinate law), so
that picture and keypoints move by the same numbers. A generator is on the device of the tensors,
and every call draws the same amount from it, whatever the tensors hold. Pictures are float RGB in
[0, 255]. A function that changes only some of a batch does it in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from ..inputs import IMAGENET
from ..models import affine
from ..models.affine import compose as compose
from ..models.affine import inverse, move

FILL = 114.0
MEAN, STD = IMAGENET["mean"], IMAGENET["std"]
_LUMINANCE = torch.tensor([  # ITU T.81, table K.1
    [ 16,  11,  10,  16,  24,  40,  51,  61],
    [ 12,  12,  14,  19,  26,  58,  60,  55],
    [ 14,  13,  16,  24,  40,  57,  69,  56],
    [ 14,  17,  22,  29,  51,  87,  80,  62],
    [ 18,  22,  37,  56,  68, 109, 103,  77],
    [ 24,  35,  55,  64,  81, 104, 113,  92],
    [ 49,  64,  78,  87, 103, 121, 120, 101],
    [ 72,  92,  95,  98, 112, 100, 103,  99],
]).float()  # fmt: skip
_DCT = torch.tensor(
    [
        [
            math.sqrt((1 if k == 0 else 2) / 8) * math.cos(math.pi * (2 * n + 1) * k / 16)
            for n in range(8)
        ]
        for k in range(8)
    ]
)


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


def some(
    images: Tensor, probability: float, rng: Generator, change: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """[N, …], a share of them changed in place: change(rows [M], images [M, …]) -> [M, …]; the
    others cost nothing.
    """
    rows = chance(len(images), probability, rng).nonzero()[:, 0]
    if len(rows):
        images[rows] = change(rows, images[rows])
    return images


def colour(images: Tensor, strength: float, rng: Generator) -> Tensor:
    """[N, 3, h, w] -> brightness, contrast, saturation and the balance of the channels changed by
    factors of up to 1 ± strength; a few pictures become grey.
    """
    n, each = len(images), images.new_tensor
    saturation = uniform(n, 1 - strength, 1 + strength, rng) * ~chance(n, 0.1 * (strength > 0), rng)
    contrast, brightness = (uniform(n, 1 - strength, 1 + strength, rng) for _ in range(2))
    balance = 1 + (uniform(3 * n, -0.3, 0.3, rng) * strength).reshape(n, 3)
    gain = (balance * brightness[:, None])[:, :, None]  # [N, 3, 1], of the channels that come out
    mix = saturation[:, None, None] * torch.eye(3, device=images.device) + (1 - saturation)[
        :, None, None
    ] / each(3.0)
    middle = images.mean((1, 2, 3))
    changed = (gain * contrast[:, None, None] * mix) @ images.flatten(2)
    return (
        (changed + gain * ((1 - contrast) * middle)[:, None, None])
        .clamp(0, 255)
        .reshape(images.shape)
    )


def blur(images: Tensor, probability: float, rng: Generator, *, most: float = 2.0) -> Tensor:
    """[N, 3, h, w] -> some blurred by a Gaussian of up to `most` pixels."""

    def blurred(rows: Tensor, images: Tensor) -> Tensor:
        n, radius = len(rows), math.ceil(2 * most)
        sigma = uniform(n, 0.3, most, rng)
        at = torch.arange(-radius, radius + 1, device=images.device)
        kernel = torch.exp(-at.square() / (2 * sigma[:, None].square()))
        kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)  # one per channel
        flat = functional.pad(images, (radius,) * 4, mode="replicate").flatten(0, 1)[None]
        flat = functional.conv2d(flat, kernel[:, None, None, :], groups=3 * n)
        return functional.conv2d(flat, kernel[:, None, :, None], groups=3 * n)[0].reshape(
            images.shape
        )

    return some(images, probability, rng, blurred)


def jpeg(images: Tensor, probability: float, rng: Generator) -> Tensor:
    """[N, 3, h, w], sides multiples of 8 -> some with the block noise of JPEG of quality 10 to 70
    (ITU T.81): each 8 × 8 block's cosine transform, rounded in steps.
    """

    def compressed(rows: Tensor, images: Tensor) -> Tensor:
        n, _, height, width = images.shape
        quality = uniform(n, 10, 70, rng)
        factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[
            :, None, None, None, None, None
        ]
        table, dct = (_LUMINANCE.to(images.device) * factor).clamp(min=1), _DCT.to(images.device)
        blocks = (images - 128).reshape(n, 3, height // 8, 8, width // 8, 8).transpose(3, 4)
        rounded = torch.round(dct @ blocks @ dct.T / table) * table
        return ((dct.T @ rounded @ dct).transpose(3, 4).reshape(images.shape) + 128).clamp(0, 255)

    return some(images, probability, rng, compressed)


def _rectangles(images: Tensor, low: float, high: float, rng: Generator) -> Tensor:
    """[N, 3, h, w] -> [N, 1, h, w] bool: a rectangle each, its sides between `low` and `high` of
    the picture's.
    """
    n, _, height, width = images.shape
    y, x = torch.arange(height, device=rng.device), torch.arange(width, device=rng.device)
    masks = []
    for at, length in ((y, height), (x, width)):
        side, place = uniform(n, low, high, rng) * length, uniform(n, 0, 1, rng) * length
        masks.append((at - place[:, None]).abs() < side[:, None] / 2)
    return (masks[0][:, :, None] & masks[1][:, None, :])[:, None]


def erase(images: Tensor, probability: float, rng: Generator) -> Tensor:
    """[N, 3, h, w] -> some have a rectangle of a random colour (cut-out, DeVries & Taylor 2017)."""

    def erased(rows: Tensor, images: Tensor) -> Tensor:
        mask = _rectangles(images, 0.1, 0.4, rng)
        return torch.where(mask, uniform(3 * len(rows), 0, 255, rng).reshape(-1, 3, 1, 1), images)

    return some(images, probability, rng, erased)


def occlude(images: Tensor, probability: float, rng: Generator) -> Tensor:
    """[N, 3, h, w] -> some have a rectangle of another picture of the batch."""
    other = torch.randperm(len(images), generator=rng, device=rng.device)

    def occluded(rows: Tensor, chosen: Tensor) -> Tensor:
        mask = _rectangles(chosen, 0.15, 0.5, rng)
        return torch.where(mask, images[other[rows]], chosen)

    return some(images, probability, rng, occluded)


def paste_people(
    images: Tensor, keypoints: Tensor, limbs: Tensor, probability: float, rng: Generator
) -> Tensor:
    """[N, 3, h, w], [N, K, 3], limbs [L, 2] -> some have another person of the batch pasted over
    them: what lies near that person's limbs, shifted by up to 0.4 widths. The labels stay, because
    the person behind is still there.
    """
    n, _, height, width = images.shape
    other = torch.randperm(n, generator=rng, device=rng.device)
    dx, dy = (
        uniform(n, -share, share, rng) * side for share, side in ((0.4, width), (0.2, height))
    )

    def pasted(rows: Tensor, chosen: Tensor) -> Tensor:
        source = other[rows]
        mask = near_limbs(keypoints[source], limbs, (width, height), 0.06 * height)
        x = (
            torch.arange(width, device=images.device) - dx[rows].round().long()[:, None]
        )  # where each pixel comes from
        y = torch.arange(height, device=images.device) - dy[rows].round().long()[:, None]
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
        at = (
            y.clamp(0, height - 1)[:, :, None] * width + x.clamp(0, width - 1)[:, None, :]
        ).flatten(1)
        moved = (
            images[source].flatten(2).gather(2, at[:, None].expand(-1, 3, -1)).reshape(chosen.shape)
        )
        mask = mask.flatten(1).gather(1, at).reshape(inside.shape) & inside
        return torch.where(mask[:, None], moved, chosen)

    return some(images, probability, rng, pasted)


def near_limbs(keypoints: Tensor, limbs: Tensor, size: tuple[int, int], distance: float) -> Tensor:
    """[N, K, 3], [L, 2] -> [N, h, w] bool: pixels within a distance of a limb whose two joints are
    labelled.
    """
    width, height = size
    labelled = (keypoints[..., 2] > 0)[:, limbs].all(-1)  # [N, L]
    a, b = (keypoints[:, limbs[:, end], None, :2] for end in (0, 1))  # [N, L, 1, 2]
    step = 4  # the distance varies slowly: every fourth pixel, and between them linearly
    y, x = (torch.arange(0, side + step, step, device=keypoints.device) for side in (height, width))
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(1, 1, -1, 2).float()
    part = (((points - a) * (b - a)).sum(-1) / (b - a).square().sum(-1).clamp(min=1e-6)).clamp(0, 1)
    away = (points - a - part[..., None] * (b - a)).square().sum(-1).sqrt()
    away = away.masked_fill(~labelled[..., None], 1e4).amin(1).reshape(-1, 1, len(y), len(x))
    fine = [(len(side) - 1) * step + 1 for side in (y, x)]
    return (
        functional.interpolate(away, fine, mode="bilinear", align_corners=True)[
            :, 0, :height, :width
        ]
        < distance
    )
