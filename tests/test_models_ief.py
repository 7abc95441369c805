"""Iterative Error Feedback: bounded steps, the fixed path, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import OptionError  # noqa: E402
from everybody.models.gaussian_maps import gaussian_maps  # noqa: E402
from everybody.models.ief import IefNet, bounded, fixed_path, ief_loss, median_pose  # noqa: E402
from tests import network_answer, network_laws  # noqa: E402

SMALL = {"width": 8, "depths": (1, 1, 1, 1)}


def test_steps_keep_their_direction_and_are_bounded():
    steps = torch.tensor([[3.0, 4.0], [30.0, -40.0], [0.0, 0.0]])
    assert torch.allclose(bounded(steps, 10), torch.tensor([[3.0, 4.0], [6.0, -8.0], [0.0, 0.0]]))


def test_the_fixed_path_walks_straight_to_the_truth_and_stays_there():
    start, truth = torch.zeros(1, 2, 2), torch.tensor([[[50.0, 0.0], [0.0, -15.0]]])
    path = fixed_path(start, truth, torch.ones(1, 2), steps=5, bound=20)
    assert path[0, :, 0, 0].tolist() == pytest.approx([0, 20, 40, 50, 50])
    assert path[0, :, 1, 1].tolist() == pytest.approx([0, -15, -15, -15, -15])


def test_unlabelled_joints_stay_at_their_start():
    truth = torch.full((1, 2, 2), float("nan"))
    truth[:, 0] = 9.0
    path = fixed_path(torch.ones(1, 2, 2), truth, torch.tensor([[1.0, 0.0]]), steps=3, bound=20)
    assert path[0, -1].tolist() == [[9, 9], [1, 1]]


def test_the_median_pose_is_of_what_is_known():
    places = torch.tensor([[[0.1, 0.2]] * 2, [[0.3, 0.6]] * 2, [[0.9, 0.4]] * 2])
    weights = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    wanted = torch.tensor([[0.3, 0.4], [0.0, 0.0]])
    assert torch.allclose(median_pose(places, weights), wanted)


def test_the_loss_is_zero_for_perfect_corrections_and_blind_to_weight_0():
    truth = torch.rand(2, 3, 2) * 60
    weights = torch.tensor([[1.0, 1.0, 0.0]] * 2)
    path = fixed_path(torch.zeros(2, 3, 2), truth, weights, steps=4, bound=20)
    poses = torch.cat([path, path[:, -1:]], 1)
    corrections = bounded(truth[:, None] - path, 20)
    corrections[:, :, 2] = 99
    total, weight = ief_loss((poses, corrections), (truth,), weights)
    assert total == pytest.approx(0, abs=1e-6)
    assert weight == 4
    assert ief_loss((poses, -corrections), (truth,), weights)[0] > 1


def test_guesses_begin_at_the_start_and_add_up_the_corrections():
    torch.manual_seed(0)
    net = IefNet(2, start=[[-1.0, 0.0], [0.5, 1.0]], **SMALL).eval()
    poses, corrections = net(torch.randn(2, 3, 96, 64))
    assert (poses.shape, corrections.shape) == ((2, 5, 2, 2), (2, 4, 2, 2))
    # -1 and 1 are the crop's edges: half a pixel outside its first and last pixels
    assert poses[1, 0].tolist() == [[-0.5, 47.5], [47.5, 95.5]]
    walked = poses[:, 0] + bounded(corrections, net.bound).sum(1)
    assert torch.allclose(poses[:, -1], walked, atol=1e-4)
    assert torch.equal(net.answer((poses, corrections))[0], poses[:, -1])


def test_given_the_truth_every_step_corrects_the_fixed_path():
    torch.manual_seed(0)
    net = IefNet(2, steps=3, bound=10, **SMALL).eval()
    image, truth = torch.randn(2, 3, 64, 64), torch.rand(2, 2, 2) * 60
    weights = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    poses, corrections = net(image, truth, weights)
    assert (poses.shape, corrections.shape) == ((2, 4, 2, 2), (2, 3, 2, 2))
    path = fixed_path(net.first(image), truth, weights, steps=3, bound=10)
    assert torch.equal(poses[:, :3], path)
    for step in range(3):
        alone = net.correction(image, path[:, step])
        assert torch.allclose(corrections[:, step], alone, atol=1e-4)


def test_a_joint_is_rendered_where_it_is():
    maps = gaussian_maps(torch.tensor([[5.0, 2.0]]), (6, 8), 1.5)
    assert maps[0, 2, 5] == 1
    assert maps[0].argmax() == 2 * 8 + 5
    assert maps[0, 2, 4] == maps[0, 2, 6] == maps[0, 3, 5]


def test_the_start_is_saved_with_the_weights():
    state = IefNet(2, start=[[0.1, 0.2], [0.3, 0.4]], **SMALL).state_dict()
    net = IefNet(2, **SMALL)
    net.load_state_dict(state)
    assert net.start.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    with pytest.raises(OptionError, match=r"shape \(2, 2\) is no pose of 3 joints"):
        IefNet(3, start=[[0.1, 0.2], [0.3, 0.4]], **SMALL)


def test_it_begins_at_the_median_of_what_it_is_taught_and_the_middle_of_what_nobody_has_said():
    places = torch.tensor([[[10.0, 20.0], [0.0, 0.0]], [[14.0, 90.0], [0.0, 0.0]]]).repeat(2, 1, 1)
    places[0, 0] = places[2, 0] = torch.tensor([12.0, 30.0])
    weights = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
    net = IefNet(2, **SMALL)
    net.begin(places, weights, (64, 96))
    begun = net.first(torch.zeros(1, 3, 96, 64))[0]
    assert torch.allclose(begun[0], median_pose(places, weights)[0], atol=1e-4)
    assert torch.allclose(begun[1], torch.tensor([31.5, 47.5]), atol=1e-4)


def test_a_task_lets_it_begin_at_the_median_pose_of_its_crops():
    from dataclasses import replace

    from everybody.train.recipe import UNCHANGED
    from everybody.train.recipes import BASE
    from everybody.train.tasks import task

    from .test_train_adversarial import pack

    numbers = {**UNCHANGED, "size": (48, 64), "sigma": 0.0, "held_back": 0.3}
    made = task(replace(BASE, model="ief-slim", **numbers), pack())
    rows = torch.arange(len(made))
    images, keypoints, _, _ = made.augmented(rows, torch.Generator().manual_seed(0))
    begun = made.net.first(images)[0]
    assert torch.allclose(begun, median_pose(keypoints[..., :2], keypoints[..., 2]), atol=0.1)


def test_laws(tmp_path):
    torch.manual_seed(0)
    net = IefNet(3, steps=2, **SMALL)
    images, truth = torch.randn(2, 3, 96, 64), torch.rand(2, 3, 2) * 60

    def loss(said):
        return ief_loss(said, (truth,), torch.ones(2, 3))[0]

    network_laws.every_parameter_learns(network_answer.awake(net), images, loss)
    network_laws.batched_equals_single(net, images, tolerance=1e-3)  # pixels
    network_laws.onnx_equals_torch(network_answer.Answering(net), images, tmp_path / "net.onnx")
