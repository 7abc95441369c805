"""A conditioned network starts as the one without conditions, and learns who is meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.codecs.condition import folded  # noqa: E402
from everybody.errors import DataError  # noqa: E402
from everybody.models import MODELS, conditioned, deployed, tinypose  # noqa: E402
from everybody.train import augment, shards, squares  # noqa: E402
from everybody.train.recipe import UNCHANGED  # noqa: E402
from everybody.train.recipes import recipe  # noqa: E402
from everybody.train.tasks import task  # noqa: E402

from .test_train_adversarial import pack  # noqa: E402

STILL = replace(
    recipe("conditioned-128"), **UNCHANGED, start="", size=(32, 64), held_back=0.3,
)  # fmt: skip


def rng(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def together() -> shards.Pack:
    """Bodies, each beside another one 9 pixels to the right."""
    alone = pack()
    return replace(alone, others=alone.keypoints + np.float32([9, 0, 0]))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return conditioned.ConditionedTinyPoseNet(17).eval()


def moved(net):
    """A copy whose condition has been learnt, always the same."""
    torch.manual_seed(1)
    other = conditioned.ConditionedTinyPoseNet(17).eval()
    other.load_state_dict(net.state_dict())
    for told in (other.early, other.late):
        torch.nn.init.normal_(told.write.weight, std=0.1)
    return other


def test_it_starts_as_the_plain_network_and_an_empty_condition_is_never_seen(net):
    plain = tinypose.TinyPoseNet(17).eval()
    plain.load_state_dict(net.state_dict(), strict=False)
    image, maps = torch.randn(2, 3, 64, 32), torch.rand(2, 3, 64, 32)
    with torch.no_grad():
        wanted = plain(image)
        assert torch.equal(net(torch.cat([image, maps], 1)), wanted)
        assert torch.equal(moved(net)(torch.cat([image, 0 * maps], 1)), wanted)
        assert not torch.allclose(moved(net)(torch.cat([image, maps], 1)), wanted, atol=1e-4)


def test_the_network_unfolds_what_the_condition_folds(net):
    maps = torch.rand(1, 34, 16, 8)
    wide = torch.from_numpy(folded(maps.numpy(), 4))
    assert torch.equal(torch.nn.functional.pixel_unshuffle(wide, 4)[:, :34], maps)


def test_it_starts_from_a_plain_file_and_from_its_own(net):
    plain = tinypose.TinyPoseNet(17).eval()
    fresh = conditioned.ConditionedTinyPoseNet(17)
    state = conditioned.restored(fresh, deployed.deployed(plain).state_dict())
    assert all(torch.allclose(state[name], value) for name, value in plain.state_dict().items())
    assert not state["late.write.weight"].any()
    learnt = moved(net)
    state = conditioned.restored(fresh, deployed.deployed(learnt).state_dict())
    assert all(torch.allclose(state[name], value) for name, value in learnt.state_dict().items())


def test_laid_out_for_engines_it_is_the_same_function(net):
    image = torch.randn(2, 6, 64, 32)
    with torch.no_grad():
        wanted = moved(net)(image)
        found = deployed.deployed(moved(net))(image)
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_every_parameter_learns():
    made = task(STILL, together())
    for told in (made.net.early, made.net.late):  # at 0 the layer before learns nothing yet
        torch.nn.init.normal_(told.write.weight, std=0.01)
    total, weight = made.play("net", made.players, torch.arange(len(made)), rng())
    (total / weight).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.net.parameters())


def test_rough_poses_have_every_error_and_their_sizes(monkeypatch):
    from everybody.train import conditioned as learning

    made = task(STILL, together())
    own = made.keypoints.repeat(40, 1, 1)
    other = own + torch.tensor([1000.0, 0, 0])
    rough = made.rough(own, other, rng())
    swapped = rough[..., 0] > 500
    missed = rough[..., 2] == 0
    assert swapped.float().mean() == pytest.approx(learning.SWAPPED / 2, abs=0.02)
    assert missed.float().mean() == pytest.approx(learning.MISSED / 2, abs=0.02)
    for name in ("SWAPPED", "INVERTED", "MISSED", "JITTER"):
        monkeypatch.setattr(learning, name, 0.0 if name != "JITTER" else 0.1)
    steady = made.rough(own, other, rng())
    assert torch.equal(steady[..., 2], (own[..., 2] > 0).float())
    spread = (steady - own)[..., :2].std((0, 2)) / made.sigmas
    assert spread.std() < 0.1 * spread.mean()  # joints are as wrong as OKS allows


def test_nobody_beside_is_no_swap_and_scores_repeat():
    alone = replace(together(), others=0 * together().keypoints)
    made = task(STILL, alone)
    absent = torch.tensor([1000.0, 0, 0]) + 0 * made.keypoints
    rough = made.rough(made.keypoints, absent, rng())
    assert (rough[..., 0] < 500).all()  # none lies where an absent person's joints would
    made.net.eval()
    with torch.no_grad():
        first, second = (made.evaluate(made.net) for _ in range(2))
    assert first == second
    assert list(first) == ["oks", "plain"]


def test_first_looks_are_the_starts_own_answers_wherever_the_crop_lies():
    """A network that finds all joints at the brightest spot stands for the start."""
    made = task(STILL, together())

    class Bright(torch.nn.Module):
        def forward(self, image):
            grey = image[:, :3].mean(1, keepdim=True).clamp(min=0)[..., ::4, ::4]
            return grey.expand(-1, 17, -1, -1)

    made._teacher = Bright()
    rows = torch.arange(len(made))
    images, keypoints, _, matrices = made.augmented(rows, rng())
    packed = made.images[made.learnt[rows]]
    own, beside = made.first_looks(
        augment.normalised(images), keypoints, packed, matrices
    )  # the person beside is the person itself
    seen = own[:, 0, 2] > 0
    assert seen.any()
    apart = (own - beside)[seen][..., :2].norm(dim=-1)
    assert apart.median() < 4  # a cell
    absent = torch.zeros_like(keypoints)
    nobody = made.first_looks(augment.normalised(images), absent, packed, matrices)[1]
    assert not nobody[..., 2].any()


def test_shards_that_do_not_say_who_is_beside_are_refused():
    with pytest.raises(DataError, match="pack the pictures anew"):
        task(STILL, pack())


def test_the_one_beside_is_the_one_that_overlaps_most():
    boxes = np.array([(0, 0, 10, 10), (5, 0, 15, 10), (9, 0, 19, 10), (50, 50, 60, 60)], float)
    poses = np.arange(4.0)[:, None, None] + np.ones((4, 17, 3))
    beside = squares.nearest(poses, boxes)[:, 0, 0]
    assert beside.tolist() == [2, 3, 2, 0]
    assert squares.nearest(poses[:0], boxes[:0]).shape == (0, 17, 3)


def test_the_row_exports_with_its_own_channels(net):
    assert MODELS["tinypose-conditioned"].channels(net) == 6
    assert MODELS["tinypose"].channels(tinypose.TinyPoseNet(17)) == 3
