"""Every kind of mistake, made on purpose, is named; taking mistakes away only helps; the report
stands alone.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from everybody.data.dataset import Dataset, Picture
from everybody.metrics.diagnose import KINDS, diagnose, joint_kinds, pair
from everybody.metrics.report import write_report
from everybody.skeletons import COCO17

WRIST, OTHER = COCO17.joints.index("left_wrist"), COCO17.joints.index("right_wrist")


def two_people(folder: Path | None = None) -> Dataset:
    """Two people 200 pixels apart, their joints 20 pixels apart in a grid; area 100 × 100."""
    grid = np.array([(20.0 * (k % 5), 20.0 * (k // 5)) for k in range(17)])
    points = grid + np.array([[[20.0, 20]], [[220, 20]]])
    return Dataset(
        skeleton=COCO17,
        pictures=(Picture("a.png", 1, 400, 200), Picture("b.png", 2, 400, 200)),
        picture=np.zeros(2, int),
        keypoints=np.concatenate([points, np.full((2, 17, 1), 2.0)], 2),
        areas=np.full(2, 1e4),
        name="truth",
        folder=folder,
    )


def found(truth: Dataset, **changes: object) -> Dataset:
    return replace(truth, name="found", ignored=np.zeros(len(truth.picture), bool), **changes)  # type: ignore[arg-type]


def with_wrist(truth: Dataset, x: float, y: float) -> Dataset:
    keypoints = truth.keypoints.copy()
    keypoints[0, WRIST, :2] = x, y
    return found(truth, keypoints=keypoints)


def test_each_kind_of_mistake_is_named() -> None:
    truth = two_people()
    x, y = truth.keypoints[0, WRIST, :2]
    other, neighbour = truth.keypoints[0, OTHER], truth.keypoints[1, WRIST]
    # ks of a wrist d pixels off: exp(-d² / (2 · 10⁴ · .124²)); .85 at 7.07, .5 at 14.6
    cases = {
        "good": (x + 5, y),
        "jitter": (x, y + 10),
        "inversion": other[:2],
        "swap": neighbour[:2],
        "miss": (x, y + 90),
    }
    for kind, place in cases.items():
        results = with_wrist(truth, *place)
        kinds = joint_kinds(truth, results, pair(truth, results))
        assert KINDS[kinds[0, WRIST]] == kind
        assert (np.delete(kinds, WRIST, 1) == 0).all()


def test_an_unlabelled_joint_is_no_mistake() -> None:
    truth = two_people()
    truth.keypoints[0, WRIST, 2] = 0
    results = with_wrist(truth, 0, 0)
    assert joint_kinds(truth, results, pair(truth, results))[0, WRIST] == -1


def test_false_and_overlooked_people() -> None:
    truth = two_people()
    away = truth.keypoints + np.array([0, 5000.0, 0])
    keypoints = np.concatenate(
        [truth.keypoints[:1], truth.keypoints[:1] + np.array([3.0, 0, 0]), away[:1]]
    )
    results = Dataset(
        skeleton=COCO17,
        pictures=truth.pictures,
        picture=np.array([0, 0, 1]),
        keypoints=keypoints,
        scores=np.array([0.9, 0.8, 0.95]),
        name="found",
    )
    found = diagnose(truth, results)
    assert (found.overlooked, found.background, found.duplicates) == (1, 1, 1)
    assert found.gains["background"] > 0
    assert found.gains["overlooked"] > 0
    assert found.gains["jitter"] == 0
    np.testing.assert_allclose(found.loss, [1 + 0.8, 0.95])


def test_perfect_results_have_nothing_to_gain_and_none_have_everything() -> None:
    truth = two_people()
    perfect = diagnose(truth, found(truth))
    assert set(perfect.gains.values()) == {0}
    nothing = diagnose(truth, found(truth).select(np.zeros(0, int)))
    assert nothing.figures["AP"] == 0
    assert nothing.overlooked == 2


def test_people_on_a_crowd_are_excused() -> None:
    truth = replace(two_people(), crowd=np.array([False, True]), ignored=np.array([False, True]))
    assert pair(truth, found(truth)).excused.tolist() == [False, True]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_taking_mistakes_away_never_harms_and_leads_to_the_top(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = two_people()
    noise = random.normal(0, random.choice([5, 30]), (2, 17, 3)) * (1, 1, 0)
    more = truth.keypoints[[0]] + random.normal(0, 20, (1, 17, 3)) * (1, 1, 0)
    results = Dataset(
        skeleton=COCO17,
        pictures=truth.pictures,
        picture=np.array([0, 0, random.integers(2)]),
        keypoints=np.concatenate([truth.keypoints + noise, more]),
        scores=random.random(3),
        name="found",
    )
    stairs = [value for _, value in diagnose(truth, results).stairs]
    assert all(b >= a - 1e-9 for a, b in pairwise(stairs[4:]) if not np.isnan(b))
    assert np.isnan(stairs[-1]) or stairs[-1] > 0.75


def test_slices_tell_small_from_large_and_cut_from_whole() -> None:
    truth = replace(two_people(), areas=np.array([50.0**2, 150.0**2]))
    slices = diagnose(truth, found(truth).select(np.array([1]))).slices
    assert [(s.people, s.found) for s in slices["size (√ area, pixels)"] if s.people] == [
        (1, 0),
        (1, 1),
    ]


def test_the_report_stands_alone(tmp_path: Path) -> None:
    Image.new("RGB", (400, 200), (90, 120, 90)).save(tmp_path / "a.png")
    truth = two_people(tmp_path)
    write_report(
        tmp_path / "report.html", truth, with_wrist(truth, 0, 0), conditions=["boxes: <detected>"]
    )
    page = (tmp_path / "report.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "boxes: &lt;detected&gt;" in page
    assert not re.search(r"<script|<link|(src|href)=['\"]http", page)
    assert page.count("<svg") >= 5
    (tmp_path / "a.png").unlink()
    write_report(tmp_path / "report.html", truth, found(truth))
    assert "were not found beside the annotations" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("people", [[], [0]])
def test_a_report_of_nothing(tmp_path: Path, people: list[int]) -> None:
    truth = two_people()
    write_report(
        tmp_path / "report.html",
        truth.select(np.array(people, int)),
        found(truth).select(np.zeros(0, int)),
    )
    assert (tmp_path / "report.html").stat().st_size > 1000
