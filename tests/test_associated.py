"""Joints of people who overlap: each peak is one person's, and who is alone stays as found."""

from __future__ import annotations

import numpy as np
import pytest

from everybody.codecs import Heatmap
from everybody.errors import OptionError
from everybody.methods.associated import Associated, groups, nodes, shared_out
from everybody.methods.sppe import Sppe
from everybody.methods.topdown import open_sppe
from everybody.options import Options, PoseOptions
from everybody.people import Frame, People
from everybody.skeletons import COCO17, LSP14
from synthetic import nets

SIZE, JOINTS = (96, 128), 17
BOXES = np.array([(40, 40, 140, 200), (60, 50, 160, 210), (300, 40, 400, 200)], np.float32)
BRIGHT, FAINT = (80.0, 100.0), (124.0, 150.0)  # both within the first two boxes


def sppe(tmp_path, **more) -> Sppe:
    """All joints are where the crop is brightest."""
    path = nets.heatmap_finder(tmp_path / "finder.onnx", JOINTS, SIZE)
    return open_sppe(PoseOptions(
        model=path, skeleton="coco-17", codec="heatmap,alignment=corner,sigma=2.0",
        input_size=SIZE, normalise="none", padding=1.2, **more,
    ))  # fmt: skip


def frame(boxes=BOXES) -> Frame:
    spots = [nets.blob(440, 260, *place) for place in (BRIGHT, FAINT, (350.0, 120.0))]
    image = np.max([spots[0], spots[1] * 0.7, spots[2]], 0).astype(np.uint8)
    return Frame(image, people=People.from_boxes(boxes))


def places(people: People) -> np.ndarray:
    """Where all joints of each person are [N, 2]."""
    assert np.ptp(people.keypoints[..., :2], axis=1).max(initial=0) < 1e-3
    return people.keypoints[:, 0, :2]


def test_two_boxes_that_saw_the_same_joint_share_out_what_there_is(tmp_path):
    stage = sppe(tmp_path)
    (alone,) = stage([frame()])
    assert np.allclose(places(alone.people)[:2], BRIGHT, atol=2)

    (found,) = Associated(stage, stage)([frame()])
    both = places(found.people)[:2]
    assert np.allclose(sorted(both.tolist()), [BRIGHT, FAINT], atol=2)
    assert np.allclose(sorted(found.people.keypoints[:2, 0, 2].tolist()), (0.7, 1), atol=0.06)
    assert np.array_equal(found.people.keypoints[2], alone.people.keypoints[2])
    assert np.array_equal(found.people.scores, alone.people.scores)


def test_one_by_one_is_as_in_batches_and_nobody_is_nobody(tmp_path):
    stage, single = sppe(tmp_path), sppe(tmp_path, batch=1)
    frames = [frame(), frame(BOXES[:0]), frame(BOXES[2:])]
    many = Associated(stage, stage)(frames)
    few = [Associated(single, single)([one])[0] for one in frames]
    for a, b in zip(many, few, strict=True):
        assert np.allclose(a.people.keypoints, b.people.keypoints, atol=1e-3)
    assert [len(one.people) for one in many] == [3, 0, 1]


def test_who_overlaps_through_others_is_in_one_group():
    chain = np.array([(0, 0, 10, 10), (8, 0, 18, 10), (50, 0, 60, 10), (16, 0, 26, 10)], float)
    assert [rows.tolist() for rows in groups(chain, 0.1)] == [[0, 1, 3]]
    assert groups(chain, 0.2) == []
    assert groups(chain[:1], 0.1) == groups(chain[:0], 0.1) == []


def test_peaks_nearer_than_the_radius_are_one_place_whatever_their_order():
    peaks = np.array([(0, 0, 0.5), (3, 0, 0.9), (20, 0, 0.4), (7, 0, 0.3)])
    label = nodes(peaks, 4.0)
    assert label[0] == label[1] == label[3] != label[2]
    order = np.array([3, 2, 0, 1])
    again = nodes(peaks[order], 4.0)
    assert np.array_equal(again[:, None] == again, (label[:, None] == label)[order][:, order])
    assert nodes(peaks[:0], 4.0).shape == (0,)


def people(count: int) -> People:
    keypoints = np.full((count, JOINTS, 3), 0.5, np.float32)
    boxes = np.tile(np.array([0, 0, 100, 100], np.float32), (count, 1))
    return People(keypoints, boxes, np.ones(count, np.float32), COCO17)


def test_the_sum_decides_and_not_the_surest_alone():
    first, second = np.array([(10, 10, 0.9), (60, 60, 0.8)]), np.array([(10, 11, 0.7)])
    seen = [[first] * JOINTS, [second] * JOINTS]
    found = shared_out(people(2), seen)  # .8 + .7 is more than .9 alone
    assert np.allclose(found[0, :], (60, 60, 0.8))
    assert np.allclose(found[1, :], (10, 11, 0.7))
    assert np.allclose(shared_out(people(2), seen[::-1]), found[::-1])


def test_who_is_left_without_a_peak_keeps_the_joint():
    one, none = np.array([(10.0, 10.0, 0.9)]), np.zeros((0, 3))
    found = shared_out(people(3), [[one] * JOINTS, [none] * JOINTS, [one * 1.0] * JOINTS])
    assert np.allclose(found[1], 0.5)
    assert (np.isclose(found[[0, 2], :, 0], 10).sum(0) == 1).all()


@pytest.mark.parametrize("alignment", ["corner", "udp", "edge", "centre"])
def test_all_peaks_of_a_map_are_found_where_they_were_drawn(alignment):
    codec = Heatmap(SIZE, sigma=2.0, alignment=alignment)
    truth = np.array([[(20.0, 30.0, 1.0)], [(70.0, 90.0, 1.0)]])
    (maps,), _ = codec.encode(truth)
    (found,) = codec.peaks(np.max([maps[0], 0.6 * maps[1]], 0))
    assert np.allclose(found[np.argsort(found[:, 0])], [(20, 30, 1), (70, 90, 0.6)], atol=0.1)
    assert codec.peaks(0 * maps[0])[0].shape == (0, 3)


def test_a_model_without_heatmaps_and_one_of_other_joints_are_refused(tmp_path):
    stage = sppe(tmp_path)
    plain = nets.simcc_finder(tmp_path / "simcc.onnx", JOINTS, SIZE)
    other = open_sppe(PoseOptions(model=plain, skeleton="coco-17", codec="simcc", input_size=SIZE))
    with pytest.raises(OptionError, match="leave --associate out"):
        Associated(stage, other)
    fourteen = nets.heatmap_finder(tmp_path / "14.onnx", len(LSP14), SIZE)
    lsp = open_sppe(
        PoseOptions(model=fourteen, skeleton="lsp-14", codec="heatmap", input_size=SIZE)
    )
    with pytest.raises(OptionError, match="lsp-14"):
        Associated(stage, lsp)


def test_the_option_reaches_the_method():
    assert Options.of(associate=True).pose.associate
    assert not Options().pose.associate
