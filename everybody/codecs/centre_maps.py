"""MoveNet's maps -> people, and back (Google 2021; after CenterNet, Zhou et al. 2019).

Votel and Li, "Next-Generation Pose Detection with MoveNet and TensorFlow.js" (2021), give the four
heads, all at a quarter of the input's size: a heatmap of people's centres; from each centre, a
vector to each joint; a heatmap per joint; from each joint's cell, the rest of the way to the joint.
They are read in four steps:

    1. the person:        c  = argmax  centre(p) / (|p - middle| + d)          d = 1.8 cells
    2. joints, roughly:   r_k = c + vector_k(c)
    3. joints' cells:     q_k = argmax heatmap_k(p) / (|p - r_k| + d)
    4. joints:            q_k + offset_k(q_k)

`decode_single` looks for the one person in the middle, as the published single-pose network does.
`decode_people` takes every peak of the centre map for a person, so that our own network finds all
of them; there the heatmaps' weights keep people's joints apart.

Coordinates are cells, x before y; who calls knows how cells lie in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..geometry import Array, box_around
from .grid import check_ports
from .peaks import check_cells, check_maps, find_peaks

if TYPE_CHECKING:
    from ..runtime import Port

NEAR = 1.8  # cells added to a distance, so that a weight stays finite


class CentreMaps(NamedTuple):
    """The four heads of one picture; probabilities and cells."""

    centre: Array  # [1, h, w] in [0, 1]
    heatmaps: Array  # [K, h, w] in [0, 1]
    vectors: Array  # [2 K, h, w]: x, y to each joint, from the person's centre
    offsets: Array  # [2 K, h, w]: x, y to the joint, from its own cell

    @property
    def joints(self) -> int:
        return len(self.heatmaps)


def check(maps: CentreMaps, joints: int | None = None) -> None:
    """Raises ModelError where the maps' counts or sizes do not fit, or they hold NaN."""
    joints = maps.joints if joints is None else joints
    counts = (1, joints, 2 * joints, 2 * joints)
    for name, found, channels in zip(maps._fields, maps, counts, strict=True):
        check_maps(found, channels, f"the {name} of MoveNet's answer")
        if found.shape[1:] != maps.centre.shape[1:]:
            size, wanted = list(found.shape[1:]), list(maps.centre.shape[1:])
            raise ModelError(f"the {name} of MoveNet's answer are {size}, its centre is {wanted}")


class Single(NamedTuple):
    """One person and the steps on the way."""

    keypoints: Array  # [K, 3] x, y in cells, score in [0, 1]
    centre: tuple[int, int]  # x, y
    rough: Array  # [K, 2]
    cells: NDArray[np.intp]  # [K, 2]


def decode_single(maps: CentreMaps) -> Single:
    """The person nearest to the middle, by the steps above; raises ModelError."""
    check(maps)
    height, width = maps.centre.shape[1:]
    middle = np.array([[width / 2, height / 2]])
    weighted = maps.centre[0] / _distances(middle, width, height)[0]
    y, x = np.unravel_index(int(weighted.argmax()), (height, width))
    keypoints, rough, cells = _joints(maps, np.array([[x, y]]))
    return Single(keypoints[0], (int(x), int(y)), rough[0], cells[0])


def decode_people(
    maps: CentreMaps, *, threshold: float = 0.3, most: int = 30
) -> tuple[Array, Array]:
    """Everybody whose centre is a peak of at least `threshold`, the surest `most` of them ->
    keypoints [N, K, 3] (x, y in cells, score), scores [N], the surest first; raises ModelError.
    """
    check(maps)
    peaks = find_peaks(maps.centre, threshold=threshold, radius=2.0)
    order = np.argsort(-peaks.score, kind="stable")[:most]
    keypoints, _, _ = _joints(maps, np.stack([peaks.x, peaks.y], 1)[order])
    return keypoints, peaks.score[order].clip(0, 1)


