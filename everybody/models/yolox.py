"""YOLOX (Ge et al. 2021): a detector without anchors whose class and box branches are apart.

CSPDarknet (`csp_darknet`), a path aggregation network (Liu et al. 2018, PANet), and per level a
head of two branches: one says the class, the other the box and whether there is anything at all
(§ 2.1, Fig. 2). A cell at (x, y), counted in cells, says (dx, dy, w, h); its box has, in pixels
from the picture's corner,

    centre = ((x, y) + (dx, dy)) · stride        sides = exp(w, h) · stride        (§ 2.1)

Parameter names are those of YOLOX (Megvii, Apache-2.0; its weights are trained on COCO).
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
from ..inputs import IMAGENET
from .csp_darknet import CSP, EPS, Conv, CSPDarknet, Layer, Separable
from .detector import PRIOR, STRIDES, DetectorNet, centres


class PAFPN(nn.Module):
    """Image -> features at strides 8, 16 and 32, each with what the others know."""

    def __init__(self, *, width: int, depth: int, layer: Layer) -> None:
        super().__init__()
        depths = (depth, 3 * depth, 3 * depth, depth)
        self.backbone = CSPDarknet(width=width, depths=depths, layer=layer)
        low, middle, high = self.channels = self.backbone.channels
        self.lateral_conv0 = Conv(high, middle)
        self.C3_p4 = CSP(2 * middle, middle, depth, layer)
        self.reduce_conv1 = Conv(middle, low)
        self.C3_p3 = CSP(2 * low, low, depth, layer)
        self.bu_conv2 = layer(low, low, 3, 2)
        self.C3_n3 = CSP(2 * low, middle, depth, layer)
        self.bu_conv1 = layer(middle, middle, 3, 2)
        self.C3_n4 = CSP(2 * middle, high, depth, layer)

    def forward(self, image: Tensor) -> list[Tensor]:
        low, middle, high = self.backbone(image)
        high = self.lateral_conv0(high)
        middle = self.reduce_conv1(self.C3_p4(torch.cat([double(high), middle], 1)))
        low = self.C3_p3(torch.cat([double(middle), low], 1))
        middle = self.C3_n3(torch.cat([self.bu_conv2(low), middle], 1))
        return [low, middle, self.C3_n4(torch.cat([self.bu_conv1(middle), high], 1))]


def double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


class Head(nn.Module):
    """Features of every stride -> per stride [B, 4 + 1 + classes, h, w]: the box, logits of there
    being anything and of each class.
    """

    def __init__(self, inputs: Sequence[int], width: int, classes: int, layer: Layer) -> None:
        super().__init__()

        def branch() -> nn.Sequential:
            return nn.Sequential(layer(width, width, 3, 1), layer(width, width, 3, 1))

        def last(outputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(width, outputs, 1) for _ in inputs)

        self.stems = nn.ModuleList(Conv(channels, width) for channels in inputs)
        self.cls_convs = nn.ModuleList(branch() for _ in inputs)
        self.reg_convs = nn.ModuleList(branch() for _ in inputs)
        self.cls_preds, self.reg_preds, self.obj_preds = last(classes), last(4), last(1)
        for layer_ in (*self.cls_preds, *self.obj_preds):
            nn.init.constant_(layer_.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        said = []
        for level, feature in enumerate(features):
            x = self.stems[level](feature)
            kinds = self.cls_preds[level](self.cls_convs[level](x))
            box = self.reg_convs[level](x)
            parts = [self.reg_preds[level](box), self.obj_preds[level](box)]
            said.append(torch.cat([*parts, kinds], 1))
        return said


class YoloxNet(nn.Module):
    """Picture [B, 3, H, W] of values 0 to 255, BGR, as the published weights see it; H, W multiples
    of 32 -> [B, A, 5 + classes], A cells of strides 8, 16 and 32: dx, dy, w, h, logits.

    width: channels of the stem; depth: blocks of the shortest stage; separable: 3 × 3 convolutions
    in two parts (nano).
    """

    def __init__(
        self, *, width: int = 32, depth: int = 1, separable: bool = False, classes: int = 80
    ) -> None:
        super().__init__()
        layer: Layer = Separable if separable else Conv
        self.backbone = PAFPN(width=width, depth=depth, layer=layer)
        self.head = Head(self.backbone.channels, 4 * width, classes, layer)

    def forward(self, image: Tensor) -> Tensor:
        said = self.head(self.backbone(image))
        return torch.cat([level.flatten(2) for level in said], 2).mT

    def answer(self, said: Tensor) -> Tensor:
        """What the codec `yolox` decodes: the same grid with probabilities in place of logits."""
        return torch.cat([said[..., :4], said[..., 4:].sigmoid()], -1)


class YoloxDetector(YoloxNet):
    """YOLOX as the other detectors that are trained here: picture [B, 3, H, W], RGB, normalised ->
    logits [B, A, categories] of there being one of each, and boxes [B, A, 4] xyxy in its pixels
    from its corner.

    The probability that is meant is the product of the two that the head says, σ(o) σ(c), so the
    logit is -log(e^-o + e^-c + e^(-o - c)).
    """

    MIDDLE = 0.5
    mean: Tensor
    std: Tensor

    def __init__(self, categories: int = 1, **numbers: Any) -> None:
        super().__init__(classes=categories, **numbers)
        for name in ("mean", "std"):
            values = torch.tensor(IMAGENET[name])[:, None, None]
            self.register_buffer(name, values, persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        said = super().forward((image * self.std + self.mean).flip(1)).float()
        thing, kinds = said[..., 4:5], said[..., 5:]
        logits = -torch.stack([-thing.expand_as(kinds), -kinds, -thing - kinds]).logsumexp(0)
        centre, sides = boxes(said, (image.shape[2], image.shape[3])).split(2, 2)
        return logits, torch.cat([centre - sides / 2, centre + sides / 2], 2)

    answer = DetectorNet.answer  # type: ignore[assignment]

    def from_onnx(self, path: Path) -> dict[str, Tensor]:
        """The numbers of a file that Megvii exported -> a state for this network. Its convolutions
        stand in the order of the computation and hold the normalisation. Raises ModelError for
        other files.
        """
        theirs = convolutions(path)
        own = self._convolutions()
        if len(theirs) != len(own):
            raise ModelError(
                f"{path}: has {len(theirs)} convolutions, YOLOX {len(own)}: give a YOLOX file of "
                "this size, or choose the model that the file is of (--set model=NAME)"
            )
        state = dict(self.state_dict())
        for name, (weight, bias) in zip(own, theirs, strict=True):
            if weight.shape != state[f"{name}.weight"].shape:
                shapes = tuple(weight.shape), tuple(state[f"{name}.weight"].shape)
                raise ModelError(
                    f"{path}: a convolution is {shapes[0]}, '{name}' {shapes[1]}: "
                    "give a YOLOX file of this size"
                )
            state[f"{name}.weight"] = weight
            norm = name.removesuffix("conv") + "bn"
            if f"{norm}.bias" not in state:
                state[f"{name}.bias"] = bias
                continue
            like = state[f"{norm}.bias"]
            state[f"{norm}.bias"] = bias
            state[f"{norm}.weight"] = torch.ones_like(like)
            state[f"{norm}.running_mean"] = torch.zeros_like(like)
            state[f"{norm}.running_var"] = torch.full_like(like, 1 - EPS)
        return state

    def _convolutions(self) -> list[str]:
        """Their names, in the order of the computation."""
        order: list[str] = []
        convolutions = {n: m for n, m in self.named_modules() if isinstance(m, nn.Conv2d)}
        hooks = [
            module.register_forward_hook(lambda *_, name=name: order.append(name))
            for name, module in convolutions.items()
        ]
        training = self.training
        with torch.no_grad():
            self.eval()(torch.zeros(1, 3, 32, 32, device=self.mean.device))
        self.train(training)
        for hook in hooks:
            hook.remove()
        return order


def convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """The weights and biases of the convolutions of an ONNX file, in its order; also of files that
    store half precision. Raises ModelError.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path}: not an ONNX file ({error})") from error
    known = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]
    rows = [node.input[1:] for node in graph.node if node.op_type == "Conv"]
    if not all(len(row) == 2 and set(row) <= known.keys() for row in rows):
        raise ModelError(f"{path}: a convolution has no weight or bias of its own")
    return [
        tuple(torch.from_numpy(numpy_helper.to_array(known[name]).copy()).float() for name in row)
        for row in rows
    ]  # type: ignore[return-value]


def boxes(said: Tensor, size: tuple[int, int]) -> Tensor:
    """What the network says [B, A, 5 + classes] of pictures of (height, width) -> [B, A, 4]: centre
    and sides in pixels from the picture's corner.
    """
    cells, steps = [], []
    for stride in STRIDES:
        at = centres(size[0] // stride, size[1] // stride, stride, said.device, middle=0.0)
        cells.append(at)
        steps.append(torch.full_like(at[:, :1], stride))
    at, step = torch.cat(cells), torch.cat(steps)
    return torch.cat([said[..., :2] * step + at, said[..., 2:4].exp() * step], -1)


VARIANTS: dict[str, dict[str, Any]] = {
    "yolox-nano": {"width": 16, "separable": True},
    "yolox-tiny": {"width": 24},
    "yolox-s": {"width": 32},
    "yolox-m": {"width": 48, "depth": 2},
    "yolox-l": {"width": 64, "depth": 3},
    "yolox-x": {"width": 80, "depth": 4},
}
