"""COCO's list of results straight from its file into hotcoco, without a Python object per number: a
third of the time.

The readers of `everybody.data` stay in charge: whatever they would refuse, read otherwise or remark
on is left to them.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.dataset import Dataset
from . import oks

if TYPE_CHECKING:
    import hotcoco

KEY = 13  # bytes before a list that tell which it is


def direct(truth: Dataset, results: Path) -> tuple[hotcoco.COCO, hotcoco.COCO] | None:
    """Truth and results as hotcoco takes them; None unless the file is flawless and plain
    (`_plain`), and the data have neither parts nor regions to ignore.
    """
    if oks.divisions(truth) or any(picture.ignore for picture in truth.pictures):
        return None
    # The results are loaded against the pictures alone, while the labels are still being made.
    pictures = oks.labels(truth.select(np.zeros(0, np.int64)))
    with ThreadPoolExecutor(1) as aside:  # hotcoco does not hold Python up
        loading = aside.submit(pictures.load_res, str(results))
        coco = oks.labels(truth)
        try:
            count = _plain(results.read_bytes(), len(truth.skeleton))
            found = loading.result()
        except (ValueError, OSError):  # image_id, category_id or score is missing or no number
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
    lists: Counter[tuple[bytes, int]] = Counter()  # what is before a list, and its commas
    last = text.rfind(b"]")  # of the list of all
    before, end = 0, text.find(b"]", 0, last)
    while end >= 0:
        start = text.rfind(b"[", before, end)
        lists[text[start - KEY : start], text.count(b",", start, end)] += 1
        before, end = end + 1, text.find(b"]", end + 1, last)

    records = boxes = 0
    for (key, commas), count in lists.items():
        if key.rstrip().endswith(b'keypoints":') and commas == 3 * joints - 1:
            records += count
        elif key.rstrip().endswith(b'"bbox":') and commas == 3:
            boxes += count
        else:
            return 0
    signs = np.frombuffer(text, np.uint8)
    counts = {
        "[": records + boxes + 1,
        "]": records + boxes + 1,
        ":": 4 * records + boxes,
        '"': 2 * (4 * records + boxes),
    }
    plain = all(np.count_nonzero(signs == ord(sign)) == n for sign, n in counts.items())
    return records if plain else 0
