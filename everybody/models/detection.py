"""What detectors without anchors learn from: which cell answers for which person, and the loss.

Which cells answer for a person is decided by how well they do already (task-aligned assignment,
Feng et al. 2021, TOOD: score · IoU⁶, the best few per person); the score learns the IoU it will
have (varifocal loss, Zhang et al. 2021); sides learn by generalised IoU (Rezatofighi et al. 2019).
People who are neither to find nor false are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .losses import Loss

TOP = 10  # cells that may answer for one person
OVERLAP = 2.0  # how much the sides weigh against the score


def pairwise_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """[..., 4], [..., 4] (broadcast) -> IoU and generalised IoU [...]."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    first, second = ((x[..., 2:] - x[..., :2]).clamp(min=0).prod(-1) for x in (a, b))
    union = first + second - both

    outer_low = torch.minimum(a[..., :2], b[..., :2])
    outer_high = torch.maximum(a[..., 2:], b[..., 2:])
    hull = (outer_high - outer_low).clamp(min=0).prod(-1)
    iou = both / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def within(cells: Tensor, boxes: Tensor, which: Tensor) -> Tensor:
    """Cells [A, 2], boxes [B, M, 4], which of them [B, M] -> [B, M, A]: the cell is in the box."""
    low, high = boxes[:, :, None, :2], boxes[:, :, None, 2:]
    return ((cells > low) & (cells < high)).all(-1) & which[..., None]


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, cells: Tensor, truth: Tensor, real: Tensor, kinds: Tensor
) -> tuple[Tensor, Tensor]:
    """Scores [B, A, C], boxes [B, A, 4], cells' middles [A, 2], people's boxes [B, M, 4], which of
    them are real [B, M], their categories [B, M] -> for every cell its person [B, A] (-1: nobody)
    and the score that it shall learn for that category [B, A].
    """
    iou, _ = pairwise_iou(boxes[:, None], truth[:, :, None])  # [B, M, A]
    inside = within(cells, truth, real)
    own = scores.mT.gather(1, kinds[..., None].expand(-1, -1, scores.shape[1]))  # [B, M, A]
    metric = (own * iou.pow(6)) * inside

    # At first nothing overlaps well: then the cells nearest to the middle answer.
    middle = (truth[..., :2] + truth[..., 2:]) / 2
    near = 1e-9 / (1 + (cells - middle[:, :, None]).square().sum(-1).sqrt())
    metric = metric + near * inside

    best = metric.topk(min(TOP, metric.shape[2]), 2)
    chosen = torch.zeros_like(metric).scatter_(2, best.indices, (best.values > 0).float()) > 0
    owner = (iou * chosen + chosen * 1e-6).max(1)  # of several people, the one it fits best
    person = torch.where(chosen.any(1), owner.indices, -1)

    people = torch.arange(chosen.shape[1], device=chosen.device)[:, None]
    mine = chosen & (people == person[:, None])
    metric, iou = metric * mine, iou * mine
    scaled = metric * (iou.amax(2, keepdim=True) / metric.amax(2, keepdim=True).clamp(min=1e-12))
    return person, scaled.amax(1)


def detection_loss(
    said: tuple[Tensor, Tensor],
    cells: Tensor,
    truth: Tensor,
    real: Tensor,
    ignored: Tensor,
    kinds: Tensor,
) -> Loss:
    """(Logits [B, A, C], boxes [B, A, 4]), middles [A, 2]; people [B, M, 4], real, ignored, their
    categories [B, M] -> (sum, weight).
    """
    logits, boxes = (part.float() for part in said)
    person, target = assign(logits.sigmoid(), boxes, cells, truth, real, kinds)
    positive = person >= 0
    hidden = within(cells, truth, ignored).any(1)
    counts = positive | ~hidden
    kind = kinds.gather(1, person.clamp(min=0))[..., None]
    mine = torch.zeros_like(logits).scatter_(2, kind, 1.0) * positive[..., None] > 0
    wanted = torch.where(mine, target[..., None], 0.0)
    focus = torch.where(mine, wanted, 0.75 * logits.sigmoid().square()) * counts[..., None]
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    score = (entropy * focus.detach()).sum()

    theirs = truth.gather(1, person.clamp(min=0)[..., None].expand(-1, -1, 4))
    _, overlap = pairwise_iou(boxes, theirs)
    sides = ((1 - overlap) * target * positive).sum()
    return score + OVERLAP * sides, target.sum().clamp(min=1.0)
