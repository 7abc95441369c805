"""The models that come with the package: whole, small, found without network, and people found by
them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from everybody import Estimator, geometry
from everybody.media.images import decode
from everybody.methods.orientation import open_turn_net
from everybody.people import Frame
from everybody.weights import fetch, manifest

from .loaded import Posed, load_detector

PICTURE = Path(__file__).resolve().parents[1] / "examples/class.jpg"
pytestmark = pytest.mark.skipif(
    not PICTURE.is_file(), reason="needs the example picture, which the sdist leaves out"
)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return decode(PICTURE.read_bytes(), "class.jpg")


def test_they_are_whole_and_small():
    rows, default = manifest.load()
    bundled = [row for row in rows.values() if row.bundled]
    tasks = {row.task for row in bundled}
    assert tasks == {"detector", "pose", "turn", "sstn", "lift"} == {*default, "sstn"}
    for row in bundled:
        assert fetch.resolve(row).stat().st_size == row.bytes  # resolve proves the checksum
    total = sum(row.bytes for row in bundled)
    assert total <= 24e6
    readme = Path(__file__).parents[1] / "README.md"
    assert f"({total / 1e6:.1f} MB)" in readme.read_text("utf-8")


def test_the_docs_say_how_large_they_are():
    sizes = [row.bytes for row in manifest.load()[0].values() if row.bundled]
    size = f"{sum(sizes) / 1e6:.1f} MB"
    root = PICTURE.parents[1]
    assert f"The models come with the package ({size})" in (root / "README.md").read_text()
    goals = (root / "docs/goals.md").read_text()
    assert f"| bundled files | 24 MB | | {size}, {len(sizes)} files |" in goals


@pytest.mark.parametrize("model", [None, "accurate", "fast"])
def test_everybody_in_the_example_is_found(picture, model):
    (frame,) = Estimator(model=model, threads=1)([Frame(picture)])
    assert len(frame.people) == 5
    nose, ankles = frame.people.keypoints[:, 0], frame.people.keypoints[:, 15:17]
    assert (nose[:, 1] < ankles[..., 1].min(1)).all(), "heads are above feet"
    inside = (frame.people.keypoints[..., :2] > frame.people.boxes[:, None, :2] - 20).all(-1)
    assert inside.mean() > 0.95


def test_who_is_turned_is_found_as_upright(picture):
    """The detector's boxes of the upright picture, turned with it: the joints turn too, but for a
    few.
    """
    height, width = picture.shape[:2]
    estimator = Estimator(threads=1)
    (upright,) = estimator([Frame(picture)])
    boxes = upright.people
    for turns in (1, 2, 3):
        matrix = geometry.turn_matrix(width, height, turns)
        turned = Frame(np.ascontiguousarray(np.rot90(picture, turns)))
        moved = type(boxes).from_boxes(
            geometry.transform_boxes(matrix, boxes.boxes).astype(np.float32)
        )
        (found,) = Posed(estimator.method.poser.poser)([turned.image], [moved])
        expected = geometry.transform(np.repeat(matrix[None], len(boxes), 0), boxes.keypoints)
        away = np.hypot(*(found.keypoints - expected)[..., :2].transpose(2, 0, 1))
        size = (boxes.boxes[:, 2:] - boxes.boxes[:, :2]).max(1)[:, None]
        sure = boxes.keypoints[..., 2] > 0.5
        assert (away / size < 0.06)[sure].mean() > 0.9


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_whole_turned_pictures_show_the_same_people(picture, turns):
    """The detector looks again where they seem to lie: all are found, and as they lie."""
    height, width = picture.shape[:2]
    estimator = Estimator(threads=1)
    (upright,) = estimator([Frame(picture)])
    (turned,) = estimator([Frame(np.ascontiguousarray(np.rot90(picture, turns)))])
    assert len(turned.people) == len(upright.people)
    expected = geometry.transform_boxes(
        geometry.turn_matrix(width, height, turns), upright.people.boxes
    )
    overlap = geometry.iou(expected.astype(np.float32), turned.people.boxes)
    assert (overlap.max(1) > 0.7).all()
    view = Frame(np.ascontiguousarray(np.rot90(picture, turns)))
    once, again = (Estimator(threads=1, det_turns=n).find([view])[0].people for n in (1, 0))
    assert again.scores.sum() > once.scores.sum(), "the detector alone is less sure"


def test_the_turn_net_tells_the_quarters(picture):
    people = load_detector(score=0.5)([picture])[0]
    net, right = open_turn_net(), 0
    for turns in range(4):
        matrix = geometry.turn_matrix(picture.shape[1], picture.shape[0], turns)
        view = np.ascontiguousarray(np.rot90(picture, turns))
        likely = net([view] * len(people), geometry.transform_boxes(matrix, people.boxes))
        right += int((likely.argmax(1) == -turns % 4).sum())
    assert right >= 18  # of 20


def test_nobody_is_found_where_nobody_is():
    empty = np.full((240, 320, 3), 127, np.uint8)
    assert len(Estimator(threads=1)([Frame(empty)])[0].people) == 0
