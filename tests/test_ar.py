"""Augmented reality: targets are where they are, things sit where they belong."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.apps.ar import Scene, augmented
from everybody.apps.overlay import Model, blended, modelled, read_model, silhouettes
from everybody.apps.target import Sight, Target, Tracker, box_corners, pose_of
from everybody.apps.worn import THINGS, fitted, put_on, read_thing, thing
from everybody.errors import DataError, OptionError
from everybody.lift.cameras import Camera
from everybody.people import Frame, People, Poses3D
from everybody.skeletons import COCO17
from synthetic import poster

SIZE = 480, 360
CAMERA = Camera.of(SIZE, 55)
PICTURE = poster.poster()
FLAT = Target.flat(PICTURE, 0.3)


def off(found: Sight, pose: tuple[np.ndarray, np.ndarray], corners: np.ndarray) -> float:
    """Root mean square of the corners' way from where they are, in pixels."""
    gaps = found.of(CAMERA).onto(corners) - CAMERA.at(*pose).onto(corners)
    return math.sqrt(np.square(gaps).sum(1).mean())


def film(poses):
    rng = np.random.default_rng(1)
    return [poster.shown(PICTURE, FLAT.faces[0], CAMERA, pose, SIZE, rng) for pose in poses]


def test_a_target_is_followed_to_the_pixel_and_rests_while_still():
    poses = poster.way(10, still=6)
    tracker = Tracker(FLAT, CAMERA)
    sights = [tracker.see(image) for image in film(poses)]
    corners = FLAT.faces[0].corners
    for found, pose in zip(sights, poses, strict=True):
        assert found is not None
        assert off(found, pose, corners) < 2
    resting = np.stack([found.of(CAMERA).onto(corners) for found in sights[-6:]])
    assert np.sqrt(resting.var(0).mean()) < 0.5


def test_a_target_that_is_away_is_not_seen_and_found_again():
    pose = poster.way(1)
    (image,) = film(pose)
    empty = np.full_like(image, 120)
    tracker = Tracker(FLAT, CAMERA)
    assert tracker.see(empty) is None
    assert tracker.see(image) is not None
    assert tracker.see(empty) is None
    found = tracker.see(image)
    assert found is not None
    assert off(found, pose[0], FLAT.faces[0].corners) < 2


def test_a_side_of_a_box_says_where_the_box_is():
    box = Target.box([None, PICTURE, None, None, None, None], (0.2, 0.225, 0.3))
    corners = box.faces[0].corners
    quarter = cv2.Rodrigues(np.array([0.0, -np.pi / 2 + 0.2, 0.0]))[0]
    pose = cv2.Rodrigues(np.array([np.pi, 0.0, 0.0]))[0] @ quarter, np.array([0.0, 0.0, 0.6])
    rng = np.random.default_rng(0)
    image = poster.shown(PICTURE, box.faces[0], CAMERA, pose, SIZE, rng)
    found = Tracker(box, CAMERA).see(image)
    assert found is not None
    assert off(found, pose, corners) < 2
    assert found.rotation == pytest.approx(pose[0], abs=0.05)


@given(seed=st.integers(0, 30))
def test_any_thing_is_placed_by_its_points_in_spite_of_wrong_ones(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.2, 0.2, (30, 3))
    rotation = cv2.Rodrigues(rng.normal(size=3))[0]
    translation = np.array([*rng.uniform(-0.1, 0.1, 2), 1.0])
    places = CAMERA.at(rotation, translation).onto(points)
    places[:6] += rng.uniform(20, 90, (6, 2))
    found = pose_of(points, places, CAMERA)
    assert found is not None
    assert found.rotation == pytest.approx(rotation, abs=1e-3)
    assert found.translation == pytest.approx(translation, abs=1e-3)
    assert found.inliers == 24


def test_a_box_has_its_faces_outside_and_corners_clockwise():
    for corners in box_corners((2, 4, 6)):
        across, down = corners[1] - corners[0], corners[3] - corners[0]
        assert np.cross(down, across) @ corners.mean(0) > 0
        assert corners[2] == pytest.approx(corners[1] + down)


