"""A model's answers to the pictures of a data set, to be judged at once. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.dataset import Dataset, with_margin
from ..data.frames import gathered
from ..data.join import in_categories
from ..data.rotate import turned
from ..errors import DataError, OptionError
from ..options import NO_POSE
from ..people import Frame, People
from ..schedule import mapped
from ..weights import manifest

if TYPE_CHECKING:
    from ..estimator import Estimator

# Unsure detections raise AP, so models are judged with a lower score than a run uses (.3).
DET_SCORE = 0.05


def predict(
    truth: Dataset,
    *,
    pose: str | None = None,
    detector: str | None = None,
    boxes: str = "detected",
    flip_test: bool = False,
    orientation: str = "any",
    det_score: float = DET_SCORE,
    quarters: int = 0,
    pose_nms: str | None = None,
    **options: Any,
) -> Dataset:
    """pose: a variant ("animals", or several with commas between), a method, a pose model, or
    `NO_POSE` for the detector alone. boxes: "detected", "gt" for the labelled ones (then no
    detector and no removal of duplicates), or a COCO file of detections. Data without boxes have
    labelled ones by their joints, with a margin as others have. quarters as in `answers`. The other
    options are those of `Estimator`; pose_nms by default its own.
    """
    from ..estimator import Estimator

    on_truth = boxes == "gt"
    if on_truth and "," in (pose or ""):
        raise OptionError(f"--boxes gt: labelled boxes are for one model, not for all of {pose}")
    if on_truth and pose == NO_POSE:
        raise OptionError(f"--boxes gt: with --model {NO_POSE} there is nothing left to judge")
    if on_truth or pose_nms:
        options["pose_nms"] = "none" if on_truth else pose_nms
    estimator = Estimator(
        **{_keyword(pose): pose},  # type: ignore[reportArgumentType]
        detector=detector,
        flip_test=flip_test,
        orientation=orientation,
        det_score=det_score,
        whole=on_truth,
        boxes=None if boxes in ("gt", "detected") else boxes,
        **options,  # type: ignore[reportCallIssue]  # those of `Keywords` that are not above
    )
    named = detector or "default detector" if pose == NO_POSE else pose or "default model"
    name = Path(named).stem + " + flip test" * flip_test
    name += " + upright only" * (orientation == "upright")
    name += f" + {pose_nms} pose NMS" if pose_nms and not on_truth else ""
    name += f", turned by {90 * quarters}°" * bool(quarters)
    return answers(truth, estimator, name=name, boxes=boxes, quarters=quarters)


def _keyword(pose: str | None) -> str:
    """Which keyword of `Estimator` takes a model of this name."""
    from ..methods import is_method

    if set((pose or "").split(",")) & set(manifest.variants()):
        return "model"
    return "method" if is_method(pose) else "pose"


def answers(
    truth: Dataset, estimator: Estimator, *, name: str, boxes: str, quarters: int = 0
) -> Dataset:
    """What an estimator finds, on labelled boxes if boxes is "gt". With quarters, it sees every
    picture turned counter-clockwise by so many right angles, and what it finds is turned back.
    Raises DataError where pictures are missing.
    """
    shown = turned(truth, quarters)
    if boxes == "gt":
        with ThreadPoolExecutor(estimator.workers) as pool:
            frames = mapped(
                lambda frame: estimator.pose([frame])[0], _with_boxes(shown, quarters), pool, 2
            )
            people = [frame.people for frame in frames]
    else:
        with closing(estimator.frames(decoded(shown, quarters))) as frames:
            people = [frame.people for frame in frames]
    found = gathered(people, shown.pictures, estimator.skeleton, name=name, boxes_from=boxes)
    return in_categories(replace(turned(found, -quarters), pictures=truth.pictures), truth)


def decoded(shown: Dataset, quarters: int = 0) -> Iterator[Frame]:
    """The pictures of a data set, read and turned counter-clockwise by so many right angles. Raises
    DataError where one is missing.
    """
    from ..media.images import decode

    for i, picture in enumerate(shown.pictures):
        path = shown.path(i)
        if not path.is_file():
            raise DataError(
                f"{shown.name}: picture {picture.name or picture.id} is not beside it: "
                f"expected {path}"
            )
        image = np.ascontiguousarray(np.rot90(decode(path.read_bytes(), str(path)), quarters))
        yield Frame(image, source=str(path))


def _with_boxes(shown: Dataset, quarters: int) -> Iterator[Frame]:
    wanted = shown.select(~shown.ignored)
    boxes = with_margin(wanted.boxes, wanted.keypoints)
    names, place = wanted.kinds()
    for frame, rows in zip(decoded(shown, quarters), wanted.rows(), strict=True):
        people = People.from_boxes(boxes[rows])
        if len(names) > 1:
            people = replace(people, categories=np.array(names)[place[rows]])
        yield replace(frame, people=people)
