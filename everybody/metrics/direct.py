"""COCO's list of results straight from its file into hotcoco, without a Python object per number: a
third of the time.

The readers of `everybody.data` stay in charge: whatever they would refuse, read otherwise or remark
on is left to them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ..data.dataset import Dataset
from . import oks

if TYPE_CHECKING:
    import hotcoco

_KEYS = (b"image_id", b"category_id", b"score", b"keypoints")
_NUMBERS = b"0123456789.-+ \n\r\t"  # what numbers are made of, and white space


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """A record of numbers, and nothing else."""

    image_id: float
    category_id: float
    score: float
    keypoints: list[float]
    bbox: list[float] = msgspec.field(default_factory=lambda: [0.0] * 4)


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
    bbox, and nothing else, all alike. 0 if one may be otherwise. (hotcoco makes sure that the first
    three are there, but not of how many joints.)
    """
    try:
        record = text[text.index(b"{") : text.index(b"}") + 1]
        plain = msgspec.json.decode(record, type=_Plain)
    except ValueError:
        return 0
    if len(plain.keypoints) != 3 * joints or len(plain.bbox) != 4:
        return 0
    for exponents in (b"", b"eE"):  # mostly there are none
        left = text.translate(None, _NUMBERS + exponents)
        first = left[1 : left.index(b"}") + 1]
        count = left.count(b"{")
        if left == b"[" + b",".join([first] * count) + b"]":
            # Without its e, a key could be mistaken for another.
            sure = not exponents or all(text.count(b'"%s"' % key) == count for key in _KEYS)
            return count if sure else 0
    return 0
