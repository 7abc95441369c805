"""What bottom-up methods have in common: one network looks at the whole picture, and its answer is
decoded into people.

They differ in the codec alone (`codecs.PictureCodec`): OpenPose, PersonLab, DeepCut, DEKR, RTMO. So
does Keypoint R-CNN: its file holds both of its steps. The time of the other networks does not
depend on how many people there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .. import nms
from ..codecs import PictureCodec, make_people_codec
from ..errors import ModelError, OptionError
from ..geometry import clip
from ..inputs import Input, letterbox, normalise
from ..method import Poser, Stage, finding
from ..nms import Suppress
from ..options import Options
from ..people import Image, People
from ..runtime import Session
from ..skeletons import COCO17, Skeleton
from ..weights.locate import opened
from ..weights.manifest import Row
from .told import joints_of
from .topdown import fed


@dataclass(frozen=True, slots=True, kw_only=True)
class BottomUp:
    """Pictures [H, W, 3] RGB -> the people in each, with joints, most confident first.

    score: minimum of a person. suppress removes duplicates.
    """

    session: Session
    codec: PictureCodec
    skeleton: Skeleton
    input: Input
    score: float = 0.3
    max_people: int | None = None
    suppress: Suppress

    def __post_init__(self) -> None:
        try:
            self.codec.check(self.session.outputs, len(self.skeleton))
        except ModelError as error:
            raise ModelError(f"{self.session.path}: {error}") from error

    @property
    def poser(self) -> Poser | None:
        return None

    @property
    def sessions(self) -> Mapping[str, Session]:
        return {"people": self.session}

    @property
    def stages(self) -> tuple[Stage, ...]:
        return finding(self, 1)

    def __call__(self, images: Sequence[Image]) -> list[People]:
        return [self._people(image) for image in images]

    def _people(self, image: Image) -> People:
        spec, dynamic = self.input, None in self.session.input.shape[1:]
        canvas, factors = letterbox(image, spec.size, fill=spec.fill, tight=dynamic)
        outputs = self.session(normalise([canvas], spec))
        try:
            found = self.codec.decode(outputs, canvas.shape[1::-1])
            if len(found) != 1:
                raise ModelError(f"asked about one picture, the network answers of {len(found)}")
            ((keypoints, boxes, scores),) = found
        except ModelError as error:
            raise ModelError(f"{self.session.path}: {error}") from error

        keypoints, boxes = keypoints.copy(), boxes / np.tile(factors, 2)
        keypoints[..., :2] = (keypoints[..., :2] + 0.5) / factors - 0.5
        keypoints[..., 2] = keypoints[..., 2].clip(0, 1)
        keypoints[keypoints[..., 2] <= 0] = 0
        boxes = clip(boxes + (0.5 / np.tile(factors, 2) - 0.5), *image.shape[1::-1])

        keep = scores >= self.score
        people = People(keypoints[keep], boxes[keep], scores[keep].clip(0, 1), self.skeleton)
        return self.suppress(people).by_score()[: self.max_people]


def given_model(options: Options, method: str) -> tuple[Session, Row | None]:
    """The session of the options' pose model, and the row that describes it. Raises OptionError
    where none is given: no such model comes with everybody.
    """
    if options.pose.model is None:
        raise OptionError(f"method '{method}' needs a model: give --pose NAME or --pose FILE.onnx")
    return opened(options.pose.model, "people", options.engine)


def sized(spec: Input, session: Session, options: Options) -> Input:
    """The input as the file fixes it, or as large as the options say."""
    shape = session.input.shape
    size = options.find.size or options.pose.input_size or spec.size
    sides = shape[1:3] if spec.layout == "nhwc" else shape[2:]
    if len(shape) == 4 and sides[0] and sides[1]:
        size = sides[1], sides[0]
    return fed(replace(spec, size=size), options.pose)


def codec_of(row: Row | None, usual: PictureCodec) -> PictureCodec:
    """The codec that a file says it is for, as those of `everybody export` do; else the usual one
    of the method.
    """
    return make_people_codec(row.codec) if row and row.codec else usual


def bottom_up(
    session: Session, codec: PictureCodec, joints: Skeleton, spec: Input, options: Options
) -> BottomUp:
    """The method of a network and its codec, with what the options say of people."""
    return BottomUp(
        session=session,
        codec=codec,
        skeleton=joints,
        input=spec,
        score=options.find.score,
        max_people=options.find.max_people,
        suppress=nms.pose_nms(options.pose.nms),
    )


def open_file(options: Options, method: str, codec: PictureCodec, usual: Input) -> BottomUp:
    """The method of the options' pose model, whose skeleton the options or its row name (coco-17
    otherwise); `usual` is fed where no row says otherwise. Raises ModelError, OptionError.
    """
    session, row = given_model(options, method)
    named = joints_of(options.pose, row, session.path, usual=COCO17.name)
    spec = sized(row.input if row else usual, session, options)
    return bottom_up(session, codec_of(row, codec), named, spec, options)
