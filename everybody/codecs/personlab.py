"""PersonLab's fast greedy decoding: from the most confident joint along displacements.

Papandreou et al., "PersonLab: person pose estimation and instance segmentation with a bottom-up,
part-based, geometric embedding model", ECCV 2018, Sec. 3.1. Roots, the local maxima of all
heatmaps, are taken most confident first (the paper's priority queue). From its root a body grows
along the edges of a tree, each step by the mid-range displacement at the joint's cell, then the
short-range offset of the cell it leads to. A root on a joint of an earlier body starts no new one.

What grows from a root does not depend on the other bodies: so all roots grow at once, in as many
steps as the tree has edges, and only the choice among them goes one by one.

A model is an ONNX file that answers heatmaps (probabilities) [B, K, h, w], offsets [B, 2K, h, w]
and displacements forwards and backwards [B, 2E, h, w], as the published PoseNet; or the published
TFLite file, which answers heatmaps as logits and the displacements as one map, channels last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from ..errors import ModelError
from ..geometry import box_around
from .grid import check_ports
from .peaks import Array, Places, check_maps, nearest

if TYPE_CHECKING:
    from ..runtime import Port

STRIDES = (4, 8, 16, 32)
PUBLISHED = 3  # outputs of the published TFLite file

# Of COCO's 17 joints, from the nose outwards (Papandreou et al. 2018, Fig. 2).
EDGES = (
    (0, 1), (1, 3), (0, 2), (2, 4), (0, 5), (5, 7), (7, 9), (5, 11),
    (11, 13), (13, 15), (0, 6), (6, 8), (8, 10), (6, 12), (12, 14), (14, 16),
)  # fmt: skip


Maps = tuple[Array, Array, Array, Array]
MAPS = ("heatmaps", "offsets", "forward displacements", "backward displacements")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the maps of a net are read. Lengths are in pixels of its input."""

    stride: int = 16
    threshold: float = 0.5  # of a root's score
    radius: float = 20.0  # a joint this close to the same joint of an earlier body is that joint
    most: int = 20  # bodies
    least_score: float = 0.0  # of a body
    discount: bool = True  # joints of an earlier body count 0 in a body's score


def decode(
    maps: Maps, options: Decoding = Decoding(), edges: Sequence[tuple[int, int]] = EDGES
) -> tuple[Array, Array]:
    """Heatmaps [K,h,w], offsets [2K,h,w], displacements forwards and backwards [2E,h,w] (all y
    channels, then all x) -> keypoints [P,K,3] in input pixels, scores [P] in [0,1], as found.

    A body's score is the mean of its joints' scores. Raises ModelError for maps that do not fit
    together or are not finite.
    """
    _check(maps, edges)
    part, row, column = _roots(maps[0], options.threshold)
    grown = _grown(maps, edges, options.stride, part, row, column)
    root = grown[np.arange(len(part)), part, :2]
    claimed = np.zeros(len(part), bool)

    bodies, scores = grown[:0], []
    for place, body in enumerate(grown):
        if len(scores) == options.most:
            break
        if claimed[place]:
            continue

        apart = _distance(bodies[..., :2] - body[:, :2]) > options.radius
        counts = apart.all(0) | (not options.discount)
        score = float(body[counts, 2].sum()) / len(body)
        if options.least_score and score < options.least_score:
            continue

        bodies = np.concatenate([bodies, body[None]])
        scores.append(score)
        claimed |= _distance(root - body[part, :2]) <= options.radius
    return bodies.astype(np.float32), np.array(scores, np.float32)


def _check(maps: Maps, edges: Sequence[tuple[int, int]]) -> None:
    joints = max(max(edge) for edge in edges) + 1
    counts = (joints, 2 * joints, 2 * len(edges), 2 * len(edges))
    for some, count, name in zip(maps, counts, MAPS, strict=True):
        check_maps(some, count, name)
        if some.shape[1:] != maps[0].shape[1:]:
            raise ModelError(
                f"{name} are {list(some.shape[1:])}, heatmaps {list(maps[0].shape[1:])}: all must "
                "come from the same answer"
            )


