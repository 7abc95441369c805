"""Iterative Error Feedback (Carreira et al., CVPR 2016, arXiv 1507.06550): a network that sees the
picture and its own last guess, and says how to correct it.

The guess y_t is rendered as one Gaussian per joint, g(y_t), and stacked onto the picture's channels
I (⊕); the network f says a correction ε; the corrected guess goes in again (Eq. 1 to 3):

    ε_t = f(x_t)
    y_{t+1} = y_t + ε_t
    x_{t+1} = I ⊕ g(y_{t+1})

No step takes a joint further than `bound` pixels (L = 20 there): from the truth y the network
learns the bounded correction e(y, y_t) = min(L, |u|) û, u = y - y_t, û its direction. Fixed-path
consolidation trains it: the guesses that it sees are those of perfect corrections,
y_{t+1} = y_t + e(y, y_t), so that no target moves while it learns. y_0 is the median pose of the
training pictures.

Three things are not the paper's. Its f is GoogLeNet; ours is the slim ResNet of `resnet.py` with a
first layer for 3 + K channels. It learns the first step for some epochs, then the second as well,
and so on; ours learns all steps of a path in one batch. It bounds what the network learns from;
ours also bounds what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import OptionError
from .gaussian_maps import gaussian_maps
from .resnet import ResNet, conv


def bounded(step: Tensor, bound: float) -> Tensor:
    """[..., 2] -> [..., 2]: the same direction, no longer than `bound`: min(L, |u|) û."""
    length = step.square().sum(-1, keepdim=True).clamp(min=1e-12).sqrt()
    return step * (bound / length.clamp(min=bound))


def fixed_path(
    start: Tensor, truth: Tensor, weights: Tensor, *, steps: int, bound: float
) -> Tensor:
    """Guess y_0 and truth [B, K, 2] in pixels, weights [B, K] -> y_0 … y_{steps-1} [B, steps, K, 2]
    of perfect corrections; a joint of weight 0 stays where it starts.
    """
    path, known = [start], weights[..., None] > 0
    for _ in range(steps - 1):
        path.append(path[-1] + bounded(torch.where(known, truth - path[-1], 0), bound))
    return torch.stack(path, 1)


def median_pose(places: Tensor, weights: Tensor) -> Tensor:
    """Poses of the training set [N, K, 2], weights [N, K] -> y_0 [K, 2]: the median of each
    coordinate where it is known, and 0 where it never is.
    """
    known = places.masked_fill(weights[..., None] <= 0, float("nan"))
    return known.nanmedian(0).values.nan_to_num(0.0)


class IefNet(nn.Module):
    """Crop [B, 3, H, W]; H, W multiples of 32.

    start: y_0 [K, 2] (x, y) from -1 to 1 between the crop's edges, or None for its middle (a
    buffer, saved with the weights); steps: T; bound: L, and sigma: of the rendered Gaussians, both
    in pixels.
    """

    start: Tensor

    def __init__(
        self,
        joints: int = 17,
        *,
        width: int = 32,
        depths: Sequence[int] = (2, 2, 2, 2),
        start: Sequence[Sequence[float]] | None = None,
        steps: int = 4,
        bound: float = 20.0,
        sigma: float = 6.0,
    ) -> None:
        super().__init__()
        pose = torch.zeros(joints, 2) if start is None else torch.tensor(start, dtype=torch.float32)
        if pose.shape != (joints, 2):
            raise OptionError(
                f"IEF: a start of shape {tuple(pose.shape)} is no pose of {joints} joints;"
                f" expected ({joints}, 2), x and y from -1 to 1"
            )
        self.register_buffer("start", pose)
        self.steps, self.bound, self.sigma = steps, bound, sigma
        self.backbone = ResNet(width=width, depths=depths)
        self.backbone.stem[0] = conv(3 + joints, width // 2, stride=2)
        self.correct = nn.Linear(self.backbone.channels[-1], 2 * joints)
        nn.init.normal_(self.correct.weight, std=0.01)
        nn.init.zeros_(self.correct.bias)

    def begin(self, places: Tensor, weights: Tensor, size: Sequence[int]) -> None:
        """Start from the median of the poses [N, K, 2] in pixels of crops of `size` (width,
        height), weights [N, K].
        """
        middle = (places.new_tensor(list(size)) - 1) / 2
        known = (weights > 0).any(0)[:, None]
        median = torch.where(known, median_pose(places, weights), middle)
        self.start.copy_((2 * median + 1) / median.new_tensor(list(size)) - 1)

    def correction(self, image: Tensor, pose: Tensor) -> Tensor:
        """Image [B, 3, H, W] and guess [B, K, 2] -> ε [B, K, 2] in pixels, not yet bounded."""
        seen = torch.cat([image, gaussian_maps(pose, image.shape[2:], self.sigma)], 1)
        features = self.backbone(seen)[-1].mean((2, 3))
        return self.bound * self.correct(features).unflatten(1, (-1, 2))

    def first(self, image: Tensor) -> Tensor:
        """y_0 [B, K, 2] in the pixels of this crop."""
        size = self.start.new_tensor([image.shape[3], image.shape[2]])
        return (((self.start + 1) * size - 1) / 2).expand(image.shape[0], -1, -1)

    def forward(
        self, image: Tensor, truth: Tensor | None = None, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """-> (guesses y_0 … y_T [B, T + 1, K, 2], corrections ε_0 … ε_{T-1} [B, T, K, 2]), both in
        pixels.

        With the truth [B, K, 2] in pixels and its weights [B, K], for training, the guesses are
        those of the fixed path, and all steps are one batch: so batch normalisation learns what is
        common to all.
        """
        if truth is not None and weights is not None:
            start = self.first(image)
            path = fixed_path(start, truth, weights, steps=self.steps, bound=self.bound)
            said = self.correction(image.repeat_interleave(self.steps, 0), path.flatten(0, 1))
            said = said.unflatten(0, (-1, self.steps))
            last = path[:, -1:] + bounded(said[:, -1:], self.bound)
            return torch.cat([path, last], 1), said

        poses, corrections = [self.first(image)], []
        for _ in range(self.steps):
            corrections.append(self.correction(image, poses[-1]))
            poses.append(poses[-1] + bounded(corrections[-1], self.bound))
        return torch.stack(poses, 1), torch.stack(corrections, 1)

    def answer(self, said: Sequence[Tensor]) -> tuple[Tensor]:
        """What `forward` says -> ([B, K, 2]): the last guess, in pixels of the crop."""
        return (said[0][:, -1],)


def ief_loss(
    said: Sequence[Tensor], targets: Sequence[Tensor], weights: Tensor, *, bound: float = 20.0
) -> tuple[Tensor, Tensor]:
    """(guesses, corrections) of the network, (true places [B, K, 2] in pixels,), weights [B, K] ->
    (sum, weight): Σ_t h(ε_t, e(y, y_t)); h is the squared distance, in units of `bound`.
    """
    poses, corrections = said
    (truth,) = targets
    wanted = bounded(truth[:, None] - poses[:, :-1].detach(), bound)
    errors = ((corrections - wanted) / bound).square().sum(-1)  # [B, T, K]
    return (errors * weights[:, None]).sum(), weights.sum()


VARIANTS: dict[str, dict[str, Any]] = {
    "ief-slim": {"width": 16},
    "ief-fast": {"width": 32},
    "ief-accurate": {"width": 48, "depths": (2, 3, 4, 2)},
}
