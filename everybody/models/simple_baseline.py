"""Simple Baselines (Xiao, Wu & Wei, ECCV 2018, arXiv 1804.06208): a ResNet and a few
deconvolutions.

"Our method simply adds a few deconvolutional layers over the last convolution stage in the ResNet"
(§ 2): three of 256 filters with 4 × 4 kernels and stride 2, each with batch normalisation and ReLU,
then a 1 × 1 convolution to one heatmap per joint, at a quarter of the crop's size. The loss is the
mean squared error between heatmaps.

Parameter names are the published ones (microsoft/human-pose-estimation.pytorch, MIT). The authors
also trained ResNets as Caffe's, whose bottlenecks halve the resolution one convolution earlier:
their parameters look the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .deconvolution_head import DeconvolutionHead
from .published_names import renamed
from .resnet_published import VARIANTS as RESNETS
from .resnet_published import ResNet


class SimpleBaselineNet(ResNet):
    """Crop [B, 3, H, W], normalised; H, W multiples of 32 -> heatmaps [B, K, H / 4, W / 4].

    `layers` is that of the published ResNet, `width` its channels in the first stage, `early` where
    its bottlenecks halve, `widths` those of the deconvolutions.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        layers: int = 50,
        width: int = 64,
        early: bool = False,
        widths: Sequence[int] = (256, 256, 256),
    ) -> None:
        super().__init__(width=width, early=early, **RESNETS[layers])
        head = DeconvolutionHead(self.channels[-1], joints, widths=widths)
        # The published names have no head: its layers stand beside the backbone's.
        self.deconv_layers, self.final_layer = head.deconv_layers, head.final_layer

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        features = super().forward(image)
        return self.final_layer(self.deconv_layers(features[-1]))


VARIANTS: dict[str, dict[str, Any]] = {
    "simple-baseline-slim": {"layers": 18, "width": 32, "widths": (64, 64, 64)},
    **{f"simple-baseline-{layers}": {"layers": layers} for layers in RESNETS},
    **{
        f"simple-baseline-{layers}-caffe": {"layers": layers, "early": True}
        for layers in (50, 101, 152)
    },
}


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """mmpose's names -> ours; its head of visibility, where it has one, goes."""
    kept = {name: value for name, value in state.items() if not name.startswith("head.vis_head.")}
    return renamed(kept, (r"^(backbone|keypoint_head|head(\.pose_head)?)\.", ""))
