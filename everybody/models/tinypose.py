"""Lite-HRNet without its weighting branches, the network of PP-TinyPose: high-resolution features
from small layers.

Branches at strides 4, 8, 16 and 32 run side by side and exchange what they know (HRNet, Sun et al.
2019); each is made of shuffle units (ShuffleNet V2, Ma et al. 2018; the naive Lite-HRNet of Yu et
al. 2021); an iterative head brings the coarse branches up to stride 4. The public PP-TinyPose
(PaddleDetection, Apache-2.0) fixes every width and two habits. When branches are fused, the finest
one counts twice, and the fused finest branch goes into the other rows.

There is no batch normalisation here: in the published numbers it is folded into the convolutions.
So fine-tuning needs small steps: a rate of 1e-3 destroys the network, 1e-4 does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .losses import Loss, heatmap_error
from .sppe import SppeNet

WIDTHS = (40, 80, 160, 320)  # of the branches, the finest first
STAGES = ((2, 2), (3, 4), (4, 2))  # branches and modules of each stage


def conv(
    inputs: int, outputs: int, *, stride: int = 1, kernel: int = 1, active: bool = True
) -> nn.Sequential:
    """A dense convolution with a bias, and ReLU if active."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    return nn.Sequential(layer, nn.ReLU()) if active else nn.Sequential(layer)


def separable(inputs: int, outputs: int, *, stride: int = 1, active: bool = True) -> nn.Sequential:
    """A 3 × 3 convolution of each channel for itself, then a dense one of 1 × 1."""
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs)
    return nn.Sequential(depthwise, *conv(inputs, outputs, active=active))


def shuffled(a: Tensor, b: Tensor) -> Tensor:
    """Two [B, C, H, W] -> [B, 2 C, H, W], channel by channel in turn."""
    return torch.stack([a, b], 2).flatten(1, 2)


