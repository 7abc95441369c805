"""Measures by name, matching, and the bootstrap."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everybody.data.dataset import COLUMNS, Dataset, Picture
from everybody.data.read import read, read_results
from everybody.errors import OptionError
from everybody.metrics import bootstrap, oks
from everybody.metrics.judge import defaults, judge, parse
from everybody.metrics.matching import match
from everybody.skeletons import COCO17, LSP14, MPII16, WHOLEBODY133, Skeleton

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def in_the_mirror(data: Dataset) -> Dataset:
    """Of a picture of width 500: x → 499 - x."""
    boxes = data.boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (499, 0, 499, 0)
    return replace(data, keypoints=data.keypoints * (-1, 1, 1) + (499, 0, 0), boxes=boxes)


def world(seed: int, pictures: int = 6, skeleton: Skeleton = COCO17) -> tuple[Dataset, Dataset]:
    """Random people, and found ones that are near some of them."""
    random = np.random.default_rng(seed)
    count, joints = pictures * 3, len(skeleton)
    points = random.uniform(0, 60, (count, joints, 2)) + random.uniform(0, 400, (count, 1, 2))
    flags = np.where(random.random((count, joints)) < 0.9, 2.0, 0.0)
    truth = Dataset(
        skeleton=skeleton,
        pictures=tuple(Picture(f"{i}.jpg", i + 1, 500, 500) for i in range(pictures)),
        picture=random.integers(0, pictures, count),
        keypoints=np.concatenate([points, flags[..., None]], 2),
        name="truth",
    )
    rows = np.flatnonzero(random.random(count) < 0.8)
    noise = random.normal(0, 4, (len(rows), joints, 2))
    found = np.concatenate([points[rows] + noise, np.ones((len(rows), joints, 1))], 2)
    results = Dataset(
        skeleton=skeleton,
        pictures=truth.pictures,
        picture=truth.picture[rows],
        keypoints=found,
        scores=random.random(len(rows)).round(1),
        name="results",
    )
    return truth, results


def value(truth: Dataset, results: Dataset, name: str, **options: str) -> float:
    return judge(truth, results, [name], **options)[0].value  # type: ignore[arg-type]


def test_mpii_predictions_of_the_literature() -> None:
    path = SHARED / "formats" / "mpii" / "detections_our_format.mat"
    if not path.exists():
        pytest.skip(f"needs {path}")
    truth = read(path)
    figures = {
        figure.name: figure
        for figure in judge(truth, read_results(path, truth), ["PCKh"], by="order")
    }
    assert round(figures["PCKh@0.5"].value, 4) == 0.8234
    assert round(figures["PCKh@0.5 mean of joints"].value, 4) == 0.8146
    from everybody.metrics.pck import distances, pck

    found = read_results(path, truth)
    everything = pck(distances(found.keypoints, truth.keypoints), truth.labelled, truth.heads, 0.5)
    assert round(everything.over_all, 4) == 0.7152


def test_heads_counted_by_hand() -> None:
    """A head box of 30 × 40 makes a length of .6 × 50 = 30, and a limit at .5 of 15 pixels.

         ┌──────┐         ankle  ·15→ ×      right, on the limit
      40 │ 50 ╱ │         knee   ·15.1→ ×    wrong
         │  ╱   │         pelvis ·100→ ×     does not count in PCKh
         └──────┘         all other joints exact
            30
    14 joints count: PCKh 13/14. NME has all 16: (15 + 15.1 + 100) / 30 / 16.
    AUC: of the curve's 50 steps up to .5, the ankle is right at the last point alone, which is
    worth half a step.
    """
    truth = Dataset(
        skeleton=MPII16,
        pictures=(Picture("a.jpg", 1, 500, 500),),
        picture=np.zeros(1, int),
        name="truth",
        keypoints=np.concatenate(
            [np.arange(32.0).reshape(1, 16, 2) * 7, np.full((1, 16, 1), 2.0)], 2
        ),
        heads=np.array([0.6 * 50]),
    )
    keypoints = truth.keypoints.copy()
    for joint, off in (("right_ankle", 15.0), ("right_knee", 15.1), ("pelvis", 100.0)):
        keypoints[0, MPII16.joints.index(joint), 0] += off
    results = replace(truth, keypoints=keypoints, name="results")
    assert value(truth, results, "PCKh@0.5") == pytest.approx(13 / 14)
    assert value(truth, results, "NME") == pytest.approx((15 + 15.1 + 100) / 30 / 16)
    assert value(truth, results, "AUC@0.5") == pytest.approx((12 + 0.5 / 50) / 14)


def test_names_are_read_in_any_case_and_unknown_ones_are_said() -> None:
    assert parse(["pckh@0.5", "AP", "pcp", "PCK@.1"]) == [
        ("PCKh", 0.5),
        ("AP", 0.0),
        ("PCP", 0.5),
        ("PCK", 0.1),
    ]
    for wrong in ("mAP", "PCK@x", "AP@0.5", "PCK@-1"):
        with pytest.raises(OptionError, match="unknown measure"):
            parse([wrong])


def test_defaults_follow_the_data() -> None:
    truth, _ = world(0)
    assert defaults(truth) == ["AP"]
    assert defaults(replace(truth, format="LSP")) == ["PCK@0.2", "PCP@0.5"]


def test_a_measure_that_the_data_do_not_allow_says_what_is_missing() -> None:
    truth, results = world(0)
    with pytest.raises(OptionError, match="PCKh divides by neck to head top"):
        judge(truth, results, ["PCKh"])


def test_perfect_results_are_perfect_by_every_measure() -> None:
    truth, _ = world(1, skeleton=LSP14)
    results = replace(truth, name="results", ignored=np.zeros(len(truth.picture), bool))
    names = ["AP", "OKS", "PCK", "PCKh", "PCKb", "PDJ", "PCP", "PCPl", "AUC"]
    for figure in judge(truth, results, names):
        assert figure.value == pytest.approx(1) or math.isnan(figure.value), figure.name
    assert value(truth, results, "NME") == 0


def test_nothing_found_is_zero_by_every_measure() -> None:
    truth, results = world(1, skeleton=LSP14)
    nothing = results.select(np.zeros(0, int))
    for figure in judge(
        truth, nothing, ["AP", "OKS", "PCK", "PCKh", "PCKb", "PDJ", "PCP", "PCPl", "AUC"]
    ):
        assert figure.value == 0 or math.isnan(figure.value), figure.name
    assert math.isnan(value(truth, nothing, "NME"))


def test_keypoint_similarity_by_joint() -> None:
    """Of two people one is found, but for the nose, which is d = √2 κ s off: e⁻¹ of one, nothing of
    the other.
    """
    truth, _ = world(2)
    truth = truth.select(np.arange(2))
    truth = replace(truth, picture=np.arange(2), keypoints=truth.keypoints * (1, 1, 0) + (0, 0, 2))
    found = truth.select(np.array([0]))
    found.keypoints[0, 0, 0] += math.sqrt(2 * truth.areas[0]) * 2 * COCO17.sigmas[0]
    over_all, over_joints = judge(truth, found, ["OKS"])
    assert over_all.parts["nose"] == pytest.approx(math.exp(-1) / 2)
    assert over_all.parts["left_knee"] == 0.5
    assert over_all.value == over_joints.value == pytest.approx((16 + math.exp(-1)) / 34)


def test_matching_by_oks_box_and_order() -> None:
    """Two true people a and b, found as b' and a' in this order: only the assignments by likeness
    undo the swap.
    """
    truth, _ = world(2)
    truth = truth.select(np.arange(2))
    truth = replace(truth, picture=np.zeros(2, np.int64))
    results = truth.select(np.array([1, 0]))
    assert match(truth, results, "oks").tolist() == [1, 0]
    assert match(truth, results, "box").tolist() == [1, 0]
    assert match(truth, results, "order").tolist() == [0, 1]
    assert match(truth, results.select(np.array([0])), "oks").tolist() == [-1, 0]
    with pytest.raises(OptionError, match="unknown matching"):
        match(truth, results, "age")  # type: ignore[arg-type]


def test_ignored_people_count_for_nothing() -> None:
    truth, results = world(3)
    ignored = truth.ignored.copy()
    ignored[:5] = True
    fewer = truth.select(~ignored)
    assert value(replace(truth, ignored=ignored), results, "PCKb") == value(fewer, results, "PCKb")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_laws_of_all_measures(seed: int) -> None:
    """Permuting people, scaling picture and pose together and turning the picture's left to its
    right change nothing; nor does counting each picture once.
    """
    truth, results = world(seed)
    names = ["AP", "OKS", "PCK", "PCKb", "PDJ", "PCP", "PCPl", "NME", "AUC"]
    figures = judge(truth, results, names)
    expected = {figure.name: figure.value for figure in figures}
    once = {figure.name: figure(np.ones(len(truth))) for figure in figures}
    assert once == pytest.approx(expected, abs=1e-9, nan_ok=True)

    random = np.random.default_rng(seed)
    shuffled = truth.select(random.permutation(len(truth.picture)))
    scaled = [
        replace(
            data, keypoints=data.keypoints * (3, 3, 1), boxes=data.boxes * 3, areas=data.areas * 9
        )
        for data in (truth, results)
    ]
    mirrored = [in_the_mirror(data) for data in (truth, results)]
    sizes = {"APM", "APL", "ARM", "ARL"}  # bound to pixels
    for a, b in ((shuffled, results), scaled, mirrored):
        again = {figure.name: figure.value for figure in judge(a, b, names)}
        for name in expected.keys() - (sizes if b is scaled[1] else set()):
            assert again[name] == pytest.approx(expected[name], abs=1e-9, nan_ok=True), name


def test_drawing_a_picture_twice_is_having_it_twice() -> None:
    truth, results = world(4)
    weights = np.array([2.0, 1, 0, 1, 1, 1])
    drawn = [0, 0, 1, 3, 4, 5]
    parts = [[data.subset([i]) for i in drawn] for data in (truth, results)]
    twice = [
        replace(
            group[0],
            pictures=tuple(Picture(f"{n}.jpg", n + 1) for n in range(len(drawn))),
            **{
                name: np.concatenate([getattr(part, name) for part in group])
                for name in COLUMNS
                if name not in ("ids", "picture")
            },
            ids=np.arange(1, 1 + sum(len(part.picture) for part in group)),
            picture=np.repeat(np.arange(len(drawn)), [len(part.picture) for part in group]),
        )
        for group in parts
    ]
    for figure in judge(truth, results, ["PCKb", "NME", "AUC"]):
        name = figure.name.split(" ")[0]
        if name == figure.name:
            assert figure(weights) == pytest.approx(value(twice[0], twice[1], name))


def test_intervals_cover_and_equal_methods_do_not_differ() -> None:
    truth, results = world(5, pictures=40)
    weights = bootstrap.draws(len(truth), 200, np.random.default_rng(0))
    assert weights.sum(1).tolist() == [40.0] * 200
    worse = replace(results, keypoints=results.keypoints + np.array([6, 0, 0]))
    first, second = (judge(truth, some, ["AP"])[0] for some in (worse, results))
    a, b = bootstrap.sample([first, second], weights)
    low, high = bootstrap.interval(b)
    assert low < second.value < high
    better = bootstrap.difference(a, b, second.value - first.value)
    assert better.low > 0
    assert better.p < 0.05
    same = bootstrap.difference(b, b, 0.0)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    assert all(math.isnan(x) for x in bootstrap.interval(np.array([np.nan])))


def test_crowdpose_is_judged_by_crowding_and_whole_bodies_by_part() -> None:
    truth, results = world(6)
    crowded = replace(truth, pictures=tuple(replace(p, crowding=p.id / 7) for p in truth.pictures))
    names = [figure.name for figure in judge(crowded, replace(results, pictures=crowded.pictures))]
    assert names[10:] == ["AP easy", "AP medium", "AP hard"]
    figures = judge(*world(7, skeleton=WHOLEBODY133))
    assert [f.name for f in figures[10:]] == [
        "AP body",
        "AP feet",
        "AP face",
        "AP left hand",
        "AP right hand",
    ]
    for figure in figures:
        assert figure(np.ones(6)) == pytest.approx(figure.value, nan_ok=True)


def test_precision_recall_curve_ends_at_the_highest_recall() -> None:
    truth, results = world(8)
    evaluator = oks.evaluation(truth, results)
    recall, precision, scores = oks.Matches(evaluator, truth).curve()
    assert recall[-1] == pytest.approx(oks.summary(evaluator.eval or {})["AR50"])
    assert (np.diff(scores) <= 0).all()
    assert ((precision >= 0) & (precision <= 1)).all()
