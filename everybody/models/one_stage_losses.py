"""How detectors without anchors learn: which cells answer for which person, and with what.

Assignment (SimOTA; Ge et al. 2021, YOLOX, § 2.1): a cell may answer for a person if it lies in the
person's box or near its middle; it costs what it says wrongly now,

    cost(cell, person) = cross-entropy of the score + 3 · (-log likeness) + 10⁵ where not in both

and each person takes its k cheapest cells, k being the sum of its ten greatest likenesses. A cell
that two people take goes to the cheaper. The likeness is the overlap of the boxes (YOLOX), or the
OKS of the joints (RTMO, Lu et al. 2024, § 3.4).

Every loss is (sum, weight), as in `losses.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .dcc import region_of
from .detector import STRIDES, centres
from .picture_truth import Truth
from .rtmo import RtmoNet, Said
from .suppression import area, overlap
from .yolox import boxes as yolox_boxes

Loss = tuple[Tensor, Tensor]
NOBODY = -1
NEAR = 2.5  # strides from a box's middle
FORBIDDEN = 1e5


def assigned(
    logits: Tensor, likeness: Tensor, at: Tensor, strides: Tensor, boxes: Tensor
) -> Tensor:
    """Scores [A], likeness of what cells say to people [A, P], cells' places [A, 2] and strides
    [A], people's boxes [P, 4] -> [A]: the person that each answers for, or NOBODY.
    """
    owner = torch.full_like(strides, NOBODY, dtype=torch.long)
    if not len(boxes):
        return owner
    inside = ((at[:, None] > boxes[:, :2]) & (at[:, None] < boxes[:, 2:])).all(2)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    near = ((at[:, None] - middle).abs() < NEAR * strides[:, None, None]).all(2)
    allowed = (inside | near).any(1).nonzero()[:, 0]
    if not len(allowed):
        return owner

    likeness, both = likeness[allowed], (inside & near)[allowed]
    cost = functional.softplus(-logits[allowed].float())[:, None]
    cost = cost - 3 * likeness.clamp(min=1e-8).log() + FORBIDDEN * ~both

    count = min(10, len(allowed))
    wanted = likeness.topk(count, 0).values.sum(0).int().clamp(1, count)
    rank = cost.argsort(0).argsort(0)
    taken = torch.where(rank < wanted, cost, float("inf"))
    best, person = taken.min(1)
    owner[allowed] = torch.where(best.isfinite(), person, NOBODY)
    return owner


def oks(a: Tensor, b: Tensor, areas: Tensor, sigmas: Tensor) -> Tensor:
    """Joints [..., K, 2], those labelled [..., K, 3], areas [...], sigmas [K] -> [...]; 0 where
    none is labelled.
    """
    apart = (a - b[..., :2]).square().sum(-1)
    near = (-apart / (2 * areas.clamp(min=1)[..., None] * (2 * sigmas) ** 2)).exp()
    weight = (b[..., 2] > 0).to(a.dtype)
    return (near * weight).sum(-1) / weight.sum(-1).clamp(min=1)


def one_overlap(a: Tensor, b: Tensor) -> Tensor:
    """[M, 4], [M, 4] -> [M] intersection over union."""
    return overlap(a[:, None], b[:, None])[:, 0, 0]


def varifocal(logits: Tensor, wanted: Tensor) -> Tensor:
    """[...], [...] -> [...]: cross-entropy; those that should score count as much as they should,
    the others the more, the surer they are (Zhang et al. 2021, Eq. 2; α = 3/4, γ = 2).
    """
    weight = torch.where(wanted > 0, wanted, 0.75 * logits.detach().sigmoid().square())
    return weight * functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


def density_loss(
    said: tuple[Tensor, Tensor],
    places: tuple[Tensor, Tensor],
    joints: Tensor,
    deviation: Tensor,
    areas: Tensor,
) -> Loss:
    """Log-probabilities of bins of x and y [M, K, bins], where they are [M, bins], joints
    [M, K, 3], how far off each is thought to be [M, K], areas [M] -> (sum, weight).

    The negative log-likelihood that the joint was drawn from a bin and strayed from it by a Laplace
    distribution of that deviation (Lu et al. 2024, § 3.3); the more it strays, the less it tells.
    """
    sigma = deviation.clamp(min=1e-3)[..., None]
    side = areas.clamp(min=1).sqrt()[:, None, None]
    total = torch.zeros_like(deviation)
    for axis in (0, 1):
        apart = (joints[..., axis, None] - places[axis][:, None]).abs() / (side * sigma)
        total = total - torch.logsumexp(said[axis] - apart / 2 - sigma.log(), 2)
    weight = (joints[..., 2] > 0).to(total.dtype)
    return (total * weight).sum(), weight.sum()


def rtmo_losses(
    net: RtmoNet, said: Said, truth: Sequence[Truth], sigmas: Tensor
) -> dict[str, Loss]:
    """What the network says of pictures, who is in each (with keypoints), OKS sigmas [K] -> its
    losses by name.
    """
    owners, wanted = [], torch.zeros_like(said.scores)
    for picture, own in enumerate(truth):
        with torch.no_grad():
            proxies = said.proxies[picture][:, None]
            likeness = oks(proxies, _keypoints(own)[None], area(own.boxes)[None], sigmas)
            scores = said.scores[picture]
            owner = assigned(scores, likeness, said.at, said.strides, own.boxes)
        cells = (owner >= 0).nonzero()[:, 0]
        wanted[picture, cells] = likeness[cells, owner[cells]].sqrt()
        owners.append(owner)

    image, cell = (torch.stack(owners) >= 0).nonzero().unbind(1)
    person = torch.stack(owners)[image, cell]
    pairs = list(zip(image.tolist(), person.tolist(), strict=True))
    count = said.scores.new_tensor(float(max(len(pairs), 1)))
    losses = {"scores": (varifocal(said.scores, wanted).sum(), count)}
    if not pairs:
        return losses

    boxes = torch.stack([truth[i].boxes[p] for i, p in pairs])
    joints = torch.stack([_keypoints(truth[i])[p] for i, p in pairs])
    areas, found = area(boxes), said.boxes[image, cell]
    losses["boxes"] = ((1 - one_overlap(found, boxes).square()).sum(), count)
    near = oks(said.proxies[image, cell], joints, areas, sigmas)
    losses["proxies"] = ((1 - near).sum(), count)

    labelled = joints[..., 2] > 0
    seen = functional.binary_cross_entropy_with_logits(
        said.visible[image, cell], labelled.to(areas.dtype), reduction="sum"
    )
    losses["visible"] = seen, count * net.joints

    if len(pairs) == 1:  # one cell has no mean and deviation: the joints wait for a fuller batch
        return losses
    dcc, poses, region = net.head.dcc, said.poses[image, cell], region_of(found)
    bins = dcc(poses, said.at[cell], region)
    places = dcc.places(region, 0), dcc.places(region, 1)
    losses["joints"] = density_loss(bins, places, joints, dcc.deviation(poses), areas)
    return losses


def _keypoints(truth: Truth) -> Tensor:
    assert truth.keypoints is not None, "RTMO learns from keypoints"
    return truth.keypoints


def yolox_losses(said: Tensor, size: tuple[int, int], truth: Sequence[Truth]) -> dict[str, Loss]:
    """What YOLOX says [B, A, 5 + classes] of pictures of (height, width), who is in each; boxes
    count from the corner -> its losses by name.
    """
    centre, sides = yolox_boxes(said, size).split(2, 2)
    boxes = torch.cat([centre - sides / 2, centre + sides / 2], 2)
    grids = [centres(size[0] // s, size[1] // s, s, said.device) for s in STRIDES]
    at = torch.cat(grids)
    strides = torch.cat([torch.full_like(g[:, 0], s) for g, s in zip(grids, STRIDES, strict=True)])

    there, fit, classes = torch.zeros_like(said[..., 4]), [], []
    for picture, own in enumerate(truth):
        with torch.no_grad():
            likeness = overlap(boxes[picture], own.boxes)
            owner = assigned(said[picture, :, 4], likeness, at, strides, own.boxes)
        cells = (owner >= 0).nonzero()[:, 0]
        there[picture, cells] = 1
        shared = one_overlap(boxes[picture, cells], own.boxes[owner[cells]])
        fit.append(1 - shared.square())
        kind = functional.one_hot(own.labels[owner[cells]] - 1, said.shape[2] - 5)
        target = kind * shared.detach()[:, None]
        logits = said[picture, cells, 5:]
        classes.append(
            functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
        )

    count = there.sum().clamp(min=1)
    cross = functional.binary_cross_entropy_with_logits(said[..., 4], there, reduction="sum")
    fits, kinds = torch.cat(fit).sum(), torch.cat(classes).sum()
    return {"objectness": (cross, count), "boxes": (fits, count), "classes": (kinds, count)}
