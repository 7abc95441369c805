"""RTMDet (Lyu et al. 2022, arXiv 2212.07784): CSPNeXt backbone, CSP-PAFPN neck, a head per level,
a score per category.

Blocks are depthwise: 3 × 3 and 5 × 5 kernels see far at little cost (§ 3.2 there). Channels are
weighed by what the whole picture holds (squeeze and excitation in one layer). Cells answer for the
pixel at their corner, not their middle. Normalisation is folded into the convolutions, as in the
files that OpenMMLab exports. `from_onnx` takes their numbers, layer by layer, in the order in which
both networks compute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ModelError
from .detector import PRIOR, STRIDES, DetectorNet, centres


def conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups),
        nn.SiLU(inplace=True),
    )


def separable(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A depthwise convolution and one that mixes the channels."""
    return nn.Sequential(conv(inputs, inputs, kernel, stride, inputs), conv(inputs, outputs))


class Block(nn.Module):
    def __init__(self, width: int, *, add: bool) -> None:
        super().__init__()
        self.near, self.far, self.add = separable(width, width, 3), separable(width, width, 5), add

    def forward(self, x: Tensor) -> Tensor:
        y = self.far(self.near(x))
        return x + y if self.add else y


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * functional.hardsigmoid(self.mix(x.mean((2, 3), keepdim=True)))


