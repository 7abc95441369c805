"""RMPE's transformers at run time: looking at the right place before an SPPE, or within its file.

RMPE (Fang et al., ICCV 2017) comes in two forms. An SSTN stands before any SPPE (`Sstn`): its θ is
joined to the warp of the crop, so that the region comes straight from the picture. Or one file
holds SSTN and SPPE and gives θ beside its answer (`Transformed`): then the codec's size is the
region, the file's input is the crop, and the SDTN brings the joints from the one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .. import geometry
from ..errors import ModelError
from ..geometry import Array
from ..inputs import Input, crop, normalise
from ..options import Engine
from ..people import Floats, Image
from ..runtime import Port, Session
from ..weights.locate import opened
from .sppe import Sppe

AT_ONCE = 16  # crops in one call of an SSTN: more only take memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Sstn:
    """Crops of `input.size` of boxes grown by `padding` -> the region of each person.

    Each look after the first is at the region that the one before found, grown to a crop again:
    people who were brought near upright are seen better than people who hang. `region` is the
    padding from a person's box to the region. The place and size found are averaged with those of
    the box, turned alike, by the share `trust`: two independent estimates reduce the error.
    """

    session: Session
    input: Input
    padding: float
    region: float = 1.25
    looks: int = 2
    trust: float = 0.6  # chosen on coco_train, on true boxes and on wrong ones (docs/rmpe.md)

    @property
    def sessions(self) -> dict[str, Session]:
        return {"sstn": self.session}

    def __call__(
        self, pictures: Sequence[Image], boxes: Array, turns: ArrayLike, size: tuple[int, int]
    ) -> Array:
        """Pictures, boxes [N, 4] and quarter turns [N] of N people -> transforms [N, 2, 3] from
        picture to region, of `size` (width, height). Raises ModelError for a θ that cannot be
        inverted.
        """
        whole = geometry.whole(*self.input.size).astype(np.float64)
        grown = geometry.crop_matrices(whole, self.input.size, self.padding / self.region)
        matrices = geometry.crop_matrices(boxes, self.input.size, self.padding, turns)

        for look in range(self.looks):
            seen = geometry.compose(grown, matrices) if look else matrices
            theta = self._theta(list(zip(pictures, seen, strict=True)))
            to_crop = geometry.in_pixels(theta, self.input.size, self.input.size)
            matrices = geometry.compose(geometry.invert(to_crop), np.stack(list(seen)))

        found = geometry.compose(geometry.crop_matrices(whole, size), matrices)
        angles = np.arctan2(found[:, 0, 1], found[:, 0, 0]) / (np.pi / 2)
        boxed = geometry.crop_matrices(boxes, size, self.region, angles)
        mean = self.trust * geometry.invert(found) + (1 - self.trust) * geometry.invert(boxed)
        return geometry.invert(mean)

    def _theta(self, crops: Sequence[tuple[Image, Array]]) -> Array:
        thetas = []
        for start in range(0, len(crops), AT_ONCE):
            shown = [crop(image, m, self.input) for image, m in crops[start : start + AT_ONCE]]
            (theta,) = self.session(normalise(shown, self.input))
            thetas.append(invertible(theta, self.session))
        return np.concatenate(thetas)


def invertible(theta: Array, session: Session) -> Array:
    """θ [N, 2, 3] as it is. Raises ModelError, naming the file, for a θ that has no inverse."""
    determinant = theta[:, 0, 0] * theta[:, 1, 1] - theta[:, 0, 1] * theta[:, 1, 0]
    if not (np.abs(determinant) > 1e-6).all():  # NaN too
        raise ModelError(
            f"{session.path}: gives a θ that cannot be inverted; an SSTN must be guarded "
            f"(docs/rmpe.md)"
        )
    return theta


class Transformed(Sppe):
    """An SPPE whose file holds its SSTN: the last output is θ [B, 2, 3]."""

    @staticmethod
    def fits(session: Session) -> bool:
        """Whether a file gives θ."""
        return session.outputs[-1].shape[1:] == (2, 3)

    @property
    def _answer(self) -> tuple[Port, ...]:
        return self.session.outputs[:-1]

    @property
    def _axis(self) -> float:
        return (self.input.size[0] - 1) / 2

    def _decode(self, outputs: list[Array]) -> Floats:
        *outputs, theta = outputs
        invertible(theta, self.session)
        to_crop = geometry.in_pixels(theta, self.codec.size, self.input.size)
        return geometry.transform(to_crop, self._decoded(outputs))  # type: ignore[return-value]

    def _averaged(self, outputs: list[Array], mirrored: list[Array]) -> Floats:
        """Each of the two looked at a region of its own: only their joints can be averaged."""
        width, mirror = self.input.size[0], self.skeleton.mirror
        there = geometry.mirror_keypoints(self._decode(mirrored), width, mirror)
        return (self._decode(outputs) + there) / 2  # type: ignore[return-value]


def open_sstn(model: str | Path, engine: Engine | None = None) -> Sstn:
    """An SSTN by name or path, to look before any SPPE. Raises ModelError, OptionError."""
    session, row = opened(model, "sstn", engine or Engine())
    if row is None or row.task != "sstn":
        raise ModelError(
            f"{session.path}: not an SSTN: give everybody-sstn, "
            f"or make one with `everybody train rmpe-sstn`"
        )
    return Sstn(session=session, input=row.input, padding=row.padding, region=row.region)