def _joints(maps: CentreMaps, centres: NDArray[np.intp]) -> tuple[Array, Array, NDArray[np.intp]]:
    """Centres [N, 2] -> keypoints [N, K, 3], roughly [N, K, 2], cells [N, K, 2]."""
    joints, (height, width) = maps.joints, maps.centre.shape[1:]
    vectors = maps.vectors.reshape(joints, 2, height, width)
    offsets = maps.offsets.reshape(joints, 2, height, width)
    x, y = centres[:, 0], centres[:, 1]
    rough = np.asarray(vectors[:, :, y, x].transpose(2, 0, 1) + centres[:, None], np.float64)

    cells: NDArray[np.intp] = np.empty(rough.shape, np.intp)
    for k, heatmap in enumerate(maps.heatmaps):
        weighted = heatmap / _distances(rough[:, k], width, height)
        best = weighted.reshape(len(rough), height * width).argmax(1)
        cells[:, k] = np.stack([best % width, best // width], 1)

    joint, (x, y) = np.arange(joints), (cells[..., 0], cells[..., 1])
    rest = [offsets[joint, axis, y, x] for axis in (0, 1)]
    refined = cells.astype(np.float64) + np.stack(rest, 2)
    score = maps.heatmaps[joint, y, x].clip(0, 1)
    return np.concatenate([refined, score[..., None]], 2), rough, cells


def _distances(points: Array, width: int, height: int) -> Array:
    """[N, 2] -> [N, height, width]: each cell's distance, and a little more."""
    dx = np.arange(width) - points[:, :1]
    dy = np.arange(height) - points[:, 1:]
    return np.hypot(dx[:, None, :], dy[:, :, None]) + NEAR


@dataclass(frozen=True, slots=True)
class CentreCodec:
    """People -> the maps that our network learns. The centre of a person is that of their box.

    sigma, least: deviation of the Gaussians in shares of the person's size (the root of the box's
    area) and its least in cells; a joint's Gaussian has half a centre's deviation.
    """

    cells: tuple[int, int] = (48, 48)  # width, height
    sigma: float = 0.08
    least: float = 1.0

    def encode(self, keypoints: Array, boxes: Array) -> dict[str, Any]:
        """Keypoints [N, K, 3] and boxes [N, 4], in cells -> `centre` [1, h, w], `heatmaps`
        [K, h, w], `vectors` and `offsets` [2 K, h, w], and where those count: `vectors_known`,
        `offsets_known` [K, h, w]. People whose centre is outside do not count.
        """
        width, height = self.cells
        joints = keypoints.shape[1]
        maps: dict[str, Any] = {
            name: np.zeros((channels, height, width), np.float32)
            for name, channels in (
                ("centre", 1), ("heatmaps", joints), ("vectors", 2 * joints),
                ("offsets", 2 * joints), ("vectors_known", joints), ("offsets_known", joints),
            )
        }  # fmt: skip
        sizes = np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 0))
        for person in np.argsort(-sizes, kind="stable"):  # the smaller one's numbers stand
            middle = (boxes[person, :2] + boxes[person, 2:]) / 2
            deviation = max(self.sigma * sizes[person], self.least)
            self._add(maps, keypoints[person], middle, deviation)
        return maps

    def _add(self, maps: dict[str, Any], joints: Array, middle: Array, deviation: float) -> None:
        cell = np.floor(middle + 0.5).astype(int)
        if not self._inside(cell):
            return
        self._draw(maps["centre"][0], cell, deviation)
        for k, (x, y, known) in enumerate(joints):
            if not known > 0:
                continue
            maps["vectors"][2 * k : 2 * k + 2, cell[1], cell[0]] = (x, y) - cell
            maps["vectors_known"][k, cell[1], cell[0]] = 1

            at = np.floor(np.array([x, y]) + 0.5).astype(int)
            if self._inside(at):
                self._draw(maps["heatmaps"][k], at, max(deviation / 2, self.least))
                maps["offsets"][2 * k : 2 * k + 2, at[1], at[0]] = (x, y) - at
                maps["offsets_known"][k, at[1], at[0]] = 1

    def _inside(self, cell: Array) -> bool:
        return bool((cell >= 0).all() and (cell < self.cells).all())

    def _draw(self, heatmap: Array, cell: Array, deviation: float) -> None:
        """A Gaussian of height 1 about a cell; where two meet, the higher counts."""
        width, height = self.cells
        x = np.exp(-np.square(np.arange(width) - cell[0]) / (2 * deviation**2))
        y = np.exp(-np.square(np.arange(height) - cell[1]) / (2 * deviation**2))
        np.maximum(heatmap, y[:, None] * x, out=heatmap)


@dataclass(frozen=True, slots=True)
class MoveNetMaps:
    """The picture codec of our network by MoveNet's design: a person's centre is that of the box
    around the joints that are labelled; a cell stands for its own centre.

    threshold: the least score of a centre; most: people.
    """

    stride: int = 4
    threshold: float = 0.1
    most: int = 30

    def encode(self, keypoints: Array, size: tuple[int, int]) -> tuple[Array, ...]:
        """People [P,K,3] in input pixels, size (width, height) -> what a perfect network says."""
        return tuple(maps for maps, _ in self.targets(keypoints, size))

    def targets(self, keypoints: Array, size: tuple[int, int]) -> list[tuple[Array, Array]]:
        """As `PictureCodec.targets`: vectors count at centres, offsets at the joints' cells."""
        points = keypoints[(keypoints[..., 2] > 0).any(1)].copy()
        points[..., :2] = (points[..., :2] + 0.5) / self.stride - 0.5
        codec = CentreCodec(cells=(size[0] // self.stride, size[1] // self.stride))
        maps = codec.encode(points, box_around(points))
        everywhere = np.ones_like(maps["centre"])
        both = {name: np.repeat(maps[f"{name}_known"], 2, 0) for name in ("vectors", "offsets")}
        dense = [(maps[name], everywhere) for name in ("centre", "heatmaps")]
        return dense + [(maps[name], known) for name, known in both.items()]

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """[centre, heatmaps, vectors, offsets] -> per picture (keypoints, boxes, scores)."""
        found = []
        check_cells(outputs[0], size, self.stride)
        for maps in zip(*outputs, strict=True):
            some = decode_people(CentreMaps(*maps), threshold=self.threshold, most=self.most)
            keypoints, scores = some
            keypoints[..., :2] = (keypoints[..., :2] + 0.5) * self.stride - 0.5
            found.append((keypoints, box_around(keypoints), scores))
        return found

    def check(self, ports: Sequence[Port], joints: int) -> None:
        counts = (1, joints, 2 * joints, 2 * joints)
        meaning = "centre [B, 1, h, w], heatmaps [B, K, h, w], vectors and offsets [B, 2K, h, w]"
        check_ports(self, meaning, [(None, count, None, None) for count in counts], ports)
