"""Points of a network that decodes within its own graph, as public landmark files answer them.

MoveNet (Google 2021) answers y, x and score of each joint in shares of its input; BlazePose
(Bazarevsky et al. 2020) x, y, z, visibility and presence in its input's pixels, and whether there
is a person at all; MediaPipe's hands (Zhang et al. 2020) and face mesh (Kartynnik et al. 2019) x, y
and z, and whether there is a hand or a face. Depths are left out here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import expit, logit

from ..errors import ModelError, unknown
from .grid import Array, labels
from .regression import UNITS, InUnits

if TYPE_CHECKING:
    from ..runtime import Port

SUREST = 1 - 1e-6  # of probabilities that become logits


@dataclass(frozen=True, slots=True)
class Points(InUnits):
    """An output of P points of `values` numbers each, in any shape [N, …] that holds P · values.

    joints: how many of the points count, from the first; 0: all. order: which of x and y comes
    first. unit: a key of `UNITS`. score: place of a point's score among its values; None: every
    point is as sure as the whole. output: place of the points among the file's outputs. presence:
    place of the output [N, …] that says how surely anybody is there; None: none does. logits:
    whether scores, and whole_logit whether the presence, have still to pass a sigmoid.
    """

    size: tuple[int, int] = (192, 192)
    joints: int = 0
    values: int = 3
    order: Literal["xy", "yx"] = "xy"
    unit: str = "edges"
    score: int | None = None
    output: int = 0
    presence: int | None = None
    logits: bool = False
    whole_logit: bool = False

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise unknown("unit of points", self.unit, UNITS)
        if self.values < 2 or (self.score is not None and not 2 <= self.score < self.values):
            raise ValueError(
                f"a point of {self.values} values has its score at 2 to {self.values - 1}, "
                f"not at {self.score}"
            )

    @property
    def _xy(self) -> list[int]:
        """Places of x and y among a point's values."""
        return [0, 1] if self.order == "xy" else [1, 0]

    def encode(self, keypoints: Array) -> tuple[tuple[Array, ...], Array]:
        """[N, K, 3] in crop pixels -> (one array for each output, the points' [N, K · values]),
        weights [N, K]; 0 where a joint is unlabelled or outside the crop.
        """
        places = keypoints[..., :2]
        inside = ((places >= -0.5) & (places <= np.array(self.size) - 0.5)).all(-1)
        weights = labels(keypoints[..., 2], inside)

        points = np.zeros((*keypoints.shape[:2], self.values), np.float32)
        points[..., self._xy] = (places - self.offset) / self.scale
        if self.score is not None:
            points[..., self.score] = logit(SUREST) if self.logits else 1
        points[weights == 0] = 0

        last = self.output if self.presence is None else max(self.output, self.presence)
        outputs: list[Array] = [np.zeros((len(points), 1), np.float32)] * (1 + last)
        outputs[self.output] = points.reshape(len(points), math.prod(points.shape[1:]))
        if self.presence is not None:
            there = (weights > 0).any(1, keepdims=True)
            sure = logit(SUREST) if self.whole_logit else 1
            outputs[self.presence] = np.where(there, np.float32(sure), np.float32(0))
        return tuple(outputs), weights

    def decode(self, outputs: Sequence[Array]) -> Array:
        """The file's outputs -> [N, K, 3] in crop pixels; the score is the point's, or the
        whole's, or 1 where the file says neither.
        """
        points = self._points(outputs)
        keypoints = np.ones((*points.shape[:2], 3), np.float32)
        keypoints[..., :2] = points[..., self._xy] * self.scale + self.offset
        if self.score is not None:
            scores = points[..., self.score]
            keypoints[..., 2] = np.clip(expit(scores) if self.logits else scores, 0, 1)
        elif self.presence is not None:
            keypoints[..., 2] = self.whole(outputs)[:, None]
        return keypoints

    def whole(self, outputs: Sequence[Array]) -> Array:
        """The file's outputs -> how surely anybody is there [N] in [0, 1]; 1 if it does not say."""
        if self.presence is None:
            return np.ones(len(outputs[self.output]), np.float32)
        flags = np.asarray(outputs[self.presence])
        said = flags.reshape(len(flags), math.prod(flags.shape[1:]))[:, 0]
        return np.clip(expit(said) if self.whole_logit else said, 0, 1)

    def _points(self, outputs: Sequence[Array]) -> Array:
        """The points that count [N, K, values]. Raises ModelError."""
        self._check([output.shape for output in outputs], self.joints, "network answers")
        flat = np.asarray(outputs[self.output])
        points = flat.reshape(len(flat), math.prod(flat.shape[1:]) // self.values, self.values)
        return points[:, : self.joints or None]

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        """Outputs of other joints than those that count stay as they are."""
        flat = np.asarray(outputs[self.output])
        points = flat.reshape(len(flat), math.prod(flat.shape[1:]) // self.values, self.values)
        back = points.copy()
        back[:, : len(mirror)] = points[:, list(mirror)]
        x = self._xy[0]
        back[..., x] = 2 * (self.axis - self.offset[0]) / self.scale[0] - back[..., x]
        flipped = list(outputs)
        flipped[self.output] = back.reshape(outputs[self.output].shape)
        return flipped

    def check(self, ports: Sequence[Port], joints: int) -> None:
        if self.joints and self.joints != joints:
            raise ModelError(f"Points means {self.joints} joints: give its skeleton and codec")
        self._check([port.shape for port in ports], joints, "file gives")

    def _check(self, shapes: Sequence[Sequence[int | None]], joints: int, whose: str) -> None:
        """Raises ModelError where there are too few outputs or numbers."""
        needed = max(self.output, -1 if self.presence is None else self.presence)
        enough = len(shapes) > needed
        if enough:
            sizes = shapes[self.output][1:]
            known = [size for size in sizes if size is not None]
            count = math.prod(known) if len(known) == len(sizes) else None
            enough = count is None or (
                count % self.values == 0
                and (count >= joints * self.values if self.joints else True)
                and (self.joints > 0 or not joints or count == joints * self.values)
            )
        if not enough:
            given = ", ".join(str(list(shape)) for shape in shapes) or "nothing"
            raise ModelError(
                f"Points means {joints or 'K'} points of {self.values} numbers as output "
                f"{self.output}, the {whose} {given}: give its skeleton and codec"
            )
