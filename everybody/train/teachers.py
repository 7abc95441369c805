"""Teachers: networks whose answers are labels (distillation, Hinton et al. 2015; as labels,
Radosavovic et al. 2018).

Boxes of several detectors and picture sizes are joined by box NMS. Joints of several SPPEs and
crops are averaged by their scores, and trusted less the further apart they are.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import geometry, runtime, schedule
from ..errors import OptionError
from ..method import Stage, enough
from ..methods.detector import Detector
from ..methods.orientation import confidence
from ..methods.sppe import Boxed, Sppe, person_scores
from ..nms import box_nms, oks_nms
from ..people import Frame, People
from ..runtime import describe
from ..skeletons import COCO17, Skeleton


@dataclass(frozen=True, slots=True)
class Teachers:
    """Frames -> frames with people, as all teachers together see them; `run.run` takes them for an
    `Estimator`.

    detectors may be one network at several sizes; each SPPE is asked once per padding. Without
    SPPEs the people have boxes only: their joints count as unlabelled.
    """

    detectors: Sequence[Detector]
    sppes: Sequence[Sppe]
    paddings: Sequence[float] = (1.1, 1.25, 1.4)

    def __post_init__(self) -> None:
        if len({sppe.skeleton for sppe in self.sppes}) > 1:
            raise OptionError(
                "teachers must speak of the same joints: "
                + ", ".join(s.skeleton.name for s in self.sppes)
            )

    @property
    def skeleton(self) -> Skeleton:
        return self.sppes[0].skeleton if self.sppes else COCO17

    def models(self) -> list[dict[str, str]]:
        """Which files teach, as `Estimator.models` says it."""
        sessions = [("detector", d.session) for d in self.detectors] + [
            ("pose", s.session) for s in self.sppes
        ]
        return [describe(task, session) for task, session in sessions]

    def frames(
        self, frames: Iterable[Frame], *, live: bool = False
    ) -> Generator[Frame, None, None]:
        """As many pictures at a time as there are cores, in order."""
        stages = [Stage("teachers", self, enough(1))]
        return schedule.run(stages, frames, workers=runtime.cores(), live=live)

    def __call__(self, frames: Sequence[Frame]) -> list[Frame]:
        images = [frame.image for frame in frames]
        seen = zip(*(detector(images) for detector in self.detectors), strict=True)
        boxes = [box_nms(People.concatenate(groups), self.detectors[0].nms) for groups in seen]
        if not self.sppes:
            people = [
                People(
                    np.zeros((len(found), len(COCO17), 3), np.float32),
                    found.boxes,
                    found.scores,
                    COCO17,
                )
                for found in boxes
            ]
            return [
                replace(frame, people=group) for frame, group in zip(frames, people, strict=True)
            ]
        boxed = [replace(frame, people=group) for frame, group in zip(frames, boxes, strict=True)]
        views = [
            replace(sppe, look=Boxed(padding))(boxed)
            for sppe in self.sppes
            for padding in self.paddings
        ]
        people = [
            combined([view[place].people for view in views], found)
            for place, found in enumerate(boxes)
        ]
        return [
            replace(frame, people=oks_nms(group))
            for frame, group in zip(frames, people, strict=True)
        ]


def combined(views: Sequence[People], boxes: People) -> People:
    """The same people seen several times -> once: joints averaged by score; the score is the mean,
    times how well the views agree: exp(-d² / 2s²) of their spread d, with s the length at which OKS
    has fallen to exp(-1/2).
    """
    keypoints = np.stack([view.keypoints for view in views])  # [V, N, K, 3]
    weight = keypoints[..., 2:] + 1e-6
    mean = (keypoints[..., :2] * weight).sum(0) / weight.sum(0)
    spread = (np.square(keypoints[..., :2] - mean).sum(-1, keepdims=True) * weight).sum(
        0
    ) / weight.sum(0)
    length = (
        4 * np.square(views[0].skeleton.sigmas) * geometry.area(boxes.boxes)[:, None]
    )  # (2σ)² · area
    agreement = np.exp(-spread[..., 0] / (2 * np.maximum(length, 1e-6)))
    scores = keypoints[..., 2].mean(0) * agreement
    joints = np.concatenate([mean, scores[..., None]], -1).astype(np.float32)
    return People(joints, boxes.boxes, person_scores(boxes.scores, scores), views[0].skeleton)


def turn_scores(
    sppe: Sppe, crops: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Crops [N, S, S, 3] and a box [N, 4] in each -> [N, 4]: how sure the teacher is of the person
    (mean of the joints' scores) in each quarter turn, as np.rot90 counts them.
    """
    turns = np.tile(np.arange(4), len(crops))
    pictures = [crop for crop in crops for _ in range(4)]
    keypoints = sppe.posed(pictures, boxes.repeat(4, 0), turns)
    return confidence(keypoints[..., 2]).reshape(-1, 4).astype(np.float32)