def test_targets_that_cannot_be_recognised_say_what_a_good_one_is():
    with pytest.raises(OptionError, match=r"page\.png: has \d+ features in \d+ of 16 parts.*good"):
        Target.flat(np.full((200, 200, 3), 90, np.uint8), name="page.png")
    with pytest.raises(OptionError, match="fov 180"):
        Camera.of(SIZE, 180)
    with pytest.raises(OptionError, match="one of its sides"):
        Target.box([None] * 6, (1, 1, 1))


# --- drawing


def test_a_picture_lies_on_its_target_and_people_hide_it():
    pose = poster.way(1)
    (image,) = film(pose)
    red = np.zeros((30, 40, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    frame = Frame(image, people=person(240, 180, 60))
    hidden = Scene(FLAT, red, fov=55).draw(frame)
    open_ = Scene(FLAT, red, fov=55, occlusion=False).draw(frame)
    middle = CAMERA.at(*pose[0]).onto(np.zeros((1, 3)))[0].round().astype(int)
    assert open_[middle[1], middle[0]].tolist() == [255, 0, 0]
    assert hidden[200, 240].tolist() == pytest.approx(image[200, 240].tolist(), abs=1)
    assert np.array_equal(open_[:5], image[:5]), "nothing changes elsewhere"


def test_the_near_side_of_a_model_covers_the_far_one():
    corners = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0], [-1, -1, 1], [1, -1, 1], [0, 1, 1.0]])
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    colours = np.array([[255, 0, 0], [0, 0, 255.0]])
    upright = cv2.Rodrigues(np.array([np.pi, 0.0, 0.0]))[0]
    sight = Sight(upright, np.array([0, 0, 6.0]), 20, 0.0)
    layer, alpha = modelled(Model(corners, faces, colours), sight, CAMERA, SIZE)
    assert layer[180, 240, 2] > layer[180, 240, 0]
    assert alpha[180, 240] == 1
    assert alpha[2, 2] == 0


