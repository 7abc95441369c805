"""RTMO (Lu et al. 2024): one pass over the picture gives people, and a coordinate classification
each.

CSPDarknet (`csp_darknet`), the hybrid encoder of RT-DETR (`hybrid_encoder`), two levels at strides
16 and 32. Every cell says how surely a person belongs to it, the person's box, which joints can be
seen, and a pose vector (§ 3.1, Fig. 3); of the surest cells the vectors become joints (`dcc`).
While it learns, every cell also says joints directly: a cheap proxy that decides which cells answer
for which person (§ 3.4).

A cell's place is its middle: under the coordinate law, cell (i, j) of stride s is at the pixel
(i + 1/2) s - 1/2. Boxes and joints obey the law as they are. The published weights see blue
first, 0 to 255, letterboxed with grey 114. Parameter names are those of mmpose (Apache-2.0);
`published` takes its files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .csp_darknet import Conv, CSPDarknet
from .dcc import DCC, region_of
from .detector import PRIOR, centres
from .hybrid_encoder import HybridEncoder
from .published_names import renamed

STRIDES = (16, 32)
GROUPS = 8  # of the convolutions of the pose branch


class Level(NamedTuple):
    """What the head says of one level."""

    score: Tensor  # [B, 1, h, w] logits
    box: Tensor  # [B, 4, h, w] shift of the centre in strides, log of the sides in strides
    joints: Tensor  # [B, 2 K, h, w] the proxies' shifts in strides
    visible: Tensor  # [B, K, h, w] logits
    pose: Tensor  # [B, P, h, w]


class Said(NamedTuple):
    """What the network says of all cells, level by level, row by row; pixels of the input."""

    scores: Tensor  # [B, A] logits
    boxes: Tensor  # [B, A, 4] xyxy
    proxies: Tensor  # [B, A, K, 2]
    visible: Tensor  # [B, A, K] logits
    poses: Tensor  # [B, A, P]
    at: Tensor  # [A, 2] where the cells are
    strides: Tensor  # [A]


class HeadModule(nn.Module):
    """Maps [B, 2 width, h, w] -> `Level`s; the two halves of the channels go apart."""

    def __init__(self, joints: int, *, width: int, group: int, pose: int, levels: int) -> None:
        super().__init__()
        wide = GROUPS * group

        def scores() -> nn.Sequential:
            return nn.Sequential(Conv(width, width, 3), Conv(width, width, 3))

        def poses() -> nn.Sequential:
            others = (Conv(wide, wide, 3, groups=GROUPS) for _ in range(3))
            return nn.Sequential(Conv(width, wide, 3), *others)

        def last(inputs: int, outputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(inputs, outputs, 1) for _ in range(levels))

        self.conv_cls = nn.ModuleList(scores() for _ in range(levels))
        self.conv_pose = nn.ModuleList(poses() for _ in range(levels))
        self.out_cls, self.out_bbox = last(width, 1), last(wide, 4)
        self.out_kpt_reg, self.out_kpt_vis = last(wide, 2 * joints), last(wide, joints)
        self.out_pose = last(wide, pose)
        for layer in self.out_cls:
            nn.init.constant_(layer.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> list[Level]:
        levels = []
        for number, x in enumerate(maps):
            score, pose = x.chunk(2, 1)
            score, pose = self.conv_cls[number](score), self.conv_pose[number](pose)
            levels.append(
                Level(
                    score=self.out_cls[number](score),
                    box=self.out_bbox[number](pose),
                    joints=self.out_kpt_reg[number](pose),
                    visible=self.out_kpt_vis[number](pose),
                    pose=self.out_pose[number](pose),
                )
            )
        return levels


class Head(nn.Module):
    """The cells' answers and what turns the surest of them into joints."""

    def __init__(
        self, joints: int, *, width: int, group: int, pose: int, bins: tuple[int, int]
    ) -> None:
        super().__init__()
        self.head_module = HeadModule(
            joints, width=width, group=group, pose=pose, levels=len(STRIDES)
        )
        self.dcc = DCC(pose, joints, bins=bins)


