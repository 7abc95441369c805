"""A model's answers to the pictures of a data set, to be judged at once. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..data.own import gathered
from ..errors import DataError
from ..people import Frame, People

# AP profits from people whom a detector is unsure of; what is used in earnest (.3) is too high to judge with.
DET_SCORE = 0.05


def predict(
    truth: Dataset, *, pose: str | None = None, detector: str | None = None, boxes: str = "detected",
    flip_test: bool = False, orientation: str = "upright", det_score: float = DET_SCORE, **options: Any,
) -> Dataset:  # fmt: skip
    """boxes: "detected", "gt" for the labelled ones (then no detector and no removal of duplicates), or a COCO file of
    detections. The other options are those of `Estimator`. Raises DataError where pictures are missing."""
    from ..pipeline import Estimator

    on_truth = boxes == "gt"
    estimator = Estimator(
        pose=pose, detector=detector, flip_test=flip_test, orientation=orientation, det_score=det_score,
        whole=on_truth, boxes=None if boxes in ("gt", "detected") else boxes,
        pose_nms="none" if on_truth else "oks", **options,
    )  # fmt: skip
    if on_truth:
        people = [estimator.pose([frame])[0].people for frame in _with_boxes(truth)]
    else:
        with closing(estimator.frames(_frames(truth))) as frames:
            people = [frame.people for frame in frames]
    extras = {" + flip test": flip_test, " + any orientation": orientation == "any"}
    name = Path(pose or "default model").stem + "".join(extra for extra, on in extras.items() if on)
    return gathered(people, truth.pictures, estimator.skeleton, name=name, boxes_from=boxes)


def _frames(truth: Dataset) -> Iterator[Frame]:
    from ..media.images import decode

    for i, picture in enumerate(truth.pictures):
        path = truth.path(i)
        if not path.is_file():
            raise DataError(f"{truth.name}: picture {picture.name or picture.id} is not beside it: expected {path}")
        yield Frame(decode(path.read_bytes(), str(path)), source=str(path))


def _with_boxes(truth: Dataset) -> Iterator[Frame]:
    wanted = truth.select(~truth.ignored)
    for frame, rows in zip(_frames(truth), wanted.rows(), strict=True):
        people = People.from_boxes(wanted.boxes[rows])
        yield Frame(frame.image, source=frame.source, people=people)
