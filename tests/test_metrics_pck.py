"""PCK and its family, counted by hand.

    x →  0    10   20   30   40
       ls────────────────rs         left shoulder (0,0), right shoulder (40,0)
       │                  │
       lh────────────────rh         left hip (0,30), right hip (40,30)

Left shoulder to right hip is the diagonal: 50. So PCK@0.2 allows 10 pixels.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everybody.metrics import mpjpe, pck
from everybody.skeletons import COCO17, LSP14, Skeleton

TORSO = Skeleton(
    name="torso",
    joints=("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    limbs=(),
    mirror=(1, 0, 3, 2),
    sigmas=(0.1,) * 4,
)
TRUTH = np.array([[[0, 0], [40, 0], [0, 30], [40, 30]]], float)
ALL = np.ones((1, 4), bool)


def moved(*steps: tuple[float, float]) -> np.ndarray:
    return TRUTH + np.array([steps], float)


def test_torso_is_left_shoulder_to_right_hip() -> None:
    assert pck.torso_length(TRUTH, ALL, TORSO).tolist() == [50]
    assert np.isnan(pck.torso_length(TRUTH, np.array([[False, True, True, True]]), TORSO)).all()
    assert np.isnan(
        pck.torso_length(
            TRUTH,
            ALL,
            Skeleton(name="", joints=("a",) * 4, limbs=(), mirror=(0,) * 4, sigmas=(1,) * 4),
        )
    ).all()


def test_pck_counts_joints_within_the_limit_and_the_limit_itself() -> None:
    found = moved((0, 0), (10, 0), (6, 8), (10.1, 0))  # 0, 10, 10 and 10.1 pixels off
    rates = pck.pck(pck.distances(found, TRUTH), ALL, 50.0, 0.2)
    assert rates.right.tolist() == [1, 1, 1, 0]
    assert rates.over_all == rates.over_joints == 0.75


def test_over_all_and_over_joints_differ_where_joints_are_labelled_unequally() -> None:
    distance = np.array([[0.0, 9], [0, 0], [0, 9]])
    counted = np.array([[True, True], [True, False], [True, True]])
    rates = pck.pck(distance, counted, 1.0, 0.5)
    assert rates.over_all == 3 / 5
    assert rates.over_joints == (1 + 0) / 2


def test_missing_people_are_misses_and_unlabelled_joints_do_not_count() -> None:
    found = np.concatenate([TRUTH, np.full_like(TRUTH, np.nan)])
    distance = pck.distances(found, np.concatenate([TRUTH, TRUTH]))
    assert pck.pck(distance, np.ones((2, 4), bool), 50.0, 0.2).over_all == 0.5
    half = np.array([[True] * 4, [True, False, False, False]])
    assert pck.pck(distance, half, 50.0, 0.2).over_all == 0.8


def test_people_without_a_reference_are_left_out() -> None:
    distance = np.zeros((3, 2))
    rates = pck.pck(distance, np.ones((3, 2), bool), np.array([1.0, np.nan, 0.0]), 0.5)
    assert rates.counted.tolist() == [1, 1]
    assert np.isnan(pck.pck(distance, np.zeros((3, 2), bool), 1.0, 0.5).over_all)


def test_box_is_the_longer_side_and_head_is_neck_to_top() -> None:
    assert pck.box_length(np.array([[0, 0, 30, 40.0]])).tolist() == [40]
    pose = np.zeros((1, 14, 2))
    pose[0, LSP14.joints.index("head_top")] = (3, 4)
    assert pck.head_length(pose, np.ones((1, 14), bool), LSP14).tolist() == [5]
    assert np.isnan(pck.head_length(np.zeros((1, 17, 2)), np.ones((1, 17), bool), COCO17)).all()


def test_auc_of_a_step() -> None:
    """All joints off by half the limit: the curve is 0 up to there and 1 after it."""
    distance = np.full((1, 4), 0.25)
    assert pck.auc(distance, ALL, 1.0, 0.5) == pytest.approx(
        0.51
    )  # the step at a threshold takes half a cell more
    assert pck.auc(np.zeros((1, 4)), ALL, 1.0, 0.5) == 1
    assert pck.auc(np.full((1, 4), np.inf), ALL, 1.0, 0.5) == 0


def test_nme_leaves_out_people_who_were_not_found() -> None:
    distance = np.array([[5.0, 15], [np.inf, np.inf]])
    ratios, counted = pck.errors(distance, np.ones((2, 2), bool), np.array([10.0, 10]))
    assert ratios.tolist() == [[0.5, 1.5], [0, 0]]
    assert counted.tolist() == [[True, True], [False, False]]


def test_pcp_strict_and_loose() -> None:
    """A limb of 10: ends may be 5 off. One end is exact, the other 8 off: loose 4 ≤ 5 passes,
    strict does not.

    o──────────o      true
    o──────────╌╌╌╌╌╌╌╌o   found
    """
    ends = np.array([[[[0.0, 0], [10, 0]]]])
    found = ends + np.array([[0, 0], [8.0, 0]])
    known = np.ones((1, 1), bool)
    assert pck.pcp(found, ends, known, strict=True).over_all == 0
    assert pck.pcp(found, ends, known, strict=False).over_all == 1
    assert pck.pcp(ends + 3.0, ends, known, strict=True).over_all == 1  # 4.24 at both ends
    assert np.isnan(pck.pcp(ends * 0, ends * 0, known).over_all)  # a limb without length


def test_the_ten_parts_of_lsp() -> None:
    names, ends, known = pck.limb_ends(np.ones((2, 14, 2)), np.ones((2, 14), bool), LSP14)
    assert len(names) == 10
    assert (ends.shape, known.all()) == ((2, 10, 2, 2), True)
    assert (
        len(pck.limb_ends(np.ones((1, 17, 2)), np.ones((1, 17), bool), COCO17)[0]) == 9
    )  # no head


poses = st.integers(0, 2**32).map(
    lambda seed: np.random.default_rng(seed).normal(0, 50, (2, 6, 14, 2))
)


@settings(max_examples=30, deadline=None)
@given(poses, st.floats(0.1, 10), st.randoms(use_true_random=False))
def test_laws(pair: np.ndarray, scale: float, shuffle: object) -> None:
    """Permuting people, scaling picture and pose together, and mirroring both change nothing."""
    truth, found = pair[0], pair[0] + pair[1] * 0.3
    labelled = np.random.default_rng(3).random((6, 14)) < 0.9

    def value(truth: np.ndarray, found: np.ndarray, labelled: np.ndarray) -> list[float]:
        reference = pck.torso_length(truth, labelled, LSP14)
        distance = pck.distances(found, truth)
        _, ends, known = pck.limb_ends(truth, labelled, LSP14)
        _, others, _ = pck.limb_ends(found, labelled, LSP14)
        return [
            pck.pck(distance, labelled, reference, 0.2).over_all,
            pck.auc(distance, labelled, reference, 0.5),
            float(pck.errors(distance, labelled, reference)[0].sum()),
            pck.pcp(others, ends, known).over_all,
        ]

    expected = value(truth, found, labelled)
    order = np.random.default_rng(5).permutation(6)
    assert value(truth[order], found[order], labelled[order]) == pytest.approx(
        expected, nan_ok=True
    )
    assert value(truth * scale, found * scale, labelled) == pytest.approx(
        expected, abs=1e-9, nan_ok=True
    )
    assert value(truth * (-1, 1), found * (-1, 1), labelled) == pytest.approx(expected, nan_ok=True)


def rotation(random: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.1, 10))
def test_procrustes_undoes_any_similarity(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.normal(0, 100, (3, 17, 3))
    found = scale * truth @ rotation(random).T + random.normal(0, 50, (3, 1, 3))
    np.testing.assert_allclose(mpjpe.aligned(found, truth), truth, atol=1e-6)
    assert mpjpe.pa_mpjpe(found, truth).over_all == pytest.approx(0, abs=1e-6)


def test_procrustes_does_not_mirror_and_never_makes_it_worse() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(0, 100, (5, 17, 3))
    assert mpjpe.pa_mpjpe(truth * (-1, 1, 1), truth).over_all > 10
    found = truth + random.normal(0, 20, truth.shape)

    def square(a: np.ndarray) -> float:
        return float(((a - truth) ** 2).sum())

    assert square(mpjpe.aligned(found, truth)) <= square(found)


def test_mpjpe_and_pck3d_counted_by_hand() -> None:
    """Root exact, one joint 3-4-0 (5 mm) off, one 160 mm off; then all shifted, which the root
    takes away.

         y                  true: all three at the root
       4 ┤  × 5 mm          MPJPE (0 + 5 + 160) / 3
         │                  PCK3D at 150 mm: 2 of 3
    root ┼──┴─ x            AUC over 0, 5 … 150: 31, 30 and 0 of 31 limits
        ╱  3
       × 160 mm in z
    """
    truth = np.zeros((1, 3, 3))
    found = np.array([[[0, 0, 0], [3, 4, 0], [0, 0, 160.0]]])
    for shift in (0.0, 77.0):
        assert mpjpe.mpjpe(found + shift, truth).over_all == pytest.approx(165 / 3)
        assert mpjpe.pck3d(found + shift, truth).over_all == pytest.approx(2 / 3)
    assert mpjpe.mpjpe(found + 77, truth, root=None).over_all > 100
    counted = np.array([[True, True, False]])
    assert mpjpe.mpjpe(found, truth, counted).over_all == 2.5
    assert mpjpe.auc3d(found, truth) == pytest.approx(
        (31 + 30 + 0) / 31 / 3
    )  # 5 mm misses only the limit 0
