"""PP-TinyPose laid out for inference engines: the same function of the same numbers, but no channel
is split off or shuffled.

A shuffle unit passes half of its channels on, transforms the others and interleaves both. On a CPU
that moving takes as long as the convolutions, because engines keep channels in blocks. A trained
network can be laid out anew (structural re-parameterisation, Ding et al. 2021, RepVGG; 1 × 1
convolutions of zeros and ones as in ACNet, Ding et al. 2019). Here a unit leaves the passing
channels where they are and writes over the channels that it read; the next layer has its weights in
the new order. Where branches are fused, the finest one counts twice by doubled weights, and the
coarser ones go up together, from the coarsest on. All sums then follow a convolution, and engines
make one step of both.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .tinypose import WIDTHS, DeepHead, Head, Module, Stem, TinyPoseMore, TinyPoseNet, Unit

DEEP = "more.module."  # what a second head has that has a module for itself
# The fraction of a number that only says which number it is; float32 holds four million of them.
MARK = 0.25


def deployed(net: TinyPoseNet) -> TinyPoseNet:
    """A copy in eval mode, to be exported; it is not for training."""
    net = copy.deepcopy(net).eval()
    # Which trained channel stands where, and stood before the last module.
    orders = before = [torch.arange(width) for width in WIDTHS]
    with torch.no_grad():
        net.stem = TwoWayStem(net.stem)  # type: ignore[assignment]
        for number, stage in enumerate(net.stages):
            assert isinstance(stage, nn.Sequential)
            if not isinstance(stage[0], Module):  # a step down to a further branch
                level = WIDTHS.index(stage[0].in_channels)  # type: ignore[arg-type]
                net.stages[number] = reordered(stage, orders[level], orders[level + 1])
                continue
            for place, module in enumerate(stage):
                before = orders[: len(module.branches)]  # type: ignore[arg-type]
                stage[place] = here = InPlaceModule(module, before)  # type: ignore[arg-type]
                orders = [*here.orders, *orders[len(here.orders) :]]
        read_in_order(net.head, orders)
        if isinstance(net, TinyPoseMore):
            if isinstance(net.more, DeepHead):
                net.more.module = own = InPlaceModule(net.more.module, before)  # type: ignore[assignment]
                orders = own.orders
            read_in_order(net.more, orders)
    return net


def read_in_order(head: Head, orders: Sequence[Tensor]) -> None:
    """Have the steps of a head read branches whose channels are in `orders`."""
    coarse_first = [*reversed(orders), torch.arange(WIDTHS[0])]
    skipped = len(coarse_first) - 1 - len(head.steps)
    for place, step in enumerate(head.steps):
        read, write = coarse_first[skipped + place : skipped + place + 2]
        head.steps[place] = reordered(step, read, write)


def restored_more(net: TinyPoseMore, numbers: dict[str, Tensor]) -> dict[str, Tensor]:
    """As `restored`; of a deployed `TinyPoseNet`, the second head starts as the first."""
    theirs = numbers.get("more.heatmaps.weight")
    alike = isinstance(net.more, DeepHead) == any(name.startswith(DEEP) for name in numbers)
    if alike and theirs is not None and theirs.shape == net.more.heatmaps.weight.shape:
        return restored(net, numbers)
    return net.of_one(restored(TinyPoseNet(net.head.heatmaps.out_channels), numbers))


def restored(net: TinyPoseNet, numbers: dict[str, Tensor]) -> dict[str, Tensor]:
    """The numbers of a deployed network by their names -> a state for `net`, whose architecture is
    that of the network before it was deployed. Raises KeyError or IndexError for numbers of another
    architecture.
    """
    marked = copy.deepcopy(net)
    sizes = [parameter.numel() for parameter in marked.parameters()]
    ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
    with torch.no_grad():
        for parameter, start, end in zip(marked.parameters(), ends, ends[1:], strict=False):
            parameter.copy_(torch.arange(start, end).reshape(parameter.shape) + MARK)
    found = torch.zeros(ends[-1])
    for name, marks in deployed(marked).state_dict().items():
        for gain in (1.0, 2.0):  # the fraction shows by which gain a number was multiplied
            mine = marks % 1 == gain * MARK
            found[(marks[mine] / gain).long()] = (
                numbers[name][mine] / gain if mine.any() else found[:0]
            )
    parts = zip(net.state_dict().items(), ends, ends[1:], strict=False)
    return {name: found[start:end].reshape(value.shape) for (name, value), start, end in parts}


def reordered(path: nn.Module, read: Tensor, write: Tensor, gain: float = 1.0) -> nn.Module:
    """A copy of layers that takes channels in the order `read` [C] and gives them in the order
    `write` [C'], times `gain`.
    """
    path = copy.deepcopy(path)
    layers = [layer for layer in path.modules() if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        weight, bias = layer.parameters()
        if layer.groups > 1:
            weight.copy_(weight[read])
            bias.copy_(bias[read])
        else:
            weight.copy_(weight[:, read])
            read = torch.arange(len(weight))
    for parameter in layers[-1].parameters():
        parameter.copy_(gain * parameter[write])
    return path


def empty(
    inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution of zeros."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
    layer.weight.zero_()
    cast(Tensor, layer.bias).zero_()
    return layer


ALL = slice(None)


def fill(
    layer: nn.Conv2d,
    source: nn.Module,
    *,
    rows: Tensor | slice = ALL,
    columns: Tensor | slice = ALL,
    gain: float = 1.0,
) -> None:
    """Write the numbers of another convolution, times `gain`, into these outputs and inputs of a
    layer.
    """
    weight, bias = (parameter.detach() for parameter in source.parameters())
    part = torch.zeros_like(layer.weight[rows])
    part[:, columns] = gain * weight
    layer.weight[rows] = part
    cast(Tensor, layer.bias)[rows] = gain * bias


class InPlaceUnit(nn.Module):
    """A `Unit` whose input, never below 0, has its channels in `order` [C], and its output, times
    `gain`, in `self.order`.
    """

    def __init__(self, unit: Unit, order: Tensor, gain: float = 1.0) -> None:
        super().__init__()
        narrow, _, self.depthwise, widen, _ = unit.body
        width, half = len(order), len(order) // 2
        kept, changed = order.argsort().split(half)
        self.read, self.write = empty(width, half), empty(half, width)
        fill(self.read, narrow, columns=changed)
        fill(self.write, widen, rows=changed, gain=gain)
        self.keep = empty(width, width, groups=width)
        self.keep.weight[kept] = gain
        self.order = torch.empty_like(order)
        self.order[kept], self.order[changed] = 2 * torch.arange(half), 2 * torch.arange(half) + 1

    def forward(self, x: Tensor) -> Tensor:
        return (self.write(self.depthwise(self.read(x).relu())) + self.keep(x)).relu()


class InPlaceModule(nn.Module):
    """A `Module` whose branches come in `orders`, and go in `self.orders`."""

    def __init__(self, module: Module, orders: Sequence[Tensor]) -> None:
        super().__init__()
        self.branches, self.orders = nn.ModuleList(), []
        for level, (units, order) in enumerate(zip(module.branches, orders, strict=True)):
            first, second = cast(Iterable[Unit], units)
            first = InPlaceUnit(first, order)
            # The finest branch counts twice in the fusion, which is all that reads it.
            second = InPlaceUnit(second, first.order, gain=1.0 if level else 2.0)
            self.branches.append(nn.Sequential(first, second))
            self.orders.append(second.order)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for end, row in enumerate(module.fuse):
            write, down, up = self.orders[end], nn.ModuleList(), nn.ModuleList()
            for start, path in enumerate(cast(Iterable[nn.Sequential], row)):
                if start < end:
                    down.append(
                        reordered(path, self.orders[start], write, gain=1.0 if start else 2.0)
                    )
                elif start > end:
                    up.append(reordered(path[0], self.orders[start], write))
            self.down.append(down)
            self.up.append(up)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        inside = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        out = []
        for level, rows in enumerate(zip(self.down, self.up, strict=True)):
            down, up = (cast(Sequence[nn.Module], row) for row in rows)
            total, coarser = inside[level], None
            for path, x in zip(reversed(up), reversed(inside), strict=False):
                coarser = path(x) if coarser is None else path(x) + coarser
                coarser = functional.interpolate(coarser, scale_factor=2.0, mode="nearest")
            if coarser is not None:
                total = total + coarser
            for path, x in zip(down, inside, strict=False):
                total = path(x) + total
            if level == 0:
                inside[0] = total  # the other rows see the finest branch fused
            out.append(total.relu())
        return out


class TwoWayStem(nn.Module):
    """A `Stem` whose first layer is two, and whose two ways meet in a sum."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        (left_depthwise, left, _), (narrow, _, right_depthwise, right, _) = stem.left, stem.right
        whole = cast(nn.Conv2d, stem.first[0])
        width = whole.out_channels
        firsts = [nn.Conv2d(3, width // 2, 3, 2, 1) for _ in range(2)]
        for first, half in zip(firsts, torch.arange(width).chunk(2), strict=True):
            for parameter, numbers in zip(first.parameters(), whole.parameters(), strict=True):
                parameter.copy_(numbers[half])
        self.left = nn.Sequential(firsts[0], nn.ReLU(), left_depthwise)
        self.right = nn.Sequential(firsts[1], nn.ReLU(), narrow, nn.ReLU(), right_depthwise)
        inputs = (cast(nn.Conv2d, layer).in_channels for layer in (left, right))
        self.write_left, self.write_right = (empty(count, width) for count in inputs)
        fill(self.write_left, left, rows=slice(0, None, 2))
        fill(self.write_right, right, rows=slice(1, None, 2))

    def forward(self, x: Tensor) -> Tensor:
        return (self.write_left(self.left(x)) + self.write_right(self.right(x))).relu()
