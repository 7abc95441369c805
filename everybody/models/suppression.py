"""Non-maximum suppression of boxes as tensor operations, inside a network's graph.

Greedy suppression keeps a box if no better box that was itself kept overlaps it too much. As an
equation, with rivals R(i, j) = "i is better than j, of its kind, and overlaps it by more than the
threshold":

    keep(j) = not any_i ( R(i, j) and keep(i) )

Because a box depends on better ones only, the equation has one solution, and repeating it from
"all are kept" reaches it: after n rounds the best n boxes are right, and it ends as soon as a round
changes nothing (a handful of rounds in practice). It exports as a loop of ONNX.
"""

from __future__ import annotations

import torch
from torch import Tensor


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """[..., N, 4], [..., M, 4] xyxy -> [..., N, M] intersection over union."""
    low = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    high = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    sides = (high - low).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    union = area(a)[..., :, None] + area(b)[..., None, :] - shared
    return shared / union.clamp(min=1e-12)


def area(boxes: Tensor) -> Tensor:
    """[..., 4] -> [...]"""
    sides = boxes[..., 2:] - boxes[..., :2]
    return sides[..., 0] * sides[..., 1]


def kept(boxes: Tensor, threshold: float, alive: Tensor, kind: Tensor | None = None) -> Tensor:
    """Rows of boxes [R, N, 4], the best first; alive [R, N] (the others neither stay nor suppress);
    kind [R, N] (boxes of two kinds are no rivals) -> [R, N] bool: which stay.
    """
    place = torch.arange(boxes.shape[1], device=boxes.device)
    rivals = (overlap(boxes, boxes) > threshold) & (place[:, None] < place)
    rivals = rivals & alive[:, :, None]
    if kind is not None:
        rivals = rivals & (kind[:, :, None] == kind[:, None])

    state = torch.ones_like(alive), torch.zeros_like(alive)
    if torch.compiler.is_exporting():
        state = torch.ops.higher_order.while_loop(_changed, _again, state, (rivals,))
    else:
        while bool(_changed(*state, rivals)):
            state = _again(*state, rivals)
    return state[0] & alive


def _again(keep: Tensor, _before: Tensor, rivals: Tensor) -> tuple[Tensor, Tensor]:
    return ~(rivals & keep[:, :, None]).any(1), keep.clone()


def _changed(keep: Tensor, before: Tensor, _rivals: Tensor) -> Tensor:
    return (keep != before).any()
