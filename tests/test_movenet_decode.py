"""MoveNet's decoding, by the published answer and by law; our network by its design."""

from __future__ import annotations

import numpy as np
import pytest

from everybody.codecs.centre_maps import (
    CentreCodec,
    CentreMaps,
    MoveNetMaps,
    decode_people,
    decode_single,
)
from everybody.errors import ModelError
from everybody.skeletons import COCO17
from tests import golden

CODEC = CentreCodec(cells=(64, 48))


def test_the_published_answer():
    given, size = golden.fill().inputs("movenet_decode"), 48

    def channels(values):
        """[h, w, 2 K] of y, x -> [2 K, h, w] of x, y"""
        pairs = values.reshape(size, size, 17, 2)[..., ::-1]
        return pairs.reshape(size, size, 34).transpose(2, 0, 1)

    def probability(values):
        return (1 / (1 + np.exp(-values.astype(np.float64)))).transpose(2, 0, 1)

    maps = CentreMaps(
        probability(given["center"]),
        probability(given["heatmap"]),
        channels(given["regress"]),
        channels(given["offset"]),
    )
    found = decode_single(maps)
    x, y, score = found.keypoints.T
    golden.check(
        "movenet_decode",
        {
            "centre_index": np.array([found.centre[1] * size + found.centre[0]]),
            "regressed": found.rough[:, ::-1],
            "indices": found.cells[:, 1] * size + found.cells[:, 0],
            "out": np.stack([y / size, x / size, score], 1)[None, None],
        },
    )


# --- laws


def person(x, y, width=14.0, height=24.0, seed=0):
    """Keypoints [17, 3] and a box [4] around them, in cells."""
    share = np.random.default_rng(seed).uniform(0, 1, (17, 2))
    share[0], share[1] = 0, 1
    points = np.array([x, y]) + share * (width, height)
    return np.c_[points, np.full(17, 2.0)], np.array([x, y, x + width, y + height])


def planted(*people):
    keypoints, boxes = (np.array(part) for part in zip(*people, strict=True))
    maps = CODEC.encode(keypoints, boxes)
    return keypoints, CentreMaps(maps["centre"], maps["heatmaps"], maps["vectors"], maps["offsets"])


def test_nobody_is_found_in_empty_maps():
    maps = CODEC.encode(np.zeros((0, 17, 3)), np.zeros((0, 4)))
    assert not any(part.any() for part in maps.values())
    keypoints, scores = decode_people(CentreMaps(*(maps[name] for name in CentreMaps._fields)))
    assert keypoints.shape == (0, 17, 3)
    assert scores.shape == (0,)


def test_a_planted_person_is_found_within_half_a_cell():
    for seed in range(5):
        wanted, maps = planted(person(20.3, 10.6, seed=seed))
        (found,), scores = decode_people(maps)
        assert np.abs(found[:, :2] - wanted[0, :, :2]).max() < 1e-4
        assert scores.tolist() == [1.0]
        assert (found[:, 2] == 1).all()
        np.testing.assert_allclose(decode_single(maps).keypoints, found, atol=1e-6)


def crossing():
    """Two people whose boxes overlap by half, their centres 8 cells apart."""
    return person(20.2, 10.1, seed=1), person(28.4, 12.7, seed=2)


def test_two_crossing_people_keep_their_joints():
    wanted, maps = planted(*crossing())
    found, scores = decode_people(maps)
    assert len(found) == 2
    order = np.argsort(found[:, 0, 0])
    assert np.abs(found[order, :, :2] - wanted[:, :, :2]).max() < 1.5  # a shared cell is one's
    assert np.median(np.abs(found[order, :, :2] - wanted[:, :, :2])) < 1e-4
    assert (scores > 0.99).all()


def test_the_order_of_people_changes_nothing():
    a, b = crossing()
    _, one = planted(a, b)
    _, other = planted(b, a)
    for x, y in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, y)


def test_mirrored_maps_hold_mirrored_people():
    _, maps = planted(*crossing())
    mirror, flip = list(COCO17.mirror), np.array([-1, 1] * 17)[:, None, None]
    pairs = [2 * k + axis for k in mirror for axis in (0, 1)]
    mirrored = CentreMaps(
        maps.centre[..., ::-1],
        maps.heatmaps[mirror][..., ::-1],
        (maps.vectors[pairs] * flip)[..., ::-1],
        (maps.offsets[pairs] * flip)[..., ::-1],
    )
    found, back = (np.array(sorted(decode_people(m)[0].tolist())) for m in (maps, mirrored))
    back = back[:, mirror]
    back[..., 0] = 63 - back[..., 0]
    back = back[np.argsort(back[:, 0, 0])]
    np.testing.assert_allclose(back, found[np.argsort(found[:, 0, 0])], atol=1e-5)


def test_unknown_joints_and_people_outside_are_not_taught():
    keypoints, box = person(20, 10)
    keypoints[3, 2] = 0
    keypoints[4, :2] = (70, 20)  # beyond the right edge: its vector is known, its cell is not
    maps = CODEC.encode(keypoints[None], box[None])
    assert maps["vectors_known"].sum((1, 2)).tolist() == [1] * 3 + [0] + [1] * 13
    assert maps["offsets_known"].sum((1, 2)).tolist() == [1] * 3 + [0, 0] + [1] * 12
    outside = CODEC.encode(keypoints[None] + [100, 0, 0], box[None] + [100, 0, 100, 0])
    assert not outside["centre"].any()


def test_the_count_of_people_is_bounded():
    maps = np.zeros((1, 48, 64))
    maps[:, ::4, ::4] = np.random.default_rng(0).uniform(0.5, 1, (12, 16))
    nothing = np.zeros((34, 48, 64))
    keypoints, scores = decode_people(CentreMaps(maps, nothing[:17], nothing, nothing), most=10)
    assert len(keypoints) == 10
    assert scores.tolist() == sorted(maps[0].ravel())[:-11:-1]


def test_bad_maps_are_told():
    _, maps = planted(person(20, 10))
    broken = maps.heatmaps.copy()
    broken[5, 6, 7] = np.nan
    with pytest.raises(ModelError, match="heatmaps of MoveNet's answer hold NaN"):
        decode_people(maps._replace(heatmaps=broken))
    with pytest.raises(ModelError, match="vectors of MoveNet's answer: expected 34 maps"):
        decode_single(maps._replace(vectors=maps.vectors[:32]))
    with pytest.raises(ModelError, match=r"offsets of MoveNet's answer are \[48, 63\]"):
        decode_single(maps._replace(offsets=maps.offsets[:, :, 1:]))
    with pytest.raises(ModelError, match="maps of 64 x 48 cells for an input of 512 x 384"):
        MoveNetMaps(stride=4).decode([some[None] for some in maps], (512, 384))