class RtmoNet(nn.Module):
    """Picture [B, 3, H, W], H, W multiples of 32 -> `Said`; `answer` makes people of it.

    width: channels of the stem; depth: blocks of the shortest stage; inner: of the encoder's fusion
    blocks; maps: of the two levels; group: channels of a group of the pose branch; pose: length of
    the pose vector; most: cells that are answered with.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        width: int = 32,
        depth: int = 1,
        inner: int = 128,
        maps: int = 256,
        group: int = 18,
        pose: int = 256,
        encoder: int = 256,
        bins: tuple[int, int] = (192, 256),
        most: int = 100,
    ) -> None:
        super().__init__()
        depths = (depth, 3 * depth, 3 * depth, depth)
        self.backbone = CSPDarknet(width=width, depths=depths)
        self.neck = HybridEncoder(
            self.backbone.channels,
            width=encoder,
            inner=inner,
            outputs=maps,
            depth=depth,
            hidden=4 * encoder,
        )
        self.head = Head(joints, width=maps // 2, group=group, pose=pose, bins=bins)
        self.joints, self.most = joints, most

    def levels(self, image: Tensor) -> list[Level]:
        return self.head.head_module(self.neck(self.backbone(image)))

    def forward(self, image: Tensor) -> Said:
        levels = self.levels(image)
        cells, steps = [], []
        for level, stride in zip(levels, STRIDES, strict=True):
            cells.append(
                centres(level.score.shape[2], level.score.shape[3], stride, image.device) - 0.5
            )
            steps.append(torch.full_like(cells[-1][:, 0], stride))
        at, strides = torch.cat(cells), torch.cat(steps)

        score, box, shifts, visible, poses = (
            torch.cat([part.flatten(2) for part in parts], 2).mT
            for parts in zip(*levels, strict=True)
        )
        centre = box[..., :2] * strides[:, None] + at
        half = box[..., 2:].exp() * strides[:, None] / 2
        boxes = torch.cat([centre - half, centre + half], 2)
        moved = shifts.unflatten(2, (self.joints, 2)) * strides[:, None, None]
        return Said(score[..., 0], boxes, moved + at[:, None], visible, poses, at, strides)

    def answer(self, said: Said) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [B, N, 4], scores [B, N], joints [B, N, K, 3] of the surest cells, the surest
        first; duplicates are the decoder's to suppress.
        """
        count = min(self.most, said.scores.shape[1])
        scores, best = said.scores.sigmoid().topk(count)

        def of(part: Tensor) -> Tensor:
            return part.gather(1, best[..., None].expand(-1, -1, part.shape[2]))

        boxes, poses, at = of(said.boxes), of(said.poses), said.at[best]
        region = region_of(boxes).flatten(0, 1)
        bins = self.head.dcc(poses.flatten(0, 1), at.flatten(0, 1), region)
        joints = self.head.dcc.coordinates(bins, region).unflatten(0, (-1, count))
        return boxes, scores, torch.cat([joints, of(said.visible).sigmoid()[..., None]], 3)


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """mmpose's names -> ours: its backbone is mmdet's; tables that we compute go."""
    tables = (".dim_t", ".x_bins", ".y_bins")
    state = {name: value for name, value in state.items() if not name.endswith(tables)}
    stages = [
        (rf"^backbone\.stage{number}\.", f"backbone.dark{number + 1}.") for number in (4, 3, 2, 1)
    ]
    return renamed(
        state,
        *stages,
        (r"^(backbone\..*)\.main_conv\.", r"\1.conv1."),
        (r"^(backbone\..*)\.short_conv\.", r"\1.conv2."),
        (r"^(backbone\..*)\.final_conv\.", r"\1.conv3."),
        (r"^(backbone\..*)\.blocks\.", r"\1.m."),
    )


VARIANTS: dict[str, dict[str, Any]] = {
    "rtmo-t": {"width": 24, "inner": 96, "maps": 192, "group": 13, "pose": 192},
    "rtmo-s": {},
    "rtmo-m": {"width": 48, "depth": 2, "inner": 192, "maps": 384, "group": 27, "pose": 384},
    "rtmo-l": {"width": 64, "depth": 3, "inner": 256, "maps": 512, "group": 36, "pose": 512},
}
