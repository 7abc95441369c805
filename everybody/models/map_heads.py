"""Heads of bottom-up methods: maps of a whole picture, and how they learn.

    OpenPoseHead    confidence maps and part affinity fields (Cao et al. 2017)
    PersonLabHead   discs, short offsets, mid-range displacements (Papandreou et al. 2018)
    MoveNetHead     centres, joints, vectors from centres, offsets (Votel and Li 2021)

Each is a depthwise 5 × 5 convolution on a shared map and a 1 × 1 per kind of map. Targets are those
of the method's codec, and nothing else; vectors are said in units near their size, so that all
maps learn at one rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..codecs import make_people_codec
from ..skeletons import COCO17, OPENPOSE18, Skeleton, mapping
from . import picture_losses as losses
from .detector import PRIOR
from .picture_truth import Truth

STRIDE = 4  # of the maps
REACH = 32.0  # pixels: unit of displacements
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
