"""Boxes relative to other boxes (Girshick et al. 2014, R-CNN, appendix C; Ren et al. 2015, Eq. 2):

    dx = wx · (x - xa) / wa,  dy alike;   dw = ww · log(w / wa),  dh alike

x, y: centres; a: the anchor or proposal; w: weights that bring the numbers to one size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

RPN_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
HEAD_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
MOST = math.log(1000 / 16)  # a box grows by no more, whatever an untrained network says


def encoded(boxes: Tensor, anchors: Tensor, weights: tuple[float, ...] = RPN_WEIGHTS) -> Tensor:
    """Boxes and anchors [..., 4] xyxy -> [..., 4] dx, dy, dw, dh."""
    sides, own = anchors[..., 2:] - anchors[..., :2], boxes[..., 2:] - boxes[..., :2]
    shift = (boxes[..., :2] + own / 2 - anchors[..., :2] - sides / 2) / sides
    grown = (own.clamp(min=1e-6) / sides).log()
    return torch.cat([shift, grown], -1) * boxes.new_tensor(weights)


def decoded(deltas: Tensor, anchors: Tensor, weights: tuple[float, ...] = RPN_WEIGHTS) -> Tensor:
    """dx, dy, dw, dh [..., 4] and anchors [..., 4] -> boxes [..., 4] xyxy."""
    sides = anchors[..., 2:] - anchors[..., :2]
    deltas = deltas / deltas.new_tensor(weights)
    centre = deltas[..., :2] * sides + anchors[..., :2] + sides / 2
    half = deltas[..., 2:].clamp(max=MOST).exp() * sides / 2
    return torch.cat([centre - half, centre + half], -1)


def clipped(boxes: Tensor, height: int, width: int) -> Tensor:
    """[..., 4] -> cut to the picture: [0, width] × [0, height] in corner coordinates."""
    x = boxes[..., 0::2].clamp(0, width)
    y = boxes[..., 1::2].clamp(0, height)
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], -1)
