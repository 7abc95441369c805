"""MoveNet. The public MultiPose: one network, the whole picture, at most six people in one pass.

A one-stage method (Google, "Next-Generation Pose Detection with MoveNet and TensorFlow.js", 2021;
after CenterNet, Zhou et al. 2019): centres of people, joints regressed from them and corrected by
heatmaps are all decoded within the graph. It takes pictures [1, H, W, 3] int32 RGB, sides multiples
of 32, and gives [1, 6, 56]: 17 joints (y, x, score), box (ymin, xmin, ymax, xmax) and score, all in
shares of the input from its corner.

Our own network by that design (`everybody train movenet-small`) answers with maps, decoded here
(`codecs/centre_maps.py`): more than six people, and pictures of any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .. import nms
from ..codecs import make_people_codec
from ..errors import ModelError
from ..geometry import Array, clip
from ..inputs import Input, letterbox, normalise
from ..method import Poser, Stage, finding
from ..nms import Suppress
from ..options import Options
from ..people import Image, People
from ..runtime import Session
from ..skeletons import COCO17, Skeleton
from ..weights.locate import opened
from .bottomup import BottomUp, bottom_up, sized

INPUT = Input(size=(384, 384), layout="nhwc", dtype="int32")
VALUES = 3 * len(COCO17) + 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveNetMulti:
    """Pictures [H, W, 3] RGB -> the people in each, with joints, most confident first.

    score: minimum of a person. suppress removes duplicates.
    """

    session: Session
    input: Input = INPUT
    score: float = 0.3
    max_people: int | None = None
    suppress: Suppress

    def __post_init__(self) -> None:
        taken, given = self.session.input.shape, [port.shape for port in self.session.outputs]
        if len(taken) != 4 or taken[3] != 3 or len(given) != 1 or given[0][-1] != VALUES:
            raise ModelError(
                f"{self.session.path}: not MoveNet MultiPose, which takes [1, H, W, 3] and gives "
                f"[1, N, {VALUES}]: the file takes {self.session.input} and gives "
                f"{', '.join(map(str, self.session.outputs))}"
            )

    @property
    def skeleton(self) -> Skeleton:
        return COCO17

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
        canvas, factors = letterbox(image, self.input.size, fill=self.input.fill, tight=True)
        (answer,) = self.session(normalise([canvas], self.input))
        size = np.array([canvas.shape[1], canvas.shape[0]])
        keypoints, boxes, scores = decode(answer[0], size / factors)
        keep = (scores >= self.score) & np.isfinite(answer[0]).all(1)
        boxes = clip(boxes[keep], image.shape[1], image.shape[0])
        people = People(keypoints[keep], boxes, scores[keep], COCO17)
        return self.suppress(people).by_score()[: self.max_people]


def decode(answer: Array, size: Array) -> tuple[Array, Array, Array]:
    """[N, 56], the input's (width, height) in pixels of the picture -> keypoints [N, 17, 3], boxes
    [N, 4], scores [N], under the coordinate law.
    """
    joints = answer[:, : 3 * len(COCO17)].reshape(len(answer), len(COCO17), 3)
    points = joints[..., 1::-1] * size - 0.5
    keypoints = np.concatenate([points, joints[..., 2:].clip(0, 1)], -1)
    corners = answer[:, -5:-1].reshape(-1, 2, 2)[..., ::-1] * size - 0.5
    return keypoints, corners.reshape(-1, 4), answer[:, -1].clip(0, 1)


def open_movenet(options: Options) -> MoveNetMulti | BottomUp:
    """MoveNet by the options' pose model (a name, or an ONNX file): MultiPose, or a network of
    maps, which says so. Raises ModelError, OptionError.
    """
    find = options.find
    session, row = opened(options.pose.model or "movenet-multipose", "people", options.engine)
    spec = row.input if row else INPUT
    if row and row.codec:
        codec, fed = make_people_codec(row.codec), sized(spec, session, options)
        return bottom_up(session, codec, COCO17, fed, options)
    return MoveNetMulti(
        session=session,
        input=Input(size=find.size, layout="nhwc", dtype="int32") if find.size else spec,
        score=find.score,
        max_people=find.max_people,
        suppress=nms.pose_nms(options.pose.nms).run,
    )
