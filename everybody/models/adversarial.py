"""Adversarial PoseNet (Chen et al., ICCV 2017, arXiv 1705.00389): two critics teach a pose network
which poses a body can have.

The generator is a stack of hourglasses (Newell et al. 2016) with two tasks: each stack says where
every joint is (pose heatmaps) and which of them are hidden (occlusion heatmaps, empty for visible
joints), and both go back into the features before the next. Its own loss L_G is the
squared error of both, of all stacks.

The pose discriminator P sees picture and heatmaps, through an encoder-decoder with skips, and says
for each joint how plausible it is; the confidence discriminator C sees heatmaps alone and
says how sure of themselves they look. What the generator already does well is no fake: with
p_fake = 1 for joints near the truth and c_fake = 1 for maps like the truth, and x the picture, y
and z its true pose and occlusion heatmaps,

    L_P = E[log P(y, z, x)] + E[log(1 - |P(G(x), x) - p_fake|)]
    L_C = E[log C(y, z)]    + E[log(1 - |C(G(x)) - c_fake|)]

The critics maximise these; for labels of 0 and 1 each is a negative binary cross-entropy. The
generator minimises L_G - α E[log C(G(x))] - β E[log P(G(x), x)], α = 1/220 and β = 1/180 (the form
that does not saturate, Goodfellow et al. 2014). Only the generator is exported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .hourglass import Hourglass, Residual, residuals

STRIDE = 4
ALPHA, BETA = 1 / 220, 1 / 180  # what C's and P's opinions weigh in the generator's loss
NEAR = 1.5  # cells from the truth within which a joint is no fake
ALIKE = 0.2  # difference from the true maps, in units of an empty map, below which they are no fake


class AdversarialPoseNet(nn.Module):
    """The generator: crop [B, 3, H, W], multiples of 4 -> one [B, 2 K, H / 4, W / 4] per stack: K
    pose heatmaps, then K occlusion heatmaps.
    """

    def __init__(
        self, joints: int = 17, *, stacks: int = 4, width: int = 256, depth: int = 4
    ) -> None:
        super().__init__()
        self.width, self.depth = width, depth
        quarter, half = width // 4, width // 2
        self.stem = nn.Sequential(
            nn.Conv2d(3, quarter, 7, 2, 3), nn.BatchNorm2d(quarter), nn.ReLU(),
            Residual(quarter, half), nn.MaxPool2d(2), Residual(half, half), Residual(half, width),
        )  # fmt: skip
        self.hourglasses = nn.ModuleList(Hourglass(depth, width, 1) for _ in range(stacks))
        self.poses = nn.ModuleList(Branch(width, joints) for _ in range(stacks))
        self.occlusions = nn.ModuleList(Branch(width, joints) for _ in range(stacks))
        self.merge = nn.ModuleList(
            nn.Conv2d(2 * width + 2 * joints, width, 1) for _ in range(stacks - 1)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(image)
        said: list[Tensor] = []
        for index, hourglass in enumerate(self.hourglasses):
            features = hourglass(x)
            pose_features, poses = self.poses[index](features)
            occlusion_features, occlusions = self.occlusions[index](features)
            said.append(torch.cat([poses, occlusions], 1))
            if index < len(self.merge):
                seen = [pose_features, occlusion_features, said[-1]]
                x = x + self.merge[index](torch.cat(seen, 1))
        return tuple(said)

    def answer(self, said: Sequence[Tensor]) -> tuple[Tensor]:
        """The pose heatmaps of the last stack, [B, K, H / 4, W / 4]."""
        return (said[-1].chunk(2, 1)[0],)


class Branch(nn.Module):
    """Features [B, C, h, w] of a stack -> features of one task, and its heatmaps [B, K, h, w]."""

    def __init__(self, width: int, joints: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Residual(width, width), nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.heatmaps = nn.Conv2d(width, joints, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(x)
        return features, self.heatmaps(features)


class PoseDiscriminator(nn.Module):
    """P: heatmaps [B, 2 K, h, w] and crop [B, 3, 4 h, 4 w] -> logits [B, K]: is each joint where a
    body in this picture could have it?
    """

    weight = BETA

    def __init__(self, joints: int = 17, *, width: int = 128, depth: int = 4) -> None:
        super().__init__()
        self.enter = Residual(3 + 2 * joints, width)
        self.hourglass = Hourglass(depth, width, 1)
        self.verdict = Verdict(width, joints)

    def forward(self, heatmaps: Tensor, image: Tensor) -> Tensor:
        seen = torch.cat([functional.avg_pool2d(image, STRIDE), heatmaps], 1)
        return self.verdict(self.hourglass(self.enter(seen)))

    def no_fakes(self, made: Tensor, truth: Tensor, sigma: float) -> Tensor:
        """p_fake [B, K]: 1 for joints near the truth."""
        return near(made, truth, distance=NEAR)


class ConfidenceDiscriminator(nn.Module):
    """C: heatmaps [B, 2 K, h, w] -> logits [B, K]: does each look as sure as a true one?"""

    weight = ALPHA

    def __init__(self, joints: int = 17, *, width: int = 128) -> None:
        super().__init__()
        self.enter = nn.Sequential(Residual(2 * joints, width), residuals(1, width))
        self.verdict = Verdict(width, joints)

    def forward(self, heatmaps: Tensor, image: Tensor | None = None) -> Tensor:
        """It does not look at the picture, which P needs."""
        return self.verdict(self.enter(heatmaps))

    def no_fakes(self, made: Tensor, truth: Tensor, sigma: float) -> Tensor:
        """c_fake [B, K]: 1 for maps like the truth."""
        return alike(made, truth, difference=ALIKE, sigma=sigma)


class Verdict(nn.Module):
    """Features [B, C, h, w] -> logits [B, K]."""

    def __init__(self, width: int, joints: int) -> None:
        super().__init__()
        self.coarser = nn.Sequential(
            nn.MaxPool2d(2, ceil_mode=True), Residual(width, width),
            nn.MaxPool2d(2, ceil_mode=True), Residual(width, width),
        )  # fmt: skip
        self.joints = nn.Linear(width, joints)

    def forward(self, x: Tensor) -> Tensor:
        return self.joints(self.coarser(x).mean((2, 3)))


Critic = PoseDiscriminator | ConfidenceDiscriminator


def critics(net: AdversarialPoseNet, joints: int) -> dict[str, Critic]:
    """P and C for a generator, half as wide."""
    width = net.width // 2
    return {
        "pose critic": PoseDiscriminator(joints, width=width, depth=net.depth),
        "confidence critic": ConfidenceDiscriminator(joints, width=width),
    }


# Losses: one value per joint, weights applied once; each returns (sum, weight).


def maps_of(poses: Tensor, hidden: Tensor) -> Tensor:
    """True pose heatmaps [B, K, h, w], hidden [B, K] (1: yes, 0: visible) -> pose and occlusion
    heatmaps [B, 2 K, h, w].
    """
    return torch.cat([poses, poses * hidden[..., None, None]], 1)


def told(maps: Tensor, known: Tensor) -> Tensor:
    """Pose and occlusion heatmaps [B, 2 K, h, w], of which joints it is known whether they are
    hidden [B, K] -> the same, with empty occlusion heatmaps for the others: nobody learns from
    them, neither generator nor critics.
    """
    poses, occlusions = maps.chunk(2, 1)
    return torch.cat([poses, occlusions * known[..., None, None]], 1)


def generator_error(
    said: Sequence[Tensor], truth: Tensor, weights: Tensor, *, sigma: float
) -> tuple[Tensor, Tensor]:
    """Each stack's and the true heatmaps [B, 2 K, h, w], weights [B, K] -> (sum, weight): L_G, in
    units of what an empty map of one Gaussian of `sigma` cells would cost.
    """
    errors = [(maps.float() - truth).square().sum((2, 3)) for maps in said]  # [B, 2 K] each
    per_joint = torch.stack(errors).sum(0).unflatten(1, (2, -1)).sum(1) / (math.pi * sigma**2)
    return (per_joint * weights).sum(), weights.sum()


def belief_error(logits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """A critic's logits of what was generated [B, K], weights [B, K] -> (sum, weight): what it
    costs the generator not to be believed, -log D(G(x)).
    """
    return (functional.softplus(-logits.float()) * weights).sum(), weights.sum()


def discriminator_error(
    real: Tensor, fake: Tensor, right: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """A critic's logits of the truth and of what was generated [B, K], which of these are no fakes
    [B, K] (p_fake or c_fake), weights [B, K] -> (sum, weight): -L_P or -L_C.
    """
    true = functional.softplus(-real.float())
    made = functional.binary_cross_entropy_with_logits(fake.float(), right, reduction="none")
    return ((true + made) * weights).sum(), weights.sum()


def near(found: Tensor, truth: Tensor, *, distance: float) -> Tensor:
    """Generated and true heatmaps [B, 2 K, h, w] -> p_fake [B, K]: 1 where the pose heatmaps' peaks
    are at most `distance` cells apart.
    """
    apart = (_peaks(found.chunk(2, 1)[0]) - _peaks(truth.chunk(2, 1)[0])).norm(dim=-1)
    return (apart <= distance).float()


def alike(found: Tensor, truth: Tensor, *, difference: float, sigma: float) -> Tensor:
    """Generated and true heatmaps [B, 2 K, h, w] -> c_fake [B, K]: 1 where pose and occlusion
    heatmap together differ by at most `difference`, in the units of `generator_error`.
    """
    errors = (found.detach().float() - truth).square().sum((2, 3)) / (math.pi * sigma**2)
    return (errors.unflatten(1, (2, -1)).sum(1) <= difference).float()


def _peaks(maps: Tensor) -> Tensor:
    """[B, K, h, w] -> [B, K, 2] (x, y) in cells."""
    best, width = maps.flatten(2).argmax(2), maps.shape[3]
    return torch.stack([best % width, best // width], -1).float()


VARIANTS: dict[str, dict[str, Any]] = {
    "adversarial-tiny": {"stacks": 2, "width": 32, "depth": 3},
    "adversarial-slim": {"stacks": 2, "width": 64, "depth": 3},
    "adversarial-2": {"stacks": 2},
    "adversarial-4": {"stacks": 4},
}
