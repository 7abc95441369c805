"""DeepPose (Toshev & Szegedy, CVPR 2014, arXiv 1312.4659): the first network that says where
joints are, as numbers.

Section 3.1: AlexNet (Krizhevsky et al. 2012) sees a crop of 220 × 220 and says x / W and y / H of
K joints (Eq. 1 and 2 count from the box's middle instead); the loss is their squared distance from
the true ones, Σ |said - true|² (Eq. 3). In the paper's notation, C(55 × 55 × 96) - LRN - P -
C(27 × 27 × 256) - LRN - P - C(13 × 13 × 384) - C(13 × 13 × 384) - C(13 × 13 × 256) - P - F(4096) -
F(4096): C is a convolution and the shape of its output, LRN local response normalisation, P
pooling, F a fully connected layer; filters of 11, 5 and 3, dropout 0.6 behind each F.

Section 3.2, the cascade (Eq. 4 to 6): networks of later stages have the same shape and weights of
their own. They see a smaller box around one joint as it was found before, at a higher resolution,
and say where in it the joint is; of their K answers only that joint's counts (`own`). Its distance
from the middle of the box is the displacement. The boxes' size is a share of the person's diameter,
left shoulder to right hip. The loop over stages is `methods/cascade.py`.

The codec is `Regression`, unit "corner". No weights were published by the authors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..errors import OptionError

LEAST = 64  # pixels of a side


class DeepPoseNet(nn.Module):
    """Crop [B, 3, H, W], normalised -> [B, K, 2]: x / W, y / H of each joint.

    size: (width, height) of the crop, at least 64 each, else OptionError. widths: channels of the
    five convolutions.
    """

    def __init__(
        self,
        joints: int,
        *,
        size: tuple[int, int] = (220, 220),
        widths: Sequence[int] = (96, 256, 384, 384, 256),
        hidden: int = 4096,
        dropout: float = 0.6,
    ) -> None:
        super().__init__()
        if min(size) < LEAST:
            raise OptionError(
                f"DeepPose: of a crop of {size[0]}x{size[1]} its pooling leaves nothing; expected "
                f"sides of at least {LEAST}, as 96x128"
            )
        first, second, third, fourth, fifth = widths
        self.features = nn.Sequential(
            *(nn.Conv2d(3, first, 11, 4, 4), nn.ReLU(), *normalise_and_halve()),
            *(nn.Conv2d(first, second, 5, 1, 2), nn.ReLU(), *normalise_and_halve()),
            *(nn.Conv2d(second, third, 3, 1, 1), nn.ReLU()),
            *(nn.Conv2d(third, fourth, 3, 1, 1), nn.ReLU()),
            *(nn.Conv2d(fourth, fifth, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        )
        columns, rows = (cells(side) for side in size)
        self.hidden = nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(fifth * rows * columns, hidden), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout)),
        )
        self.coordinates = nn.Linear(hidden, 2 * joints)
        nn.init.normal_(self.coordinates.weight, std=0.001)
        nn.init.constant_(self.coordinates.bias, 0.5)  # the middle of the crop

    def forward(self, image: Tensor) -> Tensor:
        return self.coordinates(self.hidden(self.features(image))).unflatten(1, (-1, 2))


def normalise_and_halve() -> tuple[nn.Module, nn.Module]:
    """Local response normalisation and pooling as in Krizhevsky et al. 2012, sections 3.3-3.4."""
    alpha = 5 * 1e-4  # theirs is a factor of the sum over 5 channels, torch's of the mean
    return nn.LocalResponseNorm(5, alpha, 0.75, 2.0), nn.MaxPool2d(3, 2)


def cells(side: int) -> int:
    """Pixels along a side of the crop -> cells before the hidden layers: 220 -> 6."""
    convolved = (side + 2 * 4 - 11) // 4 + 1
    for _ in range(3):
        convolved = (convolved - 3) // 2 + 1
    return convolved


def own(said: Tensor, joint: Tensor) -> Tensor:
    """What a later stage says [N, K, 2], the joint that each crop is around [N] -> [N, 2]."""
    return said.gather(1, joint[:, None, None].expand(-1, 1, said.shape[2]))[:, 0]


def squared_distance(
    said: Tensor, targets: Sequence[Tensor], weights: Tensor
) -> tuple[Tensor, Tensor]:
    """[B, K, 2], ([B, K, 2],), [B, K] -> (sum, weight), § 3.1. Later stages: weights of 0 but for
    the joint that a crop is around.
    """
    distance = (said[..., :2] - targets[0]).square().sum(-1)
    return (distance * weights).sum(), weights.sum()


VARIANTS: dict[str, dict[str, Any]] = {
    "deeppose-tiny": {"widths": (16, 32, 48, 48, 32), "hidden": 128},
    "deeppose-slim": {"widths": (64, 160, 256, 256, 160), "hidden": 1024},
    "deeppose-alexnet": {},
}
