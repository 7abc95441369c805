"""DEKR's maps -> people, and people -> its maps (Geng et al. 2021, § 3.3 and § 3.4).

Every peak of the centre map proposes a person: the cell minus its offsets is where the joints are.
A joint scores as much as the centre times the joint's heatmap there. Peaks of one person propose it
several times: of proposals that share most of their joints, the one whose joints' heatmaps are
highest stays.

Coordinates are cells of the maps, x before y, but for those of `DekrMaps`: there, cell c lies at
pixel c · stride of the input, as the authors' crops of pictures and of maps have it.

A model is an ONNX file that answers heatmaps [B, K + 1, h, w], the centres last, and offsets
[B, 2 K, h, w].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from ..codecs.grid import check_ports
from ..codecs.peaks import check_maps
from ..errors import ModelError
from ..geometry import Array, box_around
from ..inputs import IMAGENET, Input
from ..options import Options
from ..runtime import Port
from .bottomup import BottomUp, open_file

INPUT = Input(size=(512, 512), **IMAGENET)


class Proposals(NamedTuple):
    """What the centre map's peaks say, the surest first."""

    cells: NDArray[np.intp]  # [N] row · width + column of the centre
    scores: Array  # [N] of the centre
    keypoints: Array  # [N, K, 3] x, y in cells, score in [0, 1]
    heat: Array  # [N, K] of the heatmaps, at the joints


def check(heatmaps: Array, offsets: Array) -> None:
    """Raises ModelError where counts or sizes do not fit, or the maps hold NaN."""
    joints = len(heatmaps) - 1
    check_maps(heatmaps, joints + 1, "the heatmaps of DEKR's answer")
    check_maps(offsets, 2 * joints, "the offsets of DEKR's answer")
    if offsets.shape[1:] != heatmaps.shape[1:]:
        found, wanted = list(offsets.shape[1:]), list(heatmaps.shape[1:])
        raise ModelError(f"the offsets of DEKR's answer are {found}, its heatmaps are {wanted}")


def proposals(
    heatmaps: Array, offsets: Array, *, threshold: float = 0.01, most: int = 30
) -> Proposals:
    """Heatmaps [K + 1, h, w], the centres last, and offsets [2 K, h, w] -> at most `most` proposals
    whose centre scores more than `threshold`; raises ModelError.
    """
    check(heatmaps, offsets)
    *_, height, width = heatmaps.shape
    centre = heatmaps[-1]
    window = 3 + 2 * int((height + width) / 2 > 200) + 2 * int((height + width) / 2 > 300)
    highest = maximum_filter(centre, window, mode="constant", cval=-np.inf)
    cells = np.flatnonzero((centre == highest) & (centre > threshold))
    cells = cells[np.argsort(-centre.flat[cells], kind="stable")][:most]

    y, x = np.divmod(cells, width)
    vectors = offsets.reshape(-1, 2, height, width)[:, :, y, x].transpose(2, 0, 1)
    points = np.stack([x, y], 1)[:, None] - vectors
    column = np.clip(np.floor(points[..., 0]), 0, width - 1).astype(int)
    row = np.clip(np.floor(points[..., 1]), 0, height - 1).astype(int)
    heat = heatmaps[np.arange(len(heatmaps) - 1), row, column].clip(0, 1)
    scores = centre.flat[cells].clip(0, 1)
    keypoints = np.concatenate([points, (scores[:, None] * heat)[..., None]], 2)
    return Proposals(cells, scores, keypoints, heat)


def suppressed(found: Proposals, *, share: float = 0.05, joints: int = 8) -> NDArray[np.intp]:
    """[M]: which proposals stay. Two are one person if more than `joints` of their joints are
    closer than `share` of the first one's diagonal; the one with the highest heat stays.
    """
    points, heat = found.keypoints[..., :2], found.heat.mean(1)
    diagonal = np.hypot(*np.moveaxis(np.ptp(points, axis=1), -1, 0)) if len(points) else heat
    apart = np.linalg.norm(points[:, None] - points[None], axis=3)  # [N, N, K]
    same = (apart < share * diagonal[:, None, None]).sum(2) > joints

    alive, stay = np.ones(len(points), bool), []
    for first in range(len(points)):
        if not alive[first]:
            continue
        group = np.flatnonzero(same[first] & alive)
        group = group if len(group) else np.array([first])  # so small that it is far from itself
        stay.append(group[heat[group].argmax()])
        alive[group] = False
    return np.array(stay, np.intp)


def decode(
    heatmaps: Array, offsets: Array, *, threshold: float = 0.01, most: int = 30
) -> tuple[Array, Array]:
    """Heatmaps [K + 1, h, w], offsets [2 K, h, w] -> keypoints [N, K, 3] (x, y in cells, score) and
    scores [N], each once; raises ModelError.
    """
    found = proposals(heatmaps, offsets, threshold=threshold, most=most)
    keypoints = found.keypoints[suppressed(found)]
    return keypoints, keypoints[..., 2].mean(1)


