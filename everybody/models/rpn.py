"""Region proposal network (Ren et al. 2015, Faster R-CNN, § 3; pyramid: Lin et al. 2017, § 4.1).

At each cell of each level, anchors of one size and three shapes; a small head, shared by the
levels, says for each how surely an object is there and how its box differs. The surest of each
level go through suppression; the surest of what is left are the proposals. Parameter names are
torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .box_deltas import clipped, decoded
from .suppression import kept

SIZES = (32, 64, 128, 256, 512)  # sides of the anchors in pixels, level by level
SHAPES = (0.5, 1.0, 2.0)  # height / width


class RPNHead(nn.Module):
    """Levels [B, C, h, w] -> per level, objectness [B, A, h, w] and deltas [B, 4 A, h, w]."""

    def __init__(self, width: int, anchors: int) -> None:
        super().__init__()
        first = nn.Conv2d(width, width, 3, padding=1)
        self.conv = nn.Sequential(nn.Sequential(first, nn.ReLU()))
        self.cls_logits = nn.Conv2d(width, anchors, 1)
        self.bbox_pred = nn.Conv2d(width, 4 * anchors, 1)
        for layer in (first, self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        seen = [self.conv(level) for level in levels]
        return [self.cls_logits(x) for x in seen], [self.bbox_pred(x) for x in seen]


class RPN(nn.Module):
    """Levels of a pyramid -> proposals. `before` and `after`: how many of each level go into the
    suppression, how many of all come out.
    """

    def __init__(
        self,
        width: int,
        *,
        sizes: Sequence[float] = SIZES,
        shapes: Sequence[float] = SHAPES,
        before: int = 1000,
        after: int = 1000,
        nms: float = 0.7,
    ) -> None:
        super().__init__()
        self.sizes, self.shapes = tuple(sizes), tuple(shapes)
        self.before, self.after, self.nms = before, after, nms
        self.head = RPNHead(width, len(self.shapes))

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return self.head(levels)

    def anchors(self, levels: Sequence[Tensor], size: tuple[int, int]) -> list[Tensor]:
        """Levels, the picture's (height, width) -> per level [h · w · A, 4], cell by cell."""
        return [
            grid_anchors(level, size, side, self.shapes)
            for level, side in zip(levels, self.sizes, strict=True)
        ]

    def proposals(
        self,
        objectness: Sequence[Tensor],
        deltas: Sequence[Tensor],
        anchors: Sequence[Tensor],
        size: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """What the head says of each level, anchors, the picture's (height, width) -> boxes
        [B, P, 4], the surest first, and scores [B, P]; places that nobody takes score -1.
        """
        rows = [self.surest(*level) for level in zip(objectness, deltas, anchors, strict=True)]
        most = max(scores.shape[1] for scores, _ in rows)
        scores = torch.stack([filled(scores, most, -1.0) for scores, _ in rows], 1)  # [B, L, most]
        moved, of = torch.stack([filled(both, most, 0.0) for _, both in rows], 1).split(4, -1)
        boxes = clipped(decoded(moved, of), *size)

        sides = boxes[..., 2:] - boxes[..., :2]
        alive = (scores >= 0) & (sides >= 1e-3).all(-1)
        stay = kept(boxes.flatten(0, 1), self.nms, alive.flatten(0, 1)).reshape(alive.shape)

        scores = torch.where(stay, scores, -1.0).flatten(1)
        scores, best = scores.topk(min(self.after, scores.shape[1]))
        return boxes.flatten(1, 2).gather(1, best[..., None].expand(-1, -1, 4)), scores

    def surest(self, objectness: Tensor, deltas: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """One level -> the scores of its `before` surest [B, k], their deltas and anchors
        [B, k, 4 + 4].
        """
        logits, deltas = by_anchor(objectness, 1)[..., 0], by_anchor(deltas, 4)
        logits, best = logits.topk(min(self.before, logits.shape[1]))
        deltas = deltas.gather(1, best[..., None].expand(-1, -1, 4))
        return logits.sigmoid(), torch.cat([deltas, anchors[best]], 2)


def by_anchor(said: Tensor, numbers: int) -> Tensor:
    """[B, A · numbers, h, w] -> [B, h · w · A, numbers], in the anchors' order."""
    batch, channels, height, width = said.shape
    split = said.reshape(batch, channels // numbers, numbers, height, width)
    return split.permute(0, 3, 4, 1, 2).flatten(1, 3)


def filled(x: Tensor, most: int, value: float) -> Tensor:
    """[B, k, ...] -> [B, most, ...]"""
    pad = [0, 0] * (x.dim() - 2) + [0, most - x.shape[1]]
    return functional.pad(x, pad, value=value)


def grid_anchors(
    level: Tensor, size: tuple[int, int], side: float, shapes: Sequence[float]
) -> Tensor:
    """[..., h, w] of a picture of (height, width) -> [h · w · A, 4] xyxy: at each cell's corner,
    boxes of area side² and the given shapes, rounded to pixels.
    """
    rows, columns = level.shape[-2:]
    stretch = torch.tensor(shapes, device=level.device).sqrt()
    half = torch.stack([side / stretch, side * stretch], 1) / 2
    base = torch.cat([-half, half], 1).round()

    y = torch.arange(rows, device=level.device) * (size[0] // rows)
    x = torch.arange(columns, device=level.device) * (size[1] // columns)
    corner = torch.stack([x[None].expand(rows, -1), y[:, None].expand(-1, columns)], 2)
    return (corner.repeat(1, 1, 2).reshape(-1, 1, 4) + base).reshape(-1, 4)
