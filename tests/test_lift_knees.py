"""Knees: CMU's legs are too long for what they span, people's are not."""

from __future__ import annotations

import numpy as np
import pytest

from everybody.lift.knees import LEGS, SHORTER, as_in_gait, thigh
from everybody.skeletons import H36M17
from tests import motion


def leg(bend: float, a: float = 0.42, b: float = 0.45) -> np.ndarray:
    """A pose [17, 3] whose knees bend by so many degrees, to y."""
    pose = motion.standing() * 1.7
    for hip, knee, ankle in LEGS:
        pose[knee] = pose[hip] + [0, 0, -a]
        turn = np.radians(bend)
        pose[ankle] = pose[knee] + b * np.array([0, -np.sin(turn), -np.cos(turn)])
    return pose


def bends(pose: np.ndarray) -> np.ndarray:
    out = []
    for hip, knee, ankle in LEGS:
        upper, lower = pose[knee] - pose[hip], pose[ankle] - pose[knee]
        cosine = upper @ lower / np.linalg.norm(upper) / np.linalg.norm(lower)
        out.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return np.array(out)


@pytest.mark.parametrize(
    ("cmu", "gait"), [(12, (3, 7)), (22, (8, 13)), (28, (15, 21)), (46, (37, 43)), (70, (62, 69))]
)
def test_cmus_walks_become_walks(cmu, gait):
    """The 5th, 25th, 50th, 75th and 95th of 100 bends of CMU's walks; gait has 4, 9, 18, 38, 63."""
    found = bends(as_in_gait(leg(cmu)))
    assert (found > gait[0]).all()
    assert (found < gait[1]).all()


def test_more_bend_stays_more_bend_and_bones_keep_their_lengths():
    poses = np.stack([leg(bend) for bend in range(0, 170, 5)])
    found = as_in_gait(poses)
    told = np.array([bends(pose) for pose in found])
    assert (np.diff(told, axis=0) > 0).all()
    assert (told <= np.arange(0, 170, 5)[:, None] + 1e-6).all()
    for hip, knee, ankle in LEGS:
        for one, other in ((hip, knee), (knee, ankle)):
            before, after = (
                np.linalg.norm(x[:, one] - x[:, other], axis=-1) for x in (poses, found)
            )
            assert after == pytest.approx(SHORTER * before)


def test_only_knees_and_ankles_move_and_turns_and_mirrors_commute():
    pose = leg(35) + np.random.default_rng(0).normal(0, 0.01, (17, 3))
    found = as_in_gait(pose)
    moved = [k for _, *ends in LEGS for k in ends]
    rest = [k for k in range(17) if k not in moved]
    assert np.array_equal(found[rest], pose[rest])
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    assert np.allclose(as_in_gait(pose @ turn), found @ turn, atol=1e-6)
    flip = np.array([-1, 1, 1])
    mirrored = pose[list(H36M17.mirror)] * flip
    assert np.allclose(as_in_gait(mirrored), found[list(H36M17.mirror)] * flip, atol=1e-6)


def test_a_thigh_closes_the_triangle():
    random = np.random.default_rng(2)
    along = random.normal(size=(9, 3))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    far, a, b = (np.full((9, 1), x) for x in (0.7, 0.42, 0.45))
    way = thigh(along, far, random.normal(size=(9, 3)), a, b)
    assert np.linalg.norm(way, axis=1) == pytest.approx(0.42)
    assert np.linalg.norm(far * along - way, axis=1) == pytest.approx(0.45)


def test_a_leg_without_length_stays_finite():
    assert np.isfinite(as_in_gait(np.zeros((2, 17, 3)))).all()
