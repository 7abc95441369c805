"""Learning to find people, or other categories, in whole pictures. The loss is that of
`models/detection.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from .. import geometry
from ..inputs import IMAGENET
from ..models.detector import cells_of
from ..models.losses import Loss
from ..nms import greedy
from . import augment, squares
from .about import PEOPLE, About
from .augment import normalised
from .pictures import PictureTask, moved_boxes, padded, plain, visible
from .recipe import Recipe


class DetectorTask(PictureTask):
    """Boxes in letterboxed pictures; scored by AP at IoU 0.5 on what was held back, upright and
    turned by a quarter.
    """

    kind = "pictures"
    usual = 1

    @classmethod
    def told(cls, recipe: Recipe, about: About) -> dict[str, Any] | None:
        shown = {"size": (squares.SIDE, squares.SIDE)} | IMAGENET | {"fill": squares.FILL}
        row = {"task": "detector", "layout": "picodet", "nms": 0.6, "input": shown}
        places = {name: place for place, name in enumerate(about.categories)}
        return row | ({} if about.categories == PEOPLE else {"categories": places})

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
        people = padded(self.held, device)
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
    pictures = []
    for (scores, boxes), (truth, real, ignored) in zip(found, truths, strict=True):
        kept = np.flatnonzero(scores >= least)
        kept = kept[np.argsort(-scores[kept])][:300]
        kept = kept[greedy(geometry.iou(boxes[kept], boxes[kept]), scores[kept], 0.6)]
        overlap = geometry.iou(boxes[kept], truth)
        away = (ignored & (overlap >= 0.3)).any(1)
        pictures.append((scores[kept], overlap * real, away, int(real.sum())))
    return precision_of(pictures, iou)


def precision_of(
    pictures: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any], int]], enough: float
) -> float:
    """Per picture scores [N] of what was found, its likeness to each person [N, M], whether it is
    neither right nor false if it is like nobody [N], and how many people there are to find -> the
    area under the curve of precision over recall. The most confident first, each takes the person
    that it is most like, if `enough`.
    """
    hits: list[tuple[float, bool]] = []
    for scores, likeness, away, _ in pictures:
        taken = np.zeros(likeness.shape[1], bool)
        for place in np.argsort(-scores, kind="stable"):
            fits = np.where(taken, 0, likeness[place])
            best = int(fits.argmax()) if len(fits) else 0
            if len(fits) and fits[best] >= enough:
                taken[best] = True
                hits.append((float(scores[place]), True))
            elif not away[place]:
                hits.append((float(scores[place]), False))
    total = sum(count for *_, count in pictures)
    if not hits or not total:
        return 0.0
    right = np.array([hit for _, hit in sorted(hits, key=lambda pair: -pair[0])])
    recall, precision = right.cumsum() / total, right.cumsum() / np.arange(1, len(right) + 1)
    return float(np.sum(np.diff(recall, prepend=0) * np.maximum.accumulate(precision[::-1])[::-1]))
