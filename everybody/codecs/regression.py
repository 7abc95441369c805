"""Coordinates as numbers (DeepPose, Toshev & Szegedy 2014), alone or with how far off they may be
(RLE, Li et al. 2021: the score is 1 - σ).

Where a value lies in the crop of W pixels is a row of `UNITS`, pixel = value · scale + offset:

    corner  scale W,       offset 0            x / W, as DeepPose, RLE and integral regression count
    centre  scale W,       offset -1/2         from the crop's left edge to its right edge
    udp     scale W - 1,   offset 0            from the first pixel to the last
    signed  scale W / 2,   offset (W - 1) / 2  from -1 to 1 between the edges (DSNT)
    pixels  scale 1,       offset 0
    edges   scale 1,       offset -1/2         pixels from the crop's left edge

DSNT is Nibali et al. 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import unknown
from .grid import Array, check_answer, check_ports, labels

if TYPE_CHECKING:
    from ..runtime import Port

UNITS: dict[str, Callable[[int], tuple[float, float]]] = {  # pixels -> (scale, offset)
    "corner": lambda pixels: (pixels, 0.0),
    "centre": lambda pixels: (pixels, -0.5),
    "udp": lambda pixels: (pixels - 1, 0.0),
    "signed": lambda pixels: (pixels / 2, (pixels - 1) / 2),
    "pixels": lambda pixels: (1.0, 0.0),
    "edges": lambda pixels: (1.0, -0.5),
}


class InUnits:
    """What codecs of coordinates have in common: where a value lies in the crop."""

    __slots__ = ()
    size: tuple[int, int]
    unit: str

    @property
    def scale(self) -> Array:
        """[2] (x, y): crop pixels per unit."""
        return np.array([UNITS[self.unit](pixels)[0] for pixels in self.size], np.float64)

    @property
    def offset(self) -> Array:
        """[2] (x, y): where 0 lies in crop pixels."""
        return np.array([UNITS[self.unit](pixels)[1] for pixels in self.size], np.float64)

    @property
    def axis(self) -> float:
        return (self.size[0] - 1) / 2


@dataclass(frozen=True, slots=True)
class Regression(InUnits):
    """One answer [N, K, 2] (x, y), or [N, K, 4] (x, y, σx, σy) with σ in [0, 1]."""

    size: tuple[int, int] = (192, 256)
    unit: str = "corner"  # a key of UNITS
    sigmas: bool = False  # whether σx and σy follow x and y

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise unknown("unit of regression", self.unit, UNITS)

    def encode(self, keypoints: Array) -> tuple[tuple[Array, ...], Array]:
        """[N, K, 3] in crop pixels -> (coordinates [N, K, 2],), weights [N, K]; 0 where a joint is
        unlabelled or outside the crop.
        """
        places = keypoints[..., :2]
        inside = ((places >= -0.5) & (places <= np.array(self.size) - 0.5)).all(-1)
        weights = labels(keypoints[..., 2], inside)
        values = np.where((weights > 0)[..., None], (places - self.offset) / self.scale, 0)
        return (values.astype(np.float32),), weights

    def decode(self, outputs: Sequence[Array]) -> Array:
        """[[N, K, 2 or 4]] -> [N, K, 3] in crop pixels; the score is 1 - the mean of σx and σy, and
        1 where the network gives none.
        """
        check_answer(self, self._meaning("K"), [(None, None, 4 if self.sigmas else 2)], outputs)
        (values,) = outputs
        keypoints = np.ones((*values.shape[:2], 3), np.float32)
        keypoints[..., :2] = values[..., :2] * self.scale + self.offset
        if self.sigmas:
            keypoints[..., 2] = np.clip(1 - values[..., 2:].mean(-1), 0, 1)
        return keypoints

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        (values,) = outputs
        back = np.array(values[:, list(mirror)])
        back[..., 0] = 2 * (self.axis - self.offset[0]) / self.scale[0] - back[..., 0]
        return [back]

    def check(self, ports: Sequence[Port], joints: int) -> None:
        wanted = (None, joints, 4 if self.sigmas else 2)
        check_ports(self, self._meaning(str(joints)), [wanted], ports)

    def _meaning(self, joints: str) -> str:
        what = "x, y, σx, σy" if self.sigmas else "x, y"
        return (
            f"1 output(s) [B, {joints}, {4 if self.sigmas else 2}] ({what} in unit '{self.unit}')"
        )
