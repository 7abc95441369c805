"""RLE, regression by residual log-likelihood (Li et al., Human Pose Regression with Residual
Log-likelihood Estimation, ICCV 2021, arXiv 2107.11291).

The network says a place μ̂ and a scale σ̂ of each joint. The error in units of the scale,
x = (μ̂ - μ) / σ̂, follows a density that is learnt with the network and only needed in training: a
simple one, Q, times a correction G that a flow represents (section 3.3):

    -log P = -log Q(x) - log G(x) + log σ̂

The published loss counts log σ̂ once more, because its Q has a scale of its own: -log Q is then
log(2σ̂) + |x| for a Laplace distribution and log(√(2π) σ̂) + x² / 2 for a Gaussian; so is ours.

The flow is RealNVP (Dinh et al. 2017) of two dimensions. Its parameters' names are those of mmpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

TINY = 1e-9  # keeps a scale of 0 from dividing


class RealNvp(nn.Module):
    """A density over the plane: coupling layers that move one coordinate by what the other is."""

    masks: Tensor

    def __init__(self, *, layers: int = 6, width: int = 64) -> None:
        super().__init__()

        def net(*last: nn.Module) -> nn.Sequential:
            inner = (nn.Linear(2, width), nn.LeakyReLU(), nn.Linear(width, width), nn.LeakyReLU())
            return nn.Sequential(*inner, nn.Linear(width, 2), *last)

        self.s = nn.ModuleList(net(nn.Tanh()) for _ in range(layers))
        self.t = nn.ModuleList(net() for _ in range(layers))
        kept = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(math.ceil(layers / 2), 1)[:layers]
        self.register_buffer("masks", kept, persistent=False)

        for module in self.modules():
            if isinstance(module, nn.Linear):  # at first, layers move all points alike
                nn.init.xavier_uniform_(module.weight, gain=0.01)

    def normal(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Points [N, 2] -> where they lie in a standard normal density [N, 2], log |det| [N]."""
        log_det = x.new_zeros(len(x))
        for scale, shift, kept in reversed(list(zip(self.s, self.t, self.masks, strict=True))):
            same = kept * x
            s = scale(same) * (1 - kept)
            t = shift(same) * (1 - kept)
            x = (1 - kept) * (x - t) * (-s).exp() + same
            log_det = log_det - s.sum(1)
        return x, log_det

    def forward(self, x: Tensor) -> Tensor:
        """Points [N, 2] -> the logarithm of their density [N]: that of where they lie in a standard
        normal density, and log |det| (change of variables, Dinh et al. 2017).
        """
        z, log_det = self.normal(x)
        return log_det - 0.5 * z.square().sum(1) - math.log(2 * math.pi)


def _laplace(error: Tensor, sigma: Tensor) -> Tensor:
    return (2 * sigma).log() + error.abs()


def _gaussian(error: Tensor, sigma: Tensor) -> Tensor:
    return (math.sqrt(2 * math.pi) * sigma).log() + 0.5 * error.square()


DENSITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # error in units of σ, σ -> -log Q
    "laplace": _laplace,
    "gaussian": _gaussian,
}


def likelihood_loss(
    said: Tensor,
    targets: Sequence[Tensor],
    weights: Tensor,
    *,
    flow: RealNvp,
    density: str | None = "laplace",
) -> tuple[Tensor, Tensor]:
    """[B, K, 4] (x, y, σ before the sigmoid), ([B, K, 2],), [B, K] -> (sum, weight).

    density: Q, a key of `DENSITIES`; None leaves all to the flow (the paper's "direct likelihood").
    """
    place, sigma = said[..., :2].float(), said[..., 2:].float().sigmoid()
    error = (place - targets[0]) / (sigma + TINY)
    log_flow = flow(error.flatten(0, 1)).reshape(*error.shape[:2], 1)
    loss = sigma.log() - log_flow
    if density is not None:
        loss = loss + DENSITIES[density](error, sigma)
    return (loss.sum(2) * weights).sum(), weights.sum()
