"""Tasks of several players: each is moved by its own loss alone, and a run that was stopped is the
run that was not, also where networks drop features at random.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from torch import nn  # noqa: E402

from everybody.errors import OptionError  # noqa: E402
from everybody.models import MODELS  # noqa: E402
from everybody.skeletons import COCO17  # noqa: E402
from everybody.train import checkpoint, loop  # noqa: E402
from everybody.train.about import About  # noqa: E402
from everybody.train.players import players_of  # noqa: E402
from everybody.train.recipes import BASE  # noqa: E402

RECIPE = replace(
    BASE,
    steps=6,
    batch=4,
    warmup=1,
    rate=1e-2,
    decay=0.0,
    log_every=1,
    evaluate_every=3,
    checkpoint_minutes=0.0,
    precision="32-true",
)


class Duel:
    """A forger learns to be taken for the number 1 by a judge, who learns to tell them apart."""

    skeleton, model, about = COCO17, MODELS["sppe-fast"], About(COCO17)

    def __init__(self, stop_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.players = {
            "forger": nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1)),
            "judge": nn.Linear(1, 1),
        }
        self.data = torch.randn(10, 3, generator=torch.Generator().manual_seed(1))
        self.stop_at, self.calls, self.drawn = stop_at, 0, []

    def __len__(self) -> int:
        return len(self.data)

    def to(self, device) -> None:
        pass

    def play(self, player, nets, rows, rng):
        if self.calls == self.stop_at:
            raise KeyError("stopped")
        self.calls += 1
        self.drawn.append(torch.rand(1, generator=rng).item())
        forged = nets["forger"](self.data[rows])
        if player == "forger":
            loss = nn.functional.softplus(-nets["judge"](forged)).sum()
        else:
            real = nets["judge"](torch.ones(len(rows), 1))
            fake = nets["judge"](forged.detach())
            loss = (nn.functional.softplus(-real) + nn.functional.softplus(fake)).sum()
        return loss, loss.new_tensor(float(len(rows)))

    def evaluate(self, net):
        assert not net.training
        return {"near": -float((net(self.data) - 1).abs().mean())}


def run(out, *, fabric=None, **duel):
    task = Duel(**duel)
    progress = loop.train(RECIPE, task, out, fabric=fabric or loop.on(RECIPE, "cpu"))
    return task, progress


def test_each_player_moves_by_its_own_loss_on_the_same_pictures(tmp_path):
    task, _ = run(tmp_path)
    start = Duel().players
    for name, net in task.players.items():
        before = start[name].state_dict()
        assert any(not torch.equal(v, before[k]) for k, v in net.state_dict().items()), name
        assert all(p.requires_grad for p in net.parameters())
    assert task.drawn[0::2] == task.drawn[1::2]  # the judge sees what the forger saw
    assert len(set(task.drawn)) == RECIPE.steps


@pytest.mark.parametrize("call", [5, 8])  # between two players of a step, and between two steps
def test_stopped_and_resumed_is_unbroken_for_all_players(tmp_path, call):
    whole, far = run(tmp_path / "whole")
    with pytest.raises(KeyError, match="stopped"):
        run(tmp_path / "parts", stop_at=call)
    parts, again = run(tmp_path / "parts")
    for name, net in whole.players.items():
        other = parts.players[name].state_dict()
        assert all(torch.equal(v, other[k]) for k, v in net.state_dict().items()), name

    def curve(progress):
        return [(row["step"], row.get("loss"), row.get("near")) for row in progress.rows]

    assert curve(far) == curve(again)
    weights, _ = checkpoint.read_weights(tmp_path / "parts/last.safetensors")
    assert set(weights) == set(whole.players["forger"].state_dict())


def test_training_leaves_the_callers_random_numbers_alone(tmp_path):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    task = Duel()
    torch.manual_seed(5)
    loop.train(RECIPE, task, tmp_path, fabric=loop.on(RECIPE, "cpu"))
    assert torch.equal(torch.rand(3), wanted)


def test_players_against_each_other_are_for_one_process():
    class Two:
        world_size = 2

    with pytest.raises(OptionError, match="forger, judge are trained against each other"):
        players_of(RECIPE, Duel(), Two())
