"""Keypoints and masks of boxes, by law: planted is found, people stay apart, mirrors."""

from __future__ import annotations

import numpy as np
import pytest

from everybody.errors import DataError
from everybody.methods.rcnn_decode import keypoints_from_heatmaps, masks_in_picture

BOXES = np.array([[10.0, 20, 122, 244], [3.5, 4.25, 60.75, 33.5], [0, 0, 0.4, 0.3]], np.float32)


def planted(boxes, points, cells=56, height=12.0):
    """A narrow Gaussian of logits at each point: [N, K, 2] in pixels -> [N, K, cells, cells]."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)[:, None]
    at = (points - boxes[:, None, :2]) / sides * cells - 0.5
    x = np.square(np.arange(cells) - at[..., :1])[..., None, :]
    y = np.square(np.arange(cells) - at[..., 1:])[..., None]
    return (height * np.exp(-(x + y) / 8)).astype(np.float32)


def random_points(boxes, joints=5, seed=0):
    share = np.random.default_rng(seed).uniform(0.1, 0.9, (len(boxes), joints, 2))
    return boxes[:, None, :2] + share * (boxes[:, 2:] - boxes[:, :2])[:, None]


def test_planted_joints_are_found_within_half_a_cell():
    points = random_points(BOXES)
    found = keypoints_from_heatmaps(planted(BOXES, points), BOXES)
    cell = np.maximum(BOXES[:, 2:] - BOXES[:, :2], 56) / 56  # or a pixel, where that is coarser
    assert (np.abs(found[..., :2] - points) <= cell[:, None] / 2 + 0.02).all()
    assert ((found[..., 3] > 0) & (found[..., 3] <= 1)).all()
    moved = keypoints_from_heatmaps(planted(BOXES, points), BOXES, offset=-0.5)
    np.testing.assert_allclose(moved[..., :2], found[..., :2] - 0.5, atol=1e-4)


def test_a_sure_map_scores_higher_than_a_flat_one():
    points = random_points(BOXES[:1], 1)
    scores = [
        keypoints_from_heatmaps(planted(BOXES[:1], points, height=h), BOXES[:1])[0, 0, 3]
        for h in (0.0, 4.0, 12.0, 200.0)
    ]
    assert scores == sorted(scores)
    assert scores[0] <= 9 / 56**2 * 1.01
    assert scores[-1] > 0.999


def test_nobody_gives_nobody_and_people_do_not_know_each_other():
    maps = planted(BOXES, random_points(BOXES))
    together = keypoints_from_heatmaps(maps, BOXES)
    for order in ([0], [1], [2, 0, 1]):
        np.testing.assert_array_equal(
            keypoints_from_heatmaps(maps[order], BOXES[order]), together[order]
        )
    assert keypoints_from_heatmaps(maps[:0], BOXES[:0]).shape == (0, 5, 4)
    assert masks_in_picture(maps[:0, 0], BOXES[:0], (30, 20)).shape == (0, 20, 30)


def test_a_mirrored_picture_has_mirrored_joints():
    width, points = 300, random_points(BOXES)
    mirrored = BOXES.copy()
    mirrored[:, [0, 2]] = width - BOXES[:, [2, 0]]
    found = keypoints_from_heatmaps(planted(BOXES, points), BOXES)
    maps = planted(mirrored, points * [-1, 1] + [width, 0])
    back = keypoints_from_heatmaps(maps, mirrored)
    cell = np.maximum(BOXES[:, 2] - BOXES[:, 0], 1) / np.ceil(BOXES[:, 2] - BOXES[:, 0]).clip(1)
    assert (np.abs(width - back[..., 0] - found[..., 0]) <= cell[:, None] + 1e-3).all()


def test_a_mask_covers_the_pixels_that_it_should():
    """The left half of a box of whole pixels, and one that hangs out of the picture."""
    logits = np.full((2, 28, 28), -20, np.float32)
    logits[:, :, :14] = 20
    boxes = np.array([[10, 5, 38, 33], [-28, -28, 28, 28]], np.float32)
    first, second = masks_in_picture(logits, boxes, (50, 40))
    wanted = np.zeros((40, 50), bool)
    wanted[5:33, 10:24] = True
    np.testing.assert_array_equal(first, wanted)
    assert not second.any()  # its left half is outside
    other = masks_in_picture(-logits[1:], boxes[1:], (50, 40))[0]
    wanted = np.zeros((40, 50), bool)
    wanted[:28, :28] = True
    np.testing.assert_array_equal(other, wanted)


def test_what_is_not_a_number_is_told():
    maps = planted(BOXES, random_points(BOXES))
    broken = maps.copy()
    broken[1, 2, 3, 4] = np.nan
    with pytest.raises(DataError, match="hold NaN or infinity"):
        keypoints_from_heatmaps(broken, BOXES)
    with pytest.raises(DataError, match="hold NaN or infinity"):
        keypoints_from_heatmaps(maps, BOXES + np.inf)
    with pytest.raises(DataError, match="3 maps for 2 boxes"):
        keypoints_from_heatmaps(maps, BOXES[:2])
    with pytest.raises(DataError, match="more than 16384 pixels"):
        keypoints_from_heatmaps(maps, BOXES * 1e4)
