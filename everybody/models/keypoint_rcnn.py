"""Mask R-CNN with keypoints (He et al. 2017): find boxes, then ask a small network about each.

    picture → ResNet → pyramid → proposals → class and box of each → suppression
                          └──────────── RoIAlign of the boxes that stay ──→ keypoints, masks

ResNet-50-FPN (Lin et al. 2017) and the region proposal network (Ren et al. 2015) before it: files
`fpn`, `rpn`, `roi_heads`, `roi_align`, `suppression`. Parameter names are torchvision's;
`published` takes both its files' older names and the newer. Its published weights were trained with
frozen normalisation of eps 0.

Boxes count from the picture's corner here, as in the published weights: a pixel's centre is at a
half. Who decodes brings them to the coordinate law (`methods/rcnn_decode.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .box_deltas import HEAD_WEIGHTS, clipped, decoded
from .fpn import FPN
from .published_names import renamed
from .resnet_published import Norm, ResNet
from .roi_heads import BOX_CELLS, KEYPOINT_CELLS, MASK_CELLS, USUAL, RoIHeads
from .rpn import RPN, SIZES
from .rtmdet import RTMDetFeatures
from .suppression import kept

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation whose four numbers per channel are constants."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 0.0) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            self.register_buffer(name, torch.full((channels,), float(value)))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


class Backbone(nn.Module):
    """Image [B, 3, H, W] -> five levels [B, width, H / s, W / s] at strides 4 to 64."""

    def __init__(self, body: ResNet | RTMDetFeatures, width: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = FPN(body.channels, width)

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.fpn(self.body(image))


class Detections(NamedTuple):
    """All that is found in a batch, picture after picture, the surest first in each."""

    image: Tensor  # [M] which picture
    boxes: Tensor  # [M, 4] xyxy in input pixels, from the corner
    scores: Tensor  # [M] probability of its class
    labels: Tensor  # [M] class, from 1; of the keypoint network 1 is a person
    keypoints: Tensor | None  # logits [M, K, 56, 56] over the box
    masks: Tensor | None  # logits [M, 28, 28] over the box, of its class


class KeypointRCNN(nn.Module):
    """Picture [B, 3, H, W], normalised; H, W multiples of 32 -> `Detections`.

    joints 0: no keypoint head; masks: with the mask head (the published Mask R-CNN: joints 0,
    masks, classes 91). score: the least of a detection; nms: IoU; most: detections of one picture.

    depths, width, norm: of the ResNet. finder: RTMDet's backbone and neck in place of it, which a
    trained detector can lend. scale: how large pictures are against the paper's, for the sides of
    anchors and the choice of levels. drawn: of each picture, how many anchors and how many
    proposals are learnt from at a time.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        classes: int = 2,
        masks: bool = False,
        finder: bool = False,
        depths: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        norm: Norm = FrozenBatchNorm2d,
        pyramid: int = 256,
        scale: float = 1.0,
        proposals: int = 1000,
        drawn: tuple[int, int] = (256, 512),
        heads: dict[str, int] | None = None,
        score: float = 0.05,
        nms: float = 0.5,
        most: int = 100,
    ) -> None:
        super().__init__()
        body = RTMDetFeatures() if finder else ResNet(depths=depths, width=width, norm=norm)
        self.backbone = Backbone(body, pyramid)
        sizes = [side * scale for side in SIZES]
        self.rpn = RPN(pyramid, sizes=sizes, before=proposals, after=proposals)
        self.roi_heads = RoIHeads(
            pyramid,
            classes=classes,
            joints=joints,
            masks=masks,
            usual=USUAL * scale,
            **(heads or {}),
        )
        self.score, self.nms, self.most, self.drawn = score, nms, most, drawn

    def forward(
        self,
        image: Tensor,
        within: tuple[int, int] | None = None,
        learn: Callable[[KeypointRCNN, Tensor], Any] | None = None,
    ) -> Any:
        """within: (height, width) of the pictures, where they are filled up to the tensor's size:
        no box reaches beyond. learn: what is computed of network and pictures instead, as losses;
        what wraps the network for training sees it only in here.
        """
        if learn is not None:
            return learn(self, image)
        height, width = image.shape[2:]
        within = within or (height, width)
        levels = self.backbone(image)
        boxes, scores = self.propose(levels, (height, width), within)

        batch, count = scores.shape
        image_of = torch.arange(batch, device=boxes.device)[:, None].expand(-1, count).flatten()
        cut = self.roi_heads.regions(levels[:-1], boxes.flatten(0, 1), image_of, BOX_CELLS, height)
        logits, deltas = (said.unflatten(0, (-1, count)) for said in self.roi_heads.boxes(cut))

        found = self.chosen(logits, deltas, boxes, scores >= 0, within)
        return self.described(levels, found, height)

    def answer(self, said: Detections) -> tuple[Tensor, ...]:
        """What is decoded: image, boxes, scores, labels, and the logits that there are."""
        return tuple(part for part in said if part is not None)

    def propose(
        self, levels: Sequence[Tensor], size: tuple[int, int], within: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Pyramid, (height, width) of the tensor and of the pictures in it -> proposals [B, P, 4],
        scores [B, P] (-1: none).
        """
        objectness, deltas = self.rpn(levels)
        return self.rpn.proposals(objectness, deltas, self.rpn.anchors(levels, size), within)

    def chosen(
        self,
        logits: Tensor,
        deltas: Tensor,
        boxes: Tensor,
        real: Tensor,
        size: tuple[int, int],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the box head says [B, P, classes], [B, P, 4 classes] of proposals [B, P, 4], of
        which some are real [B, P] -> image [M], boxes, scores, labels of what stays: sure, of a
        size, not suppressed by one of its class, and among the surest of its picture.

        The surest P answers of each picture go into the suppression: more could matter only where
        fewer than `most` of them stay.
        """
        boxes = decoded(deltas.unflatten(2, (-1, 4)), boxes[:, :, None], HEAD_WEIGHTS)[:, :, 1:]
        boxes = clipped(boxes, *size)
        scores = logits.softmax(2)[:, :, 1:]
        large = ((boxes[..., 2:] - boxes[..., :2]) >= 1e-2).all(-1)
        sure = (scores > self.score) & large & real[:, :, None]

        scores, best = torch.where(sure, scores, -1.0).flatten(1).topk(logits.shape[1])
        boxes = boxes.flatten(1, 2).gather(1, best[..., None].expand(-1, -1, 4))
        label = best % (logits.shape[2] - 1) + 1
        stay = kept(boxes, self.nms, scores >= 0, label)

        most = min(self.most, logits.shape[1])
        scores, best = torch.where(stay, scores, -1.0).topk(most)
        image, rank = (scores >= 0).nonzero().unbind(1)
        place = best[image, rank]
        return image, boxes[image, place], scores[image, rank], label[image, place]

    def described(
        self, levels: Sequence[Tensor], found: tuple[Tensor, Tensor, Tensor, Tensor], height: int
    ) -> Detections:
        """Pyramid, (image, boxes, scores, labels) -> with keypoints and masks."""
        image, boxes, scores, labels = found
        keypoints = masks = None
        if self.roi_heads.joints:
            cut = self.roi_heads.regions(levels[:-1], boxes, image, KEYPOINT_CELLS, height)
            keypoints = self.roi_heads.keypoints(cut)
        if self.roi_heads.masks_too:
            cut = self.roi_heads.regions(levels[:-1], boxes, image, MASK_CELLS, height)
            every = self.roi_heads.masks(cut)
            masks = every[torch.arange(labels.shape[0], device=labels.device), labels]
        return Detections(image, boxes, scores, labels, keypoints, masks)


def fitted(picture: Tensor, least: int = 800, most: int = 1333) -> tuple[Tensor, Tensor]:
    """Picture [3, H, W] in [0, 1] -> [1, 3, h, w] as the published weights see it: its shorter side
    `least` pixels, its longer at most `most`, normalised, filled up to multiples of 32; and by what
    to multiply found x and y [2] to bring them back.
    """
    size = torch.tensor(picture.shape[1:], dtype=torch.float32)
    scale = min(least / float(size.min()), most / float(size.max()))
    mean, std = picture.new_tensor(MEAN), picture.new_tensor(STD)
    picture = (picture - mean[:, None, None]) / std[:, None, None]
    picture = functional.interpolate(
        picture[None], scale_factor=scale, mode="bilinear", recompute_scale_factor=True
    )
    height, width = picture.shape[2:]
    factors = size.flip(0) / size.new_tensor([width, height])
    return functional.pad(picture, (0, -width % 32, 0, -height % 32)), factors


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's names, older (before 0.13) or newer -> ours, which are the newer; counters of
    batches go.
    """
    counted = "num_batches_tracked"
    state = {name: value for name, value in state.items() if not name.endswith(counted)}
    masks = [
        (rf"\.mask_head\.mask_fcn{number + 1}\.", f".mask_head.{number}.0.") for number in range(8)
    ]
    return renamed(
        state,
        (r"\.(inner|layer)_blocks\.(\d+)\.(weight|bias)$", r".\1_blocks.\2.0.\3"),
        (r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1"),
        *masks,
    )


def from_detector(net: KeypointRCNN, numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The numbers of a detector -> a state of the network: its body's; all else as it is."""
    state = dict(net.state_dict())
    body = {f"backbone.body.{name}": value for name, value in numbers.items()}
    return state | {name: value for name, value in body.items() if name in state}


VARIANTS: dict[str, dict[str, Any]] = {
    "keypoint-rcnn-r50": {},
    "mask-rcnn-r50": {"joints": 0, "masks": True, "classes": 91},
    "keypoint-rcnn-small": {
        "finder": True,
        "pyramid": 64,
        "scale": 0.5,
        "proposals": 200,
        "drawn": (128, 64),
        "heads": {"hidden": 256, "width": 64, "depth": 4, "mask_width": 64, "mask_depth": 2},
    },
}
