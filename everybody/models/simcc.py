"""SimCC (Li et al., ECCV 2022, arXiv 2107.03332): a coordinate is a class among bins finer than
pixels.

A backbone gives one map per joint, or several; flattened, they represent the joint; one linear
layer says the bins of x and another the bins of y (§ 3). The maps come straight from the coarsest
features, or by three deconvolutions. The loss is the Kullback–Leibler divergence from a Gaussian
over the bins.

Parameter names are mmpose's (Apache-2.0); `published` takes the authors' names too (leeyegy/SimCC,
without a licence: names and numbers taken, no code). Their networks have 1 to 3 bins to a pixel,
and without deconvolutions they have up to 32 maps per joint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ..errors import OptionError
from . import resnet_published
from .deconvolution_head import DeconvolutionHead
from .published_names import renamed

STRIDE = 32
SPLITS = (2.0, 3.0, 1.5, 1.0)  # bins to a pixel of published networks, the usual first


class Head(nn.Module):
    """Features [B, C, h, w] -> logits of x [B, K, bins] and of y [B, K, bins]."""

    def __init__(
        self,
        inputs: int,
        joints: int,
        *,
        cells: tuple[int, int],
        bins: tuple[int, int],
        deconvolutions: Sequence[int],
        per_joint: int,
    ) -> None:
        super().__init__()
        self.joints, self.rises = joints, bool(deconvolutions)
        maps = joints * per_joint
        if self.rises:
            self.deconv_head = DeconvolutionHead(inputs, maps, widths=deconvolutions)
        else:
            self.final_layer = nn.Conv2d(inputs, maps, 1)
        values = per_joint * cells[0] * cells[1] * 4 ** len(deconvolutions)
        self.mlp_head_x = nn.Linear(values, bins[0])
        self.mlp_head_y = nn.Linear(values, bins[1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.deconv_head(x) if self.rises else self.final_layer(x)
        joints = maps.unflatten(1, (self.joints, -1)).flatten(2)
        return self.mlp_head_x(joints), self.mlp_head_y(joints)


class SimccNet(nn.Module):
    """SimCC on a published ResNet, for crops of one size (width, height) in multiples of 32;
    OptionError for others.

    `split` bins go to each pixel; `deconvolutions` are the widths of the head's deconvolutions, ()
    for none; `per_joint` maps represent a joint; `width` is the backbone's.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        size: tuple[int, int] = (192, 256),
        layers: int = 50,
        width: int = 64,
        deconvolutions: Sequence[int] = (256, 256, 256),
        per_joint: int = 1,
        split: float = 2.0,
    ) -> None:
        super().__init__()
        if any(side < STRIDE or side % STRIDE for side in size):
            raise OptionError(
                f"SimCC: a crop of {size[0]}x{size[1]} does not divide into cells;"
                f" expected multiples of {STRIDE}, as 192x256"
            )
        self.backbone = resnet_published.ResNet(width=width, **resnet_published.VARIANTS[layers])
        self.head = Head(
            self.backbone.channels[-1],
            joints,
            cells=(size[0] // STRIDE, size[1] // STRIDE),
            bins=(round(size[0] * split), round(size[1] * split)),
            deconvolutions=deconvolutions,
            per_joint=per_joint,
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, H, W] -> logits of x [B, K, split W] and of y [B, K, split H]."""
        return self.head(self.backbone(image)[-1])


def divergence(
    said: Sequence[Tensor],
    targets: Sequence[Tensor],
    weights: Tensor,
    *,
    beta: float = 1.0,
    label_softmax: bool = False,
) -> tuple[Tensor, Tensor]:
    """Logits (x [B, K, bins], y [B, K, bins]), targets alike, weights [B, K] -> (sum, weight).

    The Kullback–Leibler divergence of softmax(beta · logits) from the target, averaged over the
    bins, both axes added; a joint of weight 0 does not count. RTMPose has beta 10 and turns
    Gaussians of peak 1 into distributions by softmax(beta · target); SimCC has beta 1 and targets
    that sum to 1.
    """
    per_joint = weights.new_zeros(weights.shape)
    for logits, target in zip(said, targets, strict=True):
        wanted = (beta * target).softmax(-1) if label_softmax else target
        found = (beta * logits.float()).log_softmax(-1)
        per_joint = per_joint + functional.kl_div(found, wanted, reduction="none").mean(-1)
    return (per_joint * weights).sum(), weights.sum()


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' names, whose backbone stands beside its head, or mmpose's -> ours."""
    rises = any(name.startswith("deconv_layers.") for name in state)
    return renamed(
        state,
        (r"^(conv1|bn1|layer\d)\.", r"backbone.\1."),
        (r"^(deconv_layers|final_layer)\.", rf"head.{'deconv_head.' * rises}\1."),
        (r"^mlp_head_", "head.mlp_head_"),
    )


def numbers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a published state says of its network: joints, the widths of its deconvolutions, how
    many maps it has per joint, the crop's (width, height), and how many bins go to a pixel, as an
    option of the codec. ValueError if no published number of bins fits.
    """
    ups = [
        state[f"head.deconv_head.deconv_layers.{3 * index}.weight"].shape[1]
        for index in range(len(state))
        if f"head.deconv_head.deconv_layers.{3 * index}.weight" in state
    ]
    last = "head.deconv_head.final_layer.weight" if ups else "head.final_layer.weight"
    maps, values = len(state[last]), state["head.mlp_head_x.weight"].shape[1]
    bins = tuple(len(state[f"head.mlp_head_{axis}.weight"]) for axis in "xy")
    for split in SPLITS:
        size = tuple(count / split for count in bins)
        if any(side < STRIDE or side % STRIDE for side in size):
            continue
        cells = math.prod(int(side) // STRIDE for side in size) * 4 ** len(ups)
        per_joint = values // cells
        if not per_joint or values % cells or maps % per_joint or (ups and per_joint > 1):
            continue
        told = {"deconvolutions": tuple(ups), "per_joint": per_joint, "codec": {"split": split}}
        return {"joints": maps // per_joint, "size": tuple(int(side) for side in size), **told}
    raise ValueError(f"{bins} bins of {values} values are of no published split")


VARIANTS: dict[str, dict[str, Any]] = {
    "simcc-slim": {"layers": 18, "width": 32, "deconvolutions": (64, 64, 64)},
    "simcc-18": {"layers": 18},
    "simcc-50": {"layers": 50},
    "simcc-101": {"layers": 101},
    "simcc-152": {"layers": 152},
}
