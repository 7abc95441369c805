"""Boxes that are wrong on purpose, so that what is learnt from them forgives a detector: as a
recipe asks for them.

`pgpg` samples what was fitted to a detector's errors (`proposals`, Fang et al. 2017). The others
are baselines: `uniform` makes boxes that are wrong in any way; `jitter` is the paper's, detected
boxes of any pose, jittered and kept above IoU .5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import OptionError
from ..geometry import Array, iou
from ..skeletons import Skeleton
from . import proposals
from .mixture import Mixture

JITTER = 0.3  # of the paper's baseline, in sides

Offsets = Callable[[Array, np.random.Generator], Array]  # keypoints [N, K, 3] -> offsets [N, 4]


def uniform(n: int, noise: float, rng: np.random.Generator) -> Array:
    """[n, 4]: boxes shifted by up to ± noise and resized, each axis by itself, by factors of up to
    exp(± 1.5 noise), each box by a share of the noise of its own.
    """
    most = noise * rng.uniform(size=(n, 1))
    shift = rng.uniform(-1, 1, (n, 2)) * most
    half = (np.exp(rng.uniform(-1.5, 1.5, (n, 2)) * most) - 1) / 2
    return np.concatenate([shift - half, shift + half], 1)


def jittered(n: int, detections: Mixture, rng: np.random.Generator) -> Array:
    """[n, 4]: the paper's baseline: offsets of anybody's detections, each side jittered, kept above
    IoU .5.
    """
    kept = np.zeros((0, 4))
    unit = np.array([[0.0, 0, 1, 1]])
    while len(kept) < n:
        tried = detections.sample(2 * n + 8, rng) + rng.uniform(-JITTER, JITTER, (2 * n + 8, 4))
        kept = np.concatenate([kept, tried[iou(unit, unit + tried)[0] > 0.5]])
    return kept[:n]


def wrong_boxes(kind: str, noise: float, of: Skeleton) -> Offsets:
    """How a recipe makes boxes wrong: not at all (empty), `uniform` (by its noise), `pgpg`,
    `jitter`, or `pgpg:FILE`, `jitter:FILE` for ones of your own. Raises OptionError, DataError.
    """
    way, _, file = kind.partition(":")
    if not kind or (way == "uniform" and not file):
        return lambda keypoints, rng: uniform(len(keypoints), noise if kind else 0.0, rng)
    if way not in ("pgpg", "jitter"):
        raise OptionError(
            f"unknown proposals '{kind}': known are uniform, pgpg, jitter, pgpg:FILE, jitter:FILE"
        )
    fitted = proposals.load(file or proposals.FITTED)
    if way == "jitter":
        return lambda keypoints, rng: jittered(len(keypoints), fitted.anybody, rng)
    return lambda keypoints, rng: fitted.sample(fitted.of(keypoints, of), rng)
