"""Average precision of boxes, as the COCO detection challenge counts it (Lin et al. 2014): like
`oks`, with the intersection over union of boxes in the place of OKS, at most a hundred boxes per
picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.dataset import Dataset
from ..data.records import collector_at_rest
from ..geometry import xywh
from .oks import Matches, labels

if TYPE_CHECKING:
    import hotcoco


def matches(truth: Dataset, results: Dataset) -> Matches:
    """Which found boxes are true ones: called with how often each picture counts [P], it says AP,
    AP50, AR, …
    """
    return Matches(evaluation(truth, results), truth)


@collector_at_rest()
def evaluation(truth: Dataset, results: Dataset) -> hotcoco.COCOeval:
    """hotcoco's evaluator of boxes after its two steps. `results` are joined to the pictures of
    `truth`.
    """
    import hotcoco

    numbers = [picture.id for picture in truth.pictures]
    columns = zip(
        results.picture.tolist(), xywh(results.boxes).tolist(), results.scores.tolist(), strict=True
    )
    found = [
        {"image_id": numbers[picture], "category_id": 1, "bbox": box, "score": score}
        for picture, box, score in columns
    ]
    known = labels(truth)
    evaluator = hotcoco.COCOeval(known, known.load_res(found), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator
