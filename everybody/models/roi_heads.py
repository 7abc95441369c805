"""What a region network says of a box (He et al. 2017, Mask R-CNN, § 3 and § 5; the box head of
Lin et al. 2017): its class, its better box, its keypoints as heatmaps, its mask.

Each head sees the box's features, cut out by RoIAlign from the level that suits the box's size, so
all people look alike large to it. Parameter names are torchvision's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from .roi_align import level_of, roi_align

BOX_CELLS, KEYPOINT_CELLS, MASK_CELLS = 7, 14, 14
USUAL = 224.0  # of `level_of`, as published


class BoxHead(nn.Module):
    """[N, C, 7, 7] -> [N, hidden]"""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(width * BOX_CELLS**2, hidden)
        self.fc7 = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc7(self.fc6(x.flatten(1)).relu()).relu()


class BoxPredictor(nn.Module):
    """[N, hidden] -> logits [N, classes] (0: background) and deltas [N, 4 classes]."""

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(hidden, classes)
        self.bbox_pred = nn.Linear(hidden, 4 * classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.cls_score(x), self.bbox_pred(x)


class KeypointPredictor(nn.Module):
    """[N, C, 14, 14] -> logits [N, K, 56, 56]: a softmax over the cells of each joint's map is how
    likely the joint is in each."""

    def __init__(self, inputs: int, joints: int) -> None:
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(inputs, joints, 4, 2, 1)
        nn.init.kaiming_normal_(self.kps_score_lowres.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        x = self.kps_score_lowres(x)
        return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class MaskPredictor(nn.Module):
    """[N, C, 14, 14] -> logits [N, classes, 28, 28]"""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.conv5_mask = nn.ConvTranspose2d(inputs, hidden, 2, 2)
        self.mask_fcn_logits = nn.Conv2d(hidden, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.mask_fcn_logits(self.conv5_mask(x).relu())


def keypoint_head(inputs: int, width: int, depth: int) -> nn.Sequential:
    """[N, inputs, 14, 14] -> [N, width, 14, 14]"""
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [nn.Conv2d(width if number else inputs, width, 3, padding=1), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, mode="fan_out")  # type: ignore[arg-type]
    return nn.Sequential(*layers)


def mask_head(inputs: int, width: int, depth: int) -> nn.Sequential:
    """[N, inputs, 14, 14] -> [N, width, 14, 14]"""
    convolutions = (
        nn.Conv2d(width if number else inputs, width, 3, padding=1) for number in range(depth)
    )
    return nn.Sequential(*(nn.Sequential(layer, nn.ReLU()) for layer in convolutions))


class RoIHeads(nn.Module):
    """All heads; keypoints where there are `joints`, masks where asked for. usual: as of
    `level_of`, less where pictures are smaller than the paper's.
    """

    def __init__(
        self,
        inputs: int,
        *,
        classes: int,
        joints: int,
        masks: bool,
        hidden: int = 1024,
        width: int = 512,
        depth: int = 8,
        mask_width: int = 256,
        mask_depth: int = 4,
        usual: float = USUAL,
    ) -> None:
        super().__init__()
        self.usual = usual
        self.box_head = BoxHead(inputs, hidden)
        self.box_predictor = BoxPredictor(hidden, classes)
        if joints:
            self.keypoint_head = keypoint_head(inputs, width, depth)
            self.keypoint_predictor = KeypointPredictor(width, joints)
        if masks:
            self.mask_head = mask_head(inputs, mask_width, mask_depth)
            self.mask_predictor = MaskPredictor(mask_width, mask_width, classes)
        self.joints, self.masks_too = joints, masks

    def regions(
        self, levels: Sequence[Tensor], boxes: Tensor, image: Tensor, cells: int, height: int
    ) -> Tensor:
        """Levels [B, C, h, w] of pictures of `height`, boxes [N, 4], image [N] ->
        [N, C, cells, cells]. A level's scale is taken as a power of two, whatever the rounding of
        its size.
        """
        scales = [2.0 ** round(math.log2(level.shape[2] / height)) for level in levels]
        level = level_of(boxes, len(levels), usual=self.usual)
        return roi_align(levels, boxes, image, size=cells, scales=scales, level=level)

    def boxes(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, 7, 7] -> class logits [N, classes], deltas [N, 4 classes]"""
        return self.box_predictor(self.box_head(regions))

    def keypoints(self, regions: Tensor) -> Tensor:
        """[N, C, 14, 14] -> [N, K, 56, 56]"""
        return self.keypoint_predictor(self.keypoint_head(regions))

    def masks(self, regions: Tensor) -> Tensor:
        """[N, C, 14, 14] -> [N, classes, 28, 28]"""
        return self.mask_predictor(self.mask_head(regions))
