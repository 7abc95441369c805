"""Which way up is a body? A small classifier of quarter turns, looked at before the crop is made.

People who lie, hang or dive defeat estimators that were trained on upright ones. Turned upright
they are as easy as any (RMPE's SSTN answers the same need by a learnt affine map, Fang et al.
2017); self-supervised by turning crops by known angles, as in RotNet (Gidaris et al. 2018).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from .resnet import conv


def body(width: int) -> nn.Sequential:
    """[B, 3, H, W] -> [B, 6 · width, H / 32, W / 32], rounded up."""
    channels = (3, width, 2 * width, 3 * width, 4 * width, 6 * width)
    return nn.Sequential(
        *(
            nn.Sequential(conv(a, b, stride=2), conv(b, b) if level > 1 else nn.Identity())
            for level, (a, b) in enumerate(pairwise(channels))
        )
    )


class TurnNet(nn.Module):
    """Square crop [B, 3, 64, 64], normalised -> logits [B, 4]: the body is turned by 0, 90, 180 or
    270 degrees clockwise.
    """

    def __init__(self, *, width: int = 32) -> None:
        super().__init__()
        self.body = body(width)
        self.answer = nn.Linear(6 * width * 4, 4)

    def forward(self, image: Tensor) -> Tensor:
        return self.answer(self.body(image).flatten(1))


VARIANTS: dict[str, dict[str, Any]] = {
    "turn": {"width": 32},
    "turn-24": {"width": 24},
}  # an SSTN's body is of 24
