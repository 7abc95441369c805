"""RoIAlign in plain PyTorch (He et al. 2017, Mask R-CNN, § 3): features of boxes, without rounding.

A box is divided into size × size bins; each bin is the mean of sampling × sampling points, spread
evenly over it; each point is interpolated between its four cells:

    out(p, q) = 1 / S² · Σ_i Σ_j F(y_pi, x_qj)      y_pi = y0 + (p + (i + 1/2) / S) · h / size

A point is worth nothing more than a cell outside the map; between there and the border it takes the
border's value. Both the points and the interpolation are products of a part along y and a part
along x, so a bin is a sum over 2 S rows and 2 S columns of cells: that is all this file computes.

Boxes count from the picture's corner in the published networks. `aligned` says what a cell's
coordinate is: False, cell c lies at c / scale (half a cell off), True, its middle does.

All levels of a pyramid are laid out as one table of cells, each box knowing where its own level
begins, so that a pyramid needs no splitting by level and the graph exports with any number of
boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Taps(NamedTuple):
    """Along one axis, for every box and bin: the cells that count, and for how much."""

    cells: Tensor  # [N, size, 2 S] integers
    weights: Tensor  # [N, size, 2 S]


def roi_align(
    features: Tensor | Sequence[Tensor],
    boxes: Tensor,
    image: Tensor,
    *,
    size: int,
    scales: Sequence[float],
    level: Tensor | None = None,
    sampling: int = 2,
    aligned: bool = False,
) -> Tensor:
    """Maps [B, C, h, w] (one, or one per level), boxes [N, 4] xyxy in picture pixels, image [N] and
    level [N] (integers: which map is a box's own) -> [N, C, size, size].

    scales: cells per pixel, of each level. sampling 0: as many points as cells, box by box, along
    each axis (needs a look at the boxes, so it does not export).
    """
    maps = [features] if isinstance(features, Tensor) else list(features)
    level = torch.zeros_like(image) if level is None else level
    table = torch.cat([m.permute(0, 2, 3, 1).flatten(0, 2) for m in maps])

    shapes = torch.tensor([m.shape[2:] for m in maps], device=boxes.device)
    pixels = maps[0].shape[0] * shapes[:, 0] * shapes[:, 1]
    height, width = shapes[level].unbind(1)
    start = (pixels.cumsum(0) - pixels)[level] + image * height * width
    scale = boxes.new_tensor(list(scales))[level]

    boxes = boxes * scale[:, None] - (0.5 if aligned else 0.0)
    sides = boxes[:, 2:] - boxes[:, :2]
    if not aligned:
        sides = sides.clamp(min=1)

    x = taps(boxes[:, 0], sides[:, 0], width, size, sampling)
    y = taps(boxes[:, 1], sides[:, 1], height, size, sampling)
    return pooled(table, start, width, x, y)


def taps(start: Tensor, length: Tensor, cells: Tensor, size: int, sampling: int) -> Taps:
    """Where spans begin [N], their lengths [N], the axes' numbers of cells [N] -> what each bin
    is made of.
    """
    step = length / size
    points = torch.full_like(start, sampling) if sampling else step.ceil()
    most = sampling or int(torch.cat([points, points.new_ones(1)]).max())

    number = torch.arange(most, device=start.device)
    within = (number + 0.5) * (step / points.clamp(min=1))[:, None]
    bins = torch.arange(size, device=start.device) * step[:, None]
    at = start[:, None, None] + bins[:, :, None] + within[:, None]
    last = (cells - 1)[:, None, None]
    counts = (at >= -1) & (at <= last + 1) & (number < points[:, None])[:, None]

    at = at.clamp(min=0)
    low = torch.minimum(at.floor(), last)
    high = torch.minimum(low + 1, last)
    share = torch.where(low == last, torch.zeros_like(at), at - low)
    weight = counts / points.clamp(min=1)[:, None, None]
    return Taps(
        torch.cat([low, high], 2).long(), torch.cat([weight * (1 - share), weight * share], 2)
    )


def pooled(table: Tensor, start: Tensor, width: Tensor, x: Taps, y: Taps) -> Tensor:
    """Cells [M, C], where a box's map begins [N], how wide it is [N], taps -> [N, C, size, size].

    A sum of weighted rows of the table is what `embedding_bag` computes, twenty times as fast as
    the same in parts; ONNX has no such operator, so an exported graph sums row by row of cells.
    """
    if torch.compiler.is_exporting():
        return pooled_by_rows(table, start, width, x, y)
    count, size, across = x.cells.shape
    most = across * y.cells.shape[2]
    first = start[:, None, None] + y.cells * width[:, None, None]
    cells = first[:, :, None, :, None] + x.cells[:, None, :, None]  # [N, size, size, 2 Sy, 2 Sx]
    share = y.weights[:, :, None, :, None] * x.weights[:, None, :, None]
    out = functional.embedding_bag(
        cells.reshape(-1, most),
        table,
        per_sample_weights=share.reshape(-1, most).to(table.dtype),
        mode="sum",
    )
    return out.reshape(count, size, size, table.shape[1]).permute(0, 3, 1, 2)


def pooled_by_rows(table: Tensor, start: Tensor, width: Tensor, x: Taps, y: Taps) -> Tensor:
    """As `pooled`, of indexing and products alone."""
    out = torch.zeros((), dtype=table.dtype, device=table.device)
    for row in range(y.cells.shape[2]):
        first = start[:, None] + y.cells[:, :, row] * width[:, None]
        taken = table[first[:, :, None, None] + x.cells[:, None]]  # [N, size, size, 2 S, C]
        share = y.weights[:, :, row, None, None] * x.weights[:, None]
        out = out + (share[..., None, :] @ taken).squeeze(3)
    return out.permute(0, 3, 1, 2)


def level_of(boxes: Tensor, levels: int, *, finest: int = 2, usual: float = 224.0) -> Tensor:
    """[N, 4] -> [N], which level of a pyramid a box is taken from: 4 for one as large as a picture
    of ImageNet, one less for each halving (Lin et al. 2017, FPN, Eq. 1), counted from the finest.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    level = (4 + torch.log2((sides[:, 0] * sides[:, 1]).sqrt() / usual) + 1e-6).floor()
    return level.clamp(finest, finest + levels - 1).long() - finest
