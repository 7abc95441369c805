"""Average precision of boxes, as the COCO detection challenge counts it (Lin et al. 2014): like
`oks`, with the intersection over union of boxes in the place of OKS, at most a hundred boxes per
picture. Categories are judged one by one where `oks` does so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.dataset import Dataset
from ..data.records import collector_at_rest
from ..geometry import xywh
from .oks import Matches, by_category, categories, image_numbers, labels

if TYPE_CHECKING:
    import hotcoco


def matches(truth: Dataset, results: Dataset) -> Matches:
    """The matches of found and true boxes. Called with how often each picture counts [P], it gives
    AP, AP50, AR, …
    """
    return Matches(evaluation(truth, results), truth)


@collector_at_rest()
def evaluation(truth: Dataset, results: Dataset) -> hotcoco.COCOeval:
    """hotcoco's evaluator of boxes after its two steps. `results` are joined to the pictures of
    `truth`.
    """
    import hotcoco

    numbers = image_numbers(truth)
    apart = by_category(truth, results)
    columns = zip(
        results.picture.tolist(),
        categories(results, truth, apart).tolist(),
        xywh(results.boxes).tolist(),
        results.scores.tolist(),
        strict=True,
    )
    known = labels(truth, apart=apart)
    found = [
        {"image_id": numbers[picture], "category_id": category, "bbox": box, "score": score}
        for picture, category, box, score in columns
    ]
    evaluator = hotcoco.COCOeval(known, known.load_res(found), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator
