"""How a region network learns (Ren et al. 2015, § 3.1.2 and Eq. 1; He et al. 2017, § 3 and § 5).

Anchors and proposals are matched with the people of their picture by overlap; of each picture a
sample is drawn, so that the many empty ones do not drown the few that hold somebody. What the heads
say of the sample is compared with:

    objectness, class      cross-entropy
    deltas of a box        smooth L1 (Girshick 2015, Eq. 3), of matched ones alone
    a joint                cross-entropy of a softmax over the 56 × 56 cells of its box
    mask                   binary cross-entropy over the 28 × 28 cells, of its own class alone

Every loss is (sum, weight), as in `losses.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .box_deltas import HEAD_WEIGHTS, encoded
from .keypoint_rcnn import KeypointRCNN
from .picture_truth import Truth
from .roi_align import roi_align
from .roi_heads import BOX_CELLS, KEYPOINT_CELLS, MASK_CELLS
from .rpn import by_anchor
from .suppression import overlap

Loss = tuple[Tensor, Tensor]
NOBODY, UNSURE = -1, -2


def matched(
    anchors: Tensor, truth: Truth, *, low: float, high: float, rescue: bool = False
) -> Tensor:
    """Anchors [A, 4], who is there -> [A]: whose box each covers by at least `high` IoU; NOBODY's
    below `low`, UNSURE between, and where it covers somebody by `low` who is neither to find nor
    false. rescue: the best anchor of everybody is theirs anyhow.
    """
    found = torch.full_like(anchors[:, 0], NOBODY, dtype=torch.long)
    if truth.unsure is not None and len(truth.unsure):
        found[overlap(anchors, truth.unsure).max(1).values >= low] = UNSURE
    if not len(truth.boxes):
        return found
    likeness = overlap(anchors, truth.boxes)
    best, owner = likeness.max(1)
    found = torch.where(best >= high, owner, torch.where(best < low, found, UNSURE))
    if rescue:
        top = likeness.max(0).values
        found = torch.where(((likeness == top) & (top > 0)).any(1), owner, found)
    return found


def sampled(owner: Tensor, count: int, share: float, rng: torch.Generator) -> Tensor:
    """Owners [A] -> indices of at most `count`, at most `share` of them of people."""
    some, none = (owner >= 0).nonzero()[:, 0], (owner == NOBODY).nonzero()[:, 0]

    def shuffled(index: Tensor) -> Tensor:
        return index[torch.randperm(len(index), generator=rng, device=index.device)]

    some = shuffled(some)[: int(count * share)]
    return torch.cat([some, shuffled(none)[: count - len(some)]])


def box_loss(said: Tensor, wanted: Tensor, count: int, beta: float = 1 / 9) -> Loss:
    """Deltas [M, 4] of matched boxes, those wanted, how many were sampled -> (sum, weight)."""
    loss = functional.smooth_l1_loss(said.float(), wanted, beta=beta, reduction="sum")
    return loss, said.new_tensor(float(max(count, 1)))


def keypoint_loss(logits: Tensor, keypoints: Tensor, boxes: Tensor) -> Loss:
    """Logits [M, K, h, w] over boxes [M, 4], keypoints [M, K, 3] of the people in them ->
    (sum, weight): joints of weight 0, and those outside their box, do not count.
    """
    height, width = logits.shape[2:]
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6)
    cells = (keypoints[..., :2] - boxes[:, None, :2]) / sides[:, None]
    cells = (cells * cells.new_tensor([width, height])).floor().long()
    inside = (cells >= 0).all(-1) & (cells[..., 0] < width) & (cells[..., 1] < height)
    weight = (inside & (keypoints[..., 2] > 0)).to(logits.dtype)

    target = (cells[..., 1] * width + cells[..., 0]) * inside
    loss = -logits.flatten(2).log_softmax(2).gather(2, target[..., None])[..., 0]
    return (loss * weight).sum(), weight.sum()


def mask_loss(logits: Tensor, labels: Tensor, masks: Tensor, boxes: Tensor) -> Loss:
    """Logits [M, classes, h, h], classes [M], masks [M, H, W] of the people in the boxes [M, 4] ->
    (sum, weight) over the cells of the own class.
    """
    own = logits[torch.arange(len(labels)), labels]
    place = torch.arange(len(boxes), device=boxes.device)
    size = logits.shape[2]
    wanted = roi_align(
        masks[:, None].to(logits.dtype), boxes, place, size=size, scales=[1.0], sampling=2
    )[:, 0]
    loss = functional.binary_cross_entropy_with_logits(own, wanted, reduction="sum")
    return loss, logits.new_tensor(float(own.numel()))


def rpn_losses(
    objectness: Sequence[Tensor],
    deltas: Sequence[Tensor],
    anchors: Sequence[Tensor],
    truth: Sequence[Truth],
    count: int,
    rng: torch.Generator,
) -> dict[str, Loss]:
    """What the proposal network says of every level, who is there, how many anchors of each picture
    are learnt from -> its two losses.
    """
    logits = torch.cat([by_anchor(level, 1)[..., 0] for level in objectness], 1)
    moved = torch.cat([by_anchor(level, 4) for level in deltas], 1)
    every = torch.cat(list(anchors))

    said, wanted, shifts, targets = [], [], [], []
    for picture, own in enumerate(truth):
        owner = matched(every, own, low=0.3, high=0.7, rescue=True)
        index = sampled(owner, count, 0.5, rng)
        said.append(logits[picture, index])
        wanted.append((owner[index] >= 0).to(logits.dtype))
        index = index[owner[index] >= 0]
        shifts.append(moved[picture, index])
        targets.append(encoded(own.boxes[owner[index]], every[index]))

    all_of_them = sum(map(len, said))
    loss = functional.binary_cross_entropy_with_logits(
        torch.cat(said).float(), torch.cat(wanted).float(), reduction="sum"
    )
    return {
        "objectness": (loss, loss.new_tensor(float(all_of_them))),
        "proposals": box_loss(torch.cat(shifts), torch.cat(targets), all_of_them),
    }


class Sample(NamedTuple):
    """Proposals to learn from, of all pictures."""

    boxes: Tensor  # [N, 4]
    image: Tensor  # [N]
    owner: Tensor  # [N] whose, in their picture; NOBODY
    labels: Tensor  # [N] class; 0 of nobody's
    targets: Tensor  # [N, 4] the owner's box


def sample_of(
    proposals: Tensor, truth: Sequence[Truth], count: int, rng: torch.Generator
) -> Sample:
    """Proposals [B, P, 4], who is there -> `count` per picture, a quarter of them of people; the
    people's own boxes are proposals too.
    """
    rows = []
    for picture, own in enumerate(truth):
        boxes = torch.cat([proposals[picture], own.boxes])
        owner = matched(boxes, own, low=0.5, high=0.5)
        index = sampled(owner, count, 0.25, rng)
        boxes, owner = boxes[index], owner[index]
        theirs = owner.clamp(min=0)
        padded = torch.cat([own.boxes, own.boxes.new_zeros(1, 4)])  # nobody there: no index 0
        labels = torch.cat([own.labels, own.labels.new_zeros(1)])[theirs] * (owner >= 0)
        rows.append((boxes, torch.full_like(owner, picture), owner, labels, padded[theirs]))
    return Sample(*(torch.cat(column) for column in zip(*rows, strict=True)))


def rcnn_losses(
    net: KeypointRCNN, image: Tensor, truth: Sequence[Truth], rng: torch.Generator
) -> dict[str, Loss]:
    """The network, pictures [B, 3, H, W], who is in each -> all its losses by name."""
    size = image.shape[2], image.shape[3]
    levels = net.backbone(image)
    objectness, deltas = net.rpn(levels)
    anchors = net.rpn.anchors(levels, size)
    of_anchors, of_proposals = net.drawn
    losses = rpn_losses(objectness, deltas, anchors, truth, of_anchors, rng)
    with torch.no_grad():
        proposals, _ = net.rpn.proposals(objectness, deltas, anchors, size)
    sample = sample_of(proposals, truth, of_proposals, rng)

    cut = net.roi_heads.regions(levels[:-1], sample.boxes, sample.image, BOX_CELLS, size[0])
    logits, moved = net.roi_heads.boxes(cut)
    count = len(sample.labels)
    loss = functional.cross_entropy(logits.float(), sample.labels, reduction="sum")
    losses["classes"] = loss, loss.new_tensor(float(count))
    some = (sample.owner >= 0).nonzero()[:, 0]
    own = moved.unflatten(1, (-1, 4))[some, sample.labels[some]]
    wanted = encoded(sample.targets[some], sample.boxes[some], HEAD_WEIGHTS)
    losses["boxes"] = box_loss(own, wanted, count)

    return losses | described_losses(net, levels, sample, truth, some, size[0])


def described_losses(
    net: KeypointRCNN,
    levels: Sequence[Tensor],
    sample: Sample,
    truth: Sequence[Truth],
    some: Tensor,
    height: int,
) -> dict[str, Loss]:
    """Losses of keypoints and masks, of the boxes `some` of the sample, which are of people."""
    boxes, image, owner = sample.boxes[some], sample.image[some], sample.owner[some]

    def of_owners(what: str) -> Tensor:
        rows = [getattr(truth[int(i)], what)[j] for i, j in zip(image, owner, strict=True)]
        return torch.stack(rows)

    losses: dict[str, Loss] = {}
    if not len(some):
        return losses
    if net.roi_heads.joints:
        cut = net.roi_heads.regions(levels[:-1], boxes, image, KEYPOINT_CELLS, height)
        said = net.roi_heads.keypoints(cut)
        losses["keypoints"] = keypoint_loss(said, of_owners("keypoints"), boxes)
    if net.roi_heads.masks_too:
        cut = net.roi_heads.regions(levels[:-1], boxes, image, MASK_CELLS, height)
        said = net.roi_heads.masks(cut)
        losses["masks"] = mask_loss(said, sample.labels[some], of_owners("masks"), boxes)
    return losses


def people_loss(
    net: KeypointRCNN, image: Tensor, truth: Sequence[Truth], rng: torch.Generator
) -> Loss:
    """As `rcnn_losses`, added up -> (sum, weight): the weight is the number of pictures."""
    losses = rcnn_losses(net, image, truth, rng).values()
    count = float(len(truth))
    total = torch.stack([loss / weight.clamp(min=1) for loss, weight in losses]).sum()
    return total * count, total.new_tensor(count)
