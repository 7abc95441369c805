"""Mixtures of Gaussians, fitted by EM (Dempster et al. 1977) from k-means++ (Arthur and
Vassilvitskii 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2

from ..geometry import Array

FEWEST = 20  # samples for each Gaussian
FLOOR = 1e-4  # least variance, in squared units of the samples


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Gaussians: weights [M], means [M, D], covariances [M, D, D]."""

    weights: Array
    means: Array
    covariances: Array

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n, D]."""
        which = rng.choice(len(self.weights), n, p=self.weights)
        normal = rng.standard_normal((n, self.means.shape[1]))
        return self.means[which] + np.einsum(
            "nij,nj->ni", np.linalg.cholesky(self.covariances)[which], normal
        )

    def moments(self) -> tuple[Array, Array]:
        """The mean [D] and covariance [D, D] of the whole."""
        mean = self.weights @ self.means
        off = self.means - mean
        spread = self.covariances + off[:, :, None] * off[:, None, :]
        return mean, np.einsum("m,mij->ij", self.weights, spread)

    def density(self, x: Array) -> Array:
        """[N, D] -> [N]."""
        return np.exp(_log_densities(x, self.weights, self.means, self.covariances)).sum(1)


def _log_densities(x: Array, weights: Array, means: Array, covariances: Array) -> Array:
    """[N, D] -> [N, M]: the log of each Gaussian's share."""
    off = x[:, None] - means
    distance = np.einsum("nmi,mij,nmj->nm", off, np.linalg.inv(covariances), off)
    _, logs = np.linalg.slogdet(covariances)
    return np.log(weights) - (distance + logs + x.shape[1] * np.log(2 * np.pi)) / 2


def fit_mixture(x: Array, count: int, rng: np.random.Generator, *, steps: int = 100) -> Mixture:
    """[N, D] -> a mixture of at most `count` Gaussians, fewer where there are less than `FEWEST`
    samples for each.
    """
    count = max(1, min(count, len(x) // FEWEST))
    floor = FLOOR * np.eye(x.shape[1])
    means, labels = kmeans2(x, count, minit="++", rng=rng)
    share = np.eye(count)[labels]
    weights = covariances = np.zeros(0)
    for _ in range(steps):
        mass = share.sum(0) + 1e-9
        weights, means = mass / mass.sum(), share.T @ x / mass[:, None]
        off = x[:, None] - means
        covariances = np.einsum("nm,nmi,nmj->mij", share, off, off) / mass[:, None, None] + floor
        logs = _log_densities(x, weights, means, covariances)
        before, share = share, np.exp(logs - np.logaddexp.reduce(logs, 1, keepdims=True))
        if np.abs(share - before).max() < 1e-4:
            break
    return Mixture(weights, means, covariances)
