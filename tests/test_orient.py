"""The search for the turn in which a person stands upright: the chosen turn and its coordinates, by
a network that is sure of what it sees only where the sky is above.
"""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from everybody import geometry
from everybody.errors import OptionError
from everybody.inputs import square
from everybody.methods import orientation as orient
from everybody.methods.orientation import open_turn_net
from everybody.people import People
from everybody.skeletons import COCO17
from synthetic import nets

from .loaded import Posed, load_sppe
from .test_track import standing

WIDTH, HEIGHT = 260, 280
# Box (96 × 128, or turned 128 × 96) and the turn of each person of `picture`.
PEOPLE = (((20, 10), 0), ((130, 12), 1), ((10, 150), 2), ((130, 140), 3))


@pytest.fixture
def sppe(tmp_path):
    path = nets.upright_finder(tmp_path / "upright.onnx", 17)

    def load(**options):
        options = {
            "skeleton": "coco-17",
            "codec": "heatmap,alignment=corner",
            "padding": 1.0,
        } | options
        return load_sppe(path, normalise="none", **options)

    return load


def person(red: float = 1.0, spot: tuple[float, float] = (41.3, 77.7)) -> np.ndarray:
    """Somebody upright [128, 96, 3]: a red spot, and blue sky over the top quarter."""
    image = nets.blob(96, 128, *spot)
    image[..., 0] = image[..., 0] * red
    image[..., 1:] = 0
    image[:32, :, 2] = 255
    return image


def picture(red: float = 1.0) -> tuple[np.ndarray, People, np.ndarray]:
    """A picture of four people, each turned another way; their boxes, and where their spots are [4,
    2].
    """
    image, boxes, spots = np.zeros((HEIGHT, WIDTH, 3), np.uint8), [], []
    for (x, y), turns in PEOPLE:
        turned = np.rot90(person(red), turns)
        height, width = turned.shape[:2]
        image[y : y + height, x : x + width] = turned
        boxes.append((x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5))
        spot = geometry.transform(
            geometry.turn_matrix(96, 128, turns)[None], np.array([[[41.3, 77.7]]])
        )
        spots.append(spot[0, 0] + (x, y))
    return image, People.from_boxes(np.array(boxes)), np.array(spots)


def test_everybody_is_found_in_their_own_turn_to_a_fraction_of_a_pixel(sppe):
    image, boxes, spots = picture()
    for flip_test in (False, True):
        (people,) = sppe(orientation="any", flip_test=flip_test)([image], [boxes])
        assert np.abs(people.keypoints[..., :2] - spots[:, None]).max() < 0.25
        assert (people.keypoints[..., 2] > 0.9).all(), "a wrong turn is not sure of anybody"
        assert np.array_equal(people.boxes, boxes.boxes)
    (upright,) = sppe()([image], [boxes])
    assert (upright.keypoints[..., 2].mean(1) > 0.9).tolist() == [True, False, False, False]


def test_turning_the_picture_turns_the_result(sppe):
    image, boxes, _ = picture()
    search = sppe(orientation="any")
    (people,) = search([image], [boxes])
    for turns in range(1, 4):
        matrix = geometry.turn_matrix(WIDTH, HEIGHT, turns)
        turned = People.from_boxes(geometry.transform_boxes(matrix, boxes.boxes))
        (found,) = search([np.ascontiguousarray(np.rot90(image, turns))], [turned])
        expected = geometry.transform(np.broadcast_to(matrix, (4, 2, 3)), people.keypoints)
        assert np.allclose(found.keypoints, expected, atol=1e-3)


@pytest.mark.parametrize("red", [1.0, 0.5])
def test_who_is_upright_is_found_as_without_the_search(sppe, red):
    """Surely (no other turn is tried) or faintly (all are, and upright wins)."""
    image, boxes, _ = picture(red)
    plain, searched = (
        sppe(orientation=orientation)([image], [boxes[:1]])[0] for orientation in ("upright", "any")
    )
    assert (orient.confidence(plain.keypoints[..., 2]) < orient.ALONE.sure).tolist() == [red < 1]
    assert np.array_equal(plain.keypoints, searched.keypoints)


def test_all_at_once_is_as_one_by_one(sppe):
    image, boxes, _ = picture()
    other, nobody = np.ascontiguousarray(np.rot90(image, 2)), boxes[:0]
    search = sppe(orientation="any", batch=1)
    alone = [search([image], [boxes[i : i + 1]])[0].keypoints for i in range(4)]
    for batch in (0, 3):
        together = sppe(orientation="any", batch=batch)(
            [image, image, other, image], [boxes, nobody, boxes, boxes[1:]]
        )
        assert np.allclose(together[0].keypoints, np.concatenate(alone), atol=1e-4)
        assert np.allclose(together[3].keypoints, np.concatenate(alone[1:]), atol=1e-4)
        assert [len(people) for people in together] == [4, 0, 4, 3]
    (none,) = search([image], [nobody])
    assert none.keypoints.shape == (0, 17, 3)
    assert search([], []) == []


