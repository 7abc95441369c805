"""Stacked Hourglass (Newell et al., Stacked Hourglass Networks for Human Pose Estimation, ECCV
2016, arXiv 1603.06937).

An hourglass pools its features down to the coarsest resolution and brings them up again, and at
every resolution adds what it had there on the way down. Its residual blocks normalise before they
convolve (He et al. 2016, Identity Mappings in Deep Residual Networks). Hourglasses follow one
another; the heatmaps of each are trained (intermediate supervision), and go back into the features
before the next one:

    x ← x + merge_features(features) + merge_maps(heatmaps)

The loss is the squared error of the heatmaps, added up over the stacks.

Two layouts are published, and `published` tells them apart by their names: the authors' own
(princeton-vl/pytorch_stacked_hourglass, BSD-3; `pre`, `hgs`) and pytorch-pose's (GPL-3.0: names and
numbers taken, no code; `hg`), which is wider before the first hourglass (`front`). The codec of
both: heatmaps of a quarter of the crop (256 × 256), decoded by a quarter of a cell towards the
higher neighbour; MPII's 16 joints; RGB in [0, 1], which pytorch-pose also centres.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ..errors import ModelError
from .published_names import renamed


class Residual(nn.Module):
    """[B, inputs, H, W] -> [B, outputs, H, W]: 1 × 1, 3 × 3 and 1 × 1, each after norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, half, 1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, 1, 1)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, outputs, 1)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.bn1(x).relu())
        y = self.conv2(self.bn2(y).relu())
        y = self.conv3(self.bn3(y).relu())
        return y + self.skip(x)


def residuals(count: int, width: int) -> nn.Sequential:
    """So many blocks of one width."""
    return nn.Sequential(*(Residual(width, width) for _ in range(count)))


class Hourglass(nn.Module):
    """[B, C, H, W] -> the same shape, with what was seen at `depth` coarser resolutions."""

    def __init__(self, depth: int, width: int, blocks: int) -> None:
        super().__init__()
        self.around = residuals(blocks, width)
        self.down = residuals(blocks, width)
        deeper = depth > 1
        self.inner = Hourglass(depth - 1, width, blocks) if deeper else residuals(blocks, width)
        self.up = residuals(blocks, width)

    def forward(self, x: Tensor) -> Tensor:
        coarse = functional.max_pool2d(x, 2, ceil_mode=True)  # odd sides keep their last row
        coarse = self.up(self.inner(self.down(coarse)))
        return self.around(x) + functional.interpolate(coarse, x.shape[2:], mode="nearest")


