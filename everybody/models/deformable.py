"""Deformable convolution, first and second version, in plain tensor operations.

Dai et al. 2017, Eq. 2: the k × k places p + p_n that a convolution reads around p are each moved by
an offset Δp_n that another convolution tells from the same features, and are read between pixels by
bilinear interpolation, 0 outside (Eq. 3-4). Zhu et al. 2019, Eq. 1: each reading is also weighted
by a modulation Δm_n in (0, 1):

    y(p) = Σ_n w_n · x(p + p_n + Δp_n) · Δm_n

No compiled operator: one `grid_sample` reads all places, and a 1 × 1 convolution adds them up, so
the graph exports to ONNX (GridSample) and runs wherever torch does. It keeps k² times the features
in memory meanwhile.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def deformable_convolution(
    x: Tensor,
    offsets: Tensor,
    weight: Tensor,
    modulation: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
) -> Tensor:
    """[B, C, H, W], offsets [B, 2 k², h, w], weight [O, C, k, k] -> [B, O, h, w].

    Offsets are in pixels, (y, x) of each place in turn, places row by row; modulation [B, k², h, w]
    is a factor for each.
    """
    batch, channels, height, width = x.shape
    kernel = weight.shape[-1]
    rows, columns = offsets.shape[2:]

    def regular(count: int, axis: int) -> Tensor:
        """What an ordinary convolution reads along an axis: [k², h or w]."""
        place = torch.arange(kernel * kernel, device=x.device)
        within = place // kernel if axis == 0 else place % kernel
        start = torch.arange(count, device=x.device) * stride - padding
        return (within[:, None] + start).to(offsets.dtype)

    moved = offsets.reshape(batch, kernel * kernel, 2, rows, columns)
    y = moved[:, :, 0] + regular(rows, 0)[:, :, None]
    x_ = moved[:, :, 1] + regular(columns, 1)[:, None, :]
    grid = torch.stack([(2 * x_ + 1) / width - 1, (2 * y + 1) / height - 1], -1)

    read = functional.grid_sample(x, grid.flatten(1, 2), align_corners=False)
    read = read.reshape(batch, channels, kernel * kernel, rows, columns)
    if modulation is not None:
        read = read * modulation[:, None]
    return functional.conv2d(read.flatten(1, 2), weight.flatten(1)[:, :, None, None])


class DeformableConv(nn.Module):
    """A k × k convolution that looks where its features tell: [B, C, H, W] -> [B, O, H / s, W / s].

    Its offsets start at 0 and its modulation at 1/2 (Zhu et al. 2019, section 3.2).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        modulated: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.places = stride, kernel // 2, kernel * kernel
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

        told = (3 if modulated else 2) * self.places
        self.offsets = nn.Conv2d(inputs, told, kernel, stride, kernel // 2)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        told = self.offsets(x)
        offsets, rest = told[:, : 2 * self.places], told[:, 2 * self.places :]
        modulation = rest.sigmoid() if rest.shape[1] else None
        return deformable_convolution(
            x, offsets, self.weight, modulation, stride=self.stride, padding=self.padding
        )
