"""Pictures and people turn together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.data.dataset import Dataset, Picture
from everybody.data.rotate import turned
from everybody.errors import DataError
from everybody.metrics.judge import judge
from everybody.skeletons import COCO17

WIDTH, HEIGHT = 7, 5


def data(x: float, y: float) -> Dataset:
    """All joints at (x, y), a box of one pixel around it."""
    return Dataset(
        skeleton=COCO17,
        pictures=(Picture("a.png", 1, WIDTH, HEIGHT, (np.array([[x, y], [0, 0], [0, 4]]),)),),
        picture=np.zeros(1, int),
        keypoints=np.tile([x, y, 2.0], (1, 17, 1)),
        boxes=np.array([[x - 0.5, y - 0.5, x + 0.5, y + 0.5]]),
        name="data",
        folder=Path("here"),
    )


@given(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(-4, 7))
def test_one_lit_pixel_and_its_label_land_together(x: int, y: int, quarters: int) -> None:
    image = np.zeros((HEIGHT, WIDTH), int)
    image[y, x] = 1
    there = turned(data(x, y), quarters)
    lit = np.argwhere(np.rot90(image, quarters))[0][::-1]
    assert there.keypoints[0, 0].tolist() == [*lit, 2]
    assert there.boxes[0].tolist() == [*(lit - 0.5), *(lit + 0.5)]
    assert there.pictures[0].ignore[0][0].tolist() == lit.tolist()
    height, width = np.rot90(image, quarters).shape
    assert (there.pictures[0].width, there.pictures[0].height) == (width, height)


def test_four_quarters_are_none_and_figures_do_not_turn() -> None:
    random = np.random.default_rng(0)
    truth = replace(
        data(3, 3),
        keypoints=np.concatenate([random.uniform(0, 5, (1, 17, 2)), np.ones((1, 17, 1))], 2),
    )
    found = replace(
        truth, keypoints=truth.keypoints + random.normal(0, 0.1, (1, 17, 3)) * (1, 1, 0)
    )
    np.testing.assert_allclose(turned(turned(truth, 1), 3).keypoints, truth.keypoints)
    expected = [figure.value for figure in judge(truth, found, ["AP", "OKS", "PCKb"])]
    for quarters in (1, 2, 3):
        a, b = turned(truth, quarters), turned(found, quarters)
        got = [figure.value for figure in judge(a, b, ["AP", "OKS", "PCKb"])]
        assert got == pytest.approx(expected, nan_ok=True)


def test_a_picture_of_unknown_size_does_not_turn() -> None:
    flat = replace(data(1, 1), pictures=(Picture("a.png", 1),))
    assert turned(flat, 0) is flat
    with pytest.raises(DataError, match=r"size of picture a\.png"):
        turned(flat, 1)
