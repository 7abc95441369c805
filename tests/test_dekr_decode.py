"""DEKR's decoding, by the published answer and by law."""

from __future__ import annotations

import numpy as np
import pytest

from everybody.errors import ModelError
from everybody.methods.dekr import DekrCodec, decode, proposals, suppressed
from everybody.skeletons import COCO17
from tests import golden

CODEC = DekrCodec(cells=(96, 64))


def test_the_published_answer():
    given = golden.fill().inputs("dekr_decode")
    heatmaps = given["heat"].astype(np.float32) / 32767
    offsets = given["offset"].astype(np.float32) / 64
    found = proposals(heatmaps, offsets)
    centre = np.broadcast_to(found.scores[:, None, None], (*found.heat.shape, 1))
    keypoints, scores = decode(heatmaps, offsets)
    golden.check(
        "dekr_decode",
        {
            "centres": found.cells,
            "centre_scores": found.scores,
            "proposals": np.concatenate([found.keypoints[..., :2], centre], 2),
            "poses": keypoints,
            "scores": scores,
        },
    )


# --- laws


def person(x, y, width=18.0, height=36.0, seed=0):
    """Keypoints [17, 3], in cells."""
    share = np.random.default_rng(seed).uniform(0, 1, (17, 2))
    return np.c_[np.array([x, y]) + share * (width, height), np.full(17, 2.0)]


def crossing():
    return np.stack([person(20.2, 10.1, seed=1), person(34.4, 14.7, seed=2)])


def maps_of(people):
    maps = CODEC.encode(people)
    return maps["heatmaps"], maps["offsets"]


def in_order(keypoints):
    return keypoints[np.argsort(keypoints[:, 0, 0])]


def test_nobody_is_found_in_empty_maps():
    maps = CODEC.encode(np.zeros((0, 17, 3)))
    assert not maps["heatmaps"].any()
    assert not maps["offsets_weight"].any()
    keypoints, scores = decode(maps["heatmaps"], maps["offsets"])
    assert keypoints.shape == (0, 17, 3)
    assert scores.shape == (0,)


def test_a_planted_person_is_found_within_half_a_cell():
    for seed in range(5):
        wanted = person(30.3, 12.6, seed=seed)
        (found,), (score,) = decode(*maps_of(wanted[None]))
        assert np.abs(found[:, :2] - wanted[:, :2]).max() < 1e-4
        assert score > 0.8


def test_two_crossing_people_keep_their_joints():
    wanted = crossing()
    found, scores = decode(*maps_of(wanted))
    assert len(found) == 2
    assert np.abs(in_order(found)[..., :2] - in_order(wanted)[..., :2]).max() < 1e-4
    assert (scores > 0.8).all()


def test_the_order_of_people_changes_nothing():
    for one, other in zip(maps_of(crossing()), maps_of(crossing()[::-1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_mirrored_maps_hold_mirrored_people():
    heatmaps, offsets = maps_of(crossing())
    mirror = list(COCO17.mirror)
    pairs = [2 * k + axis for k in mirror for axis in (0, 1)]
    flip = np.array([-1, 1] * 17)[:, None, None]
    found = decode(heatmaps, offsets)[0]
    back = decode(heatmaps[[*mirror, 17], :, ::-1], (offsets[pairs] * flip)[..., ::-1])[0]
    back = back[:, mirror]
    back[..., 0] = 95 - back[..., 0]
    np.testing.assert_allclose(in_order(back)[..., :2], in_order(found)[..., :2], atol=1e-4)


def test_of_two_proposals_of_one_person_the_one_with_more_heat_stays():
    heatmaps, offsets = maps_of(person(30, 12)[None])
    y, x = np.unravel_index(heatmaps[-1].argmax(), heatmaps[-1].shape)
    heatmaps[-1, y, x + 3] = 1.0
    heatmaps[-1, y, x + 1 : x + 3] = heatmaps[-1, y, x - 1] = 0.5
    offsets[:, y, x + 3] += 0.8  # a peak as high whose joints are a little off
    found = proposals(heatmaps, offsets)
    assert len(found.cells) == 2
    (stays,) = suppressed(found)
    assert found.cells[stays] == y * 96 + x


def test_labels_that_there_are_not_do_not_count():
    people = crossing()
    people[0, 3, 2] = 0
    people[1, :, 2] = 0
    maps = CODEC.encode(people)
    assert not maps["heatmaps"][3].any()
    taught = maps["offsets_weight"].any((1, 2))
    assert taught.tolist() == [True] * 6 + [False] * 2 + [True] * 26
    assert maps["heatmaps_weight"].max() == 1
    assert maps["heatmaps_weight"].min() == np.float32(0.1)


def test_the_count_of_people_is_bounded():
    heatmaps = np.zeros((18, 64, 96), np.float32)
    heatmaps[-1, ::4, ::4] = np.random.default_rng(0).uniform(0.5, 1, (16, 24))
    offsets = np.random.default_rng(1).normal(0, 20, (34, 64, 96))
    assert len(decode(heatmaps, offsets)[0]) == 30


def test_bad_maps_are_told():
    heatmaps, offsets = maps_of(crossing())
    broken = heatmaps.copy()
    broken[5, 6, 7] = np.nan
    with pytest.raises(ModelError, match="heatmaps of DEKR's answer hold NaN"):
        decode(broken, offsets)
    with pytest.raises(ModelError, match="offsets of DEKR's answer: expected 34 maps"):
        decode(heatmaps, offsets[:30])
    with pytest.raises(ModelError, match=r"offsets of DEKR's answer are \[64, 95\]"):
        decode(heatmaps, offsets[:, :, 1:])
