"""Our lifter: poses of some frames in 2D -> the middle one in 3D (Pavllo et al. 2019, § 3; with one
frame, the residual network of Martinez et al. 2017, Fig. 2).

The network is VideoPose3D's, fed with `everybody.lift.window`: 17 joints with their scores, and an
18th point that says where the frame's joints lie. Where the clip is exactly as long as the field of
view, only what the answer depends on is computed: convolutions of stride 3 take the place of the
dilated ones, a third of the work (Pavllo et al. 2019, appendix A.5).
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from .videopose import VideoPoseNet


class LifterNet(VideoPoseNet):
    """A clip [B, F, 18, 3] -> poses [B, F - field + 1, joints, 3]; numbers as in `VideoPoseNet`."""

    def __init__(self, joints: int = 17, *, points: int = 18, **numbers: Any) -> None:
        super().__init__(points, features=3, joints_out=joints, **numbers)
        self.points = points
        self.windowed = not numbers.get("dense", False)

    def forward(self, clip: Tensor) -> Tensor:
        return (
            self.window(clip)
            if self.windowed and clip.shape[1] == self.field
            else (super().forward(clip))
        )

    def window(self, clip: Tensor) -> Tensor:
        """[B, field, 18, 3] -> [B, 1, joints, 3]: the same as `forward`, by strides."""
        batch, widths = clip.shape[0], self.widths
        x = _joined(clip.flatten(2), widths[0], self.expand_conv.weight)
        x = self.drop(self.expand_bn(x).relu())
        for block, width in enumerate(widths[1:]):
            x = x.reshape(batch, -1, x.shape[-1])
            kept = x[:, (width - 1 if self.causal else width // 2) :: width].flatten(0, 1)
            first, second = (cast(Tensor, self.layers_conv[2 * block + n].weight) for n in (0, 1))
            x = _joined(x, width, first)
            x = self.drop(self.layers_bn[2 * block](x).relu())
            x = x @ second[:, :, 0].T
            x = kept + self.drop(self.layers_bn[2 * block + 1](x).relu())
        x = x @ self.shrink.weight[:, :, 0].T + self.shrink.bias
        return x.reshape(batch, 1, self.joints_out, 3)


def _joined(x: Tensor, width: int, weight: Tensor) -> Tensor:
    """[B, F, C], a convolution's weight [D, C, width] -> its answers [B · F / width, D] at every
    width-th frame.
    """
    x = x.reshape(-1, width * x.shape[2])
    return x @ weight.transpose(1, 2).flatten(1).T


VARIANTS: dict[str, dict[str, Any]] = {
    "lifter": {"widths": (3, 3, 3), "channels": 448, "dropout": 0.0},
    "lifter-causal": {"widths": (3, 3, 3), "channels": 320, "dropout": 0.0, "causal": True},
    "lifter-1": {"widths": (1, 1, 1), "channels": 768, "dropout": 0.0},
}
