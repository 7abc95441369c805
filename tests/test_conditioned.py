"""People who overlap are looked at again, told which of them is meant; the others stay as they
are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from everybody import geometry
from everybody.codecs import Heatmap
from everybody.codecs.condition import channels, condition, folded
from everybody.errors import OptionError
from everybody.methods.conditioned import Conditioned, ToldSppe, conditioned, neighbours
from everybody.methods.topdown import open_sppe
from everybody.options import PoseOptions
from everybody.people import Frame, People
from everybody.skeletons import COCO17, LSP14
from synthetic import nets, overlaps

SIZE, JOINTS = (96, 128), 17
CODEC = Heatmap(SIZE, sigma=1.0, alignment="corner")
BOXES = np.array([(40, 40, 140, 200), (80, 50, 180, 210), (300, 40, 400, 200)], np.float32)


class Rough:
    """A poser that gives each box the same pose in shares of the box, all joints sure."""

    skeleton = COCO17
    sessions: ClassVar[dict[str, Any]] = {}

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        shares = np.random.default_rng(3).uniform(0.1, 0.9, (JOINTS, 2))
        out = []
        for frame in frames:
            boxes = frame.people.boxes
            places = boxes[:, None, :2] + shares * (boxes[:, None, 2:] - boxes[:, None, :2])
            keypoints = np.concatenate([places, np.full((*places.shape[:2], 1), 0.6)], 2)
            people = replace(frame.people, keypoints=keypoints.astype(np.float32), skeleton=COCO17)
            out.append(replace(frame, people=people))
        return out


def stage(tmp_path, **more) -> ToldSppe:
    path = nets.condition_echo(tmp_path / "echo.onnx", JOINTS, SIZE)
    pose = PoseOptions(
        model=path, skeleton="coco-17", codec="heatmap,alignment=corner,sigma=1.0",
        input_size=SIZE, padding=1.1, **more,
    )  # fmt: skip
    found = open_sppe(pose)
    assert isinstance(found, ToldSppe)
    return found


def frame(boxes=BOXES) -> Frame:
    return Frame(np.zeros((260, 440, 3), np.uint8), people=People.from_boxes(boxes))


def test_each_cell_of_the_folded_channels_holds_one_number_of_every_map():
    maps = np.random.default_rng(0).normal(size=(2, 34, 5, 3)).astype(np.float32)
    wide = folded(maps, 4)
    assert wide.shape == (2, channels(17, 4), 20, 12)
    for number in (0, 5, 16, 33):
        place = number % 16
        cells = wide[:, number // 16, place // 4 :: 4, place % 4 :: 4]
        assert np.array_equal(cells, maps[:, number])
    assert np.count_nonzero(wide) == maps.size  # what is left over is empty


def test_a_condition_is_the_codecs_own_maps_of_the_joints_that_are_seen():
    poses = np.random.default_rng(0).uniform(20, 70, (1, JOINTS, 3))
    poses[..., 2] = 0.9
    poses[0, 4, 2] = 0.1
    wide = condition(CODEC, poses, 0 * poses)
    (wanted,), _ = CODEC.encode(poses)
    assert np.allclose(wide[:, 0, 0::4, 0::4], wanted[:, 0])
    assert not wide[:, 0, 1::4, 0::4].any()  # joint 4 is not sure
    assert not condition(CODEC, 0 * poses, 0 * poses).any()


def test_who_overlaps_whom():
    assert neighbours(BOXES, 0.1).tolist() == [1, 0, -1]
    assert neighbours(BOXES, 0.6).tolist() == [-1, -1, -1]
    assert neighbours(BOXES[:0], 0.1).tolist() == []
    order = [2, 1, 0]
    assert neighbours(BOXES[order], 0.1).tolist() == [-1, 2, 1]


def test_a_network_that_believes_its_condition_finds_everybody_where_they_were(tmp_path):
    first = Rough()([frame(), frame(BOXES[:0]), frame(BOXES[:2])])
    found = Conditioned(Rough(), stage(tmp_path))([frame(), frame(BOXES[:0]), frame(BOXES[:2])])
    assert [len(one.people) for one in found] == [3, 0, 2]
    scale = geometry.crop_matrices(BOXES[:1], SIZE, 1.1)[0, 0, 0]
    cell = 4 / scale
    for before, after in zip(first, found, strict=True):
        away = np.abs(after.people.keypoints[:2, :, :2] - before.people.keypoints[:2, :, :2])
        assert away.max(initial=0) < cell / 2
    assert np.array_equal(found[0].people.keypoints[2], first[0].people.keypoints[2])  # is alone
    assert (found[0].people.keypoints[:2, :, 2] > 0.8).all()  # the second look's own scores
    assert np.allclose(found[0].people.keypoints[:2], found[2].people.keypoints, atol=1e-3)


def test_in_batches_and_in_another_order_it_is_the_same(tmp_path):
    whole = Conditioned(Rough(), stage(tmp_path))([frame()])[0].people
    single = Conditioned(Rough(), stage(tmp_path, batch=1))([frame()])[0].people
    assert np.allclose(whole.keypoints, single.keypoints, atol=1e-4)
    order = [2, 0, 1]
    other = Conditioned(Rough(), stage(tmp_path))([frame(BOXES[order])])[0].people
    assert np.allclose(whole.keypoints[order], other.keypoints, atol=1e-4)


def test_without_rough_poses_it_gets_an_empty_condition(tmp_path):
    found = stage(tmp_path).posed([frame().image] * 3, BOXES, np.zeros(3))
    assert found.shape == (3, JOINTS, 3)
    assert not found[..., 2].any()  # it believes in nobody


def test_a_network_without_conditions_and_one_of_other_joints_are_refused(tmp_path):
    path = nets.heatmap_finder(tmp_path / "finder.onnx", JOINTS, SIZE)
    plain = open_sppe(PoseOptions(model=path, skeleton="coco-17", codec="heatmap", input_size=SIZE))
    with pytest.raises(OptionError, match="takes no rough poses"):
        conditioned(Rough(), plain, path)
    other = Rough()
    other.skeleton = LSP14
    with pytest.raises(OptionError, match="lsp-14"):
        Conditioned(other, stage(tmp_path))


@pytest.mark.parametrize("overlap", overlaps.OVERLAPS)
def test_a_cut_out_is_placed_at_the_wanted_overlap(overlap):
    box, sides = np.array([50.0, 40.0, 130.0, 240.0]), np.array([70.0, 190.0])
    for angle in (0.0, 0.4, np.pi - 0.3):
        corner = overlaps.placed(box, sides, overlap, angle)
        other = np.concatenate([corner, corner + sides])
        assert geometry.iou(box[None], other[None])[0, 0] == pytest.approx(overlap, abs=1e-3)
    assert overlaps.placed(box, sides / 4, 0.5, 0.0) is None  # too small to cover so much


def test_the_person_behind_keeps_its_joints_and_the_one_in_front_brings_its_own():
    grey, keypoints = np.full((200, 200, 3), 90, np.uint8), np.full((1, JOINTS, 3), 2.0)
    keypoints[0, :, :2] = np.linspace((62, 42), (98, 158), JOINTS)
    boxes = np.array([[60.0, 40.0, 100.0, 160.0]])
    behind = overlaps.Pair(grey, keypoints, boxes, np.array([2000.0]))
    mine = np.concatenate([np.linspace((2, 2), (38, 98), JOINTS), np.full((JOINTS, 1), 2.0)], 1)
    red = np.zeros((100, 40, 3), np.uint8) + np.uint8([250, 0, 0])
    cut = overlaps.Cutout(red, np.ones((100, 40), np.float32), mine, 1500.0)
    pair = overlaps.pasted(grey, behind, 0, cut, np.array([80, 50]))
    assert pair is not None
    low = np.tile([60, 40] - pair.boxes[0, :2], 2)  # where the kept part begins
    assert np.allclose(pair.boxes[1] + low, [80, 50, 119, 149])
    assert np.allclose(pair.keypoints[0, :, :2] + low[:2], keypoints[0, :, :2])
    assert np.allclose(pair.keypoints[1, :, :2] + low[:2], mine[:, :2] + (80, 50))
    hidden = pair.keypoints[0, :, 2] == 1
    inside = (keypoints[0, :, 0] >= 80) & (keypoints[0, :, 1] >= 50) & (keypoints[0, :, 1] < 150)
    assert np.array_equal(hidden, inside)
    assert overlaps.pasted(grey, behind, 0, cut, np.array([180, 50])) is None  # does not fit
