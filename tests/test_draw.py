"""Drawings show what people are, where they are, and touch nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everybody.draw import draw
from everybody.people import People
from everybody.skeletons import COCO17, SKELETONS, Skeleton

POINT = Skeleton(name="point", joints=("nose",), limbs=(), mirror=(0,), sigmas=(0.1,))


def grey(width=160, height=120):
    return np.full((height, width, 3), 128, np.uint8)


def point(x, y, score=1.0):
    return People(
        np.array([[[x, y, score]]]), np.array([[x - 20, y - 20, x + 20, y + 20]]), np.ones(1), POINT
    )


def someone(skeleton, seed=0, count=1, ids=None):
    rng = np.random.default_rng(seed)
    keypoints = np.concatenate(
        [rng.uniform(10, 110, (count, len(skeleton), 2)), np.ones((count, len(skeleton), 1))], 2
    )
    return People(
        keypoints, np.tile([10.0, 10, 110, 110], (count, 1)), np.ones(count), skeleton, ids
    )


@settings(max_examples=30, deadline=None)
@given(st.floats(40, 100), st.floats(40, 80))
def test_a_joint_is_drawn_where_it_is(x, y):
    image = draw(grey(), point(x, y), thickness=8).astype(float)
    weight = np.abs(image - 128).sum(2)
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    assert (weight * columns).sum() / weight.sum() == pytest.approx(x, abs=0.1)
    assert (weight * rows).sum() / weight.sum() == pytest.approx(y, abs=0.1)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("colour", ["side", "person"])
def test_every_skeleton_is_drawn_on_a_copy(skeleton, colour):
    image = grey()
    out = draw(image, someone(skeleton, ids=np.array([3])), colour=colour, boxes=True, scores=True)
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    assert (image == 128).all()
    assert (out != 128).any()


def test_nobody_changes_nothing():
    assert (draw(grey(), People.empty(COCO17), boxes=True, scores=True) == 128).all()
    assert (draw(grey(), People.from_boxes(np.zeros((0, 4)))) == 128).all()


def test_low_joints_are_left_out_and_fade_in():
    strength = [
        np.abs(draw(grey(), point(60, 60, s)).astype(float) - 128).sum()
        for s in (0.29, 0.3, 0.4, 0.5, 1.0)
    ]
    assert strength[0] == 0
    assert 0 < strength[1] < strength[2] < strength[3] == strength[4]


def test_left_right_and_people_have_their_own_colours():
    people = someone(COCO17, count=2)
    by_id = [draw(grey(), people[[n]], colour="person") for n in (0, 1)]
    assert (by_id[0] == draw(grey(), people[[0]], colour="person")).all()
    tracked = People(
        people.keypoints[:1], people.boxes[:1], people.scores[:1], COCO17, np.array([5])
    )
    other = People(people.keypoints[:1], people.boxes[:1], people.scores[:1], COCO17, np.array([6]))
    assert (
        draw(grey(), tracked, colour="person", ids=False)
        != draw(grey(), other, colour="person", ids=False)
    ).any()
    mirrored = People(
        people.keypoints[:1, list(COCO17.mirror)], people.boxes[:1], people.scores[:1], COCO17
    )
    assert (draw(grey(), people[[0]]) != draw(grey(), mirrored)).any()


def test_people_without_joints_are_boxes():
    out = draw(grey(), People.from_boxes(np.array([[20.0, 20, 100, 90]])))
    assert (out[20, 30:90] != 128).any(-1).all()
    assert (out[40:70, 40:80] == 128).all()


def test_large_pictures_get_thick_lines_and_small_people_thin_ones():
    def inked(size, scale):
        people = someone(COCO17)
        people = People(
            people.keypoints * [scale, scale, 1], people.boxes * scale, people.scores, COCO17
        )
        return (draw(grey(*size), people) != 128).any(-1).sum()

    assert inked((3840, 2160), 18) > 100 * inked((160, 120), 1)  # 324 times the area
    assert inked((3840, 2160), 1) < inked((3840, 2160), 4)


@pytest.mark.parametrize("place", [(-15, -15), (150, -15), (-15, 110), (150, 110), (60, 50)])
def test_labels_stay_inside(place):
    x, y = place
    one = People(
        np.zeros((1, 1, 3)),
        np.array([[x, y, x + 20.0, y + 20]]),
        np.ones(1),
        POINT,
        np.array([1234567]),
    )
    inside = draw(grey(), one, scores=True)
    centre = draw(
        grey(),
        People(one.keypoints, np.array([[60.0, 50, 80, 70]]), one.scores, POINT, one.ids),
        scores=True,
    )
    # no less of it is seen than in the middle (rounding may add a column)
    assert (inside != 128).any(-1).sum() >= (centre != 128).any(-1).sum()


def test_what_is_not_finite_or_far_away_is_no_trouble():
    people = someone(COCO17)
    keypoints = people.keypoints.copy()
    keypoints[0, 5] = np.nan
    keypoints[0, 6, 0] = np.inf
    keypoints[0, 7, :2] = 1e9
    keypoints[0, 8, :2] = -1e9
    keypoints[0, 9, :2] = -300
    keypoints[0, :, 2] = np.where(np.arange(17) % 2, 0.4, 0.9)
    boxes = np.array([[-1e9, -50, 1e9, 1e9]])
    assert draw(grey(), People(keypoints, boxes, people.scores, COCO17), boxes=True).shape == (
        120,
        160,
        3,
    )


def test_a_flipped_view_is_drawn_like_its_copy():
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    people = someone(COCO17)
    assert (draw(image[:, ::-1, ::-1], people) == draw(image[:, ::-1, ::-1].copy(), people)).all()


def test_lines_on_a_panorama_are_as_wide_as_its_people_need():
    someone_small = someone(COCO17)
    usual = draw(grey(320, 180), someone_small)
    panorama = draw(grey(3200, 180), someone_small)
    assert (panorama[:, :320] == usual).all()
    assert (panorama[:, 320:] == 128).all()
    upright = draw(grey(180, 3200), someone_small)
    assert (upright[:140, :140] == usual[:140, :140]).all()
