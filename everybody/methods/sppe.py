"""Boxes → crops → SPPE → keypoints in the picture: the single-person pose estimator.

One affine warp makes each crop straight from the picture; the crops of all people of several
frames share one call of the network; the inverse warp brings the keypoints back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import geometry
from ..codecs import Codec, Heatmap
from ..errors import ModelError, OptionError
from ..geometry import Array
from ..inputs import Input, crop, normalise
from ..method import Poser
from ..people import Floats, Frame, Image, People
from ..runtime import Port, Session
from ..skeletons import Skeleton

VISIBLE = 0.2  # joints that score more than this count in the person's score


def person_scores(boxes: Array, joints: Array) -> Array:
    """Box scores [N], joint scores [N, K] -> [N]: box × mean of the joints above `VISIBLE`; 0 where
    there are none.

    The rescoring of Papandreou et al. (2017), as Simple Baselines (Xiao et al. 2018) uses it.
    """
    visible = joints > VISIBLE
    count = visible.sum(1)
    return boxes * (joints * visible).sum(1) / np.maximum(count, 1)


class Look(Protocol):
    """Where an SPPE looks for each person."""

    @property
    def sessions(self) -> Mapping[str, Session]: ...

    def __call__(
        self, pictures: Sequence[Image], boxes: Array, turns: ArrayLike, size: tuple[int, int]
    ) -> Array:
        """Pictures, boxes [N, 4] and quarter turns [N] of N people -> transforms [N, 2, 3] from
        picture to crop, of `size` (width, height).
        """
        ...


@dataclass(frozen=True, slots=True)
class Boxed:
    """Looks at the box itself, grown by `padding`."""

    padding: float = 1.25

    @property
    def sessions(self) -> dict[str, Session]:
        return {}

    def __call__(
        self, pictures: Sequence[Image], boxes: Array, turns: ArrayLike, size: tuple[int, int]
    ) -> Array:
        return geometry.crop_matrices(boxes, size, self.padding, turns)


@dataclass(frozen=True, kw_only=True)
class Sppe:
    """A `Poser`: a network and its codec. batch: crops in one call of the network (0: all at once).
    flip_test averages the outputs for each crop and its mirror image.
    """

    session: Session
    skeleton: Skeleton
    codec: Codec
    input: Input
    look: Look = Boxed()
    batch: int = 8
    flip_test: bool = False

    def __post_init__(self) -> None:
        width, height = self.input.size
        shape = self.session.input.shape
        wanted = (None, self._channels, height, width)
        if self.input.layout == "nhwc":
            wanted = (None, height, width, self._channels)
        if len(shape) != 4 or any(
            s is not None and w is not None and s != w for s, w in zip(shape, wanted, strict=True)
        ):
            raise ModelError(
                f"{self.session.path}: an SPPE for crops of {width}×{height} takes "
                f"{[size or 'B' for size in wanted]}, the file takes {self.session.input}: "
                f"give its input size (width×height)"
            )
        try:
            self.codec.check(self._answer, len(self.skeleton))
        except ModelError as error:
            raise ModelError(
                f"{self.session.path}: {error}; joints: {self.skeleton.name}. "
                f"Give its skeleton and codec"
            ) from error

    @staticmethod
    def fits(session: Session) -> bool:
        """Whether a file may be of this kind; of a plain SPPE, `__post_init__` says why not."""
        return True

    @property
    def sessions(self) -> Mapping[str, Session]:
        return {"pose": self.session, **self.look.sessions}

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        """Frames whose people have boxes -> the same with keypoints and scores, as they stand."""
        return with_keypoints(
            frames,
            self.skeleton,
            lambda pictures, people: self.posed(pictures, people.boxes, np.zeros(len(people))),
        )

    def posed(self, pictures: Sequence[Image], boxes: Array, turns: ArrayLike) -> Array:
        """Pictures, boxes [N, 4] and quarter turns, or parts of one, [N] of N people -> keypoints
        [N, K, 3] in picture pixels.
        """
        if not len(boxes):
            return np.zeros((0, len(self.skeleton), 3), np.float32)
        matrices = self.look(pictures, boxes, turns, self.input.size)
        found = [self._estimate(crops) for crops in self._batches(pictures, matrices)]
        return geometry.transform(geometry.invert(matrices), np.concatenate(found))

    def candidates(
        self, pictures: Sequence[Image], boxes: Array, turns: ArrayLike
    ) -> list[list[Array]]:
        """Pictures, boxes [N, 4] and quarter turns [N] of N people -> of each person, of each joint
        all peaks [M, 3] of the heatmaps, in picture pixels. For a codec of heatmaps only.
        """
        assert isinstance(self.codec, Heatmap)
        matrices = self.look(pictures, boxes, turns, self.input.size)
        maps = [maps for crops in self._batches(pictures, matrices) for maps in self._run(crops)[0]]
        return [
            [geometry.transform(back, peaks[None])[0] for peaks in self.codec.peaks(some)]
            for back, some in zip(geometry.invert(matrices)[:, None], maps, strict=True)
        ]

    def _batches(
        self, pictures: Sequence[Image], matrices: Array
    ) -> Iterator[list[tuple[Image, Array]]]:
        """Pictures, transforms [N, 2, 3] -> (picture, matrix) of as many as one call takes."""
        crops = list(zip(pictures, matrices, strict=True))
        most = self.session.input.shape[0] or self.batch or len(crops)
        for start in range(0, len(crops), most):
            yield crops[start : start + most]

    def _estimate(self, crops: Sequence[tuple[Image, Array]]) -> Floats:
        """At most one batch of (picture, matrix) -> keypoints [N, K, 3] in crop pixels."""
        outputs = self._run(crops)
        if not self.flip_test:
            return self._decode(outputs)
        mirrors = geometry.mirrored(np.stack([matrix for _, matrix in crops]), self._axis)
        mirrored = [(image, mirror) for (image, _), mirror in zip(crops, mirrors, strict=True)]
        return self._averaged(outputs, self._run(mirrored))

    def _run(self, crops: Sequence[tuple[Image, Array]]) -> list[Array]:
        fixed = self.session.input.shape[0]  # a network of fixed batch wants it full
        filled = list(crops) + [crops[-1]] * ((fixed or 0) - len(crops))
        shown = [crop(image, matrix, self.input) for image, matrix in filled]
        outputs = self.session(self._fed(shown))
        if any(len(output) != len(shown) for output in outputs):
            raise ModelError(
                f"{self.session.path}: answers {[len(output) for output in outputs]} crops, "
                f"it was shown {len(shown)}: it must answer crop by crop"
            )
        return [output[: len(crops)] for output in outputs]

    @property
    def _channels(self) -> int:
        """Of the input."""
        return 3

    def _fed(self, crops: Sequence[Image]) -> Array:
        """Crops [h, w, 3] -> the network's input."""
        return normalise(crops, self.input)

    @property
    def _answer(self) -> tuple[Port, ...]:
        """The outputs that the codec decodes."""
        return self.session.outputs

    @property
    def _axis(self) -> float:
        """The x (crop pixels) about which the crop is mirrored for the flip test."""
        return self.codec.axis

    def _decode(self, outputs: list[Array]) -> Floats:
        """The network's outputs -> keypoints [N, K, 3] in crop pixels."""
        return self._decoded(outputs)

    def _decoded(self, outputs: list[Array]) -> Floats:
        """What the codec makes of the outputs. Raises ModelError that names the file."""
        try:
            keypoints = self.codec.decode(outputs)
        except ModelError as error:
            raise ModelError(f"{self.session.path}: {error}") from error
        if keypoints.shape[1] != len(self.skeleton):
            raise ModelError(
                f"{self.session.path}: answers {keypoints.shape[1]} joints, "
                f"{self.skeleton.name} has {len(self.skeleton)}: give its skeleton"
            )
        if not np.isfinite(keypoints).all():
            raise ModelError(f"{self.session.path}: its answer is infinite: broken weights?")
        return keypoints  # type: ignore[return-value]

    def _averaged(self, outputs: list[Array], mirrored: list[Array]) -> Floats:
        """Outputs for crops and for their mirror images -> keypoints [N, K, 3] in crop pixels."""
        restored = self.codec.flip(mirrored, self.skeleton.mirror)
        return self._decode([(a + b) / 2 for a, b in zip(outputs, restored, strict=True)])


