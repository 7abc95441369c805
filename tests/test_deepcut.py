"""DeeperCut's candidates, pairwise probabilities and people: the published values, and laws of
planted people.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from everybody.errors import ModelError, OptionError
from everybody.methods.deepcut import Decoding, DeepCutMaps, decode, stages
from everybody.methods.deepcut_pairs import (
    COCO_GRAPH,
    Candidates,
    Choice,
    Pair,
    Statistics,
    Terms,
    compare,
    find_candidates,
    fit_pair,
    load_terms,
    pair_channel,
    pair_features,
)
from everybody.methods.partition import of_probabilities
from everybody.methods.partition_exact import exact
from everybody.skeletons import COCO17
from synthetic import planted
from tests import golden

SIZE, STRIDE = (50, 44), 8
WIDTH = (
    SIZE[0] * STRIDE + 1
)  # the last cell is as far from the right edge as the first from the left
OPTIONS = Decoding()
PIXELS = Statistics(np.zeros((17, 17, 2)), np.ones((17, 17, 2)))  # offsets are in pixels


def maps(people):
    size = SIZE[0] * STRIDE, SIZE[1] * STRIDE
    return DeepCutMaps(COCO17, Terms(PIXELS, {})).encode(planted.seen(people), size)


def crossing():
    """One upright, one lying across, in pixels."""
    upright = planted.body(COCO17, (190.3, 170), 280)
    lying = planted.body(COCO17, (240, 150.7), 280, turn=75, spread=1.3)
    return np.stack([upright, lying])


@cache
def learned() -> dict[tuple[int, int], Pair]:
    """Regressions of noisy candidates of three people in each of a few pictures."""
    rng = np.random.default_rng(0)
    some, who = [], []
    for picture in range(12):
        for _ in range(3):
            people = planted.body(
                COCO17, tuple(rng.uniform(100, 300, 2)), rng.uniform(150, 300),
                turn=rng.uniform(-90, 90), spread=rng.uniform(0.7, 1.3),
            )  # fmt: skip
            cell = people + rng.uniform(-8, 8, people.shape)
            offsets = people - cell[:, None] + rng.normal(0, 4, (17, 17, 2))
            some.append((np.arange(17), people, cell, np.ones(17), offsets))
            who.append(np.full((17, 2), (picture, len(some))))
    columns = Candidates(*(np.concatenate(column) for column in zip(*some, strict=True)))
    picture, person = np.concatenate(who).T

    pairs = {}
    for first, second in COCO_GRAPH:
        a, b = (np.flatnonzero(columns.part == part) for part in (first, second))
        a, b = np.repeat(a, len(b)), np.tile(b, len(a))
        same = picture[a] == picture[b]
        a, b = a[same], b[same]
        pairs[first, second] = fit_pair(pair_features(columns, a, b), person[a] == person[b])
    return pairs


def found(people, options=OPTIONS):
    return decode(maps(people), COCO17, Terms(PIXELS, learned()), options)


def test_published_probabilities_of_pairs():
    reader = golden.fill()
    given, wanted = reader.inputs("deepercut_pairwise"), reader.outputs("deepercut_pairwise")
    joints = 5
    counts = [len(given[f"coord.{k}"]) for k in range(joints)]
    part = np.repeat(np.arange(joints), counts)
    place, cell = (
        np.concatenate([given[f"{what}.{k}"] for k in range(joints)]) for what in ("coord", "grid")
    )
    offsets = np.zeros((len(part), joints, 2))
    for a in range(joints):
        for b in set(range(joints)) - {a}:
            offsets[part == a, b] = given[f"pairwise.{a}"][:, pair_channel(a, b, joints)]

    pairs = {
        (a, b): Pair(*(given[f"{what}.{a}.{b}"] for what in ("X_min", "X_max", "w")))
        for a in range(joints)
        for b in range(a + 1, joints)
    }
    edges, likely = compare(Candidates(part, place, cell, np.ones(len(part)), offsets), pairs)
    start = np.cumsum(counts) - counts
    answers = {}
    for a, b in {tuple(map(int, key.split(".")[1:])) for key in wanted}:
        these = (part[edges[:, 0]] == a) & (part[edges[:, 1]] == b)
        answers[f"p.{a}.{b}"] = likely[these]
        answers[f"index.{a}.{b}"] = edges[these] - start[[a, b]]
    assert answers.keys() == wanted.keys()
    golden.check("deepercut_pairwise", answers)


def test_nothing_is_nobody():
    keypoints, scores, answer = found(np.zeros((0, 17, 2)))
    assert keypoints.shape == (0, 17, 3)
    assert scores.shape == (0,)
    assert answer.optimal


@pytest.mark.parametrize("centre", [(200.0, 176.0), (190.3, 170.9), (204.0, 180.0)])
def test_a_planted_body_is_found_within_half_a_cell(centre):
    people = planted.body(COCO17, centre, 280)[None]
    keypoints, scores, answer = found(people)
    assert planted.same_people(keypoints, people, 0.5 * STRIDE)
    assert scores[0] == pytest.approx(keypoints[0, :, 2].mean())
    assert answer.optimal


@pytest.mark.parametrize(
    "options",
    [Decoding(), Decoding(greedy=True), Decoding(exact=0)],
    ids=["exact", "greedy", "in stages"],
)
def test_two_crossing_bodies_keep_their_joints(options):
    keypoints, _, answer = found(crossing(), options)
    assert planted.same_people(keypoints, crossing(), 0.5 * STRIDE)
    assert answer.bound <= answer.cost


def test_a_mirrored_picture_has_mirrored_people():
    people, mirror = crossing(), list(COCO17.mirror)
    mirrored = people[:, mirror] * (-1, 1) + (WIDTH - 1, 0)
    keypoints, scores, _ = found(people)
    again, scores_again, _ = found(mirrored)
    back = again[:, mirror] * (-1, 1, 1) + (WIDTH - 1, 0, 0)
    assert planted.same_people(back, keypoints[..., :2], 1e-3)
    assert sorted(scores) == pytest.approx(sorted(scores_again), abs=1e-6)


def test_the_order_of_candidates_within_a_part_does_not_matter():
    some = find_candidates(*maps(crossing()), PIXELS)
    order = np.lexsort((np.random.default_rng(0).random(len(some.part)), some.part))
    shuffled = Candidates(*(column[order] for column in some))
    assert not np.array_equal(order, np.arange(len(order)))

    one, other = (
        exact(of_probabilities(these.score, *compare(these, learned())))
        for these in (some, shuffled)
    )
    assert one.cost == pytest.approx(other.cost)
    together = one.people[:, None] == one.people
    assert np.array_equal(together[order][:, order], other.people[:, None] == other.people)


def test_candidates_are_apart_and_the_strongest_are_kept():
    scores, refinements, pairwise = maps(crossing())
    rng = np.random.default_rng(0)
    noisy = np.clip(scores + rng.uniform(0, 0.4, scores.shape), 0, 1)
    some = find_candidates(noisy, refinements, pairwise, PIXELS)
    assert (some.score >= 0.2).all()
    gaps = np.hypot(*(some.cell[:, None] - some.cell).T) / STRIDE
    alike = (some.part[:, None] == some.part) & ~np.eye(len(some.part), dtype=bool)
    assert gaps[alike].min() > 5

    few = find_candidates(noisy, refinements, pairwise, PIXELS, Choice(most=30))
    assert few.score.min() >= np.sort(some.score)[-30]
    assert len(few.score) == 30
    assert (np.diff(few.part) >= 0).all()


def test_a_regression_knows_who_belongs_together():
    some = find_candidates(*maps(crossing()), PIXELS)
    edges, likely = compare(some, learned())
    people = crossing()
    gaps = np.hypot(*(some.place[:, None] - people[:, some.part].transpose(1, 0, 2)).T)
    who = gaps.argmin(0)
    same = who[edges[:, 0]] == who[edges[:, 1]]
    across = some.part[edges[:, 0]] != some.part[edges[:, 1]]
    assert likely[same & across].min() > 0.5
    assert likely[~same & across].max() < 0.5


def test_the_fit_is_where_the_likelihood_is_highest():
    rng = np.random.default_rng(2)
    features = rng.normal(0, 1, (300, 8))
    together = features[:, 0] + rng.normal(0, 1, 300) > 0
    fitted = fit_pair(features, together)

    def loss(pair):
        p = pair(features)
        misses = -np.log(np.where(together, p, 1 - p)).mean()
        return misses + 1e-3 * pair.weights @ pair.weights / 2

    for step in 1e-2 * np.concatenate([np.eye(9), -np.eye(9)]):
        assert loss(replace(fitted, weights=fitted.weights + step)) > loss(fitted)


def test_stages_go_from_head_to_feet():
    part = np.array([16, 0, 9, 5, 11, 8])
    head, arms, legs = stages(part, COCO17)
    assert [head.tolist(), arms.tolist(), legs.tolist()] == [[1, 3], [2, 5], [0, 4]]
    assert [group.tolist() for group in stages(np.array([16, 11]), COCO17)] == [[0, 1]]


def test_what_cannot_be_decoded_is_an_error():
    scores, refinements, pairwise = maps(crossing())
    with pytest.raises(ModelError, match="refinements: expected 34 maps"):
        find_candidates(scores, refinements[:-1], pairwise, PIXELS)
    with pytest.raises(ModelError, match="same answer"):
        find_candidates(scores, refinements, pairwise[:, :9], PIXELS)
    with pytest.raises(ModelError, match="NaN"):
        find_candidates(scores * np.nan, refinements, pairwise, PIXELS)
    with pytest.raises(OptionError, match="a < b"):
        compare(find_candidates(scores, refinements, pairwise, PIXELS), {(3, 1): learned()[0, 1]})
    with pytest.raises(OptionError, match="of one person and of two"):
        fit_pair(np.zeros((3, 8)), np.ones(3, bool))


def test_terms_come_back_from_their_file(tmp_path):
    terms, path = Terms(PIXELS, learned()), tmp_path / "terms.npz"
    terms.save(path)
    again = load_terms(path, 17)
    assert again.pairs.keys() == terms.pairs.keys()
    assert np.array_equal(again.statistics.deviation, PIXELS.deviation)
    for name, pair in again.pairs.items():
        assert np.array_equal(pair.weights, learned()[name].weights)
    with pytest.raises(ModelError, match=r"terms\.npz.*'mean' is \[17, 17, 2\]"):
        load_terms(path, 16)
    with pytest.raises(ModelError, match=r"none\.npz"):
        load_terms(tmp_path / "none.npz", 17)