def test_another_turn_wins_only_clearly():
    scores = np.full((3, 4, 17), 0.3)
    scores[1, 2] += orient.UPRIGHT_BONUS * 0.9
    scores[2, 3] += orient.UPRIGHT_BONUS * 1.1
    keypoints = np.concatenate([np.zeros((3, 4, 17, 2)), scores[..., None]], -1)
    everywhere = np.ones((3, 4), bool)
    assert orient.best_turn(keypoints, everywhere).tolist() == [0, 0, 3]
    assert orient.best_turn(keypoints, everywhere & (np.arange(4) != 3)).tolist() == [0, 0, 0]
    assert orient.best_turn(keypoints[:0], everywhere[:0]).shape == (0,)


@pytest.fixture
def turn_net(tmp_path):
    net = open_turn_net(nets.sky_finder(tmp_path / "turn.onnx"))
    plain = replace(net.input, mean=(0, 0, 0), std=(1, 1, 1))
    return replace(net, input=plain, padding=1.0)


def test_the_net_knows_each_turn_and_spares_the_others(sppe, turn_net):
    """As the search finds them, but each person is looked at once."""
    image, boxes, spots = picture()
    likely = turn_net([image] * 4, boxes.boxes)
    assert likely.argmax(1).tolist() == [-turns % 4 for _, turns in PEOPLE]
    expected = orient.GUIDED.expected(likely, boxes.scores, np.zeros(4, np.intp))
    assert orient.GUIDED.first(expected).argmax(1).tolist() == likely.argmax(1).tolist()
    (people,) = sppe(orientation="any", net=turn_net)([image], [boxes])
    (searched,) = sppe(orientation="any")([image], [boxes])
    assert np.allclose(people.keypoints, searched.keypoints)
    assert np.abs(people.keypoints[..., :2] - spots[:, None]).max() < 0.25
    (none,) = sppe(orientation="any", net=turn_net)([image], [boxes[:0]])
    assert none.keypoints.shape == (0, 17, 3)


def test_a_pose_tells_how_its_trunk_lies_or_nothing():
    upright = standing((100, 220))
    for turns in range(4):
        matrix = geometry.turn_matrix(200, 300, turns)
        for lean in (-20, 0, 20):
            leaning = rotated(upright.keypoints, lean)
            keypoints = geometry.transform(matrix[None], leaning)
            people = replace(
                upright, keypoints=keypoints, boxes=geometry.transform_boxes(matrix, upright.boxes)
            )
            assert orient.turns_of(people).tolist() == np.eye(4)[[-turns % 4]].tolist()
    nothing = [[orient.UNKNOWN] * 4]
    assert (
        orient.turns_of(replace(upright, keypoints=rotated(upright.keypoints, 45))).tolist()
        == nothing
    )
    faint, short = upright.keypoints.copy(), upright.keypoints.copy()
    faint[:, 11, 2] = 0.1
    short[:, 5:7, 1] = short[:, 11:13, 1] - 3
    for keypoints in (faint, short):
        assert orient.turns_of(replace(upright, keypoints=keypoints)).tolist() == nothing
    assert orient.turns_of(People.from_boxes(upright.boxes)).tolist() == nothing
    assert orient.turns_of(upright[[]]).shape == (0, 4)


def rotated(keypoints: np.ndarray, degrees: float) -> np.ndarray:
    return geometry.transform(
        np.column_stack([cv2.getRotationMatrix2D((100, 150), degrees, 1.0)])[None], keypoints
    )


def test_who_is_turned_as_known_is_looked_at_once_and_others_as_ever(sppe, turn_net):
    image, boxes, _ = picture()
    asked: list[int] = []

    class Asked(type(turn_net)):  # type: ignore[misc]
        def __call__(self, pictures, boxes):
            asked.append(len(boxes))
            return turn_net(pictures, boxes)

    search = sppe(orientation="any", net=Asked(session=turn_net.session, input=turn_net.input))
    (people,) = search([image], [boxes])
    right = np.eye(4)[[-turns % 4 for _, turns in PEOPLE]]
    three = right.copy()
    three[2] = orient.UNKNOWN
    for known, unsure in ((right, 0), (three, 1), (right[:, [2, 3, 0, 1]], 4)):
        asked.clear()
        (again,) = search([image], [replace(boxes, turns=known)])
        assert asked == [unsure]
        assert again.turns is None, "a hint for the estimator only"
        assert np.allclose(again.keypoints, people.keypoints)
    (upright,) = sppe()([image], [replace(boxes, turns=right)])
    assert np.array_equal(upright.keypoints, sppe()([image], [boxes])[0].keypoints), (
        "upright asks nobody"
    )


