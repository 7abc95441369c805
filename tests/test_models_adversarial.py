"""Adversarial PoseNet: what its three players say and are taught, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.models import adversarial  # noqa: E402
from everybody.models.adversarial import (  # noqa: E402
    AdversarialPoseNet,
    ConfidenceDiscriminator,
    PoseDiscriminator,
)
from everybody.models.gaussian_maps import gaussian_maps  # noqa: E402
from tests import network_answer, network_laws  # noqa: E402

SMALL = {"stacks": 2, "width": 16, "depth": 1}


@pytest.fixture
def truth():
    """Two people of three joints; the first joint is hidden."""
    at = torch.tensor([[[3.0, 4.0], [7.0, 10.0], [5.0, 2.0]]]).repeat(2, 1, 1)
    hidden = torch.tensor([[1.0, 0.0, 0.0]]).repeat(2, 1)
    return adversarial.maps_of(gaussian_maps(at, (16, 12), 1.5), hidden)


def test_occlusion_maps_are_empty_for_visible_joints(truth):
    poses, occlusions = truth.chunk(2, 1)
    assert torch.equal(occlusions[:, 0], poses[:, 0])
    assert not occlusions[:, 1:].any()


def test_the_generators_error_counts_every_stack_and_no_joint_of_weight_0(truth):
    weights = torch.tensor([[1.0, 1.0, 0.0]] * 2)
    empty = torch.zeros_like(truth)
    assert adversarial.generator_error((truth, truth), truth, weights, sigma=1.5)[0] == 0
    total, weight = adversarial.generator_error((empty, truth), truth, weights, sigma=1.5)
    assert weight == 4
    # one stack says nothing: the hidden joint has two maps, the visible one has one
    assert total == pytest.approx(2 * 3, abs=0.1)


def test_a_critics_error_is_the_papers_for_labels_of_0_and_1():
    torch.manual_seed(0)
    real, fake = torch.randn(4, 5), torch.randn(4, 5)
    right, weights = (torch.rand(4, 5) > 0.5).float(), (torch.rand(4, 5) > 0.3).float()
    papers = real.sigmoid().log() + (1 - (fake.sigmoid() - right).abs()).log()
    total, weight = adversarial.discriminator_error(real, fake, right, weights)
    assert total == pytest.approx(float(-(papers * weights).sum()), rel=1e-5)
    assert weight == weights.sum()
    believed = adversarial.belief_error(fake, weights)[0]
    assert believed == pytest.approx(float(-(fake.sigmoid().log() * weights).sum()), rel=1e-5)


def test_what_is_near_or_like_the_truth_is_no_fake(truth):
    moved = torch.roll(truth, 3, dims=3)  # three cells to the right
    assert adversarial.near(moved, truth, distance=3).all()
    assert not adversarial.near(moved, truth, distance=2.9).any()

    faint = 0.9 * truth  # misses a hundredth of each map's energy
    assert adversarial.near(faint, truth, distance=0).all()
    found = adversarial.alike(faint, truth, difference=0.015, sigma=1.5)
    assert found.tolist() == [[0, 1, 1]] * 2  # the hidden joint misses it twice


def test_critics_judge_every_joint_and_all_their_parameters_learn(truth):
    torch.manual_seed(0)
    image = torch.randn(2, 3, 64, 48)
    for critic, seen in (
        (PoseDiscriminator(3, width=8, depth=2), (truth, image)),
        (ConfidenceDiscriminator(3, width=8), (truth,)),
    ):
        real = critic(*seen)
        assert real.shape == (2, 3)
        fake = critic(torch.randn_like(truth), *seen[1:])
        ones = torch.ones(2, 3)
        adversarial.discriminator_error(real, fake, 0 * ones, ones)[0].backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())


def test_a_critics_opinion_reaches_the_generator_and_its_labels_do_not(truth):
    torch.manual_seed(0)
    net, image = AdversarialPoseNet(3, **SMALL), torch.randn(2, 3, 64, 48)
    said = net(image)
    labels = adversarial.alike(said[-1], truth, difference=1, sigma=1.5)
    assert not labels.requires_grad
    adversarial.belief_error(ConfidenceDiscriminator(3, width=8)(said[-1]), labels + 1)[
        0
    ].backward()
    last = net.poses[-1].heatmaps.weight.grad
    assert last.abs().sum() > 0


def test_two_players_play_a_round(truth):
    """One step each: the critic gets better at telling, then the generator at convincing it."""
    torch.manual_seed(0)
    image, ones = torch.randn(2, 3, 64, 48), torch.ones(2, 3)
    net, critic = AdversarialPoseNet(3, **SMALL), ConfidenceDiscriminator(3, width=8)

    def telling():
        made = net(image)[-1].detach()
        return adversarial.discriminator_error(critic(truth), critic(made), 0 * ones, ones)[0]

    def convincing():
        return adversarial.belief_error(critic(net(image)[-1]), ones)[0]

    for player, error in ((critic, telling), (net, convincing)):
        before = error()
        player.zero_grad()
        before.backward()
        with torch.no_grad():
            for parameter in player.parameters():
                if parameter.grad is not None:
                    parameter -= 1e-4 * parameter.grad
        assert error() < before


def test_laws(tmp_path):
    torch.manual_seed(0)
    net = AdversarialPoseNet(3, **SMALL)
    images = torch.randn(2, 3, 64, 48)
    said = net(images)
    assert [maps.shape for maps in said] == [(2, 6, 16, 12)] * 2
    assert torch.equal(net.answer(said)[0], said[-1][:, :3])

    def loss(said):
        return adversarial.generator_error(said, said[0].detach() - 1, torch.ones(2, 3), sigma=2)[0]

    network_laws.every_parameter_learns(net, images, loss)
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(network_answer.Answering(net), images, tmp_path / "net.onnx")
