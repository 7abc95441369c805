"""PersonLab's decoding: the published answers, and laws of planted people."""

from __future__ import annotations

import numpy as np
import pytest

from everybody.codecs.personlab import EDGES, Decoding, PersonLabMaps, decode
from everybody.errors import ModelError
from everybody.skeletons import COCO17
from synthetic import planted
from tests import golden

SIZE, STRIDE = (45, 41), 8
PIXELS = (SIZE[0] - 1) * STRIDE + 1, (SIZE[1] - 1) * STRIDE + 1  # cells are at its edges
WIDTH = PIXELS[0]
OPTIONS = Decoding(stride=STRIDE, threshold=0.4)


def maps(people):
    return PersonLabMaps(options=OPTIONS, disc=16.0).encode(planted.seen(people), PIXELS)


def crossing():
    """One upright, one lying across, in pixels."""
    upright = planted.body(COCO17, (170.3, 160), 280)
    lying = planted.body(COCO17, (190, 150.7), 280, turn=75, spread=1.3)
    return np.stack([upright, lying])


@pytest.mark.parametrize("name", ["posenet_decode", "posenet_decode_crowd"])
@pytest.mark.parametrize("case", ["0", "1", "2"])
def test_published_people(name, case):
    reader = golden.fill()
    given, said = reader.inputs(name), reader.spec(name)["cases"][case]
    some = [given[k] for k in ("heatmaps", "offsets", "displacement_fwd", "displacement_bwd")]
    options = Decoding(
        16,
        said["score_threshold"],
        said["nms_radius"],
        said["max_pose_detections"],
        said["min_pose_score"],
    )
    keypoints, scores = decode(tuple(some), options)

    rows = options.most
    found = {"scores": np.zeros(rows), "keypoint_scores": np.zeros((rows, 17))}
    found["keypoints"] = np.zeros((rows, 17, 2))
    found["scores"][: len(scores)] = scores
    found["keypoint_scores"][: len(scores)] = keypoints[..., 2]
    found["keypoints"][: len(scores)] = keypoints[..., 1::-1]
    golden.check(name, {f"{case}.{key}": value for key, value in found.items()})


def test_nothing_is_nobody():
    keypoints, scores = decode(maps(np.zeros((0, 17, 2))), OPTIONS)
    assert keypoints.shape == (0, 17, 3)
    assert scores.shape == (0,)


@pytest.mark.parametrize("centre", [(176.0, 160.0), (170.3, 157.9), (180.0, 164.0)])
def test_a_planted_body_is_found_within_half_a_cell(centre):
    people = planted.body(COCO17, centre, 280)[None]
    keypoints, scores = decode(maps(people), OPTIONS)
    assert planted.same_people(keypoints, people, 0.5 * STRIDE)
    assert scores[0] == pytest.approx(keypoints[0, :, 2].mean())


def test_two_crossing_bodies_keep_their_joints():
    keypoints, _ = decode(maps(crossing()), OPTIONS)
    assert planted.same_people(keypoints, crossing(), 0.5 * STRIDE)


def test_a_mirrored_picture_has_mirrored_people():
    people = crossing()
    mirror = list(COCO17.mirror)
    mirrored = people[:, mirror] * (-1, 1) + (WIDTH - 1, 0)
    keypoints, scores = decode(maps(people), OPTIONS)
    again, scores_again = decode(maps(mirrored), OPTIONS)
    back = again[:, mirror] * (-1, 1, 1) + (WIDTH - 1, 0, 0)
    assert planted.same_people(back, keypoints[..., :2], 1e-3)
    assert sorted(scores) == pytest.approx(sorted(scores_again), abs=1e-6)


def test_the_order_of_people_in_the_drawing_does_not_matter():
    keypoints, scores = decode(maps(crossing()), OPTIONS)
    again, scores_again = decode(maps(crossing()[::-1]), OPTIONS)
    assert np.array_equal(keypoints, again)
    assert np.array_equal(scores, scores_again)


def test_joints_of_an_earlier_body_count_0_unless_told_otherwise():
    """Two people share all joints but one wrist, which leads back to its own body."""
    heatmaps, offsets, there, back = maps(crossing()[:1])
    people = crossing()[:1]
    wrist = COCO17.joints.index("left_wrist")
    column, row = 3, 37
    heatmaps[wrist, row, column] = 0.9
    elbow = people[0, COCO17.joints.index("left_elbow")]
    edge = EDGES.index((7, 9))
    back[edge, row, column] = elbow[1] - row * STRIDE
    back[edge + len(EDGES), row, column] = elbow[0] - column * STRIDE

    keypoints, scores = decode((heatmaps, offsets, there, back), OPTIONS)
    assert len(keypoints) == 2
    assert scores[1] == pytest.approx(0.9 / 17)
    whole = Decoding(stride=STRIDE, threshold=0.4, discount=False)
    _, scores = decode((heatmaps, offsets, there, back), whole)
    assert scores[1] == pytest.approx(scores[0], abs=0.1)
    strict = Decoding(stride=STRIDE, threshold=0.4, least_score=0.1)
    assert len(decode((heatmaps, offsets, there, back), strict)[1]) == 1


def test_a_map_full_of_roots_gives_the_most_that_are_asked_for():
    rng = np.random.default_rng(0)
    noise = [rng.uniform(0, 1, (count, 41, 45)).astype(np.float32) for count in (17, 34, 32, 32)]
    keypoints, scores = decode(tuple(noise), OPTIONS)
    assert len(keypoints) == len(scores) == OPTIONS.most
    assert np.isfinite(keypoints).all()


def test_maps_that_cannot_be_decoded_are_errors():
    heatmaps, offsets, there, back = maps(crossing())
    with pytest.raises(ModelError, match="offsets: expected 34 maps"):
        decode((heatmaps, offsets[:-1], there, back), OPTIONS)
    with pytest.raises(ModelError, match="same answer"):
        decode((heatmaps, offsets, there, back[:, :-1]), OPTIONS)
    offsets[3, 4, 5] = np.nan
    with pytest.raises(ModelError, match="offsets hold NaN"):
        decode((heatmaps, offsets, there, back), OPTIONS)
