"""Laws of geometry: there and back is the identity, and pixels land where keypoints do."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody import geometry
from everybody.skeletons import COCO17

coordinate = st.floats(-200, 800)
length = st.floats(1, 500)


@st.composite
def boxes(draw, least=0, most=6):
    count = draw(st.integers(least, most))
    corners = [
        (draw(coordinate), draw(coordinate), draw(length), draw(length)) for _ in range(count)
    ]
    return np.array([(x, y, x + w, y + h) for x, y, w, h in corners], np.float64).reshape(-1, 4)


@given(boxes(), boxes())
def test_iou_is_symmetric_bounded_and_one_for_itself(a, b):
    pairs = geometry.iou(a, b)
    assert pairs.shape == (len(a), len(b))
    assert np.allclose(pairs, geometry.iou(b, a).T)
    assert ((pairs >= 0) & (pairs <= 1 + 1e-9)).all()
    assert np.allclose(np.diag(geometry.iou(a, a)), 1)


def test_iou_by_hand():
    """Two 2 × 2 boxes that share one pixel: 1 of 7. Empty boxes share nothing, not even with
    themselves.
    """
    a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3], [5, 5, 5, 5]])
    assert geometry.iou(a, b) == pytest.approx(np.array([[1 / 7, 0]]))
    assert geometry.iou(b[1:], b[1:]) == 0


@given(boxes(), st.floats(1, 1.5))
def test_crop_and_back_is_the_identity(found, padding):
    matrices = geometry.crop_matrices(found, (192, 256), padding)
    points = np.random.default_rng(0).uniform(-100, 900, (len(found), 17, 3))
    there = geometry.transform(matrices, points)
    assert np.allclose(geometry.transform(geometry.invert(matrices), there), points, atol=1e-6)
    assert np.array_equal(there[..., 2], points[..., 2])


@given(boxes(1, 1))
def test_a_crop_shows_the_whole_box_edge_to_edge_in_its_middle(found):
    corners = geometry.transform(geometry.crop_matrices(found, (192, 256)), found.reshape(1, 2, 2))[
        0
    ]
    low, high = corners
    assert np.allclose((low + high) / 2, (95.5, 127.5))
    assert np.isclose(low, -0.5).any()
    assert (low >= -0.5 - 1e-6).all()
    assert (high <= (191.5 + 1e-6, 255.5 + 1e-6)).all()


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("box", [(10, 20, 58, 84), (30, 10, 40, 60), (-20, -10, 50, 90)])
def test_one_pixel_lands_where_its_keypoint_lands(mirror, box):
    """Light one pixel, warp, and find the light's centre of mass: it is where the transform sends
    the keypoint.
    """
    image = np.zeros((120, 100), np.float32)
    image[40, 37] = 1
    matrices = geometry.crop_matrices(np.array([box], float), (192, 256), 1.25)
    if mirror:
        matrices = geometry.mirrored(matrices, 95.5)
    crop = cv2.warpAffine(image, matrices[0], (192, 256), flags=cv2.INTER_LINEAR)
    y, x = np.mgrid[:256, :192]
    centre = np.array([(crop * x).sum(), (crop * y).sum()]) / crop.sum()
    expected = geometry.transform(matrices, np.array([[[37.0, 40.0]]]))[0, 0]
    assert np.abs(centre - expected).max() < 0.1


@given(st.integers(1, 9), st.integers(1, 9), st.integers(-5, 5))
def test_every_pixel_of_a_turned_picture_is_where_the_turn_sends_it(width, height, turns):
    image = np.arange(width * height).reshape(height, width)
    y, x = np.mgrid[:height, :width]
    points = np.stack([x, y], -1).reshape(1, -1, 2).astype(float)
    there = geometry.transform(geometry.turn_matrix(width, height, turns)[None], points)[0].astype(
        int
    )
    assert np.array_equal(np.rot90(image, turns)[there[:, 1], there[:, 0]], image.ravel())


@given(boxes(), st.integers(0, 3))
def test_turned_boxes_come_back_and_keep_their_order(found, turns):
    matrix = geometry.turn_matrix(640, 480, turns)
    turned = geometry.transform_boxes(matrix, found)
    assert (turned[:, :2] <= turned[:, 2:]).all()
    assert np.allclose(geometry.transform_boxes(geometry.invert(matrix[None])[0], turned), found)
    width, height = (480, 640) if turns % 2 else (640, 480)
    assert np.array_equal(
        geometry.transform_boxes(matrix, geometry.whole(640, 480)), geometry.whole(width, height)
    )


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("box", [(10, 20, 58, 84), (30, 10, 90, 40), (-20, -10, 50, 90)])
def test_a_turned_crop_is_the_crop_of_the_turned_picture(turns, box):
    """The one warp turns as np.rot90 does, about the box's centre, and swaps the sides it fits: as
    a transform and in its pixels, up to OpenCV's fractions of 1/32.
    """
    image = np.random.default_rng(0).integers(0, 255, (120, 100, 3), np.uint8)
    found, turn = np.array([box], float), geometry.turn_matrix(100, 120, turns)
    (matrix,) = geometry.crop_matrices(found, (96, 128), 1.25, turns)
    (plain,) = geometry.crop_matrices(geometry.transform_boxes(turn, found), (96, 128), 1.25)
    assert np.allclose(matrix, plain @ np.vstack([turn, [0, 0, 1]]))
    one = cv2.warpAffine(image, matrix, (96, 128)).astype(int)
    two = cv2.warpAffine(np.ascontiguousarray(np.rot90(image, turns)), plain, (96, 128))
    assert np.abs(one - two).max() <= 255 / 16


def test_each_box_has_its_own_turn():
    found = np.array([[10, 20, 58, 84], [30, 10, 90, 40], [0, 0, 9, 9], [5, 5, 50, 90]], float)
    together = geometry.crop_matrices(found, (96, 128), 1.1, [0, 1, 2, 7])
    for box, turn, matrix in zip(found, (0, 1, 2, 3), together, strict=True):
        assert np.array_equal(geometry.crop_matrices(box[None], (96, 128), 1.1, turn)[0], matrix)


@given(boxes())
def test_coco_boxes_and_back(found):
    assert np.allclose(geometry.xyxy(geometry.xywh(found)), found, atol=1e-3)


def test_the_box_of_a_picture_is_coco_zero_zero_width_height():
    assert geometry.xywh(geometry.whole(640, 480)).tolist() == [[0, 0, 640, 480]]
    assert (
        geometry.clip(np.array([[-9.0, -9, 999, 999]]), 640, 480).tolist()
        == geometry.whole(640, 480).tolist()
    )


def test_oks_by_hand():
    """One joint, 2σ = 0.2, area 100, off by 2 pixels: exp(-4 / (2 · 100 · 0.04)); the other joint
    does not count.
    """
    a, b = np.zeros((1, 2, 2)), np.array([[[2.0, 0], [50, 50]]])
    found = geometry.oks(a, b, np.array([100.0]), (0.1, 0.1), np.array([[1.0, 0]]))
    assert found[0, 0] == pytest.approx(np.exp(-4 / 8))


def test_oks_of_itself_is_one_and_without_joints_zero():
    poses = np.random.default_rng(0).uniform(0, 100, (3, 17, 2))
    areas = np.array([1.0, 100, 1e4])
    assert np.allclose(np.diag(geometry.oks(poses, poses, areas, COCO17.sigmas)), 1)
    assert (geometry.oks(poses, poses, areas, COCO17.sigmas, np.zeros((3, 17))) == 0).all()


def test_mirroring_keypoints_twice_is_the_identity():
    keypoints = np.random.default_rng(0).uniform(0, 100, (4, 17, 3))
    once = geometry.mirror_keypoints(keypoints, 100, COCO17.mirror)
    assert np.allclose(geometry.mirror_keypoints(once, 100, COCO17.mirror), keypoints)
    assert np.allclose(once[:, 1, 0], 99 - keypoints[:, 2, 0])


def test_boxes_without_area_have_a_crop():
    assert np.isfinite(
        geometry.crop_matrices(np.array([[5.0, 5, 5, 5], [9, 9, 3, 3]]), (96, 128))
    ).all()


@pytest.mark.parametrize("turn", [0.25, 0.5, 1.7, -0.3, 5.5])
def test_a_crop_turned_by_a_part_of_a_quarter_holds_the_ellipse_of_its_box_about_its_centre(turn):
    found = np.array([[10, 20, 58, 84], [-30, 10, 90, 40]], float)
    angles = np.linspace(0, 2 * np.pi, 721)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    matrices = geometry.crop_matrices(found, (96, 128), 1.0, turn)
    for box, matrix in zip(found, matrices, strict=True):
        centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        ellipse = geometry.transform(matrix[None], (centre + circle * half)[None])[0]
        low, high = ellipse.min(0) + 0.5, ellipse.max(0) + 0.5
        assert np.allclose(low + high, (96, 128), atol=1e-3)
        assert np.isclose(min(low), 0, atol=1e-2), "edge to edge"
        scale = np.sqrt(np.linalg.det(matrix[:, :2]))
        right = matrix[:, :2] @ [1, 0] / scale
        assert np.allclose(right, [np.cos(turn * np.pi / 2), -np.sin(turn * np.pi / 2)])
    assert np.allclose(matrices, geometry.crop_matrices(found, (96, 128), 1.0, turn + 4))
