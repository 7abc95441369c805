"""Learning to find people, or other categories, in whole pictures. The loss is that of
`models/detection.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from .. import geometry
from ..errors import DataError
from ..inputs import IMAGENET
from ..models.detector import cells_of
from ..models.losses import Loss
from ..nms import greedy
from . import augment, spoil, squares
from .about import PEOPLE, About
from .augment import normalised
from .recipe import Recipe
from .shards import Pack, held_back
from .task import OneNetwork


class DetectorTask(OneNetwork):
    """Boxes in letterboxed pictures; scored by AP at IoU 0.5 on what was held back, upright and
    turned by a quarter.
    """

    kind = "pictures"
    usual = 1

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        self.recipe, self.skeleton, self.categories = recipe, pack.skeleton, pack.categories
        self.model = self.row(recipe)
        self.net: Any = self.network(recipe, len(pack.categories))
        back = held_back(pack.names, recipe.held_back)
        if back.all() or not back.any():
            raise DataError(
                f"{len(pack)} pictures are too few to hold {recipe.held_back:.0%} back; "
                "pack more of them"
            )
        self.learnt, self.held = pack.subset(~back), pack.subset(back)
        self.to(torch.device("cpu"))

    @classmethod
    def told(cls, recipe: Recipe, about: About) -> dict[str, Any] | None:
        shown = {"size": (squares.SIDE, squares.SIDE)} | IMAGENET | {"fill": squares.FILL}
        row = {"task": "detector", "layout": "picodet", "nms": 0.6, "input": shown}
        places = {name: place for place, name in enumerate(about.categories)}
        return row | ({} if about.categories == PEOPLE else {"categories": places})

    def __len__(self) -> int:
        return len(self.learnt)

    def to(self, device: torch.device) -> None:
        self.images = torch.from_numpy(self.learnt.images).to(device)
        self.people = _padded(self.learnt, device)
        self.counts = (self.people[2] | self.people[3]).sum(1)

    def placed(self, rows: Tensor, rng: Generator) -> Tensor:
        """Rows -> maps [N, 2, 3] from packed pictures to the network's: scaled, shifted, some
        mirrored.
        """
        recipe, n = self.recipe, len(rows)
        far = [side - 0.5 for side in self.images.shape[2:0:-1]]
        square = torch.tensor([[-0.5, -0.5, *far]], device=rows.device)
        return augment.crops(
            square.expand(n, 4),
            recipe.size,
            padding=recipe.padding,
            flip=augment.chance(n, recipe.flip, rng),
            scale=torch.exp(augment.uniform(n, -recipe.scale, recipe.scale, rng)),
            shift=augment.normal(2 * n, rng).reshape(n, 2) * recipe.shift,
        )

    def changed(self, images: Tensor, rng: Generator) -> Tensor:
        """Pictures [N, 3, h, w] with other colours, blurred, compressed."""
        images = spoil.blur(images, self.recipe.blur, rng)
        images = spoil.jpeg(images, self.recipe.jpeg, rng)
        return spoil.colour(images, self.recipe.colour, rng)

    def augmented(
        self, rows: Tensor, rng: Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Rows -> pictures [N, 3, h, w] in [0, 255], boxes [N, M, 4] from the corner, real, ignored
        and categories [N, M].
        """
        recipe, n = self.recipe, len(rows)
        most = max(1, int(self.counts[rows].max()))  # no more columns than this batch needs
        boxes, keypoints, real, ignored, kinds = (column[rows, :most] for column in self.people)
        angle = augment.angles(
            n, near=recipe.near, anywhere=recipe.anywhere, quarters=recipe.quarters, rng=rng
        )
        about = augment.rotations_about(angle, self.images.shape[2], self.images.shape[1])
        matrices = augment.compose(self.placed(rows, rng), about)
        images = self.changed(augment.warp(self.images[rows], matrices, recipe.size), rng)
        boxes = moved_boxes(boxes, keypoints, matrices)
        return images, *visible(boxes, real, ignored, recipe.size), kinds

    def loss(self, net: nn.Module, rows: Tensor, rng: Generator) -> Loss:
        images, *truth = self.augmented(rows, rng)
        cells = cells_of(self.recipe.size, images.device, self.net.MIDDLE)
        said = net(normalised(images))
        return self.model.loss(self.net, said, cells, *truth)

    def evaluate(self, net: Any) -> dict[str, float]:
        """AP at IoU 0.5 of whole pictures, of several categories their mean: upright; and, if the
        recipe turns pictures, turned by a quarter, and the mean of both.
        """
        device = next(net.parameters()).device
        side = self.held.images.shape[1] // 32 * 32
        size = (side, side)
        scores = []
        turns = self.recipe.anywhere or self.recipe.quarters
        people = _padded(self.held, device)
        for quarter in (0, 1) if turns else (0,):
            found, truths = [], []
            for start in range(0, len(self.held), 32):
                rows = slice(start, start + 32)
                images = torch.from_numpy(self.held.images[rows]).to(device)
                boxes, keypoints, real, ignored, kinds = (column[rows] for column in people)
                matrices = plain(images.shape[1], quarter, size, len(images), device)
                batch = augment.warp(images, matrices, size)
                logits, sides = net(normalised(batch))
                moved, real, ignored = visible(
                    moved_boxes(boxes, keypoints, matrices), real, ignored, size
                )
                found += [
                    (s.sigmoid().cpu().numpy(), b.cpu().numpy())
                    for s, b in zip(logits, sides, strict=True)
                ]
                truths += [
                    tuple(column.cpu().numpy() for column in columns)
                    for columns in zip(moved, real, ignored, kinds, strict=True)
                ]
            scores.append(mean_precision(found, truths))
        both = {"upright": scores[0], "turned": scores[1]} if turns else {}
        return {"ap50": float(np.mean(scores)), **both}


