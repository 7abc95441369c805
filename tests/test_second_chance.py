"""A second finder adds the people whom the detector has missed, and nobody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from everybody.codecs import PersonLabMaps
from everybody.errors import OptionError
from everybody.estimator import Estimator
from everybody.geometry import box_around
from everybody.methods.second_chance import joined, share_inside
from everybody.options import FindOptions
from everybody.people import Frame, People
from everybody.skeletons import COCO17
from synthetic import nets, planted

SIZE = (480, 400)


def people(*joints: np.ndarray) -> People:
    """Whom a method of joints has seen, in half-confident poses."""
    keypoints = planted.seen(np.stack(joints)) if joints else np.zeros((0, 17, 3))
    return People(keypoints, box_around(keypoints), np.full(len(joints), 0.5), COCO17)


LEFT, RIGHT = (planted.body(COCO17, (x, 200), 300) for x in (120.0, 360.0))


def test_only_people_in_nobodys_box_are_added():
    box = box_around(planted.seen(LEFT[None]))[0]
    found = People.from_boxes([box], [0.9])
    both = joined(found, people(LEFT, RIGHT), SIZE)
    assert both.scores.tolist() == pytest.approx([0.9, 0.5])
    assert np.array_equal(both.boxes[0], box)
    x0, y0, x1, y1 = both.boxes[1]
    assert (((x0, y0) <= RIGHT) & ((x1, y1) >= RIGHT)).all()
    assert x1 <= SIZE[0] - 0.5

    assert joined(found, people(LEFT), SIZE) is found
    assert joined(found, people(), SIZE) is found
    assert len(joined(People.from_boxes(np.zeros((0, 4))), people(LEFT, RIGHT), SIZE)) == 2
    assert len(joined(People.from_boxes(np.zeros((0, 4))), people(), SIZE)) == 0


def test_what_is_not_seen_is_in_no_box():
    keypoints = planted.seen(LEFT[None])
    keypoints[0, :9, 2] = 0
    whole, below = [0, 0, *SIZE], [0, 230, *SIZE]
    shares = share_inside(keypoints, np.array([whole, below], float))
    assert shares[0, 0] == 1
    assert shares[0, 1] == (LEFT[9:, 1] >= 230).mean()
    assert share_inside(keypoints * 0, np.array([whole], float)).tolist() == [[0]]


def test_those_whom_the_detector_missed_get_a_pose(tmp_path: Path):
    maps = PersonLabMaps().encode(planted.seen(np.stack([LEFT, RIGHT])), SIZE)
    named = {f"maps_{n}": some for n, some in enumerate(maps)}
    second = nets.maps_constant(tmp_path / "second.onnx", named, SIZE)
    nets.describe(second, {"task": "people", "method": "personlab", "input": {"size": SIZE}})
    box = np.array([*box_around(planted.seen(LEFT[None]))[0], 0.9], np.float32)
    detector = nets.rtmdet_constant(tmp_path / "d.onnx", box[None] * (*[160 / 480] * 4, 1))
    cells = np.stack([np.arange(17) + 3, 2 * np.arange(17)[::-1]], 1)
    posed = nets.heatmap_constant(tmp_path / "p.onnx", cells)
    options = {
        "detector": detector, "det_size": (160, 160), "pose": posed, "skeleton": "coco-17",
        "codec": "heatmap", "normalise": "none", "threads": 1, "orientation": "upright",
    }  # fmt: skip
    frame = Frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    (alone,) = Estimator(**options)([frame])
    (both,) = Estimator(second=second, **options)([frame])
    assert len(alone.people) == 1
    assert len(both.people) == 2
    same = (both.people.keypoints == alone.people.keypoints).all((1, 2))
    assert same.sum() == 1
    (middle,) = both.people.boxes[~same].reshape(-1, 2, 2).mean(1)
    assert (
        np.abs(middle - box_around(planted.seen(RIGHT[None]))[0].reshape(2, 2).mean(0)).max() < 12
    )


def test_a_second_finder_is_beside_a_detector():
    with pytest.raises(OptionError, match="leave whole and boxes out"):
        FindOptions(second="movenet", whole=True)
    with pytest.raises(OptionError, match="unknown method 'nobody'"):
        Estimator(second="nobody")
