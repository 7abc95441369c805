"""What hides people and spoils pictures, as pure functions on tensors, with a generator that is
passed (`augment.py` says what all of them keep to): other people, rectangles, blur, JPEG, colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional

from .augment import chance, uniform

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
