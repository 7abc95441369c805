"""Who is in a picture, for networks that learn from whole pictures."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Truth(NamedTuple):
    """The people of one picture, in the coordinates of the network that learns from them."""

    boxes: Tensor  # [P, 4] xyxy
    labels: Tensor  # [P] class, from 1; a person is 1
    keypoints: Tensor | None = None  # [P, K, 3], weight 0 where not labelled
    masks: Tensor | None = None  # [P, H, W], 0 or 1
    unsure: Tensor | None = None  # [Q, 4] boxes of others, neither to find nor false
