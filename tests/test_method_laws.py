"""Laws that hold for every method that finds people in whole pictures: two people who cross are two
people, the order of what is drawn does not matter, mirrored maps hold mirrored people, pictures
together are as one by one; and every method is judged by `eval` and goes on where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from everybody.estimator import Estimator
from everybody.geometry import box_around
from everybody.people import Frame, People
from everybody.results.formats import read_results
from everybody.skeletons import COCO17, Skeleton
from synthetic import planted

from . import test_bottomup as bottom_up
from . import test_methods as methods
from . import test_methods_published as published


@dataclass(frozen=True)
class Planter:
    """How a file is made that always says some people [P, K, 2], in pixels of a picture of `size`
    (width, height). close: how far a joint may be off, half a cell of the network's maps.
    """

    method: str
    skeleton: Skeleton
    size: tuple[int, int]
    close: float
    write: Callable[[Path, np.ndarray], Path]

    def found(self, path: Path, people: np.ndarray, pictures: int = 1) -> list[People]:
        file = self.write(path, people)
        estimator = Estimator(method=self.method, pose=file, threads=1, workers=1)
        blank = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        return [frame.people for frame in estimator([Frame(blank)] * pictures)]

    def crossing(self) -> np.ndarray:
        """One who stands, one who lies across, both whole in the picture."""
        width, height = self.size
        upright = planted.body(self.skeleton, (0.42 * width + 0.2, height / 2), 0.75 * height)
        across = (0.54 * width, 0.45 * height + 0.3)
        lying = planted.body(self.skeleton, across, 0.75 * height, turn=75, spread=1.3)
        return np.stack([upright, lying])


def of_maps(planting: bottom_up.Planting) -> Planter:
    factor = bottom_up.PICTURE[0] / bottom_up.SIZE[0]

    def write(path: Path, people: np.ndarray) -> Path:
        return planting.file(path, (people + 0.5) / factor - 0.5)

    return Planter(planting.method, planting.skeleton, bottom_up.PICTURE, 4 * factor, write)


def of_network(method: str) -> Planter:
    close = published.CLOSE[method]
    return Planter(method, COCO17, published.PICTURE, close, published.FILES[method])


def movenet(path: Path, people: np.ndarray) -> Path:
    boxes = box_around(planted.seen(people))
    told = [(points, box, 0.9) for points, box in zip(people, boxes, strict=True)]
    return methods.movenet(path, *told)


PLANTERS = {
    **{f"{p.method}-{p.skeleton.name}": of_maps(p) for p in bottom_up.PLANTINGS},
    **{method: of_network(method) for method in published.ANSWERS},
    "movenet": Planter("movenet", COCO17, methods.SIZE, 0.05, movenet),
}
EVERY = pytest.mark.parametrize("planter", PLANTERS.values(), ids=PLANTERS)


def test_every_method_that_sees_whole_pictures_is_tried_here():
    """The others look into boxes: their joints are one person's by construction."""
    tried = {planter.method for planter in PLANTERS.values()}
    assert tried == set(methods.FLAGS) - {"topdown", "blazepose"}


@EVERY
def test_two_people_who_cross_are_two_people_and_exchange_no_joint(tmp_path, planter):
    (people,) = planter.found(tmp_path / "m.onnx", planter.crossing())
    assert planted.same_people(people.keypoints, planter.crossing(), planter.close)


@EVERY
def test_the_order_in_which_people_are_drawn_changes_nothing(tmp_path, planter):
    (one,) = planter.found(tmp_path / "one.onnx", planter.crossing())
    (other,) = planter.found(tmp_path / "other.onnx", planter.crossing()[::-1])
    assert planted.same_people(other.keypoints, one.keypoints[..., :2], 1e-3)


@EVERY
def test_mirrored_people_are_found_mirrored(tmp_path, planter):
    width = planter.size[0]
    people = planter.crossing()
    mirrored = people[:, list(planter.skeleton.mirror)].copy()
    mirrored[..., 0] = width - 1 - mirrored[..., 0]
    (found,) = planter.found(tmp_path / "m.onnx", mirrored)
    back = found.keypoints[:, list(planter.skeleton.mirror), :2].copy()
    back[..., 0] = width - 1 - back[..., 0]
    assert planted.same_people(back, people, planter.close)


@EVERY
def test_pictures_together_are_as_one_by_one(tmp_path, planter):
    (alone,) = planter.found(tmp_path / "one.onnx", planter.crossing())
    for people in planter.found(tmp_path / "three.onnx", planter.crossing(), 3):
        assert np.array_equal(people.keypoints, alone.keypoints)
        assert np.array_equal(people.scores, alone.scores)


@pytest.mark.parametrize("method", methods.FLAGS)
def test_pictures_of_several_sizes_in_one_run_are_as_in_runs_of_their_own(
    tmp_path, monkeypatch, method
):
    """Also of the methods that look into boxes: each picture is scaled on its own."""
    places, alone = tmp_path / "in", []
    places.mkdir()
    flags = ["--method", method, *methods.FLAGS[method](tmp_path), "--quiet", "-o"]
    for name, (width, height) in (("a.png", methods.SIZE), ("b.png", (200, 250))):
        cv2.imwrite(str(places / name), np.zeros((height, width, 3), np.uint8))
        assert methods.call(monkeypatch, "run", places / name, *flags, tmp_path / name) == 0
        alone += [record.people for record in read_results(tmp_path / name)]

    assert methods.call(monkeypatch, "run", places, *flags, tmp_path / "both") == 0
    together = [record.people for record in read_results(tmp_path / "both")]
    assert [len(people) for people in alone] == [len(people) for people in together] == [1, 1]
    assert not np.array_equal(alone[0].keypoints, alone[1].keypoints)
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.keypoints, other.keypoints)
        assert np.array_equal(one.boxes, other.boxes)


@pytest.mark.parametrize("method", methods.FLAGS)
def test_a_run_that_goes_on_and_its_judgement(tmp_path, monkeypatch, capsys, method):
    """Of two pictures, the second comes after a stop; what was found is then judged as truth."""
    blank, pictures = np.zeros((methods.SIZE[1], methods.SIZE[0], 3), np.uint8), tmp_path / "in"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "a.png"), blank)
    flags = ["--method", method, *methods.FLAGS[method](tmp_path), "--quiet", "-o", tmp_path / "o"]
    assert methods.call(monkeypatch, "run", pictures, *flags) in (None, 0)
    cv2.imwrite(str(pictures / "b.png"), blank)
    assert methods.call(monkeypatch, "run", pictures, *flags, "--resume") in (None, 0)

    first, second = read_results(tmp_path / "o")
    assert (Path(first.source).name, Path(second.source).name) == ("a.png", "b.png")
    assert np.array_equal(first.people.keypoints, second.people.keypoints)

    capsys.readouterr()
    judged = ["eval", tmp_path / "o", "--data", tmp_path / "o", "--json"]
    assert methods.call(monkeypatch, *judged) in (None, 0)
    assert json.loads(capsys.readouterr().out)
