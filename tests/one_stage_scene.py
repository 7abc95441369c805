"""Two people and nobody, for one-stage networks to learn by heart."""

from __future__ import annotations

import torch

from everybody.models.picture_truth import Truth


def scene():
    """Two bright boxes with all joints along their diagonals, and an empty picture."""
    image = torch.full((2, 3, 96, 128), -1.0)
    boxes = torch.tensor([[4.0, 8, 52, 88], [68, 16, 124, 76]])
    for x0, y0, x1, y1 in boxes.int().tolist():
        image[0, :, y0:y1, x0:x1] = 1
    share = torch.linspace(0.1, 0.9, 17)[:, None]
    points = boxes[:, None, :2] + share * (boxes[:, None, 2:] - boxes[:, None, :2])
    keypoints = torch.cat([points, torch.full((2, 17, 1), 2.0)], 2)
    some = Truth(boxes, torch.tensor([1, 1]), keypoints)
    return image, [some, Truth(boxes[:0], some.labels[:0], keypoints[:0])]


def total(losses, **factors):
    parts = (factors.get(name, 1) * a / b.clamp(min=1) for name, (a, b) in losses.items())
    return sum(parts)
