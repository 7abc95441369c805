"""Looking again in another turn: whom, when, and nobody else; with a detector and a turn net that
know the sky.
"""

from dataclasses import replace

import numpy as np
import pytest

from everybody import geometry
from everybody.methods import orientation as orient
from everybody.methods.orientation import FAINT, MOST, LookAgain, open_turn_net
from synthetic import nets

from .loaded import load_detector

SIDE = 320
BOX = np.array(
    [60.0, 40.0, 190.0, 290.0]
)  # where the detector finds its one person, in any turn of a picture


@pytest.fixture
def detector(tmp_path):
    def load(least=0.2, **options):
        path = nets.sky_detector(tmp_path / "detector.onnx", BOX, least)
        made = load_detector(path, size=(SIDE, SIDE), **options)
        return replace(
            made, input=replace(made.input, mean=(0, 0, 0), std=(1, 1, 1), channels="rgb")
        )

    return load


@pytest.fixture
def net(tmp_path):
    made = open_turn_net(nets.sky_finder(tmp_path / "turn.onnx"))
    return replace(made, input=replace(made.input, mean=(0, 0, 0), std=(1, 1, 1)), padding=1.5)


def picture(turns: int) -> np.ndarray:
    """That many quarter turns bring its sky to the top."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[:80, :, 2] = 240
    return np.ascontiguousarray(np.rot90(image, -turns))


def place(turns: int) -> np.ndarray:
    """Where in `picture(turns)` the person is whom the detector finds in its upright copy."""
    back = geometry.invert(geometry.turn_matrix(SIDE, SIDE, turns)[None])[0]
    return geometry.transform_boxes(back, BOX[None] - 0.5)[0]


class Looks:
    """A session that counts the pictures that it sees."""

    def __init__(self, session):
        self.session, self.seen = session, 0

    def __getattr__(self, name):
        return getattr(self.session, name)

    def __call__(self, batch):
        self.seen += len(batch)
        return self.session(batch)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_who_lies_is_found_in_the_one_other_turn(detector, net, turns):
    plain = detector()
    looks = Looks(plain.session)
    again = LookAgain(detector=replace(plain, session=looks), net=net)
    (people,) = again([picture(turns)])
    assert looks.seen == 1 + (turns > 0)
    assert len(people) == 1
    assert np.allclose(people.boxes[0], place(turns), atol=1e-3)
    assert people.scores[0] > 0.9
    assert len(plain([picture(turns)])[0]) == (turns == 0)
    if turns == 0:
        assert people.turns[0].argmax() == 0
    else:
        assert (people.turns == orient.UNKNOWN).all(), "nobody has looked at the new box yet"


def test_several_pictures_are_as_one_by_one(detector, net):
    again = LookAgain(detector=detector(score=0.1), net=net)
    images = [picture(turns) for turns in (0, 3, 1, 1, 2)]
    for alone, together in zip([again([image])[0] for image in images], again(images), strict=True):
        assert np.allclose(alone.boxes, together.boxes)
        assert np.allclose(alone.scores, together.scores)
        assert np.allclose(alone.turns, together.turns, atol=1e-4)
    assert again([]) == []


def test_boxes_that_are_fainter_are_nobody_and_nobody_is_asked_about_them(detector, net):
    plain = detector(least=FAINT - 0.02, score=0.05)
    looks = Looks(plain.session)
    (people,) = LookAgain(detector=replace(plain, session=looks), net=net)([picture(1)])
    assert looks.seen == 1
    assert len(people) == 1
    assert (people.turns == orient.UNKNOWN).all()


def test_the_rules_of_the_detector_hold_for_what_is_found_at_last(detector, net):
    both = LookAgain(detector=detector(score=0.1), net=net)([picture(1)])[0]
    assert len(both) == 2, "the faint box, too"
    assert both.scores[0] > both.scores[1]
    assert both.turns[1].argmax() == 1
    for rule in ({"max_people": 1}, {"score": 0.5}):
        (one,) = LookAgain(detector=detector(**{"score": 0.1} | rule), net=net)([picture(1)])
        assert np.allclose(one.boxes, both.boxes[:1])
    assert len(LookAgain(detector=detector(min_size=300), net=net)([picture(1)])[0]) == 0


def test_in_a_crowd_only_the_surest_are_asked_about(tmp_path, net):
    """And all come back, whoever was asked."""
    count = MOST + 8
    corners = np.array([[40 * (n % 8), 100 * (n // 8)] for n in range(count)])
    boxes = np.column_stack([corners, corners + np.array([30, 90]), np.linspace(0.9, 0.4, count)])
    crowd = load_detector(nets.rtmdet_constant(tmp_path / "crowd.onnx", boxes), size=(SIDE, SIDE))
    asked: list[int] = []
    net = replace(net, input=replace(net.input, fill=0))  # no sky beyond the edges

    class Asked(type(net)):  # type: ignore[misc]
        def __call__(self, pictures, boxes):
            asked.append(len(boxes))
            return net(pictures, boxes)

    again = LookAgain(detector=crowd, net=Asked(session=net.session, input=net.input))
    (people,) = again([np.zeros((SIDE, SIDE, 3), np.uint8)])
    assert asked == [MOST]
    assert len(people) == count
    assert (people.turns[MOST:] == orient.UNKNOWN).all()
