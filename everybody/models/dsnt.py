"""DSNT, the differentiable spatial to numerical transform (Nibali et al. 2018, arXiv 1801.07372):
coordinates from heatmaps by a layer without parameters that gradients pass through.

A map of probabilities Z (a softmax over its cells) has its mean for an answer: μ = [⟨Z, X⟩ ⟨Z, Y⟩]
with the cells' coordinates X and Y. Coordinates go from -1 to 1 between the map's edges; cell i of
n lies at (2i + 1) / n - 1:

    |  0  |  1  |  2  |  3  |       n = 4
    -1  -.75 -.25  .25   .75  1

The loss is L_euc(μ, p) + λ L_reg(Z): the distance of μ from the joint p, and a regulariser of the
map's shape. L_reg is L_D, the Jensen–Shannon or Kullback–Leibler divergence from a Gaussian at the
joint (Jensen–Shannon with λ = 1 here), or L_var, the squared difference of variance and σ².

All functions give one value per joint; `average` applies the mask once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .gaussian_maps import gaussian_maps
from .resnet import Pyramid, ResNet

TINY = 1e-24  # keeps logarithms finite


def probabilities(logits: Tensor) -> Tensor:
    """[..., h, w] -> [..., h, w]: a softmax over all cells of a map."""
    return logits.float().flatten(-2).softmax(-1).reshape(logits.shape)


def places(cells: int, like: Tensor) -> Tensor:
    """[cells]: where the middles of the cells lie between -1 and 1."""
    return (2 * torch.arange(cells, device=like.device, dtype=like.dtype) + 1) / cells - 1


def mean(heatmaps: Tensor) -> Tensor:
    """Probabilities [..., h, w] -> [..., 2] (x, y): where they lie on average, μ."""
    height, width = heatmaps.shape[-2:]
    x = (heatmaps.sum(-2) * places(width, heatmaps)).sum(-1)
    y = (heatmaps.sum(-1) * places(height, heatmaps)).sum(-1)
    return torch.stack([x, y], -1)


def variance(heatmaps: Tensor) -> Tensor:
    """Probabilities [..., h, w] -> [..., 2] (x, y): their variance, coordinates squared."""
    height, width = heatmaps.shape[-2:]
    at = mean(heatmaps)
    x = (heatmaps.sum(-2) * (places(width, heatmaps) - at[..., :1]).square()).sum(-1)
    y = (heatmaps.sum(-1) * (places(height, heatmaps) - at[..., 1:]).square()).sum(-1)
    return torch.stack([x, y], -1)


def gaussians(at: Tensor, size: Sequence[int], sigma: float) -> Tensor:
    """Coordinates [..., 2], (height, width), sigma in cells -> [..., h, w] that sum to 1."""
    maps = gaussian_maps(to_pixels(at, (size[1], size[0])), size, sigma)
    return maps / (maps.sum((-2, -1), keepdim=True) + TINY)


def to_pixels(coordinates: Tensor, size: Sequence[int]) -> Tensor:
    """[..., 2] between -1 and 1, (width, height) -> [..., 2], integers at the pixels' middles."""
    sides = coordinates.new_tensor(list(size))
    return ((coordinates + 1) * sides - 1) / 2


# Distances of coordinates [..., 2] from the truth [..., 2] -> [...]


def euclidean(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).norm(dim=-1)


def l1(found: Tensor, wanted: Tensor) -> Tensor:
    """The mean over x and y, as published (dsntnn); so is `mse`."""
    return (found - wanted).abs().mean(-1)


def mse(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).square().mean(-1)


# Regularisers: probabilities [..., h, w], the truth [..., 2], sigma in cells -> [...]


def kullback_leibler(heatmaps: Tensor, wanted: Tensor, sigma: float) -> Tensor:
    return _divergence(heatmaps, gaussians(wanted, heatmaps.shape[-2:], sigma))


def jensen_shannon(heatmaps: Tensor, wanted: Tensor, sigma: float) -> Tensor:
    truth = gaussians(wanted, heatmaps.shape[-2:], sigma)
    middle = (heatmaps + truth) / 2
    return (_divergence(heatmaps, middle) + _divergence(truth, middle)) / 2


def variance_error(heatmaps: Tensor, wanted: Tensor, sigma: float) -> Tensor:
    """Σ over x and y of (Var - σ²)², in cells (L_var); where the joint is does not matter."""
    height, width = heatmaps.shape[-2:]
    cells = heatmaps.new_tensor([width / 2, height / 2])
    return (variance(heatmaps) * cells.square() - sigma**2).square().sum(-1)


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Kullback–Leibler divergence of q from p over the cells: [..., h, w] twice -> [...]."""
    return (p * ((p + TINY).log() - (q + TINY).log())).sum((-2, -1))


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "euclidean": euclidean,
    "l1": l1,
    "mse": mse,
}
REGULARISERS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "js": jensen_shannon,
    "kl": kullback_leibler,
    "variance": variance_error,
}


def average(values: Tensor, weights: Tensor) -> Tensor:
    """[...] twice -> scalar: the mean over what has a weight; 0 where nothing has."""
    return (values * weights).sum() / weights.sum().clamp(min=TINY)


def dsnt_loss(
    said: Sequence[Tensor],
    targets: Sequence[Tensor],
    weights: Tensor,
    *,
    distance: str = "euclidean",
    regulariser: str = "js",
    sigma: float = 1.0,
    factor: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """(coordinates [B, K, 2], probabilities [B, K, h, w]), (true coordinates [B, K, 2],), weights
    [B, K] -> (sum, weight): distance + λ regulariser; λ is `factor`.
    """
    found, heatmaps = said
    (wanted,) = targets
    per_joint = DISTANCES[distance](found, wanted)
    per_joint = per_joint + factor * REGULARISERS[regulariser](heatmaps, wanted, sigma)
    return (per_joint * weights).sum(), weights.sum()


class DsntNet(nn.Module):
    """A slim ResNet, a feature pyramid, one map of logits per joint at stride 4, and DSNT."""

    def __init__(
        self,
        joints: int = 17,
        *,
        width: int = 32,
        depths: Sequence[int] = (2, 2, 2, 2),
        head: int = 64,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(width=width, depths=depths)
        self.pyramid = Pyramid(self.backbone.channels, head, 1)
        # A softmax over cells is blind to what all share: no bias.
        self.logits = nn.Conv2d(head, joints, 1, bias=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, H, W], multiples of 32 -> (coordinates [B, K, 2] between -1 and 1, probabilities
        [B, K, H / 4, W / 4]).
        """
        heatmaps = probabilities(self.logits(self.pyramid(self.backbone(image))[0]))
        return mean(heatmaps), heatmaps

    def answer(self, said: Sequence[Tensor]) -> tuple[Tensor]:
        """What `forward` says -> ([B, K, 4]): x, y, and how far the map spreads in each, σx, σy;
        all in halves of the crop's sides.
        """
        found, heatmaps = said
        spread = variance(heatmaps).clamp(min=0).sqrt()
        return (torch.cat([found, spread], -1),)


VARIANTS: dict[str, dict[str, Any]] = {
    "dsnt-fast": {"width": 32, "head": 48},
    "dsnt-accurate": {"width": 48, "depths": (2, 3, 4, 2), "head": 96},
}