class CSP(nn.Module):
    """Half of the channels go through the blocks, half around them (Wang et al. 2019, CSPNet)."""

    def __init__(
        self, inputs: int, outputs: int, depth: int = 1, *, add: bool = False, attend: bool = False
    ) -> None:
        super().__init__()
        half = outputs // 2
        self.around, self.through = conv(inputs, half), conv(inputs, half)
        self.blocks = nn.Sequential(*(Block(half, add=add) for _ in range(depth)))
        self.attention = Attention(outputs) if attend else nn.Identity()
        self.join = conv(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        around = self.around(x)
        return self.join(self.attention(torch.cat([self.blocks(self.through(x)), around], 1)))


class Pool(nn.Module):
    """The greatest within 5, 9 and 13 cells (He et al. 2014, spatial pyramid pooling), as one pool
    thrice.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow, self.join = conv(width, width // 2), conv(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.narrow(x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.join(torch.cat(parts, 1))


class RTMDet(nn.Module):
    """Picture [B, 3, H, W], RGB, normalised; H, W multiples of 32 -> logits [B, A, C] and boxes [B,
    A, 4] xyxy in its pixels from its corner, A cells of all levels, the finest first: as
    `DetectorNet`.
    """

    MIDDLE = 0.0  # of a cell, in its sides

    def __init__(
        self,
        categories: int = 1,
        *,
        width: int = 16,
        depths: Sequence[int] = (1, 2, 2, 1),
        head: int = 64,
    ) -> None:
        super().__init__()
        widths = [width << level for level in range(5)]
        low, middle, high = widths[2:]
        # Built in the order of the computation: `from_onnx` depends on it.
        self.stem = nn.Sequential(
            conv(3, width // 2, 3, 2), conv(width // 2, width // 2, 3), conv(width // 2, width, 3)
        )
        self.stages = nn.ModuleList()
        for level, depth in enumerate(depths):
            before, after = widths[level : level + 2]
            last = level == len(depths) - 1
            pool = [Pool(after)] if last else []
            csp = CSP(after, after, depth, add=not last, attend=True)
            self.stages.append(nn.Sequential(separable(before, after, stride=2), *pool, csp))
        self.narrow_high, self.down_middle = conv(high, middle), CSP(2 * middle, middle)
        self.narrow_middle, self.down_low = conv(middle, low), CSP(2 * low, low)
        self.reduce_low, self.up_middle = separable(low, low, stride=2), CSP(2 * low, middle)
        self.reduce_middle, self.up_high = (
            separable(middle, middle, stride=2),
            CSP(2 * middle, high),
        )
        self.outs = nn.ModuleList(separable(inputs, head) for inputs in (low, middle, high))
        self.heads = nn.ModuleList()
        for _ in STRIDES:
            scores = nn.Sequential(
                separable(head, head), separable(head, head), nn.Conv2d(head, categories, 1)
            )
            sides = nn.Sequential(
                separable(head, head), separable(head, head), nn.Conv2d(head, 4, 1)
            )
            nn.init.constant_(scores[-1].bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]
            nn.init.ones_(sides[-1].bias)  # type: ignore[arg-type]
            self.heads.append(nn.ModuleDict({"scores": scores, "sides": sides}))

    def features(self, image: Tensor) -> list[Tensor]:
        """[B, 3, H, W] -> [B, head, H/s, W/s] of every stride s."""
        return self.joined(self.levels(image))

    def levels(self, image: Tensor) -> list[Tensor]:
        """[B, 3, H, W] -> the backbone's features at strides 4, 8, 16 and 32."""
        x, levels = self.stem(image), []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return levels

    def joined(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """The backbone's features -> what each level knows from the others too: the neck."""
        low, middle, high = levels[1:]
        high = self.narrow_high(high)
        middle = self.narrow_middle(self.down_middle(torch.cat([double(high), middle], 1)))
        low = self.down_low(torch.cat([double(middle), low], 1))
        middle = self.up_middle(torch.cat([self.reduce_low(low), middle], 1))
        high = self.up_high(torch.cat([self.reduce_middle(middle), high], 1))
        return [out(x) for out, x in zip(self.outs, (low, middle, high), strict=True)]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return self.said(self.features(image))

    def said(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The neck's features -> logits and boxes."""
        logits, boxes = [], []
        for stride, x, head in zip(STRIDES, features, self.heads, strict=True):
            logits.append(head["scores"](x).flatten(2).mT)  # type: ignore[index]
            sides = head["sides"](x).float().flatten(2).mT * stride  # type: ignore[index]
            at = centres(x.shape[2], x.shape[3], stride, x.device, self.MIDDLE)
            boxes.append(torch.cat([at - sides[..., :2], at + sides[..., 2:]], 2))
        return torch.cat(logits, 1), torch.cat(boxes, 1)

    answer = DetectorNet.answer

    def from_onnx(self, path: Path) -> dict[str, Tensor]:
        """The numbers of an RTMDet that OpenMMLab exported for one class -> a state for this
        network. The order of the layers tells which is which. Such a file takes BGR, so the first
        layer's inputs change places. Raises ModelError for other files.
        """
        import onnx
        from google.protobuf.message import DecodeError
        from onnx import numpy_helper

        try:
            graph = onnx.load(path).graph
        except (OSError, DecodeError) as error:
            raise ModelError(f"{path}: not an ONNX file ({error})") from error
        known = {tensor.name: tensor for tensor in graph.initializer}
        names = [name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]]
        wanted = self.state_dict()
        if len(names) != len(wanted):
            raise ModelError(
                f"{path}: has {len(names)} weights and biases, {type(self).__name__} {len(wanted)}"
            )
        state: dict[str, Tensor] = {}
        for (key, like), name in zip(wanted.items(), names, strict=True):
            value = (
                torch.from_numpy(numpy_helper.to_array(known[name]).copy())
                if name in known
                else torch.empty(0)
            )
            if value.shape != like.shape:
                raise ModelError(
                    f"{path}: '{name}' is {tuple(value.shape)}, '{key}' {tuple(like.shape)}"
                )
            state[key] = value
        state["stem.0.0.weight"] = state["stem.0.0.weight"].flip(1)
        return state


class RTMDetFeatures(RTMDet):
    """RTMDet without its heads: [B, 3, H, W] -> the backbone's map at stride 4 and the neck's at 8,
    16 and 32; C in `channels`. For networks that start from a trained detector.
    """

    def __init__(self, **numbers: Any) -> None:
        super().__init__(**numbers)
        fine, neck = (self.stages[0][-1].join[0], self.outs[0][-1][0])  # type: ignore[index]
        self.channels = (fine.out_channels, *[neck.out_channels] * len(STRIDES))
        self.heads = nn.ModuleList()

    def forward(self, image: Tensor) -> list[Tensor]:  # type: ignore[override]
        levels = self.levels(image)
        return [levels[0], *self.joined(levels)]


def double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


VARIANTS: dict[str, dict[str, Any]] = {"rtmdet-nano": {}}
