"""Simple Baselines' tracking: joints go where the picture goes, the most alike are linked first,
and who is missed is looked for where the flow leads.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from everybody.errors import OptionError
from everybody.follow import Follow
from everybody.people import Frame, People
from everybody.track.propagation import Propagation, around, flowed, greedy

from .test_follow import Scripted, film, walking
from .test_track import standing


def pair() -> People:
    """Two people side by side in the picture of `film`."""
    return standing((80, 40), (220, 40), tall=150)


def textured(seed: int = 0, size: int = 240) -> np.ndarray:
    """A grey picture with something to follow everywhere."""
    coarse = np.random.default_rng(seed).integers(0, 255, (size // 6, size // 6), np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def test_joints_go_with_the_picture_and_lost_ones_with_their_own_body():
    before, step = textured(), np.array([5, -3])
    after = np.roll(before, (step[1], step[0]), (0, 1))
    poses = np.random.default_rng(1).uniform(60, 180, (3, 17, 3)).astype(np.float32)
    moved = flowed(before, after, poses)
    assert np.abs(moved[..., :2] - poses[..., :2] - step).max() < 0.3
    assert np.array_equal(moved[..., 2], poses[..., 2])
    poses[0, 0, :2] = -50  # outside the picture
    moved = flowed(before, after, poses)
    assert np.abs(moved[0, 0, :2] - poses[0, 0, :2] - step).max() < 0.3
    poses[1, :, :2] = 1000  # a whole body outside
    assert np.allclose(flowed(before, after, poses)[1], poses[1])
    assert flowed(before, after, poses[:0]).shape == (0, 17, 3)


def test_the_most_alike_are_linked_first():
    likeness = np.array([[0.9, 0.8, 0.0], [0.85, 0.2, 0.1]])
    assert greedy(likeness, 0.1) == [(0, 0), (1, 1)]
    assert greedy(likeness, 0.3) == [(0, 0)]
    assert greedy(np.zeros((0, 3)), 0.1) == []
    assert greedy(np.zeros((2, 0)), 0.1) == []


def test_a_box_is_around_the_joints_with_a_margin():
    pose = np.zeros((1, 3, 3))
    pose[0, :, :2] = [[10, 20], [110, 20], [50, 60]]
    assert np.allclose(around(pose), [[-5, 14, 125, 66]])
    assert around(np.zeros((0, 17, 3))).shape == (0, 4)


def frames(people: list[People]) -> list[Frame]:
    return [replace(frame, people=p) for frame, p in zip(film(len(people)), people, strict=True)]


def ids(tracker: Propagation, people: list[People]) -> list[list[int]]:
    return [frame.people.ids.tolist() for frame in tracker(frames(people))]


def test_ids_stay_whatever_the_order_and_however_short_somebody_is_hidden():
    two = pair()
    assert ids(Propagation(), [two, two[[1, 0]], two]) == [[1, 2], [2, 1], [1, 2]]
    gap = [two, *[two[[0]]] * 4, two]
    assert ids(Propagation(queue=5), gap)[-1] == [1, 2]
    assert ids(Propagation(queue=4), gap)[-1] == [1, 3]
    assert ids(Propagation(first=7), [two[:0], two]) == [[], [7, 8]]


def test_another_film_begins_anew():
    tracker, two = Propagation(), pair()
    first = frames([two, two])
    other = [replace(frame, source="b.mp4") for frame in first]
    found = [frame.people.ids.tolist() for frame in tracker([*first, *other])]
    assert found == [[1, 2], [1, 2], [3, 4], [3, 4]]


def test_who_is_missed_is_looked_for_where_the_flow_leads():
    class Blinking(Scripted):
        def find(self, some):
            found = super().find(some)
            return [
                replace(frame, people=frame.people[:0]) if frame.index == 2 else frame
                for frame in found
            ]

    estimator = Blinking(lambda index: pair())
    told = list(Follow(propagate=True)(estimator, film(4)))
    assert [frame.people.ids.tolist() for frame in told] == [[1, 2]] * 4
    assert [frame.index for frame in told] == [0, 1, 2, 3]


@pytest.mark.parametrize("people", [walking, lambda index: pair()[:0]])
def test_every_frame_comes_out_once(people):
    told = list(Follow(propagate=True)(Scripted(people), film(5)))
    assert [frame.index for frame in told] == list(range(5))
    assert all(len(frame.people) == len(people(frame.index)) for frame in told)


@pytest.mark.parametrize("wrong", [{"flow": True}, {"detect_every": 3}, {"appearance": "x.onnx"}])
def test_what_does_not_go_together_is_told(wrong):
    with pytest.raises(OptionError, match="propagate looks at every frame"):
        Follow(propagate=True, **wrong)
