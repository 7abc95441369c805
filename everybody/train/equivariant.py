"""A detector learns to see turned pictures as a teacher sees them upright: f(turned x) = turned
f(x).

The teacher is the network that training starts from. On upright pictures the two agree to begin
with, so nothing pulls the network away from what it knows. (The same labels as boxes, made hard by
a threshold, raised scores everywhere within a hundred steps.) Soft answers of one network to
several views as the target of one view come from Radosavovic et al. (2018, data distillation).
Every cell learns, also that a cow is nobody (Hinton et al. 2015).

Where the teacher is sure of the turned picture itself, its answer there counts: a person who lies
in the picture stands in the turned one. Pictures on which nobody is labelled hold nobody, whatever
the teacher says.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from ..errors import OptionError
from ..models.detection import OVERLAP, pairwise_iou
from ..models.detector import STRIDES, cells_of
from ..models.losses import Loss
from . import augment, checkpoint
from .augment import normalised
from .detect import DetectorTask
from .pictures import moved_boxes
from .recipe import Recipe
from .shards import Pack

SURE = 0.5  # the teacher's score above which its answer to the turned picture counts
FOUND = 0.1  # and above which its boxes do


class EquivariantTask(DetectorTask):
    """`DetectorTask` with a teacher's answers in the place of boxes; scored alike."""

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        if recipe.size[0] != recipe.size[1]:
            raise OptionError(f"size {recipe.size}: pictures that turn are square")
        super().__init__(recipe, pack)
        if not recipe.start:
            raise OptionError(
                "this recipe needs what it starts from as its teacher: --set start=FILE"
            )
        self._teacher: Any = None

    @property
    def teacher(self) -> Any:
        """The network as it was at the start. It is read when it is first asked: to score or to
        export needs none.
        """
        if self._teacher is None:
            self._teacher = checkpoint.as_started(self.recipe.start, self.net, self.model)
        return self._teacher.to(self.images.device)

    def loss(self, net: nn.Module, rows: Tensor, rng: Generator) -> Loss:
        recipe, n = self.recipe, len(rows)
        upright = self.placed(rows, rng)
        angle = augment.angles(
            n, near=0.0, anywhere=recipe.anywhere, quarters=recipe.quarters, rng=rng
        )
        about = augment.rotations_about(angle, *recipe.size)
        seen = augment.warp(self.images[rows], upright, recipe.size)
        shown = augment.warp(self.images[rows], augment.compose(about, upright), recipe.size)
        with torch.no_grad():
            score, boxes, known = self.taught(seen, shown, angle, about)
        score = score * (self.counts[rows] > 0)[:, None]
        said, found = net(normalised(self.changed(shown, rng)))
        return imitation(said[..., 0], found, score, boxes, known)

    def taught(
        self, seen: Tensor, shown: Tensor, angle: Tensor, about: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same pictures as they were and turned [N, 3, s, s], the angles [N] and maps [N, 2, 3]
        of the turns -> the teacher's scores [N, A] and boxes [N, A, 4] for the turned pictures, and
        which cells it knows [N, A].
        """
        logits, boxes = self.teacher(normalised(seen))
        place, known = sources(about, self.recipe.size[0], self.net.MIDDLE)
        score = logits[..., 0].sigmoid().gather(1, place)
        turned = boxes.gather(1, place[..., None].expand(-1, -1, 4)) - 0.5
        turned = moved_boxes(turned, turned.new_zeros(*turned.shape[:2], 1, 3), about) + 0.5
        rows = angle.nonzero()[:, 0]
        if len(rows):
            logits, boxes = self.teacher(normalised(shown[rows]))
            itself = logits[..., 0].sigmoid()
            better = (itself > SURE) & (itself > score[rows] * known[rows])
            score[rows] = torch.where(better, itself, score[rows])
            turned[rows] = torch.where(better[..., None], boxes, turned[rows])
            known[rows] |= better
        return score, turned, known


def sources(about: Tensor, side: int, middle: float) -> tuple[Tensor, Tensor]:
    """Maps [N, 2, 3] of a square picture -> for each of its cells after the map, the nearest cell
    before [N, A], and whether there is one [N, A].
    """
    at = cells_of((side, side), about.device, middle)
    back = augment.move((at - 0.5).expand(len(about), -1, -1), augment.inverse(about)) + 0.5
    places, known, first = [], [], 0
    for stride in STRIDES:
        across = side // stride
        cell = (back[:, first : first + across**2] / stride - middle).round().long()
        known.append(((cell >= 0) & (cell < across)).all(2))
        cell = cell.clamp(0, across - 1)
        places.append(first + cell[..., 1] * across + cell[..., 0])
        first += across**2
    return torch.cat(places, 1), torch.cat(known, 1)


def imitation(logits: Tensor, boxes: Tensor, score: Tensor, target: Tensor, known: Tensor) -> Loss:
    """Logits [N, A], boxes [N, A, 4]; the teacher's scores, boxes and what it knows [N, A] -> (sum,
    weight): the divergence of the scores, and generalised IoU where a person is. 0 where both
    agree.
    """
    entropy = functional.binary_cross_entropy(score, score, reduction="none")
    divergence = (
        functional.binary_cross_entropy_with_logits(logits.float(), score, reduction="none")
        - entropy
    )
    _, overlap = pairwise_iou(boxes.float(), target)
    weight = score * known
    sides = ((1 - overlap) * weight * (score > FOUND)).sum()
    return (divergence * known).sum() + OVERLAP * sides, weight.sum().clamp(min=1.0)
