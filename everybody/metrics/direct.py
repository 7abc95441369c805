"""COCO's list of results straight from its file into hotcoco, without a Python object per number: a
third of the time.

The readers of `everybody.data` stay in charge: what they would refuse, understand otherwise or say
something about is looked for here, and left to them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from . import oks

if TYPE_CHECKING:
    import hotcoco

CACHED = 1 << 18  # bytes


def direct(truth: Dataset, results: Path) -> tuple[hotcoco.COCO, hotcoco.COCO] | None:
    """Truth and results as hotcoco takes them; None unless the file is flawless and plain
    (`_plain`), and the data have neither parts nor regions to ignore.
    """
    if oks.divisions(truth) or any(picture.ignore for picture in truth.pictures):
        return None
    with ThreadPoolExecutor(1) as aside:  # hotcoco does not hold Python up
        content = aside.submit(results.read_bytes)
        coco = oks.labels(truth)
        text = content.result()
        loading = aside.submit(coco.load_res, str(results))
        count = _plain(text, len(truth.skeleton))
        try:
            found = loading.result()
        except ValueError:  # a number, image_id or category_id is missing or no number
            return None
    health = coco.healthcheck(found)
    odd = any(
        entry["code"].startswith("dt_") for entry in health["errors"] + health["warnings"]
    )  # of the results
    return None if odd or not count or count != found.stats()["annotation_count"] else (coco, found)


def _plain(text: bytes, joints: int) -> int:
    """How many records there are: with image_id, category_id, score, so many keypoints, perhaps a
    bbox, and nothing else. 0 if one may be otherwise. (hotcoco makes sure that the first three are
    there, but not of how many joints.)
    """
    found = np.frombuffer(text, np.uint8)
    opened, closed, commas, colons = _places(found, b"[],:")
    opened, closed = opened[1:], closed[:-1]  # but for the list of all
    if len(opened) != len(closed) or (closed < opened).any():
        return 0
    length = np.searchsorted(commas, closed) - np.searchsorted(commas, opened) + 1
    ends = found[opened - 3 - (found[opened - 1] == ord(" "))]  # of the key: keypointS or bboX
    keypoints, boxes = ends == ord("s"), ends == ord("x")
    records = text.count(b'"keypoints":')
    plain = (length == np.where(keypoints, 3 * joints, 4)).all() and (keypoints | boxes).all()
    return (
        records
        if plain and keypoints.sum() == records and len(colons) == 4 * records + boxes.sum()
        else 0
    )


def _places(found: NDArray[np.uint8], signs: bytes) -> list[NDArray[np.intp]]:
    """Where each sign stands; piece by piece, because what stays in the processor's cache is twice
    as fast.
    """
    starts = range(0, max(1, len(found)), CACHED)
    pieces = [
        [start + np.flatnonzero(found[start : start + CACHED] == sign) for sign in signs]
        for start in starts
    ]
    return [np.concatenate(places) for places in zip(*pieces, strict=True)]
