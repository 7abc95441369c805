"""Confidence maps of joints and part affinity fields of limbs: OpenPose's codec.

Cao et al., "Realtime multi-person 2D pose estimation using part affinity fields", CVPR 2017:
confidence maps (Eq. 6-7), fields (Eq. 8-9), and people from both (`grouping.py`). Maps are
confidence [B, K or K+1, h, w] and fields [B, 2L, h, w], in any order, or both in one
[B, K+1+2L, h, w] as in the published Caffe models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..errors import ModelError
from ..geometry import box_around
from .grouping import BODY18, Layout, group
from .peaks import Array, check_cells

if TYPE_CHECKING:
    from ..runtime import Port


@dataclass(frozen=True, slots=True)
class PartFields:
    """Maps of a layout at a stride; a cell stands for its own centre."""

    layout: Layout = BODY18
    stride: int = 8
    sigma: float = 0.875  # of the Gaussians, in cells
    width: float = 1.0  # of a limb to each side, in cells
    enlarge: int = 4  # maps are enlarged so much before they are read

    def encode(self, keypoints: Array, size: tuple[int, int]) -> tuple[Array, Array]:
        """People [P,K,3] in input pixels, size (width, height) -> confidence [K+1,h,w], the last
        one the background, and fields [2L,h,w]. Joints of score 0 are not drawn.
        """
        cells = size[0] // self.stride, size[1] // self.stride
        points = (keypoints[..., :2] + 0.5) / self.stride - 0.5
        seen = keypoints[..., 2] > 0
        joints = gaussians(points, seen, cells, self.sigma)
        background = 1 - joints.max(0, initial=0, keepdims=True)
        return np.concatenate([joints, background]), self._fields(points, seen, cells)

    def targets(self, keypoints: Array, size: tuple[int, int]) -> list[tuple[Array, Array]]:
        """As `PictureCodec.targets`: all cells count."""
        return [
            (maps, np.ones((1, *maps.shape[1:]), np.float32))
            for maps in self.encode(keypoints, size)
        ]

    def _fields(self, points: Array, seen: Array, cells: tuple[int, int]) -> Array:
        """Unit vectors on the cells of a limb, their mean where several people's are (Eq. 8-9)."""
        grid = np.stack(np.meshgrid(np.arange(cells[0]), np.arange(cells[1])), -1)
        fields = np.zeros((2 * len(self.layout.limbs), cells[1], cells[0]), np.float32)
        for (a, b), channel in zip(self.layout.limbs, self.layout.channels, strict=True):
            both = seen[:, a] & seen[:, b]
            start, way = points[both, a], points[both, b] - points[both, a]
            length = np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)
            along = way / length[:, None]

            offset = grid - start[:, None, None]  # [P,h,w,2]
            forward = np.einsum("phwc,pc->phw", offset, along)
            across = np.abs(np.einsum("phwc,pc->phw", offset, along[:, ::-1] * (-1, 1)))
            on = (forward >= -self.width) & (forward <= length[:, None, None] + self.width)
            on &= across <= self.width

            total = np.einsum("phw,pc->chw", on, along)
            fields[channel : channel + 2] = total / np.maximum(on.sum(0), 1)
        return fields

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """A network's outputs -> per picture (keypoints, boxes, scores) in input pixels."""
        both = self._kinds(outputs)
        for some in both:
            check_cells(some, size, self.stride, slack=1)
        found, scale = [], self.stride / self.enlarge
        for maps in zip(*both, strict=True):
            joints, fields = (enlarged(some, self.enlarge) for some in maps)
            keypoints, scores = group(joints, fields, self.layout)
            keypoints[..., :2] = (keypoints[..., :2] + 0.5) * scale - 0.5
            keypoints[keypoints[..., 2] == 0] = 0
            found.append((keypoints, box_around(keypoints), scores))
        return found

    def _kinds(self, outputs: Sequence[Array]) -> tuple[Array, Array]:
        """The last confidence maps [B,K,h,w] and the last fields [B,2L,h,w] among the outputs."""
        joints, both = self._places([output.shape for output in outputs])
        if joints == both:
            whole = outputs[joints]
            return whole[:, : self.layout.joints], whole[:, self.layout.joints + 1 :]
        return outputs[joints][:, : self.layout.joints], outputs[both]

    def _places(self, shapes: Sequence[tuple[int | None, ...]]) -> tuple[int, int]:
        """Where confidence maps and fields are among the outputs; the same place: both in one."""
        joints, fields = self.layout.joints, 2 * len(self.layout.limbs)
        channels = [shape[1] if len(shape) == 4 else None for shape in shapes]
        last = {count: place for place, count in enumerate(channels)}
        if joints + 1 + fields in last:
            whole = last[joints + 1 + fields]
            return whole, whole
        first = max(last.get(joints, -1), last.get(joints + 1, -1))
        if first < 0 or fields not in last:
            raise ModelError(
                f"expected confidence maps [B, {joints} or {joints + 1}, h, w] and fields "
                f"[B, {fields}, h, w], or both in one; the outputs have {channels} channels: "
                "give the --skeleton of the model"
            )
        return first, last[fields]

    def check(self, ports: Sequence[Port], joints: int) -> None:
        self._places([port.shape for port in ports])


def gaussians(points: Array, seen: Array, cells: tuple[int, int], sigma: float) -> Array:
    """Points [P,K,2] in cells, [P,K] bool -> [K,h,w], the highest of the people's (Eq. 6-7)."""
    along_x, along_y = (
        np.exp(-np.square(np.arange(count) - points[..., axis, None]) / (2 * sigma**2))
        for axis, count in enumerate(cells)
    )
    maps = along_y[..., :, None] * along_x[..., None, :] * seen[..., None, None]
    return maps.max(0, initial=0).astype(np.float32)


def enlarged(maps: Array, factor: int) -> Array:
    """[C,h,w] -> [C,h·factor,w·factor], cubic; a map's edges stay its edges."""
    if factor == 1 or 0 in maps.shape:
        return maps
    height, width = maps.shape[1:]
    size = width * factor, height * factor
    large = cv2.resize(maps.transpose(1, 2, 0), size, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large.reshape(*size[::-1], -1).transpose(2, 0, 1))
