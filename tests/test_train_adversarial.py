"""Adversarial training: who learns from what, and which joints are known to be hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.models import MODELS, adversarial  # noqa: E402
from everybody.skeletons import COCO17  # noqa: E402
from everybody.train import checkpoint, loop, shards, squares  # noqa: E402
from everybody.train.recipe import UNCHANGED  # noqa: E402
from everybody.train.recipes import BASE  # noqa: E402
from everybody.train.tasks import task  # noqa: E402
from synthetic import nets  # noqa: E402

RECIPE = replace(
    BASE,
    **{**UNCHANGED, "model": "adversarial-thin"},
    size=(48, 64),
    sigma=1.0,
    steps=2,
    batch=4,
    warmup=1,
    held_back=0.3,
    precision="32-true",
    evaluate_every=2,
)
NOSE, LEFT, RIGHT = 0, COCO17.joints.index("left_wrist"), COCO17.joints.index("right_wrist")


@pytest.fixture(autouse=True, scope="module")
def thin():
    with pytest.MonkeyPatch.context() as patch:

        def build(joints, codec):
            return adversarial.AdversarialPoseNet(joints, stacks=2, width=16, depth=1)

        row = replace(MODELS["adversarial-slim"], build=build)
        patch.setitem(MODELS, "adversarial-thin", row)
        yield


def pack(count: int = 12, side: int = 64) -> shards.Pack:
    """Twelve bodies; of each the nose is visible, the left wrist hidden, and nothing else said."""
    random = np.random.default_rng(0)
    keypoints = np.ones((count, 17, 3), np.float32)
    keypoints[..., :2] = random.uniform(0.35 * side, 0.65 * side, (count, 17, 2))
    hidden = np.full((count, 17), -1, np.int8)
    hidden[:, NOSE], hidden[:, LEFT] = 0, 1
    return shards.Pack(
        images=np.stack([nets.blob(side, side, *body[0, :2], sigma=2.5) for body in keypoints]),
        picture=np.arange(count),
        keypoints=keypoints,
        boxes=np.concatenate([keypoints[..., :2].min(1), keypoints[..., :2].max(1)], 1),
        ignored=np.zeros(count, bool),
        names=tuple(f"set/{i}.jpg#0" for i in range(count)),
        skeleton=COCO17,
        hidden=hidden,
    )


def rng():
    return torch.Generator().manual_seed(0)


def test_all_three_players_learn_and_only_the_generator_is_kept(tmp_path):
    made = task(RECIPE, pack())
    before = {name: net.state_dict() for name, net in made.players.items()}
    before = {
        name: {key: value.clone() for key, value in state.items()} for name, state in before.items()
    }
    assert list(before) == ["net", "pose critic", "confidence critic"]
    loop.train(RECIPE, made, tmp_path, fabric=loop.on(RECIPE, "cpu"))
    for name, net in made.players.items():
        moved = [
            key
            for key, value in net.named_parameters()
            if not torch.equal(value, before[name][key].to(value))
        ]
        assert moved
    weights, _ = checkpoint.read_weights(tmp_path / "last.safetensors")
    assert set(weights) == set(before["net"])


def test_without_critics_the_generator_has_its_own_loss_alone():
    alone, judged = (task(replace(RECIPE, critics=factor), pack()) for factor in (0.0, 1.0))
    assert list(alone.players) == ["net"]
    rows = torch.arange(3)
    judged.net.load_state_dict(alone.net.state_dict())
    losses = [made.play("net", made.players, rows, rng())[0].item() for made in (alone, judged)]
    images, targets, weights, hidden = alone.sample(rows, rng())
    said = alone.net(images)
    own, _ = alone.model.loss(alone.net, said, targets, weights, alone.codec, hidden)
    assert losses[0] == pytest.approx(own.item(), rel=1e-4)
    maps = adversarial.told(said[-1], hidden >= 0)
    opinions = sum(
        critic.weight * adversarial.belief_error(critic(maps, images), weights)[0]
        for critic in judged.critics.values()
    )
    assert losses[1] - losses[0] == pytest.approx(opinions.item(), rel=1e-2)


def test_hidden_joints_change_sides_with_the_mirror():
    for flip, side in ((0.0, LEFT), (1.0, RIGHT)):
        made = task(replace(RECIPE, flip=flip), pack())
        *_, hidden = made.sample(torch.arange(4), rng())
        assert (hidden[:, NOSE] == 0).all()
        assert (hidden[:, side] == 1).all()
        assert (hidden >= 0).sum() == 2 * 4


def test_nobody_learns_occlusion_from_labels_that_say_nothing_of_it():
    made = task(RECIPE, replace(pack(), hidden=None))
    images, targets, weights, hidden = made.sample(torch.arange(3), rng())
    assert (hidden == -1).all()
    said = tuple(maps.detach().requires_grad_() for maps in made.net(images))
    made.model.loss(made.net, said, targets, weights, made.codec, hidden)[0].backward()
    for maps in said:
        poses, occlusions = maps.grad.chunk(2, 1)
        assert poses.abs().sum() > 0
        assert not occlusions.any()


def test_flags_say_what_is_hidden_only_where_some_joint_is_visible():
    flags = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
    assert squares.hidden_joints(flags).tolist() == [[-1, 1, 0], [1, 1, -1]]
    assert (squares.hidden_joints(np.minimum(flags, 1)) == -1).all()
    assert squares.hidden_joints(np.zeros((0, 17))).shape == (0, 17)
