"""`Poses3D`: shapes, indexing, and the trees of the skeletons."""

import numpy as np
import pytest

from everybody.people import Poses3D
from everybody.skeletons import COCO17, H36M17, SKELETONS

TREES = [skeleton for skeleton in SKELETONS.values() if skeleton.parents]


def poses(count: int) -> Poses3D:
    joints = np.arange(count * 17 * 4, dtype=np.float32).reshape(count, 17, 4)
    return Poses3D(joints, H36M17, np.arange(count) + 7)


def test_indexing_keeps_rows_together():
    three = poses(3)
    for index, rows in ((1, [1]), (slice(1, 3), [1, 2]), ([2, 0], [2, 0]), (three.ids > 7, [1, 2])):
        some = three[index]
        assert some.ids is not None
        np.testing.assert_array_equal(some.joints, three.joints[rows])
        np.testing.assert_array_equal(some.ids, np.array(rows) + 7)


def test_nobody_is_legal():
    assert len(Poses3D.empty(COCO17)) == 0
    assert Poses3D([], COCO17).joints.shape == (0, 17, 4)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\[N, 17, 4\]"):
        Poses3D(np.zeros((2, 17, 3)), H36M17)
    with pytest.raises(ValueError, match="ids"):
        Poses3D(np.zeros((2, 17, 4)), H36M17, np.arange(3))


@pytest.mark.parametrize("skeleton", TREES, ids=str)
def test_trees_have_one_root_and_no_circle(skeleton):
    assert [parent for parent in skeleton.parents if parent < 0] == [-1]
    assert all(parent < joint for joint, parent in enumerate(skeleton.parents))


@pytest.mark.parametrize("skeleton", TREES, ids=str)
def test_trees_are_mirrored_with_the_body(skeleton):
    for joint, parent in enumerate(skeleton.parents):
        partner = skeleton.parents[skeleton.mirror[joint]]
        assert partner == (skeleton.mirror[parent] if parent >= 0 else -1)