def test_turns_are_tried_in_the_order_of_their_likelihood():
    """Upright first unless another is clearly likelier; others only where that one is faint, and
    only likely ones.
    """
    likely = np.array(
        [
            [0.9, 0.05, 0.03, 0.02],
            [0.3, 0.6, 0.05, 0.05],
            [0.1, 0.8, 0.08, 0.02],
            [0.4, 0.2, 0.2, 0.2],
        ]
    )
    search, ones = orient.Search(prior=0.9, worth=0.9, sure=0.4), np.ones(4)
    expected = search.expected(likely, ones, np.arange(4))
    assert np.allclose(expected.sum(1), 1)
    assert search.first(expected).argmax(1).tolist() == [0, 0, 1, 0]
    assert not search.others(expected, np.full(4, 0.4)).any()
    tried = search.others(expected, np.full(4, 0.39))
    assert [np.flatnonzero(row).tolist() for row in tried] == [[], [1], [], []]
    anyhow = orient.ALONE.others(expected, np.zeros(4))
    assert (anyhow ^ orient.ALONE.first(expected)).all()
    assert search.others(expected[:0], np.zeros(0)).shape == (0, 4)
    assert search.expected(likely[:0], ones[:0], np.zeros(0, np.intp)).shape == (0, 4)


def test_the_others_of_a_picture_tell_how_somebody_unclear_is_turned():
    """The more of them and the surer the more; not those of other pictures, and not against what is
    clear.
    """
    search, unclear, lying, upright = (
        orient.Search(),
        [0.3, 0.3, 0.2, 0.2],
        [0.04, 0.9, 0.03, 0.03],
        [0.9, 0.04, 0.03, 0.03],
    )

    def of_first(*people, scores=None, pictures=None):
        scores = np.ones(len(people)) if scores is None else np.array(scores)
        pictures = np.zeros(len(people), np.intp) if pictures is None else np.array(pictures)
        return search.expected(np.array(people), scores, pictures)[0]

    alone = of_first(unclear)
    assert alone.argmax() == 0
    beside = [of_first(unclear, *[lying] * count)[1] for count in (1, 2, 5)]
    assert alone[1] < beside[0] < beside[1] < beside[2]
    assert beside[2] > 0.5
    assert of_first(unclear, lying, scores=[1, 0.2])[1] < beside[0]
    assert np.allclose(of_first(unclear, lying, lying, pictures=[1, 0, 0]), alone)
    assert np.allclose(of_first(unclear, lying, scores=[0.5, 0]), alone)
    assert of_first(lying, upright, upright).argmax() == 1


def test_a_square_shows_what_its_box_holds():
    """Edge to edge; grey beyond the picture; averaged where it shrinks."""
    image = np.zeros((100, 200, 3), np.uint8)
    image[20:60, 50:90] = 200
    whole = square(image, np.array([49.5, 19.5, 89.5, 59.5]), 40, 1.0, 114)
    assert (whole == 200).all()
    half = square(image, np.array([49.5, 19.5, 89.5, 59.5]), 20, 2.0, 114)
    assert (half[5:15, 5:15] == 200).all()
    assert half.sum() == 200 * 100 * 3
    corner = square(image, np.array([-20.5, -20.5, 19.5, 19.5]), 40, 1.0, 114)
    assert (corner[:20] == 114).all()
    assert (corner[20:, :20] == 114).all()
    assert (corner[20:, 20:] == 0).all()
    image[::2] = 100
    fine = square(image, np.array([99.5, 9.5, 179.5, 89.5]), 40, 1.0, 114)
    assert (fine == 50).all(), "an aliased crop would be striped"
    for box in ([300, 300, 320, 330], [5, 5, 5, 5], [-1e4, 0, 1e4, 50]):
        assert square(image, np.array(box, float), 8, 1.2, 114).shape == (8, 8, 3)


def test_an_unknown_orientation_is_named(sppe):
    with pytest.raises(OptionError, match="unknown orientation 'sideways': known are upright, any"):
        sppe(orientation="sideways")


def test_who_leans_is_looked_at_once_more_straightened_and_the_surer_answer_stays():
    upright = standing((100, 150))
    boxes = People.from_boxes([[60, 60, 140, 240]])
    for lean, turn in ((45, -0.5), (-40, 4 / 9), (20, None), (-135, 1.5)):
        for first, second in ((0.5, 0.6), (0.5, 0.4), (0.9, 0.95)):
            asked: list[float] = []

            class Leaning:
                skeleton, sessions = COCO17, {}

                def posed(self, pictures, boxes, turns):
                    asked.extend(np.asarray(turns, float).tolist())  # noqa: B023
                    found = rotated(upright.keypoints, lean).repeat(len(pictures), 0)  # noqa: B023
                    whole = np.asarray(turns, float) % 1 == 0
                    found[..., 2] = np.where(whole, first, second)[:, None]  # noqa: B023
                    found[~whole, :, 0] += 1
                    return found

            (people,) = Posed(orient.AnyTurn(poser=Leaning()))(
                [np.zeros((300, 200, 3), np.uint8)], [boxes]
            )
            parts = [value for value in asked if value % 1]
            if turn is None or first > orient.WELL:
                assert parts == []
            else:
                assert np.allclose(parts, turn, atol=0.02)
            moved = people.keypoints[0, 0, 0] - rotated(upright.keypoints, lean)[0, 0, 0]
            assert np.isclose(moved, float(bool(parts) and second > first), atol=1e-3)
