"""Later stages of the cascade learn one joint at a time, near the middle of their crop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.methods.cascade import diameters  # noqa: E402
from everybody.train.recipe import UNCHANGED  # noqa: E402
from everybody.train.recipes import recipe  # noqa: E402
from everybody.train.tasks import task  # noqa: E402

from .test_train_adversarial import pack  # noqa: E402

STILL = replace(
    recipe("cascade"), **UNCHANGED, precision="32-true", held_back=0.3, model="deeppose-tiny"
)


def rng(seed: int = 0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_the_joint_to_learn_is_in_the_middle_and_nothing_else_is_learnt(flip):
    made = task(replace(STILL, shift=0.0, flip=flip), pack())
    rows = torch.arange(len(made))
    _, keypoints, _, matrices = made.augmented(rows, rng())
    known = keypoints[..., 2] > 0
    assert (known.sum(1) == 1).all()
    middle = (keypoints.new_tensor(STILL.size) - 1) / 2
    assert torch.allclose(keypoints[known][:, :2], middle.expand(len(rows), 2), atol=1e-3)
    packed = made.learnt[rows]
    person = diameters(made.keypoints[packed].numpy(), made.boxes[packed].numpy(), made.skeleton)
    scale = matrices[:, 0, :2].norm(dim=1).numpy()
    assert np.allclose(scale * person, min(STILL.size), rtol=1e-4)  # the square fills the crop


def test_where_it_was_found_is_off_by_a_share_of_the_diameter():
    made = task(replace(STILL, shift=0.2), pack())
    places = []
    for seed in range(40):
        _, keypoints, _, _ = made.augmented(torch.arange(len(made)), rng(seed))
        places.append(keypoints[keypoints[..., 2] > 0][:, :2])
    away = (torch.cat(places) - (torch.tensor(STILL.size) - 1) / 2) / min(STILL.size)
    assert away.std(0).numpy() == pytest.approx([0.2, 0.2], abs=0.03)


def test_it_is_scored_on_people_held_back_the_same_way_each_time():
    made = task(replace(STILL, shift=0.1), pack())
    net = made.net.eval()
    with torch.no_grad():
        first, second = (made.evaluate(net)["oks"] for _ in range(2))
    assert first == second
    assert 0 <= first <= 1


def test_joints_that_are_not_looked_at_teach_nothing():
    made = task(STILL, pack())
    loss, weight = made.play("net", made.players, torch.arange(5), rng())
    assert weight == 5
    assert loss.isfinite()
