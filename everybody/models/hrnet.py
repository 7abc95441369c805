"""HRNet (Sun et al., Deep High-Resolution Representation Learning for Human Pose Estimation, CVPR
2019, arXiv 1902.09212).

Section 3: the network starts at stride 4 (a cell is 4 × 4 pixels) and never leaves it. Branches at
strides 8, 16 and 32 join the first one after the other and run beside it; at the end of each
module, every branch gets the sum of all branches, brought to its own stride (an exchange unit). The
heatmaps are read from the finest branch by one 1 × 1 convolution and trained by squared error.

Names of parameters: as published (leoxiaobin/deep-high-resolution-net.pytorch, MIT; its weights are
trained on COCO and MPII and come without a licence of their own); mmpose (Apache-2.0) puts
`backbone.` and `keypoint_head.` or `head.` before them. The published codec: heatmaps of
a quarter of the crop, alignment "corner", σ of 2 cells for crops of 192 × 256 and 3 for 288 × 384,
decoded by a quarter of a cell towards the higher neighbour; pixels normalised by ImageNet's mean
and deviation, RGB; crops 1.25 times the box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .published_names import renamed
from .resnet_published import BasicBlock, Bottleneck

STEM = 64  # channels of the two convolutions that bring the picture to stride 4


def conv(inputs: int, outputs: int, stride: int = 1, *, active: bool = True) -> nn.Sequential:
    """A 3 × 3 convolution, normalisation and, if active, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if active else nn.Sequential(*layers)


def descend(start: int, end: int, steps: int) -> nn.Sequential:
    """[B, start, H, W] -> [B, end, H / 2^steps, W / 2^steps]; the last step widens, linearly."""
    same = [conv(start, start, 2) for _ in range(steps - 1)]
    return nn.Sequential(*same, conv(start, end, 2, active=False))


def ascend(start: int, end: int, steps: int) -> nn.Sequential:
    """[B, start, H, W] -> [B, end, 2^steps H, 2^steps W] by nearest neighbours."""
    return nn.Sequential(
        nn.Conv2d(start, end, 1, bias=False),
        nn.BatchNorm2d(end),
        nn.Upsample(scale_factor=2**steps),
    )


class Module(nn.Module):
    """Some residual blocks per branch, then an exchange: branches [B, C, H, W] -> the same shapes.

    Only the first `answers` branches get an answer (the last module of a pose network: the finest).
    """

    def __init__(self, widths: Sequence[int], blocks: int, *, answers: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width, width) for _ in range(blocks))) for width in widths
        )

        def path(start: int, end: int) -> nn.Module:
            if start == end:
                return nn.Identity()
            way = ascend if start > end else descend
            return way(widths[start], widths[end], abs(start - end))

        count = len(widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(path(start, end) for start in range(count)) for end in range(answers)
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        inside = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        answers = []
        for row in self.fuse_layers:
            first, *others = (path(x) for path, x in zip(row, inside, strict=True))  # type: ignore[arg-type]
            answers.append(sum(others, first).relu())
        return answers


class HRNetBackbone(nn.Module):
    """Image [B, 3, H, W] (sides: multiples of 32) -> features of strides 4, 8, 16 and 32.

    width: channels of the finest branch, doubled for each coarser one; inner: of the 3 × 3
    convolutions in the bottlenecks of stage 1; modules: of stages 2 to 4, one after the other;
    blocks: residual blocks of each branch in a module, of stages 1 to 4. finest: only the features
    of stride 4 are returned, and what the others would need at the very end is left out.
    """

    def __init__(
        self,
        *,
        width: int = 32,
        inner: int = 64,
        modules: Sequence[int] = (1, 4, 3),
        blocks: Sequence[int] = (4, 4, 4, 4),
        finest: bool = False,
    ) -> None:
        super().__init__()
        self.channels = tuple(width * 2**level for level in range(4))
        self.conv1 = nn.Conv2d(3, STEM, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.conv2 = nn.Conv2d(STEM, STEM, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(STEM)

        others = (Bottleneck(4 * inner, inner) for _ in range(blocks[0] - 1))
        self.layer1 = nn.Sequential(Bottleneck(STEM, inner), *others)

        def stage(number: int) -> nn.Sequential:
            widths = self.channels[: number + 1]
            count = modules[number - 1]
            answers = [len(widths)] * count
            if finest and number == 3:
                answers[-1] = 1
            return nn.Sequential(*(Module(widths, blocks[number], answers=n) for n in answers))

        first, second, third, fourth = self.channels
        self.transition1 = nn.ModuleList(
            [conv(4 * inner, first), nn.Sequential(conv(4 * inner, second, 2))]
        )
        self.stage2 = stage(1)
        self.transition2 = nn.ModuleList(
            [nn.Identity(), nn.Identity(), nn.Sequential(conv(second, third, 2))]
        )
        self.stage3 = stage(2)
        self.transition3 = nn.ModuleList(
            [*(nn.Identity() for _ in range(3)), nn.Sequential(conv(third, fourth, 2))]
        )
        self.stage4 = stage(3)

        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, image: Tensor) -> list[Tensor]:
        """[B, 3, H, W] -> [B, C, H / s, W / s] for s in 4, 8, 16, 32, or for 4 only."""
        x = self.bn1(self.conv1(image)).relu()
        x = self.bn2(self.conv2(x)).relu()
        x = self.layer1(x)

        branches = self.stage2([way(x) for way in self.transition1])
        branches = self.stage3([*branches, self.transition2[2](branches[-1])])
        return self.stage4([*branches, self.transition3[3](branches[-1])])

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.features(image)


class HRNet(HRNetBackbone):
    """Crop [B, 3, H, W], normalised; H, W multiples of 32 -> heatmaps [B, K, H / 4, W / 4]."""

    def __init__(
        self,
        joints: int,
        *,
        width: int = 32,
        inner: int = 64,
        modules: Sequence[int] = (1, 4, 3),
        blocks: Sequence[int] = (4, 4, 4, 4),
    ) -> None:
        super().__init__(width=width, inner=inner, modules=modules, blocks=blocks, finest=True)
        self.final_layer = nn.Conv2d(width, joints, 1)
        nn.init.normal_(self.final_layer.weight, std=0.001)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        return self.final_layer(self.features(image)[0])


VARIANTS: dict[str, dict[str, Any]] = {
    "hrnet-tiny": {"width": 8, "inner": 16, "modules": (1, 1, 1), "blocks": (1, 1, 1, 1)},
    # Published as "W18-small-v1", though its branches are 16 to 128 wide; `numbers` takes the
    # authors' pose network of these widths, too, whose stage 1 is always that of the large ones.
    "hrnet-w18-small": {"width": 16, "inner": 32, "modules": (1, 1, 1), "blocks": (1, 2, 2, 2)},
    "hrnet-w32": {"width": 32},
    "hrnet-w48": {"width": 48},
}


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' names, or mmpose's -> ours."""
    return renamed(state, (r"^(backbone|keypoint_head|head)\.", ""))


def numbers(state: dict[str, Tensor]) -> dict[str, Any]:
    """Weights under our names -> what they tell of the network's depth; raises KeyError for those
    of other networks.
    """

    def count(prefix: str) -> int:
        return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})

    stages = (2, 3, 4)
    _ = [state[f"stage{n}.0.branches.0.0.conv1.weight"] for n in stages]
    return {
        "inner": len(state["layer1.0.conv1.weight"]),
        "modules": tuple(count(f"stage{n}.") for n in stages),
        "blocks": (count("layer1."), *(count(f"stage{n}.0.branches.0.") for n in stages)),
    }