def _roots(heatmaps: Array, threshold: float) -> tuple[Places, Places, Places]:
    """Cells of at least `threshold` that none of their eight neighbours exceeds, best first."""
    padded = np.pad(heatmaps, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    width = heatmaps.shape[2]
    rows = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    highest = np.maximum(np.maximum(rows[..., :width], rows[..., 1:-1]), rows[..., 2:])

    part, row, column = np.nonzero((heatmaps >= threshold) & (heatmaps == highest))
    order = np.argsort(-heatmaps[part, row, column], kind="stable")
    return part[order], row[order], column[order]


def _grown(
    maps: Maps,
    edges: Sequence[tuple[int, int]],
    stride: int,
    part: Places,
    row: Places,
    column: Places,
) -> Array:
    """Roots [R] -> the bodies that grow from them [R,K,3] in pixels."""
    heatmaps, offsets, forwards, backwards = maps
    joints, height, width = heatmaps.shape
    every = np.arange(len(part))
    points = np.zeros((len(part), joints, 3))

    def arrive(rows: Places, joint: Places | int, row: Places, column: Places) -> None:
        """Puts a joint of some bodies at its offset from a cell."""
        points[rows, joint, 0] = column * stride + offsets[joint + joints, row, column]
        points[rows, joint, 1] = row * stride + offsets[joint, row, column]
        points[rows, joint, 2] = heatmaps[joint, row, column]

    def cell(x: Array, y: Array) -> tuple[Places, Places]:
        row = np.clip(np.rint(y / stride), 0, height - 1).astype(np.intp)
        return row, np.clip(np.rint(x / stride), 0, width - 1).astype(np.intp)

    def step(displacements: Array, edge: int, source: int, target: int) -> None:
        some = np.flatnonzero((points[:, source, 2] > 0) & (points[:, target, 2] == 0))
        x, y = points[some, source, 0], points[some, source, 1]
        row, column = cell(x, y)
        y = y + displacements[edge, row, column]
        x = x + displacements[edge + len(edges), row, column]
        arrive(some, target, *cell(x, y))

    arrive(every, part, row, column)
    for edge in range(len(edges) - 1, -1, -1):
        step(backwards, edge, edges[edge][1], edges[edge][0])
    for edge, (source, target) in enumerate(edges):
        step(forwards, edge, source, target)
    return points


def _distance(gaps: Array) -> Array:
    """[...,2] -> [...]"""
    return np.hypot(gaps[..., 0], gaps[..., 1])


def channels_first(outputs: Sequence[Array]) -> Sequence[Array]:
    """The three outputs of the published TFLite file as the four of ONNX files; those as they
    are.
    """
    if len(outputs) != PUBLISHED:
        return outputs
    logits, offsets, both = (np.moveaxis(output, 3, 1) for output in outputs)
    return [expit(logits), offsets, *np.split(both, 2, axis=1)]


@dataclass(frozen=True, slots=True)
class PersonLabMaps:
    """The picture codec of PoseNet: cell c lies at pixel c · stride."""

    edges: tuple[tuple[int, int], ...] = EDGES
    options: Decoding = field(default_factory=Decoding)
    disc: float = 32.0  # pixels around a joint that belong to it

    def encode(self, keypoints: Array, size: tuple[int, int]) -> Maps:
        """People [P,K,3] in input pixels, size (width, height) -> what a perfect network says: on
        the cells of the disc of a joint of score above 0, the nearest person's.
        """
        heatmaps, offsets, there, back = (maps for maps, _ in self.targets(keypoints, size))
        return heatmaps, offsets, there, back

    def targets(self, keypoints: Array, size: tuple[int, int]) -> list[tuple[Array, Array]]:
        """As `PictureCodec.targets`: fields count on the discs of their first joint, where both
        joints are labelled.
        """
        stride = self.options.stride
        cells = (size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1
        across = np.meshgrid(*(stride * np.arange(n) for n in cells))
        gaps = keypoints[:, :, None, None, :2] - np.stack(across, -1)  # [P,K,h,w,2]
        seen = keypoints[..., 2] > 0
        who, near = nearest(gaps, seen, self.disc)

        def fields(pairs: Sequence[tuple[int, int]]) -> tuple[Array, Array]:
            """From near joint a to joint b of the same person: y of all, then x of all."""
            maps, counts = np.zeros((2, 2, len(pairs), *near.shape[1:]), np.float32)
            for place, (a, b) in enumerate(pairs if len(keypoints) else ()):
                way = np.take_along_axis(gaps[:, b], who[a][None, ..., None], 0)[0]
                known = near[a] & seen[who[a], b]
                maps[:, place] = np.moveaxis(np.where(known[..., None], way, 0), -1, 0)[::-1]
                counts[:, place] = known
            return maps.reshape(-1, *near.shape[1:]), counts.reshape(-1, *near.shape[1:])

        own = [(k, k) for k in range(keypoints.shape[1])]
        back = [(b, a) for a, b in self.edges]
        everywhere = np.ones((1, *near.shape[1:]), np.float32)
        heatmaps = near.astype(np.float32), everywhere
        return [heatmaps, fields(own), fields(self.edges), fields(back)]

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """[heatmaps, offsets, forwards, backwards] -> per picture (keypoints, boxes, scores)."""
        outputs = channels_first(outputs)
        width, height = cells = outputs[0].shape[:-3:-1]
        fitting = [
            stride
            for stride in STRIDES
            if cells == tuple((side - 1) // stride + 1 for side in size)
        ]
        if not fitting:
            raise ModelError(
                f"maps of {width} x {height} cells for an input of {size[0]} x {size[1]} pixels: "
                f"the stride must be one of {', '.join(map(str, STRIDES))}"
            )
        options, found = replace(self.options, stride=fitting[0]), []
        for maps in zip(*outputs, strict=True):
            keypoints, scores = decode(maps, options, self.edges)
            found.append((keypoints, box_around(keypoints), scores))
        return found

    def check(self, ports: Sequence[Port], joints: int) -> None:
        pairs = 2 * len(self.edges)
        meaning = "heatmaps [B, K, h, w], offsets [B, 2K, h, w], displacements twice [B, 2E, h, w]"
        counts = (joints, 2 * joints, pairs, pairs)
        if len(ports) == PUBLISHED:
            together = (joints, 2 * joints, 2 * pairs)
            meaning = "heatmaps [B, h, w, K], offsets [B, h, w, 2K], displacements [B, h, w, 4E]"
            check_ports(self, meaning, [(None, None, None, count) for count in together], ports)
            return
        check_ports(self, meaning, [(None, count, None, None) for count in counts], ports)
