"""Pose-guided proposals of boxes that are as wrong as a detector's (PGPG, Fang et al. 2017, section
3.4).

How a detector is wrong depends on the pose: it cuts off raised arms and wide stances. So poses of
equal torso length are gathered into atomic ones (k-means, Lloyd 1982, started as k-means++). For
each, a mixture of Gaussians models the offsets of detected from true boxes. Sampling gives any
number of proposals for a person.

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
from ..errors import DataError, InputError
from ..geometry import Array, iou
from ..media.images import decode
from ..methods.detector import Detector
from ..skeletons import Skeleton, mapping
from .mixture import FEWEST, Mixture, fit_mixture

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
# Fitted to coco_train and LSP-extended's training pictures.
FITTED = Path(__file__).with_name("proposals.json")
LEAST_TORSO = 0.05  # of the pose's extent: seen along the torso, its length measures nothing
MATCH = 0.3  # least IoU of a detected box with the person it is of


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
    if counts.min() < FEWEST:
        raise DataError(
            f"only {counts.min()} detected people of some atomic pose ({FEWEST} needed): give more "
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