class HourglassNet(nn.Module):
    """Crop [B, 3, H, W]; H, W multiples of 4 -> one [B, K, H / 4, W / 4] per stack, in order.

    front: channels after each of the three residual blocks before the first hourglass; blocks: how
    many there are, one after the other, wherever an hourglass has one.
    """

    def __init__(
        self,
        joints: int,
        *,
        stacks: int = 8,
        width: int = 256,
        depth: int = 4,
        blocks: int = 1,
        front: Sequence[int] = (128, 128, 256),
    ) -> None:
        super().__init__()
        stem = width // 4
        first, second, third = front
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 7, 2, 3), nn.BatchNorm2d(stem), nn.ReLU())
        self.front = nn.Sequential(
            nn.Sequential(Residual(stem, first)),
            nn.MaxPool2d(2),
            nn.Sequential(Residual(first, second)),
            nn.Sequential(Residual(second, third)),
        )

        def head() -> nn.Sequential:
            last = (nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU())
            return nn.Sequential(residuals(blocks, width), *last)

        def merge(inputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(inputs, width, 1) for _ in range(stacks - 1))

        self.hourglasses = nn.ModuleList(Hourglass(depth, width, blocks) for _ in range(stacks))
        self.features = nn.ModuleList(head() for _ in range(stacks))
        self.heatmaps = nn.ModuleList(nn.Conv2d(width, joints, 1) for _ in range(stacks))
        self.merge_features = merge(width)
        self.merge_maps = merge(joints)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = self.front(self.stem(image))
        said: list[Tensor] = []
        for i, hourglass in enumerate(self.hourglasses):
            features = self.features[i](hourglass(x))
            maps = self.heatmaps[i](features)
            said.append(maps)
            if i < len(self.merge_maps):
                x = x + self.merge_features[i](features) + self.merge_maps[i](maps)
        return tuple(said)

    def answer(self, said: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The last stack's heatmaps."""
        return (said[-1],)


VARIANTS: dict[str, dict[str, Any]] = {
    "hourglass-tiny": {"stacks": 2, "width": 32, "depth": 3, "front": (16, 16, 32)},
    "hourglass-slim": {"stacks": 2, "width": 72, "depth": 3, "front": (36, 36, 72)},
    "hourglass-1": {"stacks": 1},
    "hourglass-2": {"stacks": 2},
    "hourglass-4": {"stacks": 4},
    "hourglass-8": {"stacks": 8},
}

AUTHORS = (  # names of princeton-vl/pytorch_stacked_hourglass -> ours
    (r"\.conv\.(?=weight|bias)", "."),
    (r"\.skip_layer\.", ".skip."),
    (r"^pre\.0\.bn\.", "stem.1."),
    (r"^pre\.0\.", "stem.0."),
    (r"^pre\.1\.", "front.0.0."),
    (r"^pre\.3\.", "front.2.0."),
    (r"^pre\.4\.", "front.3.0."),
    (r"^hgs\.(\d+)\.0\.", r"hourglasses.\1."),
    (r"\.up1\.", ".around.0."),
    (r"\.low1\.", ".down.0."),
    (r"\.low3\.", ".up.0."),
    (r"\.low2\.(?=bn|conv|skip)", ".inner.0."),
    (r"\.low2(?=\.)", ".inner"),
    (r"^features\.(\d+)\.0\.", r"features.\1.0.0."),
    (r"^features\.(\d+)\.1\.bn\.", r"features.\1.2."),
    (r"^outs\.", "heatmaps."),
    (r"^merge_preds\.(\d+)\.conv\.", r"merge_maps.\1."),
    (r"^merge_features\.(\d+)\.conv\.", r"merge_features.\1."),
)
PYTORCH_POSE = (  # names of bearpaw/pytorch-pose -> ours, outside the hourglasses
    (r"\.downsample\.0\.", ".skip."),
    (r"^conv1\.", "stem.0."),
    (r"^bn1\.", "stem.1."),
    (r"^layer1\.", "front.0."),
    (r"^layer2\.", "front.2."),
    (r"^layer3\.", "front.3."),
    (r"^res\.(\d+)\.", r"features.\1.0."),
    (r"^fc\.(\d+)\.1\.", r"features.\1.2."),
    (r"^fc\.(\d+)\.0\.", r"features.\1.1."),
    (r"^score\.", "heatmaps."),
    (r"^fc_\.", "merge_features."),
    (r"^score_\.", "merge_maps."),
)


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of either published layout -> ours."""
    if any(name.startswith("hgs.") for name in state):
        unused = [  # the authors build a projection in every block, and use it where widths differ
            name.rpartition(".")[0]
            for name, value in state.items()
            if name.endswith("skip_layer.conv.weight") and value.shape[0] == value.shape[1]
        ]
        kept = {k: v for k, v in state.items() if k.rpartition(".")[0] not in unused}
        return renamed(kept, *AUTHORS)

    levels = [int(m[1]) for m in (re.match(r"hg\.0\.hg\.(\d+)\.", k) for k in state) if m]
    if levels:
        return renamed(state, *_levels(max(levels) + 1), *PYTORCH_POSE)
    raise ModelError(
        "no parameter of these weights is named hgs.* or hg.*: they are of no published "
        "stacked hourglass; give weights of pytorch_stacked_hourglass or pytorch-pose"
    )


def _levels(depth: int) -> list[tuple[str, str]]:
    """pytorch-pose counts resolutions from the coarsest; ours are nested, the finest outside."""
    parts = ("around", "down", "up", "inner")
    return [
        (rf"^hg\.(\d+)\.hg\.{n}\.{k}\.", rf"hourglasses.\1.{'inner.' * (depth - 1 - n)}{part}.")
        for n in range(depth)
        for k, part in enumerate(parts)
    ]


def layout(state: dict[str, Tensor]) -> dict[str, Any]:
    """Weights under our names -> the numbers in which the published layouts differ."""

    def width(block: int) -> int:
        return len(state[f"front.{block}.0.conv3.weight"])

    blocks = sum(bool(re.match(r"features\.0\.0\.\d+\.bn1\.weight", name)) for name in state)
    return {"front": (width(0), width(2), width(3)), "blocks": blocks}
