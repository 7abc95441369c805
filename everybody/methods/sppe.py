"""Boxes → crops → SPPE → keypoints in the picture: the single-person pose estimator around any ONNX
file and codec.

One affine warp makes each crop straight from the picture; the crops of all people of several
pictures share one call of the network; its inverse brings the keypoints back.

RMPE (Fang et al. 2017) comes in two forms. A file that gives θ beside its heatmaps holds the SSTN:
its codec's size is the region, the file's input the crop, and keypoints go back to the crop by θ.
Or an SSTN stands before any SPPE: then what it says is joined to the warp, so that the region comes
straight from the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import geometry
from ..codecs import Codec, Heatmap, SimCC
from ..errors import ModelError, OptionError
from ..geometry import Array
from ..inputs import Input, crop, normalise
from ..people import Floats, Image, People
from ..runtime import Session
from ..skeletons import Skeleton
from . import orientation as orient
from .orientation import Orientation, TurnNet

AT_ONCE = 16  # crops that an SSTN looks at in one call: more only take memory
VISIBLE = 0.2  # joints that score more than this vote on the person's score


def person_scores(boxes: Array, joints: Array) -> Array:
    """Box scores [N], joint scores [N, K] -> [N]: box × mean of the joints above `VISIBLE`, 0 where
    there are none.

    The rescoring of Papandreou et al. (2017), as Simple Baselines (Xiao et al. 2018) uses it.
    """
    visible = joints > VISIBLE
    count = visible.sum(1)
    return boxes * (joints * visible).sum(1) / np.maximum(count, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sstn:
    """An SSTN for itself: crops of `input.size` of boxes grown by `padding` -> θ, where in them to
    look.

    After the first, each look is at what the one before found, grown to a crop again (the region is
    the person's box grown by `region`): who was brought near upright is seen better than who hangs.
    Place and size are then drawn to those of the box itself, turned as the SSTN says, whose share
    is `trust`: two who err in ways of their own err less together.
    """

    session: Session
    input: Input
    padding: float
    region: float = 1.25
    looks: int = 2
    trust: float = 0.6  # chosen on coco_train, on true boxes and on wrong ones (docs/rmpe.md)

    def __call__(
        self, pictures: Sequence[Image], boxes: Array, turns: ArrayLike, size: tuple[int, int]
    ) -> Array:
        """Pictures, boxes [N, 4] and quarter turns [N] of as many people -> transforms [N, 2, 3]
        from picture to region, of `size` (width, height). Raises ModelError for a θ that cannot be
        inverted.
        """
        width, height = self.input.size
        matrices = geometry.crop_matrices(boxes, self.input.size, self.padding, turns)
        whole = np.array([[-0.5, -0.5, width - 0.5, height - 0.5]])
        grown = geometry.crop_matrices(whole, self.input.size, self.padding / self.region)
        for look in range(self.looks):
            crops = list(
                zip(pictures, geometry.compose(grown, matrices) if look else matrices, strict=True)
            )
            thetas = [self._theta(crops[i : i + AT_ONCE]) for i in range(0, len(crops), AT_ONCE)]
            to_crop = geometry.in_pixels(np.concatenate(thetas), self.input.size, self.input.size)
            matrices = geometry.compose(
                geometry.invert(to_crop), np.stack([matrix for _, matrix in crops])
            )
        found = geometry.compose(geometry.crop_matrices(whole, size), matrices)
        angles = np.arctan2(found[:, 0, 1], found[:, 0, 0]) / (np.pi / 2)
        boxed = geometry.crop_matrices(boxes, size, self.region, angles)
        return geometry.invert(
            self.trust * geometry.invert(found) + (1 - self.trust) * geometry.invert(boxed)
        )

    def _theta(self, crops: Sequence[tuple[Image, Array]]) -> Array:
        (theta,) = self.session(
            normalise([crop(image, matrix, self.input) for image, matrix in crops], self.input)
        )
        return invertible(theta, self.session)


def invertible(theta: Array, session: Session) -> Array:
    """θ [N, 2, 3] as it is. Raises ModelError that names the file if one cannot be inverted, or is
    no number.
    """
    determinant = theta[:, 0, 0] * theta[:, 1, 1] - theta[:, 0, 1] * theta[:, 1, 0]
    if not (np.abs(determinant) > 1e-6).all():  # NaN too
        raise ModelError(
            f"{session.path}: gives a θ that cannot be inverted; an SSTN must be guarded (docs/rmpe.md)"
        )
    return theta


@dataclass(frozen=True, slots=True, kw_only=True)
class Sppe:
    """Pictures [H, W, 3] RGB and the people found in each (boxes) -> the same people with keypoints
    and scores.

    padding grows the box before the crop; batch is the most crops per call of the network (0: one
    call for all of a task); flip_test averages the outputs for each crop and its mirror image;
    orientation "any" also looks for people who are not upright, in the quarter turns that turn_net
    finds likely, or without one in all (see `orient.py`).
    """

    session: Session
    skeleton: Skeleton
    codec: Codec
    input: Input
    padding: float = 1.25
    batch: int = 8
    flip_test: bool = False
    orientation: Orientation = "upright"
    turn_net: TurnNet | None = None
    sstn: Sstn | None = None
    _limit: int = field(init=False)

    def __post_init__(self) -> None:
        if self.orientation not in orient.ORIENTATIONS:
            raise OptionError(
                f"unknown orientation '{self.orientation}': known are {', '.join(orient.ORIENTATIONS)}"
            )
        width, height = self.input.size
        shape = self.session.input.shape
        wanted = (None, 3, height, width)
        if len(shape) != 4 or any(
            s is not None and w is not None and s != w for s, w in zip(shape, wanted, strict=True)
        ):
            raise ModelError(
                f"{self.session.path}: an SPPE for crops of {width}×{height} takes [B, 3, {height}, {width}], "
                f"the file takes {self.session.input}: give its input size (width×height)"
            )
        outputs, joints = self.session.outputs, len(self.skeleton)
        if self._transforms:
            outputs = outputs[:-1]
        ranks = {Heatmap: (4,), SimCC: (3, 3)}[type(self.codec)]
        if tuple(len(port.shape) for port in outputs) != ranks or any(
            p.shape[1] not in (None, joints) for p in outputs
        ):
            raise ModelError(
                f"{self.session.path}: {type(self.codec).__name__} of {self.skeleton.name} means "
                f"{len(ranks)} output(s) [B, {joints}, …], the file gives {', '.join(map(str, outputs))}: "
                f"give its skeleton and codec"
            )
        object.__setattr__(self, "_limit", shape[0] or self.batch or 1 << 30)

    @property
    def _transforms(self) -> bool:
        """Whether the file gives θ, too."""
        return self.session.outputs[-1].shape[1:] == (2, 3)

    def __call__(self, images: Sequence[Image], people: Sequence[People]) -> list[People]:
        """Whose `turns` are known is looked at in the likeliest first, and only there if that
        answer is sure (only orientation "any" asks).
        """
        counts = [len(group) for group in people]
        if sum(counts) == 0:
            return [People.empty(self.skeleton) for _ in images]
        boxes = np.concatenate([group.boxes for group in people])
        if self.orientation == "any":
            keypoints = self._any(images, people, boxes)
        else:
            pictures = [
                image for image, count in zip(images, counts, strict=True) for _ in range(count)
            ]
            keypoints = self.posed(pictures, boxes, np.zeros(len(boxes), np.intp))
        groups = np.split(keypoints, np.cumsum(counts)[:-1])
        return [
            replace(
                group,
                keypoints=k,
                scores=person_scores(group.scores, k[..., 2]),
                skeleton=self.skeleton,
                turns=None,
            )
            for group, k in zip(people, groups, strict=True)
        ]

    def _any(self, images: Sequence[Image], people: Sequence[People], boxes: Array) -> Array:
        """As `posed`, each person in the turn that suits best."""
        picture = np.repeat(np.arange(len(images)), [len(group) for group in people])
        scores = np.concatenate([group.scores for group in people])
        likely = np.concatenate([orient.hints(group) for group in people])
        found = np.zeros((len(boxes), 4, len(self.skeleton), 3), np.float32)
        tried = np.zeros((len(boxes), 4), bool)
        search = orient.GUIDED if self.turn_net else orient.ALONE

        def look(at: NDArray[np.bool_]) -> None:
            rows, turns = np.nonzero(at & ~tried)
            found[rows, turns] = self.posed(
                [images[n] for n in picture[rows].tolist()], boxes[rows], turns
            )
            np.logical_or(tried, at, out=tried)

        def sureness() -> Array:
            return orient.confidence(found[..., 2]).max(1)

        known = (likely != orient.UNKNOWN).any(1)
        look(search.first(search.expected(likely, scores, picture)) & known[:, None])
        unsure = sureness() < search.sure
        if self.turn_net:
            rows = np.flatnonzero(unsure)
            likely[rows] = self.turn_net([images[n] for n in picture[rows].tolist()], boxes[rows])
        expected = search.expected(likely, scores, picture)
        look(search.first(expected) & unsure[:, None])
        look(search.others(expected, sureness()) & unsure[:, None])
        best = found[np.arange(len(boxes)), orient.best_turn(found, tried)]
        if not self.sstn:  # which straightens by itself
            turns = orient.leaning(People(best, boxes, scores, self.skeleton))
            rows = np.flatnonzero(~np.isnan(turns))
            again = self.posed(
                [images[n] for n in picture[rows].tolist()], boxes[rows], turns[rows]
            )
            surer = orient.confidence(again[..., 2]) > orient.confidence(best[rows][..., 2])
            best[rows[surer]] = again[surer]
        return best

    def posed(self, pictures: Sequence[Image], boxes: Array, turns: ArrayLike) -> Array:
        """Pictures, boxes [N, 4] and quarter turns [N], or parts of one, of as many people ->
        keypoints [N, K, 3] in picture pixels.
        """
        if not len(boxes):
            return np.zeros((0, len(self.skeleton), 3), np.float32)
        if self.sstn:
            matrices = self.sstn(pictures, boxes, turns, self.input.size)
        else:
            matrices = geometry.crop_matrices(boxes, self.input.size, self.padding, turns)
        crops = list(zip(pictures, matrices, strict=True))
        batches = [
            self._estimate(crops[i : i + self._limit]) for i in range(0, len(crops), self._limit)
        ]
        return geometry.transform(geometry.invert(matrices), np.concatenate(batches))

    def _estimate(self, crops: Sequence[tuple[Image, Array]]) -> Floats:
        """At most one batch of (picture, matrix) -> keypoints [N, K, 3] in crop pixels."""
        outputs = self._run(crops)
        if not self.flip_test:
            return self._decode(outputs)
        axis = (self.input.size[0] - 1) / 2 if self._transforms else self.codec.axis
        mirrors = geometry.mirrored(np.stack([matrix for _, matrix in crops]), axis)
        flipped = self._run(
            [(image, mirror) for (image, _), mirror in zip(crops, mirrors, strict=True)]
        )
        if self._transforms:  # each looks at a region of its own: only the answers can be averaged
            there = geometry.mirror_keypoints(
                self._decode(flipped), self.input.size[0], self.skeleton.mirror
            )
            return (self._decode(outputs) + there) / 2  # type: ignore[return-value]
        restored = self.codec.flip(flipped, self.skeleton.mirror)
        return self._decode([(a + b) / 2 for a, b in zip(outputs, restored, strict=True)])

    def _decode(self, outputs: list[Array]) -> Floats:
        """The network's outputs -> keypoints [N, K, 3] in crop pixels."""
        if not self._transforms:
            return self.codec.decode(outputs)  # type: ignore[return-value]
        *outputs, theta = outputs
        to_crop = geometry.in_pixels(
            invertible(theta, self.session), self.codec.size, self.input.size
        )
        return geometry.transform(to_crop, self.codec.decode(outputs))  # type: ignore[return-value]

    def _run(self, crops: Sequence[tuple[Image, Array]]) -> list[Array]:
        fixed = self.session.input.shape[0]
        filled = list(crops) + [crops[-1]] * (
            (fixed or 0) - len(crops)
        )  # a network of fixed batch wants it full
        batch = normalise([crop(image, matrix, self.input) for image, matrix in filled], self.input)
        return [output[: len(crops)] for output in self.session(batch)]
