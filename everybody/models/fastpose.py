"""FastPose, the pose network of AlphaPose (Fang et al., TPAMI 2022, arXiv 2211.03375, section 3).

A ResNet in which the first block of each stage weighs its channels (squeeze and excitation, Hu et
al. 2018: mean over the map, two linear layers, sigmoid; here without their reduction), then dense
upsampling convolutions (Wang et al. 2018): a convolution widens the features, and a pixel
shuffle (Shi et al. 2016) turns four channels into 2 × 2 pixels. Three shuffles bring stride 32 to
stride 4. The variants differ in how many convolutions stand before, between and after the shuffles,
and in whether the ResNet's 3 × 3 convolutions are deformable (`deformable.py`).

Written from the paper and from the names and shapes of published weights, never from AlphaPose's
code. Those weights are for non-commercial use only (its licence). Their names around the upsampling
vary, but it is a chain: `published` reads it by its order, and `layout` tells the numbers from the
shapes. The codec: heatmaps of a quarter of the crop, alignment "corner", σ of 2 cells, a quarter of
a cell towards the higher neighbour. For whole-body skeletons trained by regression see
`symmetric_integral.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ..errors import ModelError
from .deformable import DeformableConv
from .published_names import renamed
from .resnet_published import VARIANTS as RESNETS
from .resnet_published import Bottleneck, ResNet

# Output channels of the convolutions before, between and after the three pixel shuffles.
Groups = Sequence[Sequence[int]]
SHUFFLED: Groups = ((), (1024,), (512,), ())
UNSHUFFLED: Groups = ((1024,), (512,), (256,), ())
LONG: Groups = ((), (512, 512, 512, 1024), (256, 512), (256,))  # 4, 2 and 1 convolutions


class SqueezeExcite(nn.Module):
    """Each channel weighted by what all channels are on average: [B, C, H, W] -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class FastBottleneck(Bottleneck):
    """A bottleneck that may weigh its channels (`squeeze`), and whose 3 × 3 convolution may be
    deformable, with weights of its readings (`modulated`) or without.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        *,
        squeeze: bool,
        deformable: bool,
        modulated: bool,
    ) -> None:
        super().__init__(inputs, width, stride)
        self.se = SqueezeExcite(4 * width) if squeeze else nn.Identity()
        if deformable:
            self.conv2 = DeformableConv(width, width, 3, stride, modulated=modulated)

    def forward(self, x: Tensor) -> Tensor:
        return (self.se(self.residual(x)) + self.downsample(x)).relu()


class FastPoseNet(nn.Module):
    """Crop [B, 3, H, W], normalised; H, W multiples of 32 -> heatmaps [B, K, H / 4, W / 4].

    upsampling: output channels of the convolutions before the first pixel shuffle, after the first,
    after the second and after the third. kernel: of the last convolution. deformable: whether
    stages 1 to 4 of the ResNet are; modulated: by the second version (Zhu et al. 2019).
    """

    def __init__(
        self,
        joints: int,
        *,
        depths: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        squeeze: bool = True,
        deformable: Sequence[bool] = (False, False, False, False),
        modulated: bool = True,
        upsampling: Groups = SHUFFLED,
        kernel: int = 3,
    ) -> None:
        super().__init__()

        def block(inputs: int, wide: int, stride: int) -> nn.Module:
            level = (wide // width).bit_length() - 1
            first = inputs != 4 * wide
            return FastBottleneck(
                inputs,
                wide,
                stride,
                squeeze=squeeze and first,
                deformable=deformable[level],
                modulated=modulated,
            )

        self.preact = ResNet(depths=depths, width=width, block=block)
        self.upsampling = [tuple(group) for group in upsampling]

        channels, layers = self.preact.channels[-1], []
        for i, group in enumerate(self.upsampling):
            channels = channels // 4 if i else channels
            for outputs in group:
                layers.append(_conv(channels, outputs))
                channels = outputs
        self.duc = nn.ModuleList(layers)
        self.conv_out = nn.Conv2d(channels, joints, kernel, padding=kernel // 2)

    def forward(self, image: Tensor) -> Tensor:
        x = self.preact(image)[-1]
        layers = iter(self.duc)
        for i, group in enumerate(self.upsampling):
            x = functional.pixel_shuffle(x, 2) if i else x
            for _ in group:
                x = next(layers)(x)
        return self.conv_out(x)


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


VARIANTS: dict[str, dict[str, Any]] = {
    "fastpose-tiny": {
        "depths": (1, 1, 1, 1),
        "width": 8,
        "upsampling": ((), (128,), (64,), ()),
    },
    "fastpose-slim": {
        "depths": (2, 2, 2, 2),
        "width": 24,
        "upsampling": ((), (256,), (128,), ()),
    },
    "fastpose-tiny-whole-body": {
        "depths": (1, 1, 1, 1),
        "width": 8,
        "upsampling": ((), (128,), (64,), ()),
    },
    "fastpose-50-whole-body": {"depths": RESNETS[50]["depths"]},
    "fastpose-152-whole-body": {"depths": RESNETS[152]["depths"]},
    "fastpose-50": {"depths": RESNETS[50]["depths"]},
    "fastpose-152": {"depths": RESNETS[152]["depths"]},
    "fastpose-unshuffle-50": {"depths": RESNETS[50]["depths"], "upsampling": UNSHUFFLED},
    "fastpose-dcn-50": {
        "depths": RESNETS[50]["depths"],
        "deformable": (False, True, True, True),
    },
    "fastpose-duc-152": {"depths": RESNETS[152]["depths"], "upsampling": LONG},
}


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> ours: the convolutions and norms of the upsampling are counted in order.

    Deformable convolutions may have either of mmdetection's names. Raises ModelError if what lies
    beside the ResNet (`preact.`) and `conv_out.` is no chain of convolutions with norms.
    """
    chain = {k: v for k, v in state.items() if not k.startswith(("preact.", "conv_out."))}
    kinds: dict[str, int] = {}  # of the chain's modules in order: 0 a convolution, 1 a norm
    for name, value in chain.items():
        kinds.setdefault(name.rpartition(".")[0], 0 if value.ndim == 4 else 1)
    if "conv_out.weight" not in state or list(kinds.values()) != [0, 1] * (len(kinds) // 2):
        raise ModelError(
            "not a FastPose network: expected a ResNet named preact.*, convolutions each followed "
            "by a norm, and conv_out.*"
        )

    def ours(name: str) -> str:
        if name not in chain:
            return name
        module, _, leaf = name.rpartition(".")
        position = list(kinds).index(module)
        return f"duc.{position // 2}.{position % 2}.{leaf}"

    counted = {ours(name): value for name, value in state.items()}
    return renamed(counted, (r"\.conv2(_offset|\.conv_offset)\.", ".conv2.offsets."))


def layout(state: dict[str, Tensor]) -> dict[str, Any]:
    """Weights under our names -> the numbers in which published FastPose networks differ.

    Where a convolution takes a quarter of the channels before it, a pixel shuffle stands between.
    """

    def count(stage: int) -> int:
        return len(
            {name.split(".")[2] for name in state if name.startswith(f"preact.layer{stage}.")}
        )

    channels = state["preact.layer4.0.conv3.weight"].shape[0]
    groups: list[list[int]] = [[]]
    number = sum(name.startswith("duc.") and name.endswith(".0.weight") for name in state)
    chain = [state[f"duc.{i}.0.weight"] for i in range(number)]
    for weight in [*chain, state["conv_out.weight"]]:
        outputs, inputs = weight.shape[:2]
        while inputs < channels:
            groups.append([])
            channels //= 4
        groups[-1].append(outputs)
        channels = outputs
    groups[-1].pop()  # conv_out

    offsets = [v for name, v in state.items() if name.endswith(".conv2.offsets.weight")]
    return {
        "depths": tuple(count(stage) for stage in range(1, 5)),
        "squeeze": any(".se." in name for name in state),
        "deformable": tuple(
            f"preact.layer{stage}.0.conv2.offsets.weight" in state for stage in range(1, 5)
        ),
        "modulated": all(len(weight) == 27 for weight in offsets),
        "upsampling": tuple(tuple(group) for group in groups),
        "kernel": state["conv_out.weight"].shape[-1],
    }
