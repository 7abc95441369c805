"""Wrong boxes to learn from: pose-guided proposals (PGPG, Fang et al. 2017, section 3.4), and
simpler ways to make them.

How a detector is wrong depends on the pose: it cuts off raised arms and wide stances. So poses of
equal torso length are gathered into atomic ones (k-means, Lloyd 1982, started as k-means++). For
each, a mixture of Gaussians models the offsets of detected from true boxes (EM, Dempster et al.
1977). Sampling gives any number of proposals for a person. `uniform` and `jittered` are baselines:
boxes that are wrong in any way, and the paper's, detected boxes of any pose, jittered and kept
above IoU .5.

An offset is of the four sides x0, y0, x1, y1, in widths (x) and heights (y) of the true box.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from ..atomic import replacing
from ..data.dataset import Dataset
from ..errors import DataError, InputError, OptionError
from ..geometry import Array, iou
from ..media.images import decode
from ..methods.detector import Detector
from ..skeletons import Skeleton, mapping

JOINTS = tuple(
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
BODY = Skeleton(
    name="body-12",
    joints=JOINTS,
    mirror=tuple(i ^ 1 for i in range(12)),
    sigmas=(0.1,) * 12,
    limbs=(
        (0, 1),
        (0, 2),
        (2, 4),
        (1, 3),
        (3, 5),
        (0, 6),
        (1, 7),
        (6, 7),
        (6, 8),
        (8, 10),
        (7, 9),
        (9, 11),
    ),
)
FITTED = Path(__file__).with_name(
    "proposals.json"
)  # of coco_train and LSP-extended's training pictures
LEAST_TORSO = 0.05  # of the pose's extent: seen along the torso, its length measures nothing
MATCH = 0.3  # least IoU of a detected box with the person it is of
FLOOR = 1e-4  # least variance of an offset, in squared sides
JITTER = 0.3  # of the paper's baseline, in sides

Offsets = Callable[[Array, np.random.Generator], Array]  # keypoints [N, K, 3] -> offsets [N, 4]


def aligned(keypoints: Array, of: Skeleton) -> tuple[Array, NDArray[np.bool_]]:
    """[N, K, 3] -> poses [N, 12, 2] of the joints of `BODY`, about the middle of the hips, in
    lengths of the torso, and which of them are known [N, 12]: none if the torso is not labelled or
    has no length.
    """
    body = mapping(of, BODY)(np.asarray(keypoints, np.float64))
    points, known = body[..., :2], body[..., 2] > 0
    hips, shoulders = points[:, 6:8].mean(1), points[:, 0:2].mean(1)
    torso = np.linalg.norm(shoulders - hips, axis=-1)
    extent = np.where(known[..., None], np.abs(points - hips[:, None]), 0).max((1, 2), initial=0)
    measurable = known[:, [0, 1, 6, 7]].all(1) & (torso > LEAST_TORSO * extent)
    return (points - hips[:, None]) / np.where(measurable, torso, 1)[
        :, None, None
    ], known & measurable[:, None]


def atomic(poses: Array, count: int, rng: np.random.Generator) -> Array:
    """Whole poses [N, 12, 2] -> so many atomic ones [A, 12, 2], most frequent first. Raises
    DataError for fewer poses than atoms.
    """
    if len(poses) < 10 * count:
        raise DataError(
            f"{len(poses)} whole poses are too few for {count} atomic ones: "
            "give more data, or ask for fewer"
        )
    # An arm stretched towards the camera gives torsos of no length: limbs beyond three torsos are
    # cut.
    flat = np.clip(poses, -3, 3).reshape(len(poses), -1)
    centres, labels = kmeans2(flat, count, minit="++", rng=rng, missing="raise")
    order = np.argsort(-np.bincount(labels, minlength=count), kind="stable")
    return centres[order].reshape(count, len(JOINTS), 2)


def nearest(poses: Array, known: NDArray[np.bool_], atoms: Array) -> NDArray[np.intp]:
    """Poses [N, 12, 2], their known joints, atoms [A, 12, 2] -> [N], by the mean distance of known
    joints; -1: none.
    """
    away = np.linalg.norm(poses[:, None] - atoms, axis=-1) * known[:, None]
    return np.where(known.any(1), away.sum(2).argmin(1), -1)


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Gaussians of offsets: weights [M], means [M, D], covariances [M, D, D]."""

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
    """[N, D] -> a mixture of at most `count` Gaussians, fewer where there are less than 20 offsets
    for each.
    """
    count = max(1, min(count, len(x) // 20))
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


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """What was fitted: atoms [A, 12, 2], a mixture of offsets for each, and one of all for people
    of no known pose.
    """

    atoms: Array
    mixtures: tuple[Mixture, ...]
    anybody: Mixture

    def of(self, keypoints: Array, of: Skeleton) -> NDArray[np.intp]:
        """[N, K, 3] -> each person's atom [N]; -1: not known."""
        return nearest(*aligned(keypoints, of), self.atoms)

    def sample(self, atoms: NDArray[np.intp], rng: np.random.Generator) -> Array:
        """Atoms [N] -> an offset for each person [N, 4]; repeat an atom for more of one person."""
        out = np.empty((len(atoms), 4))
        for atom in np.unique(atoms):
            rows = atoms == atom
            out[rows] = (self.anybody if atom < 0 else self.mixtures[atom]).sample(
                int(rows.sum()), rng
            )
        return out

    def save(self, path: Path) -> None:
        """As JSON, rounded to what a pixel could notice."""
        rows = [
            {"weights": m.weights, "means": m.means, "covariances": m.covariances}
            for m in (*self.mixtures, self.anybody)
        ]
        *mixtures, anybody = ({k: np.round(v, 6).tolist() for k, v in row.items()} for row in rows)
        content = {
            "joints": JOINTS,
            "atoms": np.round(self.atoms, 4).tolist(),
            "mixtures": mixtures,
            "anybody": anybody,
        }
        with replacing(path) as part:
            part.write_text(json.dumps(content), "utf-8")


def load(path: Path | str = FITTED) -> Proposals:
    """The inverse of `Proposals.save`. Raises DataError."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        made = [
            Mixture(*(np.array(m[k], np.float64) for k in ("weights", "means", "covariances")))
            for m in (*content["mixtures"], content["anybody"])
        ]
        made = [
            replace(mixture, weights=mixture.weights / mixture.weights.sum()) for mixture in made
        ]
        found = Proposals(np.array(content["atoms"], np.float64), tuple(made[:-1]), made[-1])
        if found.atoms.shape != (len(found.mixtures), len(JOINTS), 2) or any(
            m.means.shape[1:] != (4,) for m in made
        ):
            raise ValueError(
                f"{len(found.mixtures)} mixtures of sides for atoms {found.atoms.shape}"
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not a file of proposals ({error}): make one with `everybody proposals`"
        ) from error
    return found


def fit(
    poses: Sequence[Dataset],
    found: Sequence[tuple[Dataset, Array]],
    *,
    atoms: int,
    gaussians: int,
    rng: np.random.Generator,
) -> Proposals:
    """Data to gather poses from, and pairs of data and the offsets [N, 4] of their people (NaN: not
    found) -> the model. Raises DataError if there is too little.
    """
    whole = []
    for data in poses:
        pose, known = aligned(data.keypoints, data.skeleton)
        whole.append(pose[known.all(1)])
    centres = atomic(np.concatenate(whole), atoms, rng)
    labels = np.concatenate(
        [nearest(*aligned(data.keypoints, data.skeleton), centres) for data, _ in found]
    )
    offsets = np.concatenate([some for _, some in found])
    seen = ~np.isnan(offsets).any(1)
    counts = np.bincount(labels[seen & (labels >= 0)], minlength=atoms)
    if counts.min() < 20:
        raise DataError(
            f"only {counts.min()} detected people of some atomic pose (20 needed): give more "
            f"pictures, or ask for fewer than {atoms} atoms"
        )
    mixtures = tuple(
        fit_mixture(offsets[seen & (labels == atom)], gaussians, rng) for atom in range(atoms)
    )
    return Proposals(centres, mixtures, fit_mixture(offsets[seen], gaussians, rng))


def detected(
    data: Dataset,
    boxes: Array,
    detector: Detector,
    *,
    most: int = 0,
    say: Callable[[str], None] = print,
) -> Array:
    """How a detector is wrong about labelled people: offsets [N, 4] of the best-overlapping
    detection from boxes [N, 4]; NaN where no detection overlaps a person by `MATCH`. Only the first
    `most` pictures are looked at (0: all). Broken pictures are named and skipped.
    """
    out = np.full((len(boxes), 4), np.nan)
    for index, rows in enumerate(data.rows()):
        if len(rows) == 0 or (most and index >= most):
            continue
        path = data.path(index)
        try:
            (people,) = detector([decode(path.read_bytes(), str(path))])
        except (InputError, OSError) as error:
            say(f"skipped: {error}")
            continue
        out[rows] = offsets_of(boxes[rows], people.boxes.astype(np.float64))
    return out


def offsets_of(true: Array, found: Array) -> Array:
    """Boxes [N, 4], found ones [M, 4] -> [N, 4], NaN where none overlaps enough or the box has no
    area.
    """
    extent = true[:, 2:] - true[:, :2]
    if len(found) == 0:
        return np.full((len(true), 4), np.nan)
    overlap = iou(true, found)
    off = (found[overlap.argmax(1)] - true) / np.maximum(np.concatenate([extent, extent], 1), 1e-9)
    known = (overlap.max(1) >= MATCH) & (extent > 0).all(axis=1)
    return np.where(known[:, None], off, np.nan)


# --- the simpler ways, and the choice among all


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


def named(kind: str, noise: float, of: Skeleton) -> Offsets:
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
    fitted = load(file or FITTED)
    if way == "jitter":
        return lambda keypoints, rng: jittered(len(keypoints), fitted.anybody, rng)
    return lambda keypoints, rng: fitted.sample(fitted.of(keypoints, of), rng)