def test_models_are_read_standing_up_and_as_large_as_asked(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    trimesh.creation.box((1, 3, 2)).export(tmp_path / "box.glb")
    model = read_model(tmp_path / "box.glb", 0.6)
    assert np.ptp(model.corners, 0) == pytest.approx([0.2, 0.4, 0.6])
    assert model.corners[:, 2].min() == pytest.approx(0)
    (tmp_path / "bad.glb").write_bytes(b"glTF" + bytes(20))
    with pytest.raises(DataError, match=r"bad\.glb: not a model that can be read"):
        read_model(tmp_path / "bad.glb", 1)


def test_every_frame_comes_out_once_and_in_order():
    frames = [Frame(np.full((8, 8, 3), n, np.uint8), index=n, time=n / 30) for n in range(5)]
    drawn = list(augmented(Scene(things=[thing("hat")]), frames))
    assert [time for time, _ in drawn] == [frame.time for frame in frames]
    assert all(np.array_equal(image, f.image) for (_, image), f in zip(drawn, frames, strict=True))


def test_blending_by_nothing_and_by_everything():
    frame, layer = np.full((2, 2, 3), 9, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    assert np.array_equal(blended(frame, layer, np.zeros((2, 2))), frame)
    assert np.array_equal(blended(frame, layer, np.ones((2, 2))), layer)


# --- what people wear


def person(x: float, y: float, trunk: float, score: float = 0.9, back: bool = False) -> People:
    """Somebody upright, the middle of the trunk at x, y."""
    way = -1 if back else 1
    places = {"nose": (0, -0.9)}
    for side, sign in (("left", way), ("right", -way)):
        places |= {
            f"{side}_eye": (0.08 * sign, -0.98), f"{side}_ear": (0.16 * sign, -0.95),
            f"{side}_shoulder": (0.4 * sign, -0.5), f"{side}_elbow": (0.5 * sign, 0),
            f"{side}_wrist": (0.5 * sign, 0.5), f"{side}_hip": (0.25 * sign, 0.5),
            f"{side}_knee": (0.25 * sign, 1.2), f"{side}_ankle": (0.25 * sign, 1.9),
        }  # fmt: skip
    points = np.zeros((1, 17, 3))
    for name, (dx, dy) in places.items():
        points[0, COCO17.joints.index(name)] = x + trunk * dx, y + trunk * dy, score
    box = np.array([[x - trunk, y - trunk, x + trunk, y + 2 * trunk]])
    return People(points, box, np.array([0.9]), COCO17)


@pytest.mark.parametrize("name", THINGS)
def test_anchors_come_to_lie_on_their_joints(name):
    one, worn = person(200, 150, 60), thing(name)
    matrix = fitted(worn, one)
    assert matrix is not None
    for joint, pixel in worn.anchors.items():
        shown = matrix @ (*pixel, 1)
        place = one.keypoints[0, COCO17.joints.index(joint), :2]
        assert shown[:2] / shown[2] == pytest.approx(place, abs=0.01)


def test_a_hat_is_on_top_from_the_front_and_from_behind():
    hat = thing("hat")
    for back in (False, True):
        matrix = fitted(hat, person(200, 150, 60, back=back))
        assert matrix is not None
        top = matrix @ (200, 34, 1)
        assert top[1] < 150 - 60


def test_what_is_not_seen_is_not_worn():
    nobody = person(200, 150, 60, score=0.1)
    assert all(fitted(thing(name), nobody) is None for name in THINGS)
    image = np.zeros((360, 480, 3), np.uint8)
    assert np.array_equal(put_on(image, nobody, [thing(name) for name in THINGS]), image)
    assert np.array_equal(put_on(image, People.empty(COCO17), [thing("hat")]), image)


def test_a_sword_behind_the_body_is_hidden_by_it():
    image = np.zeros((360, 480, 3), np.uint8)
    one = person(240, 150, 60)
    keypoints = one.keypoints.copy()
    keypoints[0, COCO17.joints.index("right_wrist"), :2] = 240, 150  # before or behind the trunk
    one = People(keypoints, one.boxes, one.scores, COCO17)
    joints = np.zeros((1, 17, 4))
    wrist = [COCO17.joints.index(f"right_{part}") for part in ("wrist", "elbow")]
    covered = []
    for depth in (-0.3, 0.3):
        joints[0, wrist, 2] = depth
        drawn = put_on(image, one, [thing("sword")], Poses3D(joints, COCO17))
        covered.append(int((drawn.max(2) > 100).sum()))
    assert covered[1] < covered[0]


def test_silhouettes_hold_the_joints_and_not_the_corners():
    one = person(240, 150, 60)
    mask = silhouettes(one, SIZE)
    for x, y, _ in one.keypoints[0, 5:]:
        assert mask[round(float(y)), round(float(x))] > 0.5
    assert mask[0, 0] == mask[-1, -1] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture = 'x.png'", "anchors are 2 to 4"),
        ("colour = 1", "unknown key 'colour'"),
        ("picture = 'x.png'\n[anchors]\nnose = [1, 2]\nleft_eye = [3, 4]", "cannot be read"),
        ("[anchors]\nnose = [1]", "anchors: .*a list of length 2"),
        ("picture = ", "not a TOML file"),
    ],
)
def test_things_that_cannot_be_worn_are_refused(tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(DataError, match=rf"own\.toml.*{message}"):
        read_thing(tmp_path / "own.toml")


def test_ones_own_thing_is_read_and_an_unknown_one_lists_the_known(tmp_path):
    cv2.imwrite(str(tmp_path / "crown.png"), np.full((10, 20, 4), 200, np.uint8))
    text = "picture = 'crown.png'\n[anchors]\nleft_ear = [18, 9]\nright_ear = [2, 9]\n"
    (tmp_path / "crown.toml").write_text(text)
    assert thing(str(tmp_path / "crown.toml")).picture.shape == (10, 20, 4)
    with pytest.raises(OptionError, match=r"unknown thing to wear 'cape'.*glasses"):
        thing("cape")
