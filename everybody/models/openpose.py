"""OpenPose: confidence maps of joints and part affinity fields (PAFs) of limbs, refined by stages.

Body-18: Cao et al., "Realtime multi-person 2D pose estimation using part affinity fields", CVPR
2017: VGG-19's first ten convolutions, then six stages of two branches; each stage reads the image's
features and both answers of the stage before (Eq. 1-2). Body-25: Cao et al., "OpenPose: realtime
multi-person 2D pose estimation using part affinity fields", TPAMI 2019: the fields first, then the
joints; blocks of three 3 × 3 convolutions, concatenated, in the place of 7 × 7; PReLU. Hands and
faces: Simon et al., "Hand keypoint detection in single images using multiview bootstrapping", CVPR
2017: joints alone, a convolutional pose machine of six stages.

A limb's field holds the unit vector from its first joint to its second on the limb's cells, 0
elsewhere. The last confidence map of each net is the background. All maps have stride 8, and a cell
stands for its own centre (`alignment="centre"`).

Layers are kept flat under the names of the published Caffe layers, so that a forward pass reads as
a list of names and published weights load by a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

STRIDE = 8
VGG = ((1, 64, 2), (2, 128, 2), (3, 256, 4), (4, 512, 1))  # block, channels, convolutions


class Layers(nn.ModuleDict):
    """Layers by their published names; a stage is the list of the names that it runs through."""

    def chain(
        self, inputs: int, steps: Sequence[tuple[str, int, int]], *, prelu: bool = False
    ) -> list[str]:
        """Adds convolutions (name, outputs, kernel), each with its activation -> their names."""
        names = []
        for name, outputs, kernel in steps:
            layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

            self[name] = layer
            active = name.replace("conv", "prelu" if prelu else "relu")
            self[active] = nn.PReLU(outputs) if prelu else nn.ReLU()

            names += [name, active]
            inputs = outputs
        return names

    def answer(self, inputs: int, name: str, maps: int) -> list[str]:
        """Adds the last convolution of a stage: 1 × 1, without activation -> its name in a list."""
        self[name] = nn.Conv2d(inputs, maps, 1)
        return [name]

    def vgg(self) -> list[str]:
        """VGG-19 (Simonyan & Zisserman 2015) up to conv4_1: [B, 3, H, W] -> [B, 512, H/8, W/8]."""
        names, inputs = [], 3
        for block, channels, depth in VGG:
            steps = [(f"conv{block}_{place + 1}", channels, 3) for place in range(depth)]
            names += self.chain(inputs, steps)
            inputs = channels

            if block < len(VGG):
                self[f"pool{block}"] = nn.MaxPool2d(2)
                names.append(f"pool{block}")
        return names

    def forward(self, x: Tensor, names: Sequence[str]) -> Tensor:
        for name in names:
            x = self[name](x)
        return x


def last(said: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """All stages of each kind of map [B,S,C,h,w] -> the last stage of each [B,C,h,w]."""
    return tuple(maps[:, -1] for maps in said)


def wide_stage(layers: Layers, inputs: int, maps: int, ending: str, width: int) -> list[str]:
    """A refinement of Cao et al. 2017: five 7 × 7 convolutions, then two of 1 × 1."""
    steps = [(f"Mconv{place}_{ending}", width, 7) for place in range(1, 6)]
    names = layers.chain(inputs, [*steps, (f"Mconv6_{ending}", width, 1)])
    return names + layers.answer(width, f"Mconv7_{ending}", maps)


class BodyNet(nn.Module):
    """Two branches of stages, joints and limbs from the start (body-18; MPII by its numbers)."""

    def __init__(self, joints: int, *, limbs: int = 19, stages: int = 6, width: int = 128) -> None:
        super().__init__()
        self.layers = layers = Layers()
        heads = [("conv4_2", 512, 3), ("conv4_3_CPM", 256, 3), ("conv4_4_CPM", width, 3)]
        self.features = layers.vgg() + layers.chain(512, heads)

        maps = {"L1": 2 * limbs, "L2": joints + 1}
        read = width + sum(maps.values())
        self.branches = {branch: [self._first(branch, width, maps[branch])] for branch in maps}
        for branch, count in maps.items():
            self.branches[branch] += [
                wide_stage(layers, read, count, f"stage{stage}_{branch}", width)
                for stage in range(2, stages + 1)
            ]

    def _first(self, branch: str, width: int, maps: int) -> list[str]:
        steps = [(f"conv5_{place}_CPM_{branch}", width, 3) for place in range(1, 4)]
        names = self.layers.chain(width, [*steps, (f"conv5_4_CPM_{branch}", 512, 1)])
        return names + self.layers.answer(512, f"conv5_5_CPM_{branch}", maps)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[B,3,H,W] -> confidence [B,S,K+1,h,w], fields [B,S,2L,h,w]; the last stage is best."""
        features = self.layers(image, self.features)
        joints, fields, x = [], [], features
        for limb_stage, joint_stage in zip(self.branches["L1"], self.branches["L2"], strict=True):
            fields.append(self.layers(x, limb_stage))
            joints.append(self.layers(x, joint_stage))
            x = torch.cat([fields[-1], joints[-1], features], 1)
        return torch.stack(joints, 1), torch.stack(fields, 1)

    def answer(self, said: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Confidence is not below 0, as in the PyTorch port of the published weights."""
        joints, fields = last(said)
        return joints.clamp(min=0), fields


class Body25Net(nn.Module):
    """Stages of fields, then stages of joints that read the last field (body-25)."""

    def __init__(
        self,
        joints: int,
        *,
        limbs: int = 26,
        field_stages: int = 4,
        joint_stages: int = 2,
        widths: tuple[tuple[int, int], ...] = ((96, 256), (128, 512)),  # first stage, later ones
    ) -> None:
        super().__init__()
        self.layers = layers = Layers()
        heads = [("conv4_2", 512, 3), ("conv4_3_CPM", 256, 3), ("conv4_4_CPM", 128, 3)]
        self.features = layers.vgg() + layers.chain(512, heads, prelu=True)

        fields, maps = 2 * limbs, joints + 1
        self.field_stages = [
            self._stage(128 + (stage > 0) * fields, fields, f"stage{stage}_L2", widths[stage > 0])
            for stage in range(field_stages)
        ]
        self.joint_stages = [
            self._stage(
                128 + fields + (stage > 0) * maps, maps, f"stage{stage}_L1", widths[stage > 0]
            )
            for stage in range(joint_stages)
        ]

    def _stage(
        self, inputs: int, maps: int, ending: str, widths: tuple[int, int]
    ) -> list[list[str]]:
        """Five blocks of three 3 × 3 convolutions, then two convolutions of 1 × 1; the last
        list is those two, the others are the blocks' convolutions.
        """
        blocks, (width, middle) = [], widths
        for place in range(1, 6):
            steps = [(f"Mconv{place}_{ending}_{part}", width, 3) for part in range(3)]
            blocks.append(self.layers.chain(inputs, steps, prelu=True))
            inputs = 3 * width

        end = self.layers.chain(inputs, [(f"Mconv6_{ending}", middle, 1)], prelu=True)
        return [*blocks, end + self.layers.answer(middle, f"Mconv7_{ending}", maps)]

    def _run(self, x: Tensor, stage: Sequence[Sequence[str]]) -> Tensor:
        for block in stage[:-1]:
            a = self.layers(x, block[:2])
            b = self.layers(a, block[2:4])
            c = self.layers(b, block[4:])
            x = torch.cat([a, b, c], 1)
        return self.layers(x, stage[-1])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[B,3,H,W] -> confidence [B,S,K+1,h,w], fields [B,T,2L,h,w]; the last stage is best."""
        features = self.layers(image, self.features)
        fields: list[Tensor] = []
        for stage in self.field_stages:
            fields.append(self._run(torch.cat([features, *fields[-1:]], 1), stage))

        joints: list[Tensor] = []
        for stage in self.joint_stages:
            joints.append(self._run(torch.cat([features, *joints[-1:], fields[-1]], 1), stage))
        return torch.stack(joints, 1), torch.stack(fields, 1)

    def answer(self, said: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        return last(said)


class PartNet(nn.Module):
    """Joints of one hand or one face in its crop."""

    def __init__(self, joints: int, *, stages: int = 6, width: int = 128) -> None:
        super().__init__()
        self.layers = layers = Layers()
        maps = joints + 1
        deeper = [(f"conv{name}", 512, 3) for name in ("4_2", "4_3", "4_4", "5_1", "5_2")]
        self.features = layers.vgg() + layers.chain(512, [*deeper, ("conv5_3_CPM", width, 3)])

        first = layers.chain(width, [("conv6_1_CPM", 512, 1)])
        self.stages = [first + layers.answer(512, "conv6_2_CPM", maps)]
        self.stages += [
            wide_stage(layers, width + maps, maps, f"stage{stage}", width)
            for stage in range(2, stages + 1)
        ]

    def forward(self, image: Tensor) -> Tensor:
        """[B,3,H,W] -> confidence [B,S,K+1,h,w]; the last stage is best."""
        features = self.layers(image, self.features)
        answers, x = [], features
        for stage in self.stages:
            answers.append(self.layers(x, stage))
            x = torch.cat([answers[-1], features], 1)
        return torch.stack(answers, 1)

    def answer(self, said: Tensor) -> tuple[Tensor, ...]:
        return last((said,))


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of Caffe's layers, or of the PyTorch port that groups them in `model2_1.`, -> ours."""
    return {re.sub(r"^(model\d(_\d)?\.)?", "layers.", name): value for name, value in state.items()}


def maps_loss(
    said: Sequence[Tensor], targets: Sequence[Tensor], weights: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Maps [B,S,C,h,w] of each kind, targets [B,C,h,w], weights [B,1 or C,h,w] -> (sum, weight).

    Squared error at every stage, summed over cells and channels; a cell of weight 0 (unlabelled
    people) does not count (Cao et al. 2017, Eq. 3-5). The weight is the number of pictures.
    """
    total = said[0].new_zeros(())
    for maps, target, weight in zip(said, targets, weights, strict=True):
        error = (maps.float() - target[:, None]).square() * weight[:, None]
        total = total + error.sum()
    return total, said[0].new_tensor(float(len(said[0])))


VARIANTS: dict[str, dict[str, Any]] = {
    "openpose-body-18": {"limbs": 19},
    "openpose-body-mpii": {"limbs": 14},
}
VARIANTS_25: dict[str, dict[str, Any]] = {"openpose-body-25": {"limbs": 26}}
VARIANTS_OF_PARTS: dict[str, dict[str, Any]] = {"openpose-part": {"stages": 6}}
