"""Tracking measures: counted by hand, and equal to TrackEval's on random scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from everybody.metrics.tracking import (
    Scene,
    acceleration,
    clear,
    figures,
    hota,
    identity,
    jitter,
    per_joint,
    precision,
    scene,
)
from everybody.people import People
from everybody.skeletons import COCO17
from synthetic.walkers import Scenery, walkers


def scenes(*frames: tuple[list[int], list[int]]) -> list[Scene]:
    """(true ids, found ids): the first of the one is exactly the first of the other, and so on; -1
    is nobody.
    """
    out = []
    for true, found in frames:
        pairs = list(zip(true, found, strict=True))
        here, there = [t for t, _ in pairs if t >= 0], [f for _, f in pairs if f >= 0]
        similarity = np.array([[float((t, f) in pairs) for f in there] for t in here]).reshape(
            len(here), len(there)
        )
        out.append(Scene(np.array(here, int), np.array(there, int), similarity))
    return out


def random_film(seed: int, frames: int = 60) -> list[Scene]:
    rng, out = np.random.default_rng(seed), []
    names = rng.permutation(8)
    for _ in range(frames):
        if rng.random() < 0.1:
            i, j = rng.integers(0, 8, 2)
            names[[i, j]] = names[[j, i]]
        true, found = (
            rng.permutation(6)[: rng.integers(0, 7)],
            rng.permutation(8)[: rng.integers(0, 9)],
        )
        similarity = rng.uniform(0, 0.6, (len(true), len(found)))
        similarity += 0.4 * (names[true][:, None] == found)
        out.append(Scene(true, found, similarity))
    return out


def test_a_perfect_tracker_has_ones_and_nobody_has_zeros():
    perfect = scenes(([1, 2], [7, 8]), ([1, 2], [7, 8]), ([2], [8]))
    for name, value in (hota(perfect) | identity(perfect)).items():
        assert value == 1, name
    assert clear(perfect)["MOTA"] == clear(perfect)["MOTP"] == 1
    nobody = scenes(([1], [-1]), ([1], [-1]))
    assert hota(nobody)["HOTA"] == identity(nobody)["IDF1"] == clear(nobody)["MOTA"] == 0
    assert hota([])["HOTA"] == identity([])["IDF1"] == clear([])["MOTA"] == 0


def test_a_switch_a_miss_and_a_false_person_by_hand():
    film = scenes(([1], [7]), ([1], [7]), ([1, -1], [-1, 5]), ([1], [9]), ([-1], [9]))
    counted = clear(film)
    assert {k: counted[k] for k in ("hits", "misses", "false", "switches", "fragments")} == {
        "hits": 3,
        "misses": 1,
        "false": 2,
        "switches": 1,
        "fragments": 1,
    }
    assert counted["MOTA"] == pytest.approx((3 - 2 - 1) / 4)
    assert identity(film)["IDF1"] == pytest.approx(2 * 2 / (4 + 5))
    # by equation 15: of the true track 2 of 4 frames are 7's, which has no others; 1 is 9's, which
    # has one more
    ass = (2 * 2 / 4 + 1 * 1 / 5) / 3
    assert hota(film)["AssA"] == pytest.approx(ass)
    assert hota(film)["HOTA"] == pytest.approx(np.sqrt(ass * 3 / 6))


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_trackeval(seed):
    trackeval = pytest.importorskip("trackeval", reason="pip install --no-deps trackeval tabulate")
    film = random_film(seed)
    data = {
        "num_timesteps": len(film),
        "num_gt_ids": 6,
        "num_tracker_ids": 8,
        "num_gt_dets": sum(len(s.true) for s in film),
        "num_tracker_dets": sum(len(s.found) for s in film),
        "gt_ids": [s.true for s in film],
        "tracker_ids": [s.found for s in film],
        "similarity_scores": [s.similarity for s in film],
    }
    theirs = trackeval.metrics.HOTA().eval_sequence(data)
    for name, value in hota(film).items():
        assert value == pytest.approx(float(np.mean(theirs[name])), abs=1e-9), name
    theirs = trackeval.metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    ours = clear(film)
    names = {
        "hits": "CLR_TP",
        "misses": "CLR_FN",
        "false": "CLR_FP",
        "switches": "IDSW",
        "fragments": "Frag",
    }
    for name, other in (names | {"MOTA": "MOTA", "MOTP": "MOTP"}).items():
        assert ours[name] == pytest.approx(float(theirs[other]), abs=1e-9), name
    theirs = trackeval.metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    for name, value in identity(film).items():
        assert value == pytest.approx(float(theirs[name]), abs=1e-9), name


@pytest.mark.parametrize("seed", range(3))
def test_other_names_and_another_order_change_nothing(seed):
    film, rng = random_film(seed), np.random.default_rng(seed)
    other = []
    for one in film:
        rows, columns = rng.permutation(len(one.true)), rng.permutation(len(one.found))
        similarity = one.similarity[rows][:, columns]
        other.append(Scene(100 - one.true[rows], 7 * one.found[columns] + 3, similarity))
    for measure in (hota, clear, identity):
        assert measure(film) == pytest.approx(measure(other))


def test_figures_of_the_truth_itself_are_one_and_unlabelled_joints_do_not_count():
    film = [(moment.true, moment.true) for moment in walkers(Scenery(seconds=1))]
    assert figures(film)["HOTA"] == pytest.approx(1)
    assert {v for joint in per_joint(film).values() for v in joint.values()} == {1.0}
    true = film[0][0]
    blind = true.keypoints.copy()
    blind[:, 0] = (9999, 9999, 0)
    assert np.allclose(
        scene(People(blind, true.boxes, true.scores, COCO17, true.ids), true).similarity.max(1), 1
    )
    far = true.keypoints.copy()
    far[:, 0, :2] += 500
    wrong_nose = per_joint([(true, People(far, true.boxes, true.scores, COCO17, true.ids))])
    assert wrong_nose["nose"]["MOTA"] < 0 < wrong_nose["left_eye"]["MOTA"]


def test_people_without_ids_and_wrong_scenes_are_refused():
    people = walkers(Scenery(seconds=0.1))[0].found
    with pytest.raises(ValueError, match="need ids"):
        scene(people, people)
    with pytest.raises(ValueError, match=r"similarity must be \[1, 2\]"):
        Scene(np.array([1]), np.array([1, 2]), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="must differ"):
        Scene(np.array([1]), np.array([2, 2]), np.zeros((1, 2)))


def test_jitter_is_the_error_of_the_acceleration_at_uneven_times():
    times = np.array([0.0, 0.1, 0.3, 0.35, 0.6])
    parabola = np.stack([3 * times**2, -(times**2)], 1)[:, None]
    assert np.allclose(acceleration(parabola, times), (6, -2))
    assert jitter(parabola, parabola + 5 + 2 * times[:, None, None], times) == pytest.approx(0)
    assert jitter(parabola, 2 * parabola, times) == pytest.approx(np.hypot(6, 2))
    assert np.isnan(jitter(parabola[:2], parabola[:2], times[:2]))


def test_posetrack_precision_counted_by_hand():
    moment = walkers(Scenery(seconds=0.1, people=3, stay=True, noise=0))[0]
    true = moment.true
    assert set(precision([(true, true)]).values()) == {1.0}
    # one of three people is missed: recall ends at 2/3
    assert precision([(true, true[:2])])["nose"] == pytest.approx(2 / 3)
    # a false person who scores most: precisions 1/2, 2/3, 3/4, each made to be at least what
    # follows
    away = replace(true[[0]], keypoints=true.keypoints[[0]] + [5000, 0, 0])
    arrays = [
        np.concatenate([getattr(p, n) for p in (true, away)])
        for n in ("keypoints", "boxes", "scores")
    ]
    arrays[0][:3, :, 2] = 0.5
    found = People(*arrays, true.skeleton)
    assert precision([(true, found)])["mAP"] == pytest.approx(3 / 4)
    # a wrong nose is a wrong nose, and nothing else
    keypoints = true.keypoints.copy()
    keypoints[0, 0, 0] += 500
    wrong = precision([(true, replace(true, keypoints=keypoints))])
    assert wrong["nose"] < 1
    assert {value for name, value in wrong.items() if name not in ("nose", "mAP")} == {1.0}
    assert precision([]) == {"mAP": 0.0}
    assert precision([(true[:0], found), (true, true)])["mAP"] < 1


def test_posetrack_precision_measures_in_heads_where_they_are_known():
    true = walkers(Scenery(seconds=0.1, people=2, stay=True, noise=0))[0].true
    moved = replace(true, keypoints=true.keypoints + np.array([9, 0, 0]))
    for length, expected in ((19.0, 1.0), (17.0, 0.0)):
        assert precision([(true, moved)], [np.full(len(true), length)])["mAP"] == expected


def test_posetrack_precision_does_not_depend_on_the_order_of_people():
    rng = np.random.default_rng(0)
    film = walkers(Scenery(seconds=2, false=1))
    pairs = [(m.true, m.found) for m in film]
    mixed = [(t[rng.permutation(len(t))], f[rng.permutation(len(f))]) for t, f in pairs]
    assert precision(pairs) == pytest.approx(precision(mixed))
