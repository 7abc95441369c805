"""Feature pyramid network (Lin et al. 2017, FPN, § 3): each level knows what the coarser know.

    P5 = smooth(lateral(C5)),   Pi = smooth(lateral(Ci) + nearest ×2 of the sum above)

and one more level, every second cell of the coarsest, for the largest boxes. Parameter names are
torchvision's. `resnet.Pyramid` is our detector's own, with normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """In a sequence of one, as the published names have it."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.kaiming_uniform_(layer.weight, a=1)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return nn.Sequential(layer)


class FPN(nn.Module):
    """Features of falling resolution, `channels` each -> as many and one more, of `width`, finest
    first."""

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(convolution(c, width, 1) for c in channels)
        self.layer_blocks = nn.ModuleList(convolution(width, width, 3) for _ in channels)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        sums: list[Tensor] = []
        for feature, inner in zip(reversed(features), reversed(self.inner_blocks), strict=True):
            x = inner(feature)
            if sums:
                x = x + functional.interpolate(sums[0], x.shape[2:], mode="nearest")
            sums.insert(0, x)

        levels = [layer(x) for layer, x in zip(self.layer_blocks, sums, strict=True)]
        return [*levels, levels[-1][:, :, ::2, ::2]]
