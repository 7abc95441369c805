"""OpenPose's decoding: the published answers, and laws of planted people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from everybody.codecs import grouping
from everybody.codecs.grouping import (
    BODY18,
    BODY25,
    Layout,
    affordable,
    assemble,
    find_limbs,
    group,
)
from everybody.codecs.part_fields import PartFields, gaussians
from everybody.codecs.peaks import Peaks, between_cells, find_peaks
from everybody.errors import ModelError
from everybody.skeletons import OPENPOSE18, OPENPOSE25
from synthetic import planted
from tests import golden

SIZE = (120, 110)
LAYOUTS = pytest.mark.parametrize(
    ("layout", "skeleton"), [(BODY18, OPENPOSE18), (BODY25, OPENPOSE25)], ids=["18", "25"]
)


def maps(people, layout=BODY18):
    """Drawn on a grid of the size of the picture, without the background."""
    codec = PartFields(layout, stride=1, sigma=2.0, width=2.0)
    heatmaps, fields = codec.encode(planted.seen(people), SIZE)
    return heatmaps[:-1], fields


@pytest.mark.parametrize("name", ["openpose_grouping_few", "openpose_grouping_crowd"])
def test_published_peaks_and_people(name):
    given = golden.fill().inputs(name)
    heatmaps = given["heat"].transpose(2, 0, 1)[:18] / np.float32(32767)
    fields = given["paf"].transpose(2, 0, 1) / np.float32(32767)

    peaks = find_peaks(heatmaps, leftmost=True)
    listed = np.column_stack([peaks.x, peaks.y, peaks.score, np.arange(len(peaks.x))])
    bodies = assemble(peaks, find_limbs(peaks, fields, BODY18), BODY18)
    poses = np.column_stack([bodies.peaks, bodies.score, bodies.parts])

    counts = np.bincount(peaks.part, minlength=18)
    golden.check(name, {"peaks": listed, "peaks_per_part": counts, "poses": poses})
    assert np.array_equal(bodies.peaks, golden.fill().outputs(name)["poses"][:, :18])


def test_nothing_is_nobody():
    keypoints, scores = group(*maps(np.zeros((0, 18, 2))), BODY18)
    assert keypoints.shape == (0, 18, 3)
    assert scores.shape == (0,)


@LAYOUTS
@pytest.mark.parametrize("centre", [(60.0, 54.0), (60.5, 53.5), (57.3, 52.8)])
def test_a_planted_body_is_found_within_half_a_cell(layout, skeleton, centre):
    people = planted.body(skeleton, centre, 90)[None]
    keypoints, scores = group(*maps(people, layout), layout)
    assert planted.same_people(keypoints, people, 0.5)
    assert 0.9 < scores[0] <= 1


def crossing():
    """One upright, one lying across; no joint is closer to the other's than peaks may be."""
    upright = planted.body(OPENPOSE18, (58, 55), 90)
    lying = planted.body(OPENPOSE18, (60, 50), 95, turn=75, spread=1.3)
    return np.stack([upright, lying])


def test_two_crossing_bodies_keep_their_joints():
    keypoints, _ = group(*maps(crossing()), BODY18)
    assert planted.same_people(keypoints, crossing(), 0.5)


def test_a_mirrored_picture_has_mirrored_people():
    people = crossing()
    mirrored = people[:, list(OPENPOSE18.mirror)] * (-1, 1) + (SIZE[0] - 1, 0)
    keypoints, scores = group(*maps(people), BODY18)
    again, scores_again = group(*maps(mirrored), BODY18)
    back = again[:, list(OPENPOSE18.mirror)] * (-1, 1, 1) + (SIZE[0] - 1, 0, 0)
    assert planted.same_people(back, keypoints[..., :2], 1e-4)
    assert sorted(scores) == pytest.approx(sorted(scores_again), abs=1e-6)


def test_the_order_of_peaks_within_a_part_does_not_matter():
    heatmaps, fields = maps(crossing())
    peaks = find_peaks(heatmaps)
    order = np.lexsort((np.random.default_rng(0).random(len(peaks.x)), peaks.part))
    shuffled = Peaks(*(column[order] for column in peaks))
    assert not np.array_equal(order, np.arange(len(order)))

    ours = assemble(peaks, find_limbs(peaks, fields, BODY18), BODY18)
    theirs = assemble(shuffled, find_limbs(shuffled, fields, BODY18), BODY18)
    assert {tuple(row) for row in ours.peaks} == {tuple(order[row]) for row in theirs.peaks}


def test_pairs_in_several_goes_are_the_same(monkeypatch):
    heatmaps, fields = maps(crossing())
    peaks = find_peaks(heatmaps)
    whole = find_limbs(peaks, fields, BODY18)
    monkeypatch.setattr(grouping, "CHUNK", 3)
    *places, score = find_limbs(peaks, fields, BODY18)
    assert all(np.array_equal(*pair) for pair in zip(places, whole[:3], strict=True))
    assert score == pytest.approx(whole.score, rel=1e-5)


def test_matching_in_rounds_is_matching_one_by_one():
    rng = np.random.default_rng(1)
    limb, a, b = rng.integers(0, 3, 400), rng.integers(0, 12, 400), rng.integers(12, 24, 400)
    score = rng.integers(1, 40, 400) / 40  # with ties, where the earlier pair wins
    wanted, used = [], set()
    for place in sorted(range(400), key=lambda place: -score[place]):
        ends = {(limb[place], a[place]), (limb[place], b[place])}
        if not ends & used:
            used |= ends
            wanted.append(place)

    found = grouping._matched(grouping.Limbs(limb, a, b, score), 24)
    wanted.sort(key=lambda place: limb[place])
    assert list(zip(found.limb, found.a, found.b, found.score, strict=True)) == [
        (limb[p], a[p], b[p], score[p]) for p in wanted
    ]


