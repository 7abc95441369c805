"""A second head learns on the features of a trunk that stays as it is (linear evaluation of frozen
features, deepened by two layers; the trunk's own joints keep their answers to the digit).

Nothing below the head changes, so each augmented crop passes the trunk once. Its features are kept
in files, in half precision, and the head sees them again in every round: a twentieth of the time of
learning with the trunk in front.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ..atomic import replacing
from ..messages import Say
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
PART = 512  # crops of a file


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


class Seen:
    """Crops as the trunk sees them: what its parts say, and the joints [N, K, 3] on them. They lie
    in files, and are read as they are asked for.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._parts = [torch.load(file, weights_only=True, mmap=True) for file in files]
        self.keypoints = torch.cat([keypoints for _, keypoints in self._parts])
        self._ends = torch.tensor([len(keypoints) for _, keypoints in self._parts]).cumsum(0)

    def __len__(self) -> int:
        return len(self.keypoints)

    def features(self, rows: Tensor) -> list[Tensor]:
        """Of some crops, in this order."""
        part = torch.bucketize(rows, self._ends, right=True)
        starts = torch.cat([self._ends.new_zeros(1), self._ends])
        places = list(zip(part.tolist(), (rows - starts[part]).tolist(), strict=True))
        kinds = range(len(self._parts[0][0]))
        return [torch.stack([self._parts[p][0][k][n] for p, n in places]).float() for k in kinds]


def seen(task: PoseTask, crops: int, seed: int, folder: Path, say: Say, *, batch: int = 16) -> Seen:
    """So many augmented crops, drawn in rounds through all people, as files of `PART` in a folder;
    files that are there are not made again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order: list[int] = []
    rng = torch.Generator().manual_seed(seed)
    while len(order) < crops:
        order += torch.randperm(len(task), generator=rng).tolist()
    files = []
    for number, start in enumerate(range(0, crops, PART)):
        files.append(folder / f"{number:03}.pt")
        if files[-1].exists():
            continue
        rows = torch.tensor(order[start : min(start + PART, crops)])
        rng = torch.Generator().manual_seed(seed + 1 + number)
        kept = [_shown(task, some, rng) for some in rows.split(batch)]
        columns = zip(*(parts for parts, _ in kept), strict=True)
        features = [torch.cat(column) for column in columns]
        with replacing(files[-1]) as part:
            torch.save((features, torch.cat([keypoints for _, keypoints in kept])), part)
        say(f"{start + len(rows)} of {crops} crops seen")
    return Seen(files)


def _shown(task: PoseTask, rows: Tensor, rng: Generator) -> tuple[list[Tensor], Tensor]:
    """Rows -> what the trunk's parts say of their augmented crops, and the joints on them."""
    images, keypoints, _, _ = task.augmented(rows, rng)
    with torch.no_grad():
        return [part.half() for part in task.net.below(normalised(images))], keypoints


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
    trunk has said is kept in OUT/seen, so that another rate costs minutes, and a run that was
    stopped goes on.
    """
    task = MoreTask(recipe, shards.load(recipe.data))
    net = task.net
    checkpoint.start(recipe.start, net, task.model, speaks_of=task.speaks_of, codec=task.codec)
    net.eval()
    rng = torch.Generator().manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    shown = seen(task, crops, recipe.seed, out / "seen", say)

    mean = task.network(recipe, len(task.skeleton)).eval()
    mean.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.more.parameters(), recipe.rate, weight_decay=recipe.decay)
    evened = evenly(shown.keypoints[..., 2])
    total, drawn = 0.0, batches(len(shown), recipe.batch, rng)
    for step in range(1, recipe.steps + 1):
        rows = next(drawn)
        targets, weights = encoded(task.codec, shown.keypoints[rows])
        said = net.second(shown.features(rows))
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
