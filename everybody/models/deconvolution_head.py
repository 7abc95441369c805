"""Heatmaps from coarse features by deconvolutions (Xiao et al. 2018, Simple Baselines, § 2): the
head that SimCC and ViTPose took over.

Parameter names are those of the published heads: `deconv_layers.0`, …, `final_layer`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class DeconvolutionHead(nn.Module):
    """Features [B, C, h, w] -> maps [B, K, s h, s w]; s is 2 for each of `widths`."""

    def __init__(
        self, inputs: int, joints: int, *, widths: Sequence[int] = (256, 256, 256)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            up = nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1, bias=False)
            layers += [up, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            inputs = width
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(inputs, joints, 1)

        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return self.final_layer(self.deconv_layers(x))
