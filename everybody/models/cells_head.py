"""What a detector's cells say of joints: a one-stage head (Maji et al. 2022, YOLO-Pose, § 3.2).

Each cell says the joints of its person as shifts from itself, in strides, beside the score and the
box that it says anyhow. Cells are assigned to people as the detector's (`detection.py`); their
joints learn by L1 in sizes of the person, and by OKS (§ 3.4 there).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..skeletons import COCO17
from .detection import assign, detection_loss
from .detector import STRIDES, centres
from .map_heads import separable
from .one_stage_losses import oks
from .picture_truth import Truth


class CellsHead(nn.Module):
    """What the detector's cells say of joints: the neck's maps [B, neck, H/s, W/s] -> shifts in
    strides and visibility of all cells [B, A, K, 3], the finest level first. Each level has its
    own layers: their features differ so much that batch normalisation cannot share its averages.
    """

    CODEC: ClassVar[Mapping[str, Any]] = {"type": "cell-poses"}
    OUTPUTS = ("boxes", "scores", "joints")
    METHOD, SKELETON = "rtmo", COCO17
    MOST = 100  # cells that are answered with

    def __init__(self, joints: int, width: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_level(joints, width) for _ in STRIDES)

    def forward(self, neck: Sequence[Tensor]) -> Tensor:
        cells = [say(x).flatten(2).mT for say, x in zip(self.levels, neck, strict=True)]
        return torch.cat(cells, 1).unflatten(2, (-1, 3)).float()


def _level(joints: int, width: int) -> nn.Sequential:
    last = nn.Conv2d(width, 3 * joints, 1)
    nn.init.normal_(last.weight, std=0.01)
    return nn.Sequential(*separable(width, width), *separable(width, width), last)


def placed(shifts: Tensor, size: tuple[int, int], middle: float) -> Tensor:
    """Shifts of cells [B, A, K, 3] of pictures of `size` (width, height) -> joints [B, A, K, 3]
    in pixels under the coordinate law, their third number as it was.
    """
    grids = [centres(size[1] // s, size[0] // s, s, shifts.device, middle) - 0.5 for s in STRIDES]
    steps = [torch.full_like(grid[:, :1], s) for grid, s in zip(grids, STRIDES, strict=True)]
    at, stride = torch.cat(grids)[:, None], torch.cat(steps)[:, None]
    return torch.cat([shifts[..., :2] * stride + at, shifts[..., 2:]], 3)


def cells_loss(
    said: tuple[Tensor, Tensor, Tensor], truth: Sequence[Truth], cells: Tensor, sigmas: Tensor
) -> Tensor:
    """Logits [B, A, 1] and boxes [B, A, 4] from the corner, joints [B, A, K, 3]; who is in each
    picture, cells [A, 2], OKS sigmas [K] -> scalar: the detector's loss per person, and that of
    joints, each cell by the score that it should have.
    """
    logits, boxes, joints = said
    wanted, points, real, ignored = columns(truth, joints)
    kinds = torch.zeros_like(real, dtype=torch.long)
    total, weight = detection_loss((logits, boxes), cells, wanted + 0.5, real, ignored, kinds)
    found = logits.detach().float().sigmoid(), boxes.detach().float()
    person, target = assign(*found, cells, wanted + 0.5, real, kinds)
    loss = total / weight

    image, cell = (person >= 0).nonzero().unbind(1)
    if not len(image):
        return loss + 0 * joints.sum()
    owner, counts = person[image, cell], target[image, cell]
    theirs, mine = points[image, owner], joints[image, cell]
    box = wanted[image, owner]
    area = (box[:, 2:] - box[:, :2]).prod(1).clamp(min=1)
    known = (theirs[..., 2] > 0).float()

    apart = (mine[..., :2] - theirs[..., :2]).abs().sum(2) / area.sqrt()[:, None]
    near = oks(mine[..., :2], theirs, 0.53 * area, sigmas)
    seen = functional.binary_cross_entropy_with_logits(mine[..., 2], known, reduction="none")
    far = (apart * known).sum(1) / known.sum(1).clamp(min=1)
    each = 2 * far + (1 - near) * known.amax(1) + 0.2 * seen.mean(1)
    return loss + (each * counts).sum() / weight


def columns(truth: Sequence[Truth], like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Who is in each picture -> boxes [B, M, 4], keypoints [B, M, K, 3], who is real and who is
    neither to find nor false [B, M].
    """
    unsure = [like.new_zeros(0, 4) if own.unsure is None else own.unsure for own in truth]
    most = max(1, *(len(own.boxes) + len(some) for own, some in zip(truth, unsure, strict=True)))
    boxes = like.new_zeros(len(truth), most, 4)
    points = like.new_zeros(len(truth), most, *like.shape[2:])
    real, ignored = (torch.zeros(len(truth), most, dtype=torch.bool) for _ in range(2))
    for place, (own, some) in enumerate(zip(truth, unsure, strict=True)):
        count, end = len(own.boxes), len(own.boxes) + len(some)
        boxes[place, :end] = torch.cat([own.boxes, some])
        assert own.keypoints is not None, "heads of joints learn from keypoints"
        points[place, :count] = own.keypoints
        real[place, :count], ignored[place, count:end] = True, True
    return boxes, points, real.to(like.device), ignored.to(like.device)