def plain(
    side: int, quarter: int, size: tuple[int, int], count: int, device: torch.device
) -> Tensor:
    """[count, 2, 3]: a square picture turned by so many quarters about its middle and scaled to
    `size`.
    """
    square = torch.tensor([[-0.5, -0.5, side - 0.5, side - 0.5]], device=device).expand(count, 4)
    ones = torch.ones(count, device=device)
    to_canvas = augment.crops(
        square,
        size,
        padding=1.0,
        scale=ones,
        shift=torch.zeros(count, 2, device=device),
        flip=ones < 0,
    )
    return augment.compose(
        to_canvas, augment.rotations_about(ones * quarter * math.pi / 2, side, side)
    )


def moved_boxes(boxes: Tensor, keypoints: Tensor, matrices: Tensor) -> Tensor:
    """People [N, M, 4], [N, M, K, 3] and maps [N, 2, 3] -> boxes [N, M, 4] after the map: around
    the joints with the margin they had, where at least three are labelled, else around the ellipse
    in the box. Quarter turns are exact.
    """
    n, m = boxes.shape[:2]
    each = matrices.repeat_interleave(m, 0)
    flat, points = boxes.reshape(-1, 4), keypoints.reshape(n * m, -1, 3)
    corners = torch.stack([flat[:, [0, 1]], flat[:, [2, 1]], flat[:, [2, 3]], flat[:, [0, 3]]], 1)
    around = augment.extents(
        torch.cat([augment.move(corners, each), torch.ones_like(corners[..., :1])], 2)
    )
    middle, half = (around[:, :2] + around[:, 2:]) / 2, (flat[:, 2:] - flat[:, :2]) / 2
    reach = (each[:, :, :2] * half[:, None]).norm(dim=2)
    ellipse = torch.cat([middle - reach, middle + reach], 1)
    scale = each[:, :, 0].norm(dim=1, keepdim=True)
    before, after = augment.extents(points), augment.extents(augment.move(points, each))
    margin = (
        torch.cat([before[:, :2] - flat[:, :2], flat[:, 2:] - before[:, 2:]], 1)
        .mean(1, keepdim=True)
        .clamp(min=0)
    )
    tight = torch.cat([after[:, :2] - margin * scale, after[:, 2:] + margin * scale], 1)
    tight = torch.cat(
        [torch.maximum(tight[:, :2], around[:, :2]), torch.minimum(tight[:, 2:], around[:, 2:])], 1
    )
    enough = ((points[..., 2] > 0).sum(1) >= 3)[:, None]
    upright = ((each[:, 0, 1].abs() < 1e-6) | (each[:, 0, 0].abs() < 1e-6))[
        :, None
    ]  # quarters turn boxes exactly
    return torch.where(upright, around, torch.where(enough, tight, ellipse)).reshape(n, m, 4)