@dataclass(frozen=True, slots=True)
class LookingAgain:
    """What posers have in common that look again, by `stage`, at what `poser` found."""

    poser: Poser
    stage: Sppe

    def __post_init__(self) -> None:
        if self.poser.skeleton != self.stage.skeleton:
            raise OptionError(
                f"{self.stage.session.path}: finds joints of {self.stage.skeleton.name}, the first "
                f"look those of {self.poser.skeleton.name}: both must find the same"
            )

    @property
    def skeleton(self) -> Skeleton:
        return self.poser.skeleton


class Crowd:
    """The people of several frames in one row: boxes [N, 4], scores [N], and in which frame each
    is (`frame` [N], 0, 1, …).
    """

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.groups = [frame.people for frame in frames]
        self.images = [frame.image for frame in frames]
        self.frame: NDArray[np.intp] = np.repeat(
            np.arange(len(frames)), [len(group) for group in self.groups]
        )
        self.boxes = np.concatenate([group.boxes for group in self.groups])
        self.scores = np.concatenate([group.scores for group in self.groups])

    def __len__(self) -> int:
        return len(self.scores)

    def pictures(self, rows: NDArray[np.intp] | None = None) -> list[Image]:
        """The picture of each person, or of those in some rows."""
        chosen = self.frame if rows is None else self.frame[rows]
        return [self.images[number] for number in chosen.tolist()]


def with_keypoints(
    frames: Sequence[Frame],
    skeleton: Skeleton,
    estimate: Callable[[list[Image], Crowd], Array],
) -> list[Frame]:
    """Frames whose people have boxes -> the same with the keypoints [N, K, 3] that
    `estimate(their pictures, their crowd)` gives to all N of them, and scores to match.
    """
    if not any(len(frame.people) for frame in frames):
        return [replace(frame, people=People.empty(skeleton)) for frame in frames]
    crowd = Crowd(frames)
    keypoints = estimate(crowd.pictures(), crowd)
    ends = np.cumsum([len(group) for group in crowd.groups])[:-1]
    return [
        replace(
            frame,
            people=replace(
                frame.people,
                keypoints=found,
                scores=person_scores(frame.people.scores, found[:, skeleton.leading, 2]),
                skeleton=skeleton,
                turns=None,
            ),
        )
        for frame, found in zip(frames, np.split(keypoints, ends), strict=True)
    ]
