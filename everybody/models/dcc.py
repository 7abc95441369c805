"""Dynamic coordinate classification (Lu et al. 2024, RTMO, § 3.2): joints as classes over bins that
lie where the person is.

The bins of x and of y are spread over the person's own box (grown by a quarter), so each is a place
of the picture. A bin is known by waves of its distance from the cell that speaks, turned into a
vector by a linear layer; a joint is known by a vector from the cell's features. How likely a joint
is in a bin is the softmax of the product of the two, and the joint's coordinate is the mean under
it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .hybrid_encoder import waves
from .rtmpose import GatedAttention

TEMPERATURE = 300.0
PADDING = 1.25  # the bins reach over the box times this


class JointAttention(GatedAttention):
    """Joints' vectors [M, K, C] -> [M, K, C], each joint known by a learnt vector as well."""

    def forward(self, x: Tensor, joint: Tensor) -> Tensor:  # type: ignore[override]
        u, v, base = functional.silu(self.uv(self.ln(x))).split(self.split, 2)
        known = base[:, :, None] * self.gamma + self.beta + joint[:, None]
        query, key = known.unbind(2)
        attention = (query @ key.mT / self.split[2] ** 0.5).relu().square()
        return self.res_scale(x) + self.o(u * (attention @ v))


class Scale(nn.Module):
    """One learnt factor."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class DCC(nn.Module):
    """Pose vectors [M, P] of cells at [M, 2], their people's boxes [M, 4] as centre and size ->
    probabilities of the bins. bins: of x, of y.
    """

    def __init__(
        self, inputs: int, joints: int, *, width: int = 128, bins: tuple[int, int] = (192, 256)
    ) -> None:
        super().__init__()
        self.joints, self.width, self.bins = joints, width, bins
        self.pose_to_kpts = nn.Sequential(
            nn.Linear(inputs, joints * width), nn.BatchNorm1d(joints * width)
        )
        self.pos_enc = nn.Parameter(torch.randn(joints, width))
        self.gau = JointAttention(width, width)
        self.x_fc, self.y_fc = nn.Linear(width, width), nn.Linear(width, width)
        self.sigma_fc = nn.Sequential(nn.Linear(inputs, joints), nn.Sigmoid(), Scale(0.1))

    def forward(self, pose: Tensor, at: Tensor, region: Tensor) -> tuple[Tensor, Tensor]:
        """-> log-probabilities of x [M, K, bins] and of y [M, K, bins]."""
        vectors = self.pose_to_kpts(pose).unflatten(1, (self.joints, self.width))
        vectors = self.gau(vectors, self.pos_enc)
        said = []
        for axis, layer in enumerate((self.x_fc, self.y_fc)):
            apart = self.places(region, axis) - at[:, axis, None]
            known = layer(waves(apart, self.width, TEMPERATURE))  # [M, bins, C]
            said.append((vectors @ known.mT).log_softmax(2))
        return said[0], said[1]

    def places(self, region: Tensor, axis: int) -> Tensor:
        """[M, 4] -> [M, bins]: where the bins of an axis are."""
        spread = torch.linspace(-0.5, 0.5, self.bins[axis], device=region.device)
        return spread * region[:, 2 + axis, None] + region[:, axis, None]

    def coordinates(self, said: tuple[Tensor, Tensor], region: Tensor) -> Tensor:
        """Log-probabilities of the bins -> joints [M, K, 2]."""
        axes = [
            (logs.exp() @ self.places(region, axis)[..., None])[..., 0]
            for axis, logs in enumerate(said)
        ]
        return torch.stack(axes, 2)

    def deviation(self, pose: Tensor) -> Tensor:
        """[M, P] -> [M, K]: how far off each joint is thought to be, in sides of the person."""
        return self.sigma_fc(pose)


def region_of(boxes: Tensor) -> Tensor:
    """Boxes [..., 4] xyxy -> centre and size [..., 4] of what the bins reach over."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, (high - low) * PADDING], -1)
