"""People in regions to ignore are neither right nor false.

    0        50        100       150       200
  0 ┌─────────┐
    │  region │   somebody labelled
    │   f   g │    o→h
 50 └─────────┘

f lies in the region, g half in it and half out, h on the labelled person: f is left out, g is
false, h right.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.data.dataset import Dataset, Picture
from everybody.metrics.judge import judge
from everybody.metrics.regions import inside, outside
from everybody.skeletons import COCO17

SQUARE = np.array([[0.0, 0], [50, 0], [50, 50], [0, 50]])


def person(x: float, y: float, spread: float = 1.0) -> np.ndarray:
    points = np.stack([x + spread * np.arange(17), np.full(17, y)], 1)
    return np.column_stack([points, np.full(17, 2.0)])


def world(region: tuple[np.ndarray, ...]) -> tuple[Dataset, Dataset]:
    picture = Picture("a.jpg", 1, 200, 50, region)
    truth = Dataset(
        skeleton=COCO17,
        pictures=(picture,),
        picture=np.zeros(1, int),
        keypoints=person(100, 25)[None],
        areas=np.full(1, 2500.0),
        name="truth",
    )
    found = np.stack([person(10, 25), person(44, 25, spread=2), person(101, 25)])
    scores = np.array([0.9, 0.8, 0.7])
    return truth, replace(truth, picture=np.zeros(3, int), keypoints=found, scores=scores, **EMPTY)


EMPTY = dict.fromkeys(("boxes", "areas", "ids", "tracks", "category", "heads", "crowd", "ignored"))


def test_who_is_in_a_region_is_left_out_and_said() -> None:
    truth, results = world((SQUARE,))
    kept = outside(results, truth)
    assert kept.scores.tolist() == [0.8, 0.7]
    assert kept.notes == ("1 found people in regions to ignore are left out",)
    # One right below two false ones has a precision of 1/3, below one of 1/2, at every recall.
    assert judge(truth, results, ["AP"])[1].value == pytest.approx(1 / 3)
    assert judge(truth, kept, ["AP"])[1].value == pytest.approx(1 / 2)


def test_a_labelled_person_in_a_region_is_still_found() -> None:
    everywhere = np.array([[-9.0, -9], [300, -9], [300, 99], [-9, 99]])
    truth, results = world((everywhere,))
    assert outside(results, truth).scores.tolist() == [0.7]


def test_without_regions_nothing_changes() -> None:
    truth, results = world(())
    assert outside(results, truth) is results


@given(st.integers(0, 2**32))
def test_inside_a_convex_polygon_is_on_one_side_of_all_its_edges(seed: int) -> None:
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 6))
    polygon = 40 * np.stack([np.cos(angles), np.sin(angles)], 1)
    points = random.uniform(-50, 50, (200, 2))
    edges = np.roll(polygon, -1, 0) - polygon
    away = points[:, None] - polygon
    expected = (edges[:, 0] * away[..., 1] - edges[:, 1] * away[..., 0] > 0).all(1)
    np.testing.assert_array_equal(inside(points, polygon), expected)
