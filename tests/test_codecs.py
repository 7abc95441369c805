"""Laws of the codecs: what is encoded is decoded, and every alignment puts a pixel where the
network sees it.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.codecs import ALIGNMENTS, Heatmap, SimCC

SIZE = (96, 128)


def one(x: float, y: float, score: float = 1.0) -> np.ndarray:
    return np.array([[[x, y, score]]])


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize(("refine", "cells"), [("dark", 0.3), ("quarter", 0.3), ("none", 0.51)])
@given(x=st.floats(12, 80), y=st.floats(12, 112))
def test_a_heatmap_decodes_to_what_was_encoded(alignment, refine, cells, x, y):
    codec = Heatmap(SIZE, alignment=alignment, refine=refine)
    heatmaps, weights = codec.encode(one(x, y))
    found = codec.decode([heatmaps])[0, 0]
    assert weights[0, 0] == 1
    assert np.abs(found[:2] - (x, y)).max() <= cells * codec.scale.max()


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@given(x=st.floats(30, 60), y=st.floats(30, 90))
def test_dark_is_exact_for_gaussians_away_from_the_border(alignment, x, y):
    codec = Heatmap(SIZE, alignment=alignment, refine="dark")
    assert np.abs(codec.decode([codec.encode(one(x, y))[0]])[0, 0, :2] - (x, y)).max() < 0.1


@given(x=st.floats(0, 95), y=st.floats(0, 127), split=st.sampled_from([1.0, 2.0, 3.0]))
def test_simcc_decodes_to_within_half_a_bin(x, y, split):
    codec = SimCC(SIZE, split=split, alignment="centre")
    bins_x, bins_y, weights = codec.encode(one(x, y))
    assert weights[0, 0] == 1
    assert np.abs(codec.decode([bins_x, bins_y])[0, 0, :2] - (x, y)).max() <= 0.5 / split + 1e-6


def test_a_perfect_simcc_answer_scores_about_one_as_logits():
    codec = SimCC(SIZE, activation="softmax")
    x, y, _ = codec.encode(one(40, 60))
    logits = [np.log(np.maximum(axis, 1e-12)) for axis in (x, y)]
    assert codec.decode(logits)[0, 0, 2] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("codec", [*(Heatmap(SIZE, alignment=a) for a in ALIGNMENTS), SimCC(SIZE)])
def test_flipping_the_output_is_mirroring_the_crop_at_the_axis(codec):
    """A joint at x, seen in a crop mirrored at the axis, is at 2·axis - x; flip() must say x again."""
    x, y = 40.0, 60.0
    mirrored = codec.encode(
        np.concatenate([one(2 * codec.axis - x, y), one(2 * codec.axis - 70, y)], 1)
    )[:-1]
    back = codec.decode(codec.flip(mirrored, mirror=(1, 0)))[0]
    assert np.abs(back[:, :2] - [(70, y), (x, y)]).max() <= 0.51


@pytest.mark.parametrize("codec", [Heatmap(SIZE), SimCC(SIZE)])
def test_unlabelled_and_outside_joints_weigh_nothing(codec):
    joints = np.array([[[40, 60, 0], [-30, 60, 1], [40, 300, 1], [40, 60, 1]]], float)
    assert codec.encode(joints)[-1].tolist() == [[0, 0, 0, 1]]


@pytest.mark.parametrize("codec", [Heatmap(SIZE), SimCC(SIZE)])
def test_batched_is_one_by_one_and_nobody_is_nobody(codec):
    joints = np.random.default_rng(0).uniform(10, 80, (5, 7, 3)) * (1, 1, 0.01)
    encoded = codec.encode(joints)[:-1]
    together = codec.decode(encoded)
    apart = np.concatenate([codec.decode([part[i : i + 1] for part in encoded]) for i in range(5)])
    assert np.array_equal(together, apart)
    assert codec.decode([part[:0] for part in encoded]).shape == (0, 7, 3)


@pytest.mark.parametrize("refine", ["dark", "quarter", "none"])
def test_flat_and_negative_heatmaps_decode_to_finite_points_of_score_zero(refine):
    codec = Heatmap(SIZE, refine=refine)
    for value in (0.0, -1.0):
        found = codec.decode([np.full((1, 2, 32, 24), value, np.float32)])
        assert np.isfinite(found).all()
        assert (found[..., 2] == 0).all()


def test_scores_are_cut_to_probabilities():
    heatmaps = np.zeros((1, 1, 32, 24), np.float32)
    heatmaps[0, 0, 10, 10] = 7
    assert Heatmap(SIZE).decode([heatmaps])[0, 0, 2] == 1