@dataclass(frozen=True, slots=True)
class DekrCodec:
    """People -> the maps that DEKR learns; a person's centre is the mean of the labelled joints.

    sigma, centre_sigma: of the Gaussians, in cells; reach: cells around a centre that say the
    offsets; background: weight of cells of heatmaps where nobody is.
    """

    cells: tuple[int, int] = (128, 128)  # width, height
    sigma: float = 2.0
    centre_sigma: float = 4.0
    reach: int = 4
    background: float = 0.1

    def encode(self, keypoints: Array) -> dict[str, Any]:
        """Keypoints [N, K, 3] in cells, score 0 where not labelled -> `heatmaps` [K + 1, h, w],
        `offsets` [2 K, h, w] and the weights of both. Where two people's centres meet, the smaller
        one's offsets stand.
        """
        width, height = self.cells
        joints = keypoints.shape[1]
        heatmaps = np.zeros((joints + 1, height, width), np.float32)
        offsets = np.zeros((2 * joints, height, width), np.float32)
        weight = np.zeros_like(offsets)
        known = keypoints[..., 2] > 0
        sizes = [_size(points[own, :2]) for points, own in zip(keypoints, known, strict=True)]
        for person in np.argsort(-np.array(sizes), kind="stable"):
            points, own = keypoints[person, :, :2], known[person]
            if not own.any():
                continue
            middle = points[own].mean(0)
            for k in np.flatnonzero(own):
                self._draw(heatmaps[k], points[k], self.sigma)
            self._draw(heatmaps[-1], middle, self.centre_sigma)
            self._point(offsets, weight, points, own, middle, sizes[person])

        background = np.where(heatmaps > 0, 1, self.background).astype(np.float32)
        return {
            "heatmaps": heatmaps,
            "heatmaps_weight": background,
            "offsets": offsets,
            "offsets_weight": weight,
        }

    def _draw(self, heatmap: Array, at: Array, sigma: float) -> None:
        """A Gaussian of height 1 at a cell, cut at 3 σ; where two meet, the higher counts."""
        width, height = self.cells
        cell = np.floor(at + 0.5)
        x = np.exp(-np.square(np.arange(width) - cell[0]) / (2 * sigma**2))
        y = np.exp(-np.square(np.arange(height) - cell[1]) / (2 * sigma**2))
        gaussian = y[:, None] * x
        np.maximum(heatmap, np.where(gaussian > np.exp(-4.5), gaussian, 0), out=heatmap)

    def _point(
        self,
        offsets: Array,
        weight: Array,
        points: Array,
        own: NDArray[np.bool_],
        middle: Array,
        size: float,
    ) -> None:
        """Writes a person's offsets into the square of cells around the centre."""
        width, height = self.cells
        x, y = np.floor(middle + 0.5).astype(int)
        rows = slice(max(y - self.reach, 0), max(min(y + self.reach + 1, height), 0))
        columns = slice(max(x - self.reach, 0), max(min(x + self.reach + 1, width), 0))
        at_y, at_x = np.mgrid[rows, columns]
        for k, (to_x, to_y) in enumerate(points):
            offsets[2 * k, rows, columns] = at_x - to_x
            offsets[2 * k + 1, rows, columns] = at_y - to_y
            weight[2 * k : 2 * k + 2, rows, columns] = own[k] / size


def _size(points: Array) -> float:
    """The diagonal of what holds the points [M, 2], at least one cell."""
    return max(float(np.hypot(*np.ptp(points, axis=0))), 1.0) if len(points) else 1.0


@dataclass(frozen=True, slots=True)
class DekrMaps:
    """The picture codec of DEKR."""

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """A network's outputs -> per picture (keypoints, boxes, scores) in input pixels."""
        found = []
        for heatmaps, offsets in zip(*outputs, strict=True):
            keypoints, scores = decode(heatmaps, offsets)
            keypoints[..., :2] *= np.array(size) / heatmaps.shape[:0:-1]
            found.append((keypoints, box_around(keypoints), scores))
        return found

    def check(self, ports: Sequence[Port], joints: int) -> None:
        meaning = "heatmaps [B, K + 1, h, w] and offsets [B, 2 K, h, w]"
        counts = (joints + 1, 2 * joints)
        check_ports(self, meaning, [(None, count, None, None) for count in counts], ports)


def open_dekr(options: Options) -> BottomUp:
    """DEKR by the options' pose model (a name, or an ONNX file). Raises ModelError, OptionError."""
    return open_file(options, "dekr", DekrMaps(), INPUT)
