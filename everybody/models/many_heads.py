"""Small networks of whole pictures: one trunk, and the heads of several methods on it.

The trunk is that of RTMDet-nano (`rtmdet.py`), so that it can start from the bundled detector. Its
neck's maps at strides 8, 16 and 32 and the backbone's at stride 4 are brought together at stride 4
(feature pyramid, Lin et al. 2017). On them the heads of three bottom-up methods, each a depthwise
5 × 5 convolution and a 1 × 1 per kind of map:

    openpose    confidence maps and part affinity fields (Cao et al. 2017)
    personlab   discs, short offsets, mid-range displacements (Papandreou et al. 2018)
    movenet     centres, joints, vectors from centres, offsets (Votel and Li 2021)

A fourth, `cells`, is one-stage: the detector's cells, which say scores and boxes, also say joints,
as shifts from the cell in strides (Maji et al. 2022, YOLO-Pose, § 3.2). Cells are assigned to
people as the detector's (`detection.py`); joints learn by L1 in sizes of the person, and by OKS
(§ 3.4 there).

Heads can be trained together, one pass of the trunk for all: a network of some of the heads is the
same numbers without the others. How maps become people: the heads' codecs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..codecs import make_people_codec
from ..skeletons import COCO17, OPENPOSE18, Skeleton, mapping
from . import picture_losses as losses
from .detection import assign, detection_loss
from .detector import PRIOR, STRIDES, cells_of, centres
from .losses import Loss
from .one_stage_losses import oks
from .picture_truth import Truth
from .rtmdet import RTMDet

STRIDE = 4  # of the maps
REACH = 32.0  # pixels: unit of displacements in the loss
RARE = -math.log((1 - PRIOR) / PRIOR)
Maps = tuple[Tensor, ...]


def conv(inputs: int, outputs: int) -> nn.Sequential:
    """1 × 1, normalised, active."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.SiLU()
    )


def separable(inputs: int, outputs: int) -> nn.Sequential:
    """A 5 × 5 convolution of each channel for itself, then a dense 1 × 1."""
    alone = nn.Conv2d(inputs, inputs, 5, padding=2, groups=inputs, bias=False)
    return nn.Sequential(alone, nn.BatchNorm2d(inputs), nn.SiLU(), *conv(inputs, outputs))


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


def maps(width: int, outputs: int, start: float = 0.0) -> nn.Conv2d:
    """One kind of map; at first it says `start` everywhere."""
    last = nn.Conv2d(width, outputs, 1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.constant_(last.bias, start)  # type: ignore[arg-type]
    return last


class Head(nn.Module):
    """A method's maps: [B, width, h, w] -> one tensor per kind of map."""

    CODEC: ClassVar[Mapping[str, Any]]
    OUTPUTS: tuple[str, ...]
    METHOD: str  # of `methods.METHODS`: it decodes the answers
    SKELETON: Skeleton = COCO17

    def __init__(self, width: int, *kinds: nn.Module) -> None:
        super().__init__()
        self.body, self.kinds = separable(width, width), nn.ModuleList(kinds)

    def forward(self, x: Tensor) -> Maps:
        x = self.body(x)
        return tuple(kind(x) for kind in self.kinds)

    def targets(self, truth: Sequence[Truth], size: tuple[int, int]) -> list[Maps]:
        """The codec's targets of pictures of `size` (width, height) -> of each kind of map what is
        wanted [B, C, h, w] and where it counts [B, C or 1, h, w]: not under people who are neither
        to find nor false, as far as maps are of all cells.
        """
        codec, device = make_people_codec(self.CODEC), truth[0].boxes.device
        pictures = []
        for own in truth:
            pairs = codec.targets(self.spoken(own), size)
            clear = outside(own, pairs[0][0].shape[1:], size)
            pictures.append(
                [(wanted, known * clear if len(known) == 1 else known) for wanted, known in pairs]
            )
        return [
            tuple(
                torch.from_numpy(np.stack(part)).float().to(device)
                for part in zip(*kind, strict=True)
            )
            for kind in zip(*pictures, strict=True)
        ]

    def spoken(self, truth: Truth) -> Any:
        """The people of a picture [P, K, 3] in the joints that the head speaks of."""
        assert truth.keypoints is not None, "heads of joints learn from keypoints"
        return mapping(COCO17, self.SKELETON)(truth.keypoints.cpu().double().numpy())

    def answer(self, said: Maps) -> Maps:
        """What the codec decodes."""
        return said


def outside(truth: Truth, cells: Sequence[int], size: tuple[int, int]) -> Any:
    """[1, h, w]: 0 on the cells of people who are neither to find nor false, 1 elsewhere."""
    clear = np.ones((1, *cells), np.float32)
    if truth.unsure is None:
        return clear
    step = size[0] / cells[1]
    corners = ((truth.unsure.cpu().numpy() + 0.5) / step).clip(min=0)
    for x0, y0, x1, y1 in corners.tolist():
        clear[:, int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)] = 0
    return clear


