"""Laws of the nouns: shapes are checked, indexing is an array's, there and back is the identity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import everybody
from everybody.people import Frame, People
from everybody.skeletons import (
    BOX,
    COCO17,
    HALPE26,
    HALPE136,
    LSP14,
    MPII16,
    OPENPOSE25,
    PLACED,
    SKELETONS,
    WHOLEBODY133,
    mapping,
)


def some(count: int, skeleton=COCO17, ids: bool = True) -> People:
    rng = np.random.default_rng(count)
    boxes = rng.uniform(0, 50, (count, 4)) + np.array([0, 0, 60, 60])
    keypoints = rng.uniform(0, 1, (count, len(skeleton), 3))
    return People(
        keypoints, boxes, rng.uniform(0, 1, count), skeleton, np.arange(count) * 7 if ids else None
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"keypoints": np.zeros((2, 16, 3))},
            r"keypoints of coco-17 must have shape \[N, 17, 3\], got \[2, 16, 3\]",
        ),
        ({"boxes": np.zeros((3, 4))}, r"boxes must have shape \[2, 4\], got \[3, 4\]"),
        ({"scores": np.zeros((2, 1))}, r"scores must have shape \[2\], got \[2, 1\]"),
        ({"ids": [1]}, r"ids must have shape \[2\], got \[1\]"),
    ],
)
def test_wrong_shapes_are_named(change, message):
    parts = {
        "keypoints": np.zeros((2, 17, 3)),
        "boxes": np.zeros((2, 4)),
        "scores": np.zeros(2),
        "skeleton": COCO17,
    }
    with pytest.raises(ValueError, match=message):
        People(**(parts | change))


def test_people_index_like_an_array():
    people = some(5)
    assert len(people[2]) == 1
    assert people[-1].ids.tolist() == [28]
    assert people[1:3].ids.tolist() == [7, 14]
    assert people[people.scores > 2].keypoints.shape == (0, 17, 3)
    assert people[[4, 0]].ids.tolist() == [28, 0]
    assert [p.ids[0] for p in people] == [0, 7, 14, 21, 28]
    with pytest.raises(IndexError):
        people[5]


@given(st.integers(0, 4), st.sampled_from(list(SKELETONS.values())), st.booleans())
def test_dicts_and_back(count, skeleton, ids):
    people = some(count, skeleton, ids)
    again = People.from_dicts(people.to_dicts(), skeleton)
    assert np.array_equal(again.keypoints, people.keypoints)
    assert np.array_equal(again.boxes, people.boxes)
    assert np.array_equal(again.scores, people.scores)
    assert (again.ids is None) == (people.ids is None or count == 0)


def test_the_tidy_table_has_a_row_per_person_and_joint():
    pytest.importorskip("pandas")
    table = some(3).to_dataframe()
    assert len(table) == 3 * 17
    assert table[table.joint == "left_wrist"].id.tolist() == [0, 7, 14]


def test_a_frame_wants_rgb_bytes():
    with pytest.raises(ValueError, match=r"\[4, 4\] float64"):
        Frame(np.zeros((4, 4)))
    assert Frame(np.zeros((4, 6, 3), np.uint8)).size == (6, 4)
    assert Frame(np.zeros((4, 6, 3), np.uint8)).people.skeleton is BOX


def test_a_notebook_shows_the_overlay():
    shown = Frame(np.zeros((40, 60, 3), np.uint8), people=some(1))._repr_png_()
    assert shown.startswith(b"\x89PNG")


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=str)
def test_a_mirror_of_a_mirror_is_the_joint_itself_and_limbs_are_joints(skeleton):
    mirror = np.array(skeleton.mirror)
    assert (mirror[mirror] == np.arange(len(skeleton))).all()
    assert all(
        0 <= a < len(skeleton) and 0 <= b < len(skeleton) and a != b for a, b in skeleton.limbs
    )
    assert len(set(skeleton.joints)) == len(skeleton)
    pairs = {tuple(sorted(limb)) for limb in skeleton.limbs}
    assert {tuple(sorted((mirror[a], mirror[b]))) for a, b in skeleton.limbs} == pairs, (
        "limbs are symmetric"
    )
    assert all(sigma > 0 for sigma in skeleton.sigmas)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=str)
def test_the_map_to_itself_is_the_identity(skeleton):
    keypoints = some(2, skeleton).keypoints
    assert np.array_equal(mapping(skeleton, skeleton)(keypoints), keypoints)


def test_neck_and_hips_are_derived_for_openpose():
    people = some(1)
    openpose = people.to(OPENPOSE25).keypoints[0]
    shoulders = people.keypoints[0, 5:7]
    neck = openpose[OPENPOSE25.joints.index("neck")]
    assert np.allclose(neck[:2], shoulders[:, :2].mean(0))
    assert neck[2] == shoulders[:, 2].min()
    told = mapping(COCO17, OPENPOSE25)
    assert told.derived == ("neck", "pelvis")
    assert len(told.missing) == 6
    assert (openpose[-6:] == 0).all()


def test_hips_of_lsp_lie_elsewhere_and_move_with_the_body():
    """Placed joints turn, grow and are mirrored as the body is; where a joint that says whereto is
    unknown, copied.
    """
    people = some(3).keypoints
    left, right = (LSP14.joints.index(f"{side}_hip") for side in ("left", "right"))
    to_lsp = mapping(COCO17, LSP14)
    placed = to_lsp(people)
    hip, other, shoulder = (
        people[:, COCO17.joints.index(name)] for name in ("left_hip", "right_hip", "left_shoulder")
    )
    assert np.allclose(
        placed[:, left, :2], (1.08 * hip - 0.16 * other + 0.08 * shoulder)[:, :2], atol=1e-3
    )
    assert np.array_equal(placed[:, left, 2], hip[:, 2])
    turn = np.array([[0.6, -0.8], [0.8, 0.6]]) * 3
    moved = people.copy()
    moved[..., :2] = people[..., :2] @ turn.T + [5, -7]
    assert np.allclose(
        to_lsp(moved)[:, [left, right], :2],
        placed[:, [left, right], :2] @ turn.T + [5, -7],
        atol=1e-2,
    )
    assert np.allclose(to_lsp(people[:, list(COCO17.mirror)])[:, left], placed[:, right], atol=1e-4)
    people[0, COCO17.joints.index("left_shoulder"), 2] = 0
    assert np.array_equal(to_lsp(people)[0, left], people[0, COCO17.joints.index("left_hip")])
    assert np.array_equal(to_lsp(people)[1:], placed[1:])


@pytest.mark.parametrize("pair", PLACED)
def test_weights_of_placed_joints_add_up_to_one(pair):
    for weights in PLACED[pair].values():
        assert sum(weights.values()) == pytest.approx(1)


def test_maps_between_formats_say_what_is_missing():
    assert mapping(MPII16, COCO17).missing == (
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
    )
    assert mapping(HALPE26, COCO17).missing == ()
    assert mapping(HALPE136, WHOLEBODY133).missing == ()


def test_the_public_names_are_all_there():
    assert set(dir(everybody)) == set(everybody.__all__)
    for name in everybody.__all__:
        assert getattr(everybody, name) is not None
    with pytest.raises(AttributeError):
        _ = everybody.nobody
