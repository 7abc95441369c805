"""SIKR: the mean stays the mean, its gradient is the paper's; parts count as they are weighted."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.codecs import Integral  # noqa: E402
from everybody.models.integral import mean_cell  # noqa: E402
from everybody.models.symmetric_integral import (  # noqa: E402
    keypoints,
    normalised,
    symmetric_integral_loss,
    symmetric_mean,
    whole_body_loss,
)


def drawn(*shape: int):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_the_answer_is_the_mean_cell():
    _, mass = normalised(drawn(2, 3, 16, 24))
    torch.testing.assert_close(symmetric_mean(mass), mean_cell(mass))


def test_the_gradient_is_a_constant_on_either_side_of_the_answer():
    """∂L / ∂p(x) = A · sgn(x - μ̂) · sgn(μ̂ - μ); here μ̂ = (5, 2), μ = (7, 1), A = (12, 8) / 8."""
    mass = torch.zeros(8, 12)
    mass[2, 4] = mass[2, 6] = 0.5
    mass.requires_grad_()
    (symmetric_mean(mass) - torch.tensor([7.0, 1.0])).abs().sum().backward()
    x, y = torch.arange(12), torch.arange(8)
    wanted = -1.5 * (x - 5).sign()[None] + 1.0 * (y - 2).sign()[:, None]
    torch.testing.assert_close(mass.grad, wanted.float())


def test_the_gradient_does_not_depend_on_where_the_joint_lies():
    """Unlike that of the plain mean."""

    def gradient(mean, shift):
        mass = torch.zeros(16, 16)
        mass[3 + shift, 4 + shift] = 1
        mass.requires_grad_()
        away = mean(mass) - torch.tensor([6.0 + shift, 3.5 + shift])
        away.abs().sum().backward()
        assert mass.grad is not None
        return mass.grad[shift : 8 + shift, shift : 8 + shift]

    torch.testing.assert_close(gradient(symmetric_mean, 0), gradient(symmetric_mean, 6))
    assert not torch.allclose(gradient(mean_cell, 0), gradient(mean_cell, 6))


def test_learning_moves_the_answer_to_the_joint():
    logits = drawn(1, 1, 12, 12).requires_grad_()
    target = (torch.tensor([[[8.3, 2.6]]]),)
    optimiser = torch.optim.Adam([logits], lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        symmetric_integral_loss(logits, target, torch.ones(1, 1))[0].backward()
        optimiser.step()
    assert (keypoints(logits)[0, 0, :2] - target[0][0, 0]).abs().max() < 0.3


def test_the_score_is_the_highest_confidence_however_large_the_part():
    """A large bright part and a small one: a softmax would score the large one lower."""
    logits = torch.full((2, 16, 16), -9.0)
    logits[0, 6:10, 6:10] = 2
    logits[1, 8, 8] = 2
    scores = keypoints(logits)[:, 2]
    assert scores.tolist() == pytest.approx([0.8808, 0.8808], abs=1e-4)


def test_the_codec_decodes_the_logarithm_of_the_confidence():
    logits = drawn(2, 5, 16, 12)
    wanted = keypoints(logits)[..., :2] * 4
    found = Integral((48, 64)).decode([logits.sigmoid().log().numpy()])[..., :2]
    torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=0, atol=1e-4)


def test_joints_of_weight_0_do_not_count():
    logits, cells = drawn(2, 3, 8, 8), torch.full((2, 3, 2), 3.0)
    weights = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    total, weight = symmetric_integral_loss(logits, (cells,), weights)
    logits[:, 1], logits[1, 0] = 50, -50
    again, _ = symmetric_integral_loss(logits, (cells,), weights)
    assert (total, weight) == (again, 3)


def test_each_part_of_a_whole_body_is_learnt_in_its_own_way():
    logits, cells = drawn(2, 3, 8, 8), torch.full((2, 3, 2), 3.0)
    maps, weights = torch.rand(2, 3, 8, 8), torch.ones(2, 3)
    maps = maps / maps.amax((2, 3), keepdim=True)
    by_heatmap, by_integral = torch.tensor([1.0, 0.0, 0.5]), torch.tensor([0.0, 2.0, 1.0])
    total, weight = whole_body_loss(
        logits, (cells, maps), weights, by_heatmap=by_heatmap, by_integral=by_integral, sigma=1.0
    )
    squares = (logits - maps).square().sum((0, 2, 3)) / torch.pi
    away = torch.stack(
        [
            symmetric_integral_loss(logits[:, k : k + 1], (cells[:, k : k + 1],), weights[:, :1])[0]
            for k in range(3)
        ]
    )
    torch.testing.assert_close(total, (by_heatmap * squares + by_integral * away).sum())
    assert weight == 6


def test_an_empty_map_costs_what_a_joint_weighs():
    """Of a body learnt by heatmaps alone, σ = 1.5 cells."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    maps = (-((x - 12) ** 2 + (y - 11) ** 2) / (2 * 1.5**2)).exp().expand(1, 2, 24, 24)
    total, weight = whole_body_loss(
        torch.zeros(1, 2, 24, 24),
        (torch.zeros(1, 2, 2), 0.2 * maps),  # whatever the target's scale
        torch.tensor([[1.0, 0.5]]),
        by_heatmap=torch.ones(2),
        by_integral=torch.zeros(2),
        sigma=1.5,
    )
    assert (total / weight).item() == pytest.approx(1, abs=1e-3)
