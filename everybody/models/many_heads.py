"""Small networks of whole pictures: one trunk, and the heads of several methods on it.

The trunk is that of RTMDet-nano (`rtmdet.py`), so that it can start from the bundled detector. Its
neck's maps at strides 8, 16 and 32 and the backbone's at stride 4 are brought together at stride 4
(feature pyramid, Lin et al. 2017) for the heads of bottom-up methods (`map_heads.py`). A one-stage
head sits on the detector's own cells (`cells_head.py`).

Heads can be trained together, one pass of the trunk for all: a network of some of the heads is the
same numbers without the others. How maps become people: the heads' codecs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..skeletons import COCO17
from .cells_head import CellsHead, cells_loss, placed
from .detector import cells_of
from .losses import Loss
from .map_heads import Maps, MoveNetHead, OpenPoseHead, PersonLabHead, conv, separable
from .picture_truth import Truth
from .rtmdet import RTMDet

HEADS: dict[str, Any] = {
    "openpose": OpenPoseHead,
    "personlab": PersonLabHead,
    "movenet": MoveNetHead,
}
CELLS = "cells"


class Pyramid(nn.Module):
    """The backbone's map at stride 4 [B, fine, H/4, W/4], the neck's at 8, 16, 32 [B, neck, …] ->
    [B, width, H/4, W/4].
    """

    def __init__(self, fine: int, neck: int, width: int) -> None:
        super().__init__()
        self.gather = conv(3 * neck, 2 * width)
        self.around = nn.Sequential(*(separable(2 * width, 2 * width) for _ in range(2)))
        self.join = nn.Sequential(*conv(2 * width + fine, width), *separable(width, width))

    def forward(self, fine: Tensor, neck: Sequence[Tensor]) -> Tensor:
        low, middle, high = neck
        x = self.gather(torch.cat([low, larger(middle, 2), larger(high, 4)], 1))
        return self.join(torch.cat([larger(x + self.around(x), 2), fine], 1))


def larger(x: Tensor, factor: int) -> Tensor:
    return functional.interpolate(
        x, scale_factor=float(factor), mode="bilinear", align_corners=False
    )


class ManyHeads(nn.Module):
    """Picture [B, 3, H, W], RGB, normalised; H, W multiples of 32 -> what each head says, by its
    name; of `cells` logits [B, A, 1], boxes [B, A, 4] from the corner and joints [B, A, K, 3]
    (x, y, logit of being seen).

    heads: of HEADS, and CELLS. width: of the map that the first share.
    """

    def __init__(self, joints: int = 17, *, heads: Sequence[str], width: int = 48) -> None:
        super().__init__()
        self.trunk = RTMDet()
        fine, neck = (self.trunk.stages[0][-1].join[0], self.trunk.outs[0][-1][0])  # type: ignore[index]
        drawn = [name for name in heads if name in HEADS]
        if drawn:
            self.pyramid = Pyramid(fine.out_channels, neck.out_channels, width)
        if CELLS not in heads:
            self.trunk.heads = nn.ModuleList()
        self.heads = nn.ModuleDict({name: HEADS[name](joints, width) for name in drawn})
        if CELLS in heads:
            self.heads[CELLS] = CellsHead(joints, neck.out_channels)

    def forward(self, image: Tensor) -> dict[str, Maps]:
        fine = self.trunk.levels(image)
        neck = self.trunk.joined(fine)
        said: dict[str, Maps] = {}
        drawn = [name for name in self.heads if name != CELLS]
        if drawn:
            shared = self.pyramid(fine[0], neck)
            said = {name: self.heads[name](shared) for name in drawn}
        if CELLS in self.heads:
            size = image.shape[3], image.shape[2]
            joints = placed(self.heads[CELLS](neck), size, self.trunk.MIDDLE)
            said[CELLS] = (*self.trunk.said(neck), joints)
        return said

    def answer(self, said: Mapping[str, Maps]) -> Maps:
        """What the codecs of the heads decode, one head after the other."""
        parts = [self.answers(name, part) for name, part in said.items()]
        return tuple(output for part in parts for output in part)

    def answers(self, name: str, said: Maps) -> Maps:
        """What the codec of one head decodes; of `cells` the surest: boxes [B, N, 4], scores
        [B, N], joints [B, N, K, 3].
        """
        if name != CELLS:
            return self.heads[name].answer(said)  # type: ignore[operator]
        logits, boxes, joints = said
        count = min(CellsHead.MOST, logits.shape[1])
        scores, best = logits[..., 0].sigmoid().topk(count)
        box = boxes.gather(1, best[..., None].expand(-1, -1, 4)) - 0.5
        places = best[..., None, None].expand(-1, -1, *joints.shape[2:])
        x_y, seen = joints.gather(1, places).split([2, 1], 3)
        return box, scores, torch.cat([x_y, seen.sigmoid()], 3)


def many_losses(
    net: ManyHeads, said: Mapping[str, Maps], truth: Sequence[Truth], size: tuple[int, int]
) -> Loss:
    """What the network says of pictures of `size` (width, height), who is in each -> (sum, weight):
    the heads' losses added up; the weight is the number of pictures.
    """
    total = truth[0].boxes.new_zeros(())
    for name, part in said.items():
        if name == CELLS:
            cells = cells_of(size, total.device, net.trunk.MIDDLE)
            sigmas = total.new_tensor(COCO17.sigmas)
            total = total + cells_loss(part, truth, cells, sigmas)  # type: ignore[arg-type]
        else:
            total = total + net.heads[name].loss(part, truth, size)  # type: ignore[operator]
    count = float(len(truth))
    return total * count, total.new_tensor(count)


def from_detector(net: ManyHeads, numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The numbers of a detector -> a state of the network: its trunk's; its heads' as they are."""
    state = dict(net.state_dict())
    return state | {
        f"trunk.{name}": value for name, value in numbers.items() if f"trunk.{name}" in state
    }


def use_of(heads: Sequence[str]) -> dict[str, Any]:
    """What the row of a network says of how it is used: its outputs, and of a single head its
    codec, and the method and the skeleton that an exported file names.
    """
    kinds = [CellsHead if name == CELLS else HEADS[name] for name in heads]
    if len(kinds) > 1:
        named = zip(heads, kinds, strict=True)
        return {"outputs": tuple(f"{name}_{out}" for name, kind in named for out in kind.OUTPUTS)}
    (kind,) = kinds
    told = {"method": kind.METHOD, "skeleton": kind.SKELETON.name}
    surest = kind.OUTPUTS.index("scores") if "scores" in kind.OUTPUTS else None
    return {"outputs": kind.OUTPUTS, "codec": kind.CODEC, "told_of": told, "surest": surest}


VARIANTS: dict[str, dict[str, Any]] = {
    "openpose-small": {"heads": ("openpose",)},
    "personlab-small": {"heads": ("personlab",)},
    "movenet-small": {"heads": ("movenet",)},
    "one-stage-small": {"heads": (CELLS,)},
    "many-small": {"heads": (*HEADS, CELLS)},
}
