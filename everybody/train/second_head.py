"""A second head learns on the features of a trunk that stays as it is (linear evaluation of frozen
features, deepened by two layers; the trunk's own joints keep their answers to the digit).

Nothing below the head changes, so each augmented crop passes the trunk once. Its features are kept
in memory, in half precision, and the head sees them again in every round: a twentieth of the time
of learning with the trunk in front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from ..atomic import replacing
from ..skeletons import BODY23, COCO17, HALPE26
from . import checkpoint, shards
from .about import About
from .augment import normalised
from .loop import schedule
from .parameters import average
from .pose import PoseTask
from .recipe import Recipe
from .task import encoded

NEAR = 0.06
Say = Callable[[str], None]


class MoreTask(PoseTask):
    """Further joints, by a second head; `learn` is quicker than the loop that all tasks share."""

    kind = "more"

    @classmethod
    def told(cls, recipe: Recipe, about: About) -> dict[str, Any] | None:
        """The answer of all joints; of body-23 those of the first head, and of all for who asks for
        halpe-26, which follows from it.
        """
        data = super().told(recipe, about)
        first, every = cls.row(recipe).outputs
        if data is None or about.skeleton != BODY23:
            return data and data | {"output": every}
        also = {HALPE26.name: {"output": every, "skeleton": BODY23.name}}
        return data | {"skeleton": COCO17.name, "output": first, "also": also}

    def evaluate(self, net: Any) -> dict[str, float]:
        """The share of held-back people's further joints that are found within `NEAR` of the box's
        side, upright: their mean, and each.
        """
        device, first = next(net.parameters()).device, net.head.heatmaps.out_channels
        found, counted = np.zeros(len(self.skeleton)), np.zeros(len(self.skeleton))
        for start in range(0, len(self.held), 128):
            images, truth, area = self.plain(0, start, start + 128, device)
            answers = self.model.answers(net, images)
            poses = self.codec.decode([answer.float().cpu().numpy() for answer in answers])
            true, side = truth.cpu().numpy(), np.sqrt(area.cpu().numpy())[:, None]
            off = np.linalg.norm(poses[..., :2] - true[..., :2], axis=-1)
            found += ((off <= NEAR * side) * true[..., 2]).sum(0)
            counted += true[..., 2].sum(0)
        shares = (found / np.maximum(counted, 1e-9))[first:].tolist()
        each = zip(self.skeleton.joints[first:], shares, strict=True)
        return {"near": float(np.mean(shares)), **dict(each)}


class Seen(NamedTuple):
    """Crops as the trunk sees them: what its parts say, and the joints [N, K, 3] on them."""

    features: list[Tensor]
    keypoints: Tensor


def seen(task: PoseTask, crops: int, rng: Generator, say: Say, *, batch: int = 16) -> Seen:
    """So many augmented crops, drawn in rounds through all people."""
    order: list[int] = []
    while len(order) < crops:
        order += torch.randperm(len(task), generator=rng).tolist()
    kept: list[tuple[list[Tensor], Tensor]] = []
    for start in range(0, crops, batch):
        rows = torch.tensor(order[start : min(start + batch, crops)])
        images, keypoints, _, _ = task.augmented(rows, rng)
        with torch.no_grad():
            parts = task.net.below(normalised(images))
        kept.append(([part.half() for part in parts], keypoints))
        if start % (32 * batch) == 0:
            say(f"{start} of {crops} crops seen")
    columns = zip(*(parts for parts, _ in kept), strict=True)
    return Seen([torch.cat(column) for column in columns], torch.cat([k for _, k in kept]))


def batches(count: int, size: int, rng: Generator) -> Iterator[Tensor]:
    """Rows, in rounds through all of them, without end."""
    while True:
        yield from torch.randperm(count, generator=rng).split(size)


def evenly(weights: Tensor) -> Tensor:
    """How much each label counts [N, K] -> factors [K] by which all joints count the same: feet are
    labelled less often than heads, and less surely.
    """
    each = weights.clamp(0, 1).mean(0)
    return torch.where(each > 0, each.mean() / each.clamp(min=1e-3), 0.0)


def learn(recipe: Recipe, out: Path, *, crops: int, say: Say) -> Path:
    """Teach the second head of a recipe's network; the weights, for `everybody export`. What the
    trunk has said is kept in OUT/seen.pt, so that another rate costs minutes.
    """
    task = MoreTask(recipe, shards.load(recipe.data))
    net = task.net
    checkpoint.start(recipe.start, net, task.model, speaks_of=task.speaks_of, codec=task.codec)
    net.eval()
    rng = torch.Generator().manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    cache = out / "seen.pt"
    if cache.exists():
        shown = Seen(*torch.load(cache, weights_only=True))
        crops = len(shown.keypoints)
    else:
        shown = seen(task, crops, rng, say)
        with replacing(cache) as part:
            torch.save(tuple(shown), part)

    mean = task.network(recipe, len(task.skeleton)).eval()
    mean.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.more.parameters(), recipe.rate, weight_decay=recipe.decay)
    evened = evenly(shown.keypoints[..., 2])
    total, drawn = 0.0, batches(crops, recipe.batch, rng)
    for step in range(1, recipe.steps + 1):
        rows = next(drawn)
        targets, weights = encoded(task.codec, shown.keypoints[rows])
        said = net.second([part[rows].float() for part in shown.features])
        weights = weights * evened
        loss, weight = task.model.loss(net, (None, said), targets, weights, task.codec)
        for group in optimiser.param_groups:
            group["lr"] = schedule(recipe, step - 1)
        optimiser.zero_grad()
        (loss / weight.clamp(min=1e-6)).backward()
        optimiser.step()
        average(mean.more, net.more, min(recipe.ema, step / (step + 10)))
        total += float(loss.detach() / weight.clamp(min=1e-6))
        if step % recipe.log_every == 0:
            say(f"step {step}: loss {total / recipe.log_every:.4f}")
            total = 0.0

    path = out / "weights.safetensors"
    about = {"recipe": recipe.to_json(), **task.about.to_dict()}
    checkpoint.save_weights(path, mean.state_dict(), about)
    with torch.no_grad():
        scores: dict[str, Any] = task.evaluate(mean)
    say(", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    return path