def visible(
    boxes: Tensor, real: Tensor, ignored: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes [N, M, 4] under the coordinate law, real, ignored -> cut to the canvas and counted from
    its corner. A person with less than a third left is neither to find nor false; one outside the
    canvas is neither real nor ignored.
    """
    limit = boxes.new_tensor([*size, *size])
    whole = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
    boxes = torch.minimum((boxes + 0.5).clamp(min=0), limit)
    left = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    share = left.prod(-1) / whole.clamp(min=1e-6)
    there = left.amin(-1) >= 2
    return (
        boxes,
        real & there & (share >= 1 / 3),
        (ignored & there) | (real & there & (share < 1 / 3)),
    )


def _padded(pack: Pack, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A pack's people in columns per picture: boxes [N, M, 4], keypoints [N, M, K, 3], real,
    ignored and categories [N, M].
    """
    counts = np.bincount(pack.picture, minlength=len(pack))
    most = max(1, int(counts.max(initial=0)))
    order = np.argsort(pack.picture, kind="stable")
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = pack.picture[order], place
    boxes = np.zeros((len(pack), most, 4), np.float32)
    keypoints = np.zeros((len(pack), most, len(pack.skeleton), 3), np.float32)
    real, ignored = np.zeros((2, len(pack), most), bool)
    kinds = np.zeros((len(pack), most), np.int64)
    boxes[at], keypoints[at] = pack.boxes[order], pack.keypoints[order]
    real[at], ignored[at] = ~pack.ignored[order], pack.ignored[order]
    kinds[at] = pack.kinds[order]
    return tuple(
        torch.from_numpy(column).to(device) for column in (boxes, keypoints, real, ignored, kinds)
    )  # type: ignore[return-value]


def mean_precision(
    found: list[tuple[NDArray[Any], NDArray[Any]]], truths: list[tuple[NDArray[Any], ...]]
) -> float:
    """Per picture scores [A, C] and boxes [A, 4]; truth [M, 4], real, ignored and categories [M] ->
    the mean `average_precision` of the categories that are there to find. Whom a category ignores,
    all do.
    """
    values = []
    for kind in range(found[0][0].shape[1]):
        wanted = [(boxes, real & (kinds == kind), away) for boxes, real, away, kinds in truths]
        if any(real.any() for _, real, _ in wanted):
            of_kind = [(scores[:, kind], boxes) for scores, boxes in found]
            values.append(average_precision(of_kind, wanted))
    return float(np.mean(values)) if values else 0.0


def average_precision(
    found: list[tuple[NDArray[Any], NDArray[Any]]],
    truths: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]],
    *,
    iou: float = 0.5,
    least: float = 0.02,
) -> float:
    """Per picture scores [A] and boxes [A, 4]; truth [M, 4], real [M], ignored [M] -> AP at one
    IoU, over all points of the curve. The most confident box first, each takes the person that it
    overlaps best; a box on an ignored person does not count.
    """
    hits: list[tuple[float, bool]] = []
    total = 0
    for (scores, boxes), (truth, real, ignored) in zip(found, truths, strict=True):
        total += int(real.sum())
        kept = np.flatnonzero(scores >= least)
        kept = kept[np.argsort(-scores[kept])][:300]
        kept = kept[greedy(geometry.iou(boxes[kept], boxes[kept]), scores[kept], 0.6)]
        overlap = geometry.iou(boxes[kept], truth)
        taken = np.zeros(len(truth), bool)
        for number, score in enumerate(scores[kept]):
            fits = np.where(real & ~taken, overlap[number], 0)
            best = int(fits.argmax()) if len(fits) else 0
            if len(fits) and fits[best] >= iou:
                taken[best] = True
                hits.append((float(score), True))
            elif not (ignored & (overlap[number] >= 0.3)).any():
                hits.append((float(score), False))
    if not hits or not total:
        return 0.0
    right = np.array([hit for _, hit in sorted(hits, key=lambda pair: -pair[0])])
    recall, precision = right.cumsum() / total, right.cumsum() / np.arange(1, len(right) + 1)
    return float(np.sum(np.diff(recall, prepend=0) * np.maximum.accumulate(precision[::-1])[::-1]))