class OpenPoseHead(Head):
    """18 joints, as OpenPose's; no map of the background, which nobody reads."""

    CODEC: ClassVar[Mapping[str, Any]] = {
        "type": "part-fields",
        "stride": STRIDE,
        "sigma": 1.25,
        "enlarge": 2,
    }
    OUTPUTS = ("confidence", "fields")
    METHOD, SKELETON = "openpose", OPENPOSE18

    def __init__(self, joints: int, width: int) -> None:
        layout = make_people_codec(self.CODEC).layout
        super().__init__(width, maps(width, layout.joints), maps(width, 2 * len(layout.limbs)))

    def loss(self, said: Maps, truth: Sequence[Truth], size: tuple[int, int]) -> Tensor:
        (joints, counts), (fields, known) = self.targets(truth, size)
        confidence = losses.squared(said[0], joints[:, : said[0].shape[1]], counts)
        return confidence + losses.squared(said[1], fields, known)


class PersonLabHead(Head):
    CODEC: ClassVar[Mapping[str, Any]] = {
        "type": "personlab",
        "disc": 10.0,
        "options": {"stride": STRIDE, "threshold": 0.3, "radius": 12.0},
    }
    OUTPUTS = ("discs", "offsets", "forwards", "backwards")
    METHOD = "personlab"

    def __init__(self, joints: int, width: int) -> None:
        edges = len(make_people_codec(self.CODEC).edges)
        fields = (maps(width, 2 * count) for count in (joints, edges, edges))
        super().__init__(width, maps(width, joints, RARE), *fields)

    def loss(self, said: Maps, truth: Sequence[Truth], size: tuple[int, int]) -> Tensor:
        heat, short, there, back = self.targets(truth, size)
        scales = (self.disc, REACH, REACH)
        fields = zip(said[1:], (short, there, back), scales, strict=True)
        distances = (
            losses.smooth_distance(vectors * scale, *wanted, scale=scale)
            for vectors, wanted, scale in fields
        )
        return losses.discs(said[0], *heat) + sum(distances, said[0].new_zeros(()))

    def answer(self, said: Maps) -> Maps:
        short, there, back = said[1:]
        return said[0].sigmoid(), short * self.disc, there * REACH, back * REACH

    @property
    def disc(self) -> float:
        return float(self.CODEC["disc"])


class MoveNetHead(Head):
    CODEC: ClassVar[Mapping[str, Any]] = {"type": "movenet", "stride": STRIDE}
    OUTPUTS = ("centre", "heatmaps", "vectors", "offsets")
    METHOD = "movenet"
    UNIT = REACH / STRIDE  # of vectors, in cells

    def __init__(self, joints: int, width: int) -> None:
        heat = maps(width, 1, RARE), maps(width, joints, RARE)
        super().__init__(width, *heat, maps(width, 2 * joints), maps(width, 2 * joints))

    def loss(self, said: Maps, truth: Sequence[Truth], size: tuple[int, int]) -> Tensor:
        centre, heat, vectors, offsets = self.targets(truth, size)
        return (
            losses.peaks(said[0], *centre)
            + losses.peaks(said[1], *heat)
            + losses.smooth_distance(said[2] * self.UNIT, *vectors, scale=self.UNIT)
            + losses.smooth_distance(said[3], *offsets, scale=1.0)
        )

    def answer(self, said: Maps) -> Maps:
        return said[0].sigmoid(), said[1].sigmoid(), said[2] * self.UNIT, said[3]


class CellsHead(nn.Module):
    """What the detector's cells say of joints: the neck's maps [B, neck, H/s, W/s] -> shifts in
    strides and visibility of all cells [B, A, K, 3], the finest level first. All levels share it.
    """

    CODEC: ClassVar[Mapping[str, Any]] = {"type": "cell-poses"}
    OUTPUTS = ("boxes", "scores", "joints")
    METHOD, SKELETON = "rtmo", COCO17
    MOST = 100  # cells that are answered with

    def __init__(self, joints: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*separable(width, width), *separable(width, width))
        self.last = nn.Conv2d(width, 3 * joints, 1)
        nn.init.normal_(self.last.weight, std=0.01)

    def forward(self, neck: Sequence[Tensor]) -> Tensor:
        cells = [self.last(self.body(x)).flatten(2).mT for x in neck]
        return torch.cat(cells, 1).unflatten(2, (-1, 3)).float()


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


HEADS: dict[str, Any] = {
    "openpose": OpenPoseHead,
    "personlab": PersonLabHead,
    "movenet": MoveNetHead,
}
CELLS = "cells"


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
