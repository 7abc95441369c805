"""What the tables of methods and failures are made with: where lines cross, who stands in a crowd,
where true joints lie; and the pages say what was measured.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import candidates, common, cutouts, failures, methods
from everybody.data.dataset import Dataset, Picture
from everybody.people import People
from everybody.skeletons import COCO17
from synthetic.walkers import STANDING, Moment, Scenery, walkers

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("rising", "other", "wanted"),
    [
        ((10, 20, 30), (25, 25, 25), 3.0),  # between 2 and 4 people, halfway
        ((30, 40, 50), (25, 25, 25), 0.0),
        ((10, 12, 14), (25, 25, 25), np.inf),
        ((30, 20, 30), (25, 25, 25), 3.0),  # once for good: an early crossing does not count
        ((25, 26, 27), (25, 25, 25), 1.0),
    ],
)
def test_lines_cross_where_they_do(rising, other, wanted):
    assert methods.crossing((1, 2, 4), rising, other) == pytest.approx(wanted)


def test_times_are_added_by_the_number_of_people_and_begin_anew_with_other_methods():
    one = methods.with_count({}, 1, {"a": 5.0}, {"a": 1})
    two = methods.with_count(one, 2, {"a": 7.0}, {"a": 2})
    assert two == {"counts": [1, 2], "milliseconds": {"a": [5.0, 7.0]}, "found": {"a": [1, 2]}}
    other = methods.with_count(two, 4, {"a": 9.0, "b": 1.0}, {"a": 4, "b": 0})
    assert other["counts"] == [4]
    assert other["milliseconds"] == {"a": [9.0], "b": [1.0]}


def crowd(*boxes: list[float]) -> Dataset:
    return Dataset(
        skeleton=COCO17,
        pictures=(Picture("a.png", 1), Picture("b.png", 2)),
        picture=np.array([0] * (len(boxes) - 1) + [1]),
        keypoints=np.ones((len(boxes), 17, 3)),
        boxes=np.array(boxes, float),
    )


def test_only_neighbours_on_the_same_picture_make_a_crowd():
    some = crowd([0, 0, 10, 10], [5, 0, 15, 10], [40, 0, 50, 10], [0, 0, 10, 10])
    assert methods.crowded(some).tolist() == [True, True, False, False]
    assert not methods.crowded(some, least=0.4).any()


def test_a_page_gets_its_tables_and_nothing_else_changes():
    page = "before\n<!-- a -->\nold\n<!-- end -->\nbetween\n<!-- b -->\n<!-- end -->\nafter\n"
    once = common.filled(page, {"a": "| new |", "b": "| two |"})
    assert once.startswith("before\n<!-- a -->\n\n| new |\n\n<!-- end -->\nbetween\n")
    assert common.filled(once, {"a": "| new |", "b": "| two |"}) == once
    with pytest.raises(SystemExit, match="no place <!-- c -->"):
        common.filled(page, {"c": ""})


def test_the_pages_say_what_was_measured():
    known = json.loads((ROOT / "docs/methods.json").read_text("utf-8"))
    page = (ROOT / "docs/methods.md").read_text("utf-8")
    assert common.filled(page, methods.tables(known)) == page
    failed = (ROOT / "docs/failures.md").read_text("utf-8")
    assert failures.written(failed) == failed
    deepcut = (ROOT / "docs/lineage/deepcut.md").read_text("utf-8")
    assert candidates.table() in deepcut


def test_parameters_are_counted_in_every_kind_of_file(tmp_path, shared):
    onnx = ROOT / "everybody/weights/everybody-detector.onnx"
    assert methods.parameters(onnx) == 985_934
    tflite = shared / "weights/posenet-mbv1-075.tflite"
    pytest.importorskip("ai_edge_litert")
    assert methods.parameters(tflite) == pytest.approx(1.26e6, rel=0.01)


def cutout(shift: float) -> cutouts.Cutout:
    """Somebody who stands as walkers do, 100 pixels high, arms lowered by `shift`."""
    joints = np.concatenate([STANDING * 100 + (30, 100), np.ones((17, 1))], 1)
    joints[7:11, 1] += shift
    return cutouts.Cutout(
        np.zeros((100, 60, 3), np.uint8), np.ones((100, 60)), (30.0, 100.0), 100.0, joints
    )


def moment(*places: tuple[float, float]) -> Moment:
    """People 100 pixels high who stand with their feet at places (x, y), none of them found."""
    points = STANDING * 100 + np.reshape(places, (-1, 1, 2))
    people = People(
        np.concatenate([points, np.ones((len(places), 17, 1))], 2),
        np.concatenate([points.min(1), points.max(1)], 1),
        np.ones(len(places)),
        COCO17,
        np.arange(len(places)) + 1,
    )
    return Moment(0.0, people, people[:0], np.zeros(0), np.zeros(2))


def shot(*places: tuple[float, float], shift: float = 0.0) -> cutouts.Shot:
    return next(cutouts.shots([moment(*places)], [cutout(shift)], (400, 300)))


def test_true_joints_of_a_film_are_those_of_the_cut_outs():
    (first, *_) = walkers(Scenery(people=3, seconds=0.1, stay=True, occlusion=0))
    same, lowered = (next(cutouts.shots([first], [cutout(shift)])).true for shift in (0, 10))
    straight = [0, 1, 2, 3, 4, 5, 6, 11, 12]  # what does not swing
    gap = same.keypoints[:, straight] - first.true.keypoints[:, straight]
    assert np.abs(gap[..., :2]).max() < 1e-3
    moved = lowered.keypoints[:, 7, 1] - same.keypoints[:, 7, 1]
    tall = (first.true.keypoints[:, 15, 1] - first.true.keypoints[:, 0, 1]) / cutouts.TALL
    assert np.allclose(moved, 0.1 * tall, atol=1e-3)
    assert lowered.ids is first.true.ids


def test_joints_behind_somebody_nearer_or_outside_the_picture_are_not_seen():
    """A cut-out is 60 pixels wide, with its feet in the middle."""
    apart = shot((100, 200), (200, 200))
    assert (apart.true.keypoints[..., 2] == 1).all()
    assert np.allclose(apart.seen, 1)
    assert np.allclose(apart.true.boxes, [[70, 100, 129, 199], [170, 100, 229, 199]])

    half = shot((100, 200), (130, 210))  # the second is nearer, and hides all from x = 100, y = 110
    x, y, seen = half.true.keypoints[0].T
    assert (seen == ((x < 99.5) | (y < 109.5))).all()
    assert (half.true.keypoints[1, :, 2] == 1).all()
    assert half.seen[0] == pytest.approx((30 * 100 + 30 * 10) / 6000, abs=0.02)
    assert half.seen[1] == 1

    left = shot((0, 200))
    assert (left.true.keypoints[0, :, 2] == (left.true.keypoints[0, :, 0] > -0.5)).all()
    assert left.seen[0] == pytest.approx(0.5, abs=0.01)
    assert len(shot().true) == 0


def test_who_is_hidden_counts_neither_as_missed_nor_as_false():
    some = shot((100, 200), (104, 205), (300, 200))
    assert (some.seen < cutouts.LEAST).tolist() == [True, False, False]
    everybody = replace(some.true, keypoints=np.array(some.true.keypoints))
    true, found = cutouts.judged(some, everybody)
    assert true.ids.tolist() == found.ids.tolist() == [2, 3]

    nobody, two = everybody[:0], everybody[[1, 2]]
    assert [len(part) for part in cutouts.judged(some, nobody)] == [2, 0]
    assert cutouts.judged(some, two)[1].ids.tolist() == [2, 3]
    away = replace(everybody, keypoints=everybody.keypoints + np.array([0, 60, 0]))
    assert len(cutouts.judged(some, away)[1]) == 3  # false ones are


def test_a_crowd_has_as_many_people_as_asked_all_equally_high():
    empty = cutouts.crowd([cutout(0)], 0)
    sizes = [(cutouts.crowd([cutout(0)], count) != empty).any(2).sum() for count in (1, 2, 40)]
    assert sizes[1] == 2 * sizes[0]
    assert sizes[2] == 40 * sizes[0]


def test_candidates_know_whose_joint_they_are():
    points = np.concatenate([STANDING * 200 + (100, 220), np.ones((17, 1))], 1)[None]
    box, sure = np.array([[50.0, 0, 150, 230]], np.float32), np.ones(1, np.float32)
    truth = People(points.astype(np.float32), box, sure, COCO17)
    expected = np.repeat(points[:, :, :2], 3, 0)
    told = candidates.Told(
        np.array([9, 0, 0]),
        np.array([points[0, 9, :2], points[0, 0, :2] + 90, points[0, 0, :2]]),
        np.array([0.5, 0.3, 0.9]),
        expected,
    )
    some = candidates.candidates(told, 3)
    assert some.part.tolist() == [0, 0, 9]
    assert some.score.tolist() == [0.9, 0.3, 0.5]
    assert candidates.owners(some, truth).tolist() == [0, -1, 0]
    assert np.allclose(some.place + some.offsets[:, 16], points[0, 16, :2])
    assert candidates.candidates(told, 2).part.tolist() == [0, 9]
    nobody = replace(truth, keypoints=points[:0], boxes=truth.boxes[:0], scores=truth.scores[:0])
    assert candidates.owners(some, nobody).tolist() == [-1, -1, -1]


def test_turned_pictures_keep_joints_on_their_pixels():
    image = np.zeros((40, 60, 3), np.uint8)
    image[10, 20] = 255
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, 0] = 20, 10, 1
    keypoints[0, 1] = 30, 30, 1
    truth = Dataset(
        skeleton=COCO17,
        pictures=(Picture("a.png", 1),),
        picture=np.zeros(1, int),
        keypoints=keypoints,
    )
    for angle in (0, 90, 180, 270):
        seen = failures.turned(failures.Shown(truth, (image,)), angle)
        y, x = np.unravel_index(int(seen.images[0][..., 0].argmax()), seen.images[0].shape[:2])
        assert np.abs(seen.truth.keypoints[0, 0, :2] - (x, y)).max() < 0.51
        assert not seen.truth.keypoints[0, 2:, 2].any()


def test_distances_from_usual_poses_do_not_see_place_and_size():
    rng = np.random.default_rng(0)
    poses = np.concatenate([rng.normal(size=(60, 17, 2)), np.ones((60, 17, 1))], 2)
    middles = failures.clusters(failures.shapes(poses), 60)
    moved = poses * (3, 3, 1) + (100, -5, 0)
    assert failures.distances(moved, middles).max() < 1e-6
    other = rng.normal(size=(5, 17, 3))
    other[..., 2] = 1
    assert failures.distances(other, middles).min() > 0.1


def test_cases_and_methods_cross_in_a_table():
    rows = {f"{case} | {name}": {"AP": [0.5, 0.25, 0.75]} for case, name in
            (("0°", "PoseNet"), ("30°", "PoseNet"), ("0°", "top-down, fast"))}  # fmt: skip
    lines = failures.crosstab(rows, [name.split(" | ") for name in rows])
    assert lines[0].startswith("|  | top-down, fast | PoseNet |")
    assert lines[1] == "| 0° | .500 [.250, .750] | .500 [.250, .750] |"
    assert lines[2] == "| 30° | – | .500 [.250, .750] |"