class Unit(nn.Module):
    """A shuffle unit: half of the channels pass, the others are transformed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(*conv(half, half), *separable(half, half))

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        return shuffled(kept, self.body(changed))


class Stem(nn.Module):
    """[B, 3, H, W] -> [B, 32, H / 4, W / 4]."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv(3, 32, stride=2, kernel=3)
        self.left = separable(16, 16, stride=2)
        self.right = nn.Sequential(*conv(16, 32), *separable(32, 16, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.first(x).chunk(2, 1)
        return shuffled(self.left(left), self.right(right))


class Module(nn.Module):
    """Two shuffle units per branch, then all branches are fused."""

    def __init__(self, branches: int) -> None:
        super().__init__()
        widths = WIDTHS[:branches]
        self.branches = nn.ModuleList(nn.Sequential(Unit(width), Unit(width)) for width in widths)
        self.fuse = nn.ModuleList(
            nn.ModuleList(_path(j, i) for j in range(branches)) for i in range(branches)
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        inside = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        out = []
        for row in self.fuse:
            first, *others = (path(x) for path, x in zip(row, inside, strict=True))  # type: ignore[arg-type]
            total = 2 * first
            for other in others:
                total = total + other
            if not out:
                inside[0] = total  # the other rows see the finest branch fused
            out.append(total.relu())
        return out


def _path(start: int, end: int) -> nn.Module:
    """From a branch to another: up by nearest neighbours, down in steps of two."""
    if start > end:
        return nn.Sequential(
            *conv(WIDTHS[start], WIDTHS[end], active=False),
            nn.Upsample(scale_factor=2 ** (start - end)),
        )
    steps = [separable(WIDTHS[start], WIDTHS[start], stride=2) for _ in range(end - start - 1)]
    if start < end:
        steps.append(separable(WIDTHS[start], WIDTHS[end], stride=2, active=False))
    return nn.Sequential(*steps)


class Head(nn.Module):
    """Features of the finest `levels` branches -> [B, K, H / 4, W / 4]: from the coarsest up, each
    step added to the next branch.
    """

    def __init__(self, joints: int, levels: int = len(WIDTHS)) -> None:
        super().__init__()
        steps = [(WIDTHS[i], WIDTHS[max(i - 1, 0)]) for i in reversed(range(levels))]
        self.steps = nn.ModuleList(separable(a, b) for a, b in steps)
        self.heatmaps = nn.Conv2d(WIDTHS[0], joints, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return self.heatmaps(self.joined(features))

    def joined(self, features: Sequence[Tensor]) -> Tensor:
        """Features of all branches, the finest first -> those of the finest [B, 40, H / 4, W / 4],
        which has seen the others.
        """
        return climbed(features[::-1], self.steps)


def climbed(
    features: Sequence[Tensor], steps: Sequence[nn.Module] | nn.ModuleList, x: Tensor | None = None
) -> Tensor:
    """Features, the coarsest first, a step for each, and what comes from below them."""
    for feature, step in zip(features, steps, strict=True):
        if x is not None:
            up = nn.functional.interpolate(
                x, feature.shape[2:], mode="bilinear", align_corners=True
            )
            feature = feature + up
        x = step(feature)
    assert x is not None
    return x


class TinyPoseNet(nn.Module):
    """Crop [B, 3, H, W], normalised; H, W multiples of 32 -> heatmaps [B, K, H / 4, W / 4]: about 1
    at each joint.
    """

    def __init__(self, joints: int = 17) -> None:
        super().__init__()
        self.stem = Stem()
        self.first = nn.ModuleList([separable(32, WIDTHS[0]), separable(32, WIDTHS[1], stride=2)])
        stages: list[nn.Module] = []
        for number, (branches, modules) in enumerate(STAGES):
            if number:
                stages.append(separable(WIDTHS[branches - 2], WIDTHS[branches - 1], stride=2))
            stages.append(nn.Sequential(*(Module(branches) for _ in range(modules))))
        self.stages = nn.ModuleList(stages)
        self.head = Head(joints)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(self.stem(image)))

    def features(self, x: Tensor) -> list[Tensor]:
        """What the stem says -> what the branches say, the finest first."""
        return self.last(self.before(x))

    @property
    def last(self) -> nn.Module:
        """The last module of the last stage."""
        return cast(nn.Sequential, self.stages[-1])[-1]

    def before(self, x: Tensor) -> list[Tensor]:
        """What the stem says -> what the branches say before the last module."""
        features = self.stages[0]([self.first[0](x), self.first[1](x)])
        for widen, stage in zip(self.stages[1::2], self.stages[2::2], strict=True):
            modules = cast(nn.Sequential, stage)
            modules = modules[:-1] if stage is self.stages[-1] else modules
            features = modules([*features, widen(features[-1])])
        return features

    def from_onnx(self, path: Path) -> dict[str, Tensor]:
        """The numbers of a public PP-TinyPose ONNX file -> a state for this network. Raises
        ModelError for others.
        """
        import onnx

        try:
            graph = onnx.load(path).graph
        except Exception as error:
            raise ModelError(f"{path}: not an ONNX file ({error})") from error
        try:
            found = _convolutions(graph)
        except (KeyError, IndexError):
            found = []
        wanted = self.state_dict()  # weight, bias, weight, bias, …
        values = [value for weight, bias in found for value in (weight, bias.flatten())]
        if [value.shape for value in values] != [value.shape for value in wanted.values()]:
            raise ModelError(f"{path}: its convolutions are not those of PP-TinyPose")
        return dict(zip(wanted, values, strict=True))


class TinyPoseCells(TinyPoseNet):
    """The same, but a joint's map says which cell it is in: logits of a softmax over all cells, as
    `SppeNet`. `sharp` times a heatmap are such logits, so a network that regresses heatmaps is a
    good start, and new joints are learnt several times as fast.
    """

    def __init__(self, joints: int = 17, *, sigma: float = 2.0, sharp: float = 10.0) -> None:
        super().__init__(joints)
        self.sigma, self.sharp = sigma, sharp

    def forward(self, image: Tensor) -> Tensor:
        return self.sharp * super().forward(image)

    answer = SppeNet.answer


SHARED = 2  # coarse steps of the first head that the second one takes over


class TinyPoseMore(TinyPoseNet):
    """The same with a second head for further joints, on the same features: what the first head
    says does not change when only the second one learns.
    """

    def __init__(self, joints: int = 23, *, first: int = 17) -> None:
        super().__init__(first)
        self.more = Head(max(joints - first, 1), len(WIDTHS) - SHARED)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """-> heatmaps of the first joints and of the others."""
        return self.heads(self.below(image))

    def below(self, image: Tensor) -> list[Tensor]:
        """What both heads build on: the coarse steps of the first, and the fine branches."""
        features = self.features(self.stem(image))[::-1]
        return [climbed(features[:SHARED], self.head.steps[:SHARED]), *features[SHARED:]]

    def heads(self, below: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """`below` -> heatmaps of the first joints and of the others."""
        shared, *fine = below
        first = climbed(fine, self.head.steps[SHARED:], shared)
        return self.head.heatmaps(first), self.second(below)

    def second(self, below: Sequence[Tensor]) -> Tensor:
        """`below` -> heatmaps of the other joints."""
        shared, *fine = below
        return self.more.heatmaps(climbed(fine, self.more.steps, shared))

    def answer(self, said: tuple[Tensor, Tensor]) -> Tensor:
        """All heatmaps [B, K, H / 4, W / 4]."""
        return torch.cat(said, 1)

    def of_one(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The numbers of a `TinyPoseNet` -> a state whose second head starts as the first."""
        own = self.state_dict()
        for name in own:
            if name.startswith("more.steps."):
                place, _, rest = name.removeprefix("more.steps.").partition(".")
                own[name] = state[f"head.steps.{int(place) + SHARED}.{rest}"]
        return own | state

    def from_onnx(self, path: Path) -> dict[str, Tensor]:
        return self.of_one(TinyPoseNet(self.head.heatmaps.out_channels).from_onnx(path))


class DeepHead(Head):
    """A head that has the trunk's last module for itself: from what all modules before it say."""

    def __init__(self, joints: int) -> None:
        super().__init__(joints)
        self.module = Module(len(WIDTHS))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return super().forward(self.module(features))


class TinyPoseDeeper(TinyPoseMore):
    """The same, but the second head has the last module for itself. A trunk that was never asked
    for toes tells little of where feet point; the first joints stay what they are, and the second
    look costs a module more.
    """

    def __init__(self, joints: int = 23, *, first: int = 17) -> None:
        super().__init__(joints, first=first)
        self.more = DeepHead(max(joints - first, 1))

    def below(self, image: Tensor) -> list[Tensor]:
        """What all modules but the last say."""
        return self.before(self.stem(image))

    def heads(self, below: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        return self.head(self.last(below)), self.second(below)

    def second(self, below: Sequence[Tensor]) -> Tensor:
        return self.more(below)

    def of_one(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The numbers of a `TinyPoseNet` -> a state whose second head starts as the first and the
        module before it.
        """
        own, last = self.state_dict(), f"stages.{len(self.stages) - 1}.{STAGES[-1][1] - 1}."
        for name in own:
            if name.startswith("more.module."):
                own[name] = state[last + name.removeprefix("more.module.")]
            elif name.startswith("more.steps."):
                own[name] = state["head." + name.removeprefix("more.")]
        return own | state


def more_error(net: Any, said: Any, targets: Sequence[Tensor], weights: Tensor, codec: Any) -> Loss:
    """Heatmaps of the joints of the second head."""
    first = net.head.heatmaps.out_channels
    return heatmap_error(said[1], targets[0][:, first:], weights[:, first:], sigma=codec.sigma)


VARIANTS: dict[str, dict[str, Any]] = {"tinypose": {}}
MORE: dict[str, dict[str, Any]] = {"tinypose-more": {}}
DEEPER: dict[str, dict[str, Any]] = {"tinypose-deeper": {}}
CELLS: dict[str, dict[str, Any]] = {"tinypose-cells": {}}


def _convolutions(graph: Any) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases in the order in which the network was built, which its folded
    normalisations count.
    """
    import onnx

    values = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    added = {node.input[0]: node for node in graph.node if node.op_type == "Add"}
    found: list[tuple[int, Tensor, Tensor]] = []
    for node in graph.node:
        if node.op_type == "Conv":
            bias = added[node.output[0]]
            number = re.match(
                r"batch_norm2d_(\d+)\.", bias.output[0]
            )  # counted as it was built; the last has none
            weight, offset = (torch.tensor(values[name]) for name in (node.input[1], bias.input[1]))
            found.append((int(number[1]) if number else len(values), weight, offset))
    return [row[1:] for row in sorted(found, key=lambda row: row[0])]