def test_of_close_peaks_the_strongest_is_kept_and_of_many_the_strongest():
    heatmaps = np.zeros((2, 20, 40), np.float32)
    heatmaps[0, 10, [5, 9, 20, 30]] = 0.5, 0.9, 0.7, 0.05
    heatmaps[1, 3, 7] = 0.4
    peaks = find_peaks(heatmaps)
    assert list(zip(peaks.part, peaks.x, strict=True)) == [(0, 9), (0, 20), (1, 7)]
    assert list(find_peaks(heatmaps, leftmost=True).x) == [5, 20, 7]
    assert list(find_peaks(heatmaps, most=1).x) == [9, 7]


def test_a_plateau_of_two_is_one_peak_between_them():
    spot = np.array([[[20.5, 11.0]]])
    heatmaps = gaussians(spot, np.ones((1, 1), bool), (40, 30), 2.0)
    peaks = find_peaks(heatmaps)
    assert len(peaks.x) == 1
    assert between_cells(heatmaps, peaks)[0] == pytest.approx([20.5, 11.0], abs=1e-3)


def test_500_peaks_of_one_part_are_grouped():
    """A field that favours every pair: the worst case of matching."""
    layout = Layout(2, ((0, 1),), (0,), tree=1)
    heatmaps = np.zeros((2, 200, 200), np.float32)
    y, x = np.divmod(np.arange(500), 25)
    heatmaps[0, 8 * y + 2, 7 * x + 2] = 0.5
    heatmaps[1, 8 * y + 2, 7 * x + 6] = 0.5
    fields = np.stack([np.ones((200, 200)), np.zeros((200, 200))]).astype(np.float32)
    peaks = find_peaks(heatmaps, radius=4)
    assert len(peaks.x) == 1000
    bodies = assemble(peaks, find_limbs(peaks, fields, layout), layout, least_parts=2)
    assert len(bodies.peaks) == 500
    assert len(np.unique(bodies.peaks)) == 1000


def everywhere(of_each: list[int]) -> Peaks:
    """So many peaks of each part, of scores that are all different."""
    rng, part = np.random.default_rng(0), np.repeat(np.arange(len(of_each)), of_each)
    x, y = rng.integers(0, 100, (2, len(part)))
    return Peaks(part, x, y, rng.permutation(len(part)) / len(part))


def test_500_peaks_of_every_part_are_bounded_by_their_pairs():
    """Of each part the strongest count, as many as can be afforded and not fewer."""
    peaks, limbs = everywhere([500] * 18), np.array(BODY18.limbs)
    counts = np.bincount(affordable(peaks, BODY18).part, minlength=18)
    assert len(limbs) * counts[0] ** 2 <= grouping.PAIRS < len(limbs) * (counts[0] + 1) ** 2

    some = affordable(everywhere([500, 3, 500] + [20] * 15), BODY18, pairs=9000)
    counts = np.bincount(some.part, minlength=18)
    assert counts[0] == counts[2] > 20
    assert counts[1] == 3
    assert (counts[limbs[:, 0]] * counts[limbs[:, 1]]).sum() <= 9000
    assert some.score[some.part == 0].min() > 0.5


def test_peaks_that_make_few_pairs_all_count():
    """500 necks among 20 of each other joint are no more than a large crowd."""
    for of_each in ([0] * 18, [7] * 18, [20] + [500] + [20] * 16):
        peaks = everywhere(of_each)
        kept = affordable(peaks, BODY18)
        assert all(np.array_equal(*pair) for pair in zip(kept, peaks, strict=True))


def test_maps_that_cannot_be_decoded_are_errors():
    heatmaps, fields = maps(crossing())
    for broken in (np.nan, np.inf):
        bad = heatmaps.copy()
        bad[3, 4, 5] = broken
        with pytest.raises(ModelError, match="NaN"):
            group(bad, fields, BODY18)
        with pytest.raises(ModelError, match="NaN"):
            group(heatmaps, np.where(fields == 0, broken, fields), BODY18)
    with pytest.raises(ModelError, match="expected 25 maps"):
        group(heatmaps, fields, BODY25)
    with pytest.raises(ModelError, match="same answer"):
        group(heatmaps[:, :50], fields, BODY18)


def test_the_background_map_changes_nothing():
    heatmaps, fields = maps(crossing())
    background = np.concatenate([heatmaps, 1 - heatmaps.max(0, keepdims=True)])
    wanted, found = (group(some, fields, BODY18) for some in (heatmaps, background))
    assert np.array_equal(found[0], wanted[0])
    assert np.array_equal(found[1], wanted[1])


def test_a_layout_reaches_every_joint_once():
    for layout in (BODY18, BODY25):
        channels = sorted([*layout.channels, *(c + 1 for c in layout.channels)])
        assert channels == list(range(2 * len(layout.limbs)))
        assert {end for _, end in layout.limbs[: layout.tree]} == set(range(layout.joints)) - {1}
    with pytest.raises(ValueError, match="second time"):
        replace(BODY18, tree=19)
