"""The ten COCO figures straight from two files, without a Python object per person: what a plain `everybody eval` of
COCO results takes. hotcoco reads both; whatever it would accept and the readers of `everybody.data` would not, or would
understand otherwise, is looked for here, and left to them.
"""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ..skeletons import SKELETONS
from . import oks
from .tables import About

if TYPE_CHECKING:
    import hotcoco

HARMLESS = {"bbox_out_of_bounds", "near_duplicate", "dt_score_out_of_range", "images_without_annotations"}
UNUSUAL = (b'"foot_kpts"', b'"crowdIndex"', b'"ignore"', b'"ignore_regions_x"')
FIELDS = (b'"area"', b'"bbox"', b'"num_keypoints"', b'"iscrowd"')
NOBODY = re.compile(rb'"num_keypoints"\s*:\s*0\b')


def quick(truth: Path, results: Path) -> tuple[About, dict[str, float]] | None:
    """The figures of two COCO files; None unless both are plain and flawless, so that the readers say what is wrong."""
    import hotcoco

    if not (truth.is_file() and results.is_file()):
        return None
    with ThreadPoolExecutor(1) as aside:  # hotcoco reads without holding Python up
        loading = aside.submit(_load, truth, results)
        looked = _look(truth.read_bytes(), results.read_bytes())
        loaded = loading.result()
    if looked is None or loaded is None:
        return None
    (people, nobody, found), (coco, detected) = looked, loaded
    categories = coco.load_cats(coco.get_cat_ids())
    names = tuple(categories[0].get("keypoints") or ()) if len(categories) == 1 else ()
    skeleton = next((known for known in SKELETONS.values() if known.joints == names), None)
    health = coco.healthcheck(detected)
    odd = {entry["code"]: entry["message"] for entry in health["errors"] + health["warnings"]}
    counts = coco.stats()["annotation_count"], detected.stats()["annotation_count"]
    if skeleton is None or odd.keys() - HARMLESS or counts != (people[3 * len(skeleton)], found[3 * len(skeleton)]):
        return None
    evaluator = hotcoco.COCOeval(coco, detected, "keypoints")
    evaluator.params.kpt_oks_sigmas = list(skeleton.sigmas)
    evaluator.evaluate()
    evaluator.accumulate()
    about = About(
        results.name, "", truth.name, coco.stats()["image_count"], counts[0] - nobody, skeleton,
        (odd["dt_score_out_of_range"],) if "dt_score_out_of_range" in odd else (),
    )  # fmt: skip
    return about, oks.summary(evaluator.eval or {})


def _load(truth: Path, results: Path) -> tuple[hotcoco.COCO, hotcoco.COCO] | None:
    import hotcoco

    try:
        coco = hotcoco.COCO(str(truth))
        return coco, coco.load_res(str(results))
    except (ValueError, OSError):
        return None


def _look(truth: bytes, results: bytes) -> tuple[Counter[int], int, Counter[int]] | None:
    """How many records of both files have so many numbers as keypoints, and how many people have none labelled."""
    if results.lstrip()[:1] != b"[" or truth.lstrip()[:1] != b"{" or any(word in truth for word in UNUSUAL):
        return None
    people, found = _joints(truth), _joints(results)
    lists = people.total() - 1  # one list is that of the names
    if any(truth.count(field) != lists for field in FIELDS) or results.count(b'"score"') != found.total():
        return None
    return people, len(NOBODY.findall(truth)), found


def _joints(text: bytes) -> Counter[int]:
    """How many lists of keypoints have so many numbers."""
    return Counter(piece.count(b",", 0, piece.find(b"]")) + 1 for piece in text.split(b'"keypoints"')[1:])
