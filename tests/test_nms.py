"""Laws of suppression: order does not matter, twice is once, distant people stay, duplicates go."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.errors import OptionError
from everybody.geometry import area, iou, oks
from everybody.nms import (
    ALPHAPOSE,
    SUPPRESSORS,
    PoseNms,
    box_nms,
    greedy,
    oks_nms,
    pose_nms,
    soft_oks_nms,
)
from everybody.nms.parametric import part_weights
from everybody.people import People
from everybody.skeletons import BOX, COCO17, HALPE26, LSP14, SKELETONS, WHOLEBODY133

PUBLISHED = PoseNms(
    share=0.1, sigma1=1, sigma2=2.65, lam=1.7, eta=22.48, merge=False
)  # AlphaPose's without its addition
REMOVERS = [
    lambda p: oks_nms(p, 0.7),
    lambda p: box_nms(p, 0.6),
    PoseNms(),
    PUBLISHED,
    ALPHAPOSE,
    lambda p: soft_oks_nms(p, spread=0.5, least=0.3),
]


def poses(
    centres: list[tuple[float, float]], scores: list[float], *, joints: float = 0.9, skeleton=COCO17
) -> People:
    """People of one shape, 80 pixels wide and high, at these places."""
    shape = np.random.default_rng(0).uniform(-40, 40, (len(skeleton), 2))
    points = np.array(centres, float).reshape(-1, 1, 2) + shape
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    keypoints = np.concatenate([points, np.full((*points.shape[:2], 1), joints)], 2)
    return People(keypoints, boxes, scores, skeleton, np.arange(len(scores)))


def line(
    places: list[float], *, side: float, confidences: list[list[float]], scores: list[float]
) -> People:
    """People whose joints are all at (x, 0), in boxes of one side; for counting by hand."""
    keypoints = [[[x, 0, c] for c in row] for x, row in zip(places, confidences, strict=True)]
    return People(
        keypoints, [[0, 0, side, side / 2]] * len(places), scores, COCO17, np.arange(len(places))
    )


def crowd(random: np.random.Generator, people: int, each: int, skeleton=COCO17) -> People:
    """Several candidates of each of several people, near and far; half of the scores are shared."""
    centres = random.uniform(0, 300, (people, 1, 1, 2))
    shape = random.normal(0, 1, (people, 1, len(skeleton), 2)) * (20, 50)
    points = (centres + shape + random.normal(0, 3, (people, each, len(skeleton), 2))).reshape(
        -1, len(skeleton), 2
    )
    confidence = random.uniform(0, 1, (*points.shape[:2], 1))
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    scores = random.choice([0.5, 0.7, *random.uniform(0, 1, 3)], len(points))
    return People(
        np.concatenate([points, confidence], 2), boxes, scores, skeleton, np.arange(len(points))
    )


@pytest.mark.parametrize("suppress", REMOVERS[:5])
@given(order=st.permutations(range(6)))
def test_the_order_of_the_input_does_not_matter(suppress, order):
    people = poses(
        [(0, 0), (2, 1), (200, 0), (201, 2), (400, 400), (90, 300)], [0.9, 0.8, 0.7, 0.95, 0.5, 0.4]
    )
    kept = suppress(people[list(order)])
    assert kept.ids.tolist() == [3, 0, 4, 5]
    assert suppress(kept).ids.tolist() == kept.ids.tolist()


@given(
    seed=st.integers(0, 10_000),
    each=st.integers(1, 9),
    threshold=st.floats(0.1, 0.9),
    nan=st.booleans(),
)
def test_boxes_are_removed_as_by_comparing_all_with_all(seed, each, threshold, nan):
    """Ties of scores and scores that are no number included."""
    people = crowd(np.random.default_rng(seed), 5, each)
    if nan:
        people.scores[::3] = np.nan
    kept = greedy(iou(people.boxes, people.boxes), people.scores, threshold)
    assert box_nms(people, threshold).ids.tolist() == kept.tolist()


@given(seed=st.integers(0, 10_000), each=st.integers(1, 9), threshold=st.floats(0.1, 0.9))
def test_poses_are_removed_as_by_comparing_all_with_all(seed, each, threshold):
    people = crowd(np.random.default_rng(seed), 5, each)
    alike = oks(people.keypoints, people.keypoints, area(people.boxes), people.skeleton.sigmas)
    kept = greedy(alike, people.scores, threshold)
    assert oks_nms(people, threshold).ids.tolist() == kept.tolist()


@pytest.mark.parametrize(
    "nms", [PoseNms(), PUBLISHED, ALPHAPOSE, PoseNms(sigma1=1, eta=8, lam=0.3)]
)
@given(seed=st.integers(0, 10_000), each=st.integers(1, 12))
def test_parametric_nms_does_not_care_for_order_even_where_scores_are_the_same(nms, seed, each):
    random = np.random.default_rng(seed)
    people = crowd(random, 5, each)
    first, second = nms(people), nms(people[random.permutation(len(people))])
    assert first.ids.tolist() == second.ids.tolist()
    np.testing.assert_allclose(first.keypoints, second.keypoints, rtol=1e-5)
    assert (np.diff(first.scores) <= 0).all()


@given(seed=st.integers(0, 10_000), eta=st.floats(0.5, 35), sigma=st.floats(0.1, 5))
def test_parametric_nms_twice_is_once_without_merging(seed, eta, sigma):
    nms = PoseNms(eta=eta, sigma1=sigma, sigma2=sigma, merge=False)
    kept = nms(crowd(np.random.default_rng(seed), 4, 6))
    assert nms(kept).ids.tolist() == kept.ids.tolist()


@given(seed=st.integers(0, 10_000))
def test_blocks_give_what_one_candidate_at_a_time_gives(seed):
    people, nms = crowd(np.random.default_rng(seed), 30, 5), replace(PUBLISHED, eta=10)
    ranked = people[np.lexsort((people.ids, -people.scores))]
    ranked = People(
        ranked.keypoints, ranked.boxes, np.linspace(1, 0, len(people)), COCO17, ranked.ids
    )
    expected = greedy(np.where(nms.likeness(ranked) >= nms.eta, 1.0, 0.0), ranked.scores, 0.5)
    assert nms(ranked).ids.tolist() == ranked.ids[expected].tolist()


@pytest.mark.parametrize("suppress", REMOVERS)
def test_distant_people_stay_whatever_their_scores(suppress):
    people = poses([(0, 0), (1000, 0), (0, 1000)], [1.0, 0.41, 0.4])
    assert len(suppress(people)) == 3


@given(
    scores=st.lists(st.floats(0, 1), min_size=2, max_size=6),
    confidence=st.floats(0, 1),
    eta=st.floats(0.1, 30),
)
def test_distant_people_stay_whatever_scores_and_parameters(scores, confidence, eta):
    people = poses([(500 * i, 0) for i in range(len(scores))], scores, joints=confidence)
    assert len(PoseNms(eta=eta, merge=True)(people)) == len(scores)


@pytest.mark.parametrize("suppress", REMOVERS)
def test_nobody_and_somebody_stay(suppress):
    people = poses([(0, 0)], [0.5])
    assert len(suppress(people)) == 1
    assert len(suppress(people[:0])) == 0


def test_of_two_people_exactly_on_each_other_the_first_stays():
    people = poses([(0, 0), (0, 0)], [0.5, 0.5])
    assert (
        oks_nms(people).ids.tolist()
        == box_nms(people, 0.9).ids.tolist()
        == PoseNms()(people).ids.tolist()
        == [0]
    )


@given(
    confidence=st.floats(0, 1),
    sigma1=st.floats(0.1, 3),
    lam=st.floats(0, 3),
    eta=st.floats(0.5, 60),
)
def test_exact_duplicates_go_by_the_bound_that_is_told(confidence, sigma1, lam, eta):
    people = poses([(0, 0), (0, 0)], [0.9, 0.8], joints=confidence)
    slack = math.tanh(np.float32(confidence) / sigma1) ** 2 + lam - eta / 17
    if abs(slack) > 1e-4:
        assert len(PoseNms(sigma1=sigma1, lam=lam, eta=eta)(people)) == (1 if slack > 0 else 2)


@pytest.mark.parametrize("nms", [PoseNms(), ALPHAPOSE])
def test_exact_duplicates_of_confident_poses_go_by_default(nms):
    assert len(nms(poses([(0, 0)] * 5, [0.9, 0.8, 0.7, 0.6, 0.5]))) == 1


def test_likeness_counted_by_hand():
    """Box side 100: reach 10. At 0 and 5: Δ = 0.5 matches; at 0 and 20: Δ = 2 does not."""
    sure = [[0.8] * 17, [0.4] * 17]
    nms = PoseNms(sigma1=0.5, sigma2=2, lam=1.5, share=0.1)
    near = line([0, 5], side=100, confidences=sure, scores=[1, 0.5])
    expected = 17 * (math.tanh(1.6) * math.tanh(0.8) + 1.5 * math.exp(-0.25 / 2))
    assert nms.likeness(near)[0, 1] == pytest.approx(expected, rel=1e-5)
    far = line([0, 20], side=100, confidences=sure, scores=[1, 0.5])
    assert nms.likeness(far)[0, 1] == pytest.approx(17 * 1.5 * math.exp(-4 / 2), rel=1e-5)


def test_the_reach_is_of_the_one_who_stays():
    people = line([0, 15], side=100, confidences=[[0.9] * 17] * 2, scores=[1, 0.5])
    larger = People(people.keypoints, [[0, 0, 200, 10], [0, 0, 100, 10]], people.scores, COCO17)
    one, other = replace(PUBLISHED, lam=0).likeness(larger)[[0, 1], [1, 0]]
    assert one == pytest.approx(17 * math.tanh(0.9) ** 2, rel=1e-5)  # 15 of 20
    assert other == 0  # 15 of 10


def test_so_many_matched_joints_eliminate_whatever_the_likeness():
    people = poses([(0, 0), (0, 0)], [0.9, 0.8], joints=0.01)
    keypoints = people.keypoints.copy()
    keypoints[1, 5:, 0] += 500  # five of the joints stay where the other's are
    people = People(keypoints, people.boxes, people.scores, COCO17)
    assert [len(replace(PUBLISHED, matched=count)(people)) for count in (0, 5, 6)] == [2, 1, 2]


def test_merging_averages_what_matches_by_confidence():
    """Reach 10: the joint at 4 counts with .3 against .9 at 0, the joint at 50 does not count."""
    people = line([0, 4], side=100, confidences=[[0.9] * 17, [0.3] * 17], scores=[1, 0.5])
    keypoints = people.keypoints.copy()
    keypoints[1, 0, 0] = 50
    kept = replace(PUBLISHED, merge=True, eta=5)(
        People(keypoints, people.boxes, people.scores, COCO17)
    )
    assert len(kept) == 1
    np.testing.assert_allclose(kept.keypoints[0, :, 0], [0] + [4 * 0.3 / 1.2] * 16, atol=1e-5)
    np.testing.assert_allclose(
        kept.keypoints[0, :, 2], [0.9] + [(0.9**2 + 0.3**2) / 1.2] * 16, atol=1e-5
    )
    assert kept.scores[0] == 1


@given(seed=st.integers(0, 1000))
def test_a_larger_picture_gives_the_same_people(seed):
    people, nms = crowd(np.random.default_rng(seed), 4, 4), replace(PUBLISHED, eta=12)
    large = People(
        people.keypoints * (8, 8, 1), people.boxes * 8, people.scores, COCO17, people.ids
    )
    assert nms(large).ids.tolist() == nms(people).ids.tolist()


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=str)
def test_one_eta_serves_every_skeleton(skeleton):
    near = [
        len(PoseNms()(poses([(0, 0), (x, 0)], [0.9, 0.8], skeleton=skeleton))) for x in (0, 2, 60)
    ]
    assert near == [1, 1, 2]


def test_faces_hands_and_feet_do_not_outvote_the_body():
    weights = part_weights(WHOLEBODY133)
    assert weights.sum() == pytest.approx(17 + 2)
    assert (weights[:17] == 1).all()
    assert not weights[np.array(WHOLEBODY133.fine)].any()
    assert (part_weights(COCO17) == 1).all()
    assert (part_weights(LSP14) == 1).all()
    assert part_weights(HALPE26).sum() == pytest.approx(17)
    apart = poses([(0, 0), (0, 0)], [0.9, 0.8], skeleton=WHOLEBODY133)
    keypoints = apart.keypoints.copy()
    keypoints[1, :17, 0] += 500  # all face, hand and foot points agree; the bodies do not
    assert len(PUBLISHED(People(keypoints, apart.boxes, apart.scores, WHOLEBODY133))) == 2


def test_weights_decide_which_joints_count():
    people = poses([(0, 0), (0, 0)], [0.9, 0.8])
    keypoints = people.keypoints.copy()
    keypoints[1, 5:, 0] += 500
    people = People(keypoints, people.boxes, people.scores, COCO17)
    assert len(PUBLISHED(people)) == 2
    assert len(replace(PUBLISHED, weights=(1.0,) * 5 + (0.0,) * 12)(people)) == 1
    with pytest.raises(OptionError, match="coco-17 needs 17 weights"):
        PoseNms(weights=(1.0,) * 14)(people)


@pytest.mark.parametrize("merge", [False, True])
def test_bad_input_is_defined(merge):
    nms = replace(PUBLISHED, merge=merge)
    good = poses([(0, 0), (0, 0), (500, 0)], [0.9, 0.8, 0.7])
    # Scores that are no numbers count as 0: they come last and are eliminated.
    kept = nms(People(good.keypoints, good.boxes, [math.nan, 0.8, 0.7], COCO17, good.ids))
    assert kept.ids.tolist() == [1, 2]
    # Boxes without area or end count as one pixel: people at the same place are the same, others
    # are not.
    for box in ([5, 5, 5, 5], [9, 9, 2, 2], [0, 0, math.inf, 9], [math.nan] * 4):
        assert nms(
            People(good.keypoints, [box] * 3, good.scores, COCO17, good.ids)
        ).ids.tolist() == [0, 2]
    # Joints that nobody sees still have places, and nothing moves.
    unseen = good.keypoints * (1, 1, 0)
    kept = replace(nms, lam=2, eta=20)(People(unseen, good.boxes, good.scores, COCO17, good.ids))
    assert kept.ids.tolist() == [0, 2]
    np.testing.assert_allclose(kept.keypoints, unseen[[0, 2]], atol=1e-4)
    # A joint that is nowhere is near nothing, and moves nothing.
    for nowhere in (math.nan, math.inf):
        keypoints = good.keypoints.copy()
        keypoints[1, 3] = nowhere
        kept = nms(People(keypoints, good.boxes, good.scores, COCO17, good.ids))
        assert kept.ids.tolist() == [0, 2]
        assert np.isfinite(kept.keypoints).all()
    # People without joints are no duplicates.
    assert len(nms(People.from_boxes([[0, 0, 5, 5]] * 2))) == 2
    assert len(nms(People.empty(BOX))) == 0


@pytest.mark.parametrize("name", ["sigma1", "sigma2", "eta", "share", "lam", "matched"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_parameters_that_make_no_sense_are_named(name, value):
    with pytest.raises(OptionError, match=f"pose NMS: {name} must be"):
        PoseNms(**{name: value})


def test_soft_nms_lowers_the_scores_of_duplicates_only():
    people = poses([(0, 0), (0, 0), (1000, 0)], [0.9, 0.8, 0.3])
    kept = soft_oks_nms(people, spread=0.5, least=0.0)
    assert kept.ids.tolist() == [0, 2, 1]
    np.testing.assert_allclose(kept.scores, [0.9, 0.3, 0.8 * math.exp(-1 / 0.5)], rtol=1e-5)
    assert soft_oks_nms(people, spread=0.5, least=0.2).ids.tolist() == [0, 2]


def test_methods_are_told_by_text_and_tell_themselves():
    people = crowd(np.random.default_rng(3), 5, 6)
    for name in SUPPRESSORS:
        method = pose_nms(name)
        again = pose_nms(str(method))
        assert again.numbers == method.numbers
        assert again(people).ids.tolist() == method(people).ids.tolist()
    assert pose_nms("parametric,eta=20,merge=0").run == PoseNms(eta=20, merge=False)
    assert pose_nms("alphapose").run == ALPHAPOSE
    assert len(pose_nms("none")(people)) == 30


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "magic",
            "unknown pose NMS 'magic': known are parametric, alphapose, oks, soft-oks, box, none",
        ),
        ("oks,eta=3", "oks has no 'eta': its parameters are threshold"),
        ("none,eta=3", "it has no parameters"),
        ("parametric,eta=large", "eta must be a number, got 'large'"),
        ("parametric,eta=0", "eta must be a number above 0"),
    ],
)
def test_a_wrong_text_is_answered(text, says):
    with pytest.raises(OptionError, match=says):
        pose_nms(text)
