"""PP-TinyPose that is told which person of its crop is meant (BUCTD, Zhou et al. 2023, arXiv
2306.07879).

Two people in one box look alike to a network that is asked for "the person". Here rough poses of
the wanted person and of the one beside it come as maps (`codecs/condition.py`) and are added, each
time through two convolutions, to what the stem sees and to the last features. The second
convolution starts at zero and no layer has a bias (ControlNet's zero convolutions, Zhang et al.
2023), so the network starts as the one without conditions, and an empty condition adds exactly
nothing at any time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ..codecs.condition import COLOURS, channels
from . import deployed
from .model import State
from .tinypose import WIDTHS, TinyPoseNet

STRIDE = 4  # of the grid that the maps lie on, as of the heatmaps
WIDE = 24  # channels between the two convolutions
GAIN = 10.0  # of the condition: small steps of a fine-tuned network reach it ten times as fast


class Told(nn.Module):
    """Maps [B, 2 K, h, w] -> what is added to features [B, C, h, w]; at first, and for empty maps
    always, 0.
    """

    def __init__(self, maps: int, width: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(maps, WIDE, 3, 1, 1, bias=False)
        self.write = nn.Conv2d(WIDE, width, 1, bias=False)
        nn.init.zeros_(self.write.weight)

    def forward(self, maps: Tensor) -> Tensor:
        return GAIN * self.write(self.look(maps).relu())


class ConditionedTinyPoseNet(TinyPoseNet):
    """Crop and condition [B, 3 + C, H, W] -> heatmaps [B, K, H / 4, W / 4] of the person meant."""

    def __init__(self, joints: int = 17) -> None:
        super().__init__(joints)
        self.maps = 2 * joints
        self.input_channels = COLOURS + channels(joints, STRIDE)
        self.early = Told(self.maps, 32)
        self.late = Told(self.maps, WIDTHS[0])

    def forward(self, image: Tensor) -> Tensor:
        maps = functional.pixel_unshuffle(image[:, COLOURS:], STRIDE)[:, : self.maps]
        features = self.features(self.stem(image[:, :COLOURS]) + self.early(maps))
        return self.head.heatmaps(self.head.joined(features) + self.late(maps))


def restored(net: ConditionedTinyPoseNet, numbers: State) -> State:
    """The numbers of a deployed network, conditioned or not, by their names -> a state for `net`.
    What a network without conditions lacks stays as it is in `net`.
    """
    plain = deployed.restored(TinyPoseNet(net.maps // 2), numbers)
    return net.state_dict() | {n: v for n, v in numbers.items() if n in net.state_dict()} | plain


def of_public(net: ConditionedTinyPoseNet, path: Path) -> State:
    """The numbers of a public PP-TinyPose ONNX file -> a state for `net`."""
    return net.state_dict() | TinyPoseNet(net.maps // 2).from_onnx(path)


VARIANTS: dict[str, dict[str, Any]] = {"tinypose-conditioned": {}}
