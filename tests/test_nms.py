"""Laws of suppression: order does not matter, twice is once, distant people stay, duplicates go."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from everybody.nms import box_nms, oks_nms
from everybody.people import People
from everybody.skeletons import COCO17


def poses(centres: list[tuple[float, float]], scores: list[float]) -> People:
    shape = np.random.default_rng(0).uniform(-40, 40, (17, 2))
    points = np.array(centres, float)[:, None] + shape
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    keypoints = np.concatenate([points, np.full((*points.shape[:2], 1), 0.9)], 2)
    return People(keypoints, boxes, scores, COCO17, np.arange(len(scores)))


@given(st.permutations(range(6)))
def test_the_order_of_the_input_does_not_matter(order):
    people = poses([(0, 0), (2, 1), (200, 0), (201, 2), (400, 400), (90, 300)], [0.9, 0.8, 0.7, 0.95, 0.5, 0.4])
    for suppress in (lambda p: oks_nms(p, 0.7), lambda p: box_nms(p, 0.6)):
        kept = suppress(people[list(order)])
        assert kept.ids.tolist() == [3, 0, 4, 5]
        assert suppress(kept).ids.tolist() == kept.ids.tolist()


def test_distant_people_stay_whatever_their_scores():
    people = poses([(0, 0), (1000, 0), (0, 1000)], [1.0, 0.01, 0.0])
    assert len(oks_nms(people, 0.5)) == len(box_nms(people, 0.1)) == 3


def test_nobody_and_somebody_stay():
    people = poses([(0, 0)], [0.5])
    assert len(oks_nms(people)) == len(box_nms(people, 0.5)) == 1
    assert len(oks_nms(people[:0])) == len(box_nms(people[:0], 0.5)) == 0


def test_of_two_people_exactly_on_each_other_the_first_stays():
    people = poses([(0, 0), (0, 0)], [0.5, 0.5])
    assert oks_nms(people).ids.tolist() == box_nms(people, 0.9).ids.tolist() == [0]
