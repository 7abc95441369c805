"""The one training loop, for detectors and pose networks alike: on Lightning Fabric, so on any
devices and processes.

A `Task` brings the networks, the losses of some rows of its data and a score. The loop does the
rest: schedule (linear warm-up, then a cosine; Loshchilov & Hutter 2017), AdamW (idem 2019), an
exponential moving average of the weights, mixed precision, accumulation, checkpoints, log. All
randomness of a step comes from the seed and the step's number, so a run that was stopped and
resumed is the run that was not.

    OUT/recipe.json, log.csv, curves.png, checkpoints/, best.safetensors, last.safetensors
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Generator, Tensor

from ..atomic import replacing
from ..errors import EverybodyError, OptionError
from ..messages import Say
from . import checkpoint, curves, log, parameters
from .players import Player, only, players_of
from .progress import Progress, describe, resume
from .recipe import Recipe
from .task import Task


class Diverged(EverybodyError):
    """The loss, or its gradient, is no number any more."""


def train(
    recipe: Recipe,
    task: Task,
    out: Path,
    *,
    fabric: Fabric | None = None,
    minutes: float = math.inf,
    say: Say = lambda text: None,
) -> Progress:
    """Train until `recipe.steps`, or for so many minutes, or until SIGTERM or Ctrl-C; goes on from
    OUT's last checkpoint if there is one. Returns where the run is now.

    Raises DataError if OUT holds another run, Diverged (the last good checkpoint is kept) and
    OutputError.
    """
    fabric = fabric or on(recipe)
    fabric.launch()
    with _stoppable() as stopped:
        run = Run(recipe, task, out, fabric, minutes, say, stopped)
        run.begin()
        while not run.over:
            run.step()
            run.tell()
        run.end()
    return run.progress


class Run:
    """A training run in a folder: its players, where it is, and what the log has not told yet."""

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        out: Path,
        fabric: Fabric,
        minutes: float,
        say: Say,
        stopped: threading.Event,
    ) -> None:
        self.recipe, self.task, self.out, self.fabric = recipe, task, out, fabric
        self.minutes, self.stopped = minutes, stopped
        self.lead = fabric.is_global_zero
        self.say = say if self.lead else lambda text: None
        self.players = players_of(recipe, task, fabric)
        self.first = self.players[0]
        self.progress, unlogged = resume(recipe, task, out, self.players, self.say)
        if self.lead:
            with replacing(out / "recipe.json") as part:  # settings may change on the way
                part.write_text(recipe.to_json())

        task.to(fabric.device)
        for player in self.players:
            player.set_up(fabric)
        self.nets = {player.name: player.wrapped for player in self.players}
        self.enough = minutes <= 0
        self.begun, self.earlier = time.monotonic(), self.progress.seconds
        self.saved = self.since = time.monotonic()
        self.total, self.counted = unlogged.to(fabric.device), 0  # loss and weight; rows

    @property
    def over(self) -> bool:
        return self.enough or self.progress.step >= self.recipe.steps

    def begin(self) -> None:
        """Judge what the run starts from, so that `best` is never worse than that."""
        started = self.recipe.start or self.recipe.sppe
        if started and self.progress.step == 0 and self.lead:
            self.evaluate()

    def step(self) -> None:
        """One step of every player, on the same rows."""
        recipe, step, fabric = self.recipe, self.progress.step, self.fabric
        rows = batch_rows(len(self.task), recipe, step)[fabric.global_rank :: fabric.world_size]
        for player in self.players:
            player.wrapped.train()
            if recipe.freeze_norm:
                parameters.freeze_norm(player.net)
        seed = hash_seed(recipe.seed, step, fabric.global_rank)
        with _seeded(seed, fabric.device):
            for player in self.players:
                with only(player, self.players):
                    sums = self.advance(player, rows.to(fabric.device), seed)
                if player is self.first:
                    self.total += sums
        decay = min(recipe.ema, (1 + step) / (10 + step))
        parameters.average(self.first.ema, self.first.net, decay)
        self.progress.step += 1
        self.counted += len(rows) * fabric.world_size

    def advance(self, player: Player, rows: Tensor, seed: int) -> Tensor:
        """A player's step over some rows, in the recipe's parts -> its loss (sum, weight)."""
        recipe, fabric = self.recipe, self.fabric
        for group in player.optimiser.param_groups:
            group["lr"] = schedule(recipe, self.progress.step) * group.get("factor", 1.0)
        rng = Generator(fabric.device).manual_seed(seed)
        sums = torch.zeros(3, device=fabric.device)  # loss, weight, whether to stop
        parts = rows.chunk(recipe.accumulate)
        for number, part in enumerate(parts):
            with fabric.no_backward_sync(player.wrapped, enabled=number < len(parts) - 1):
                loss, weight = self.task.play(player.name, self.nets, part, rng)
                fabric.backward(loss)
            sums[:2] += torch.stack([loss.detach(), weight.detach()])
        late = time.monotonic() - self.begun >= self.minutes * 60
        sums[2] = float(self.stopped.is_set() or late)
        if fabric.world_size > 1:
            sums = cast(Tensor, fabric.all_reduce(sums, reduce_op="sum"))

        parameters.divide_gradients(player.net, sums[1] / fabric.world_size)
        norm = fabric.clip_gradients(
            player.wrapped, player.optimiser, max_norm=recipe.clip, error_if_nonfinite=False
        )
        read = torch.stack([sums[0], cast(Tensor, norm), sums[2]]).tolist()  # the one wait
        value, length, enough = read
        self.enough = self.enough or bool(enough)
        self.demand_finite("loss", value)
        # In 16-mixed, an infinite gradient means a smaller factor, and no step.
        if recipe.precision != "16-mixed":
            self.demand_finite("gradient's norm", length)
        player.optimiser.step()
        player.optimiser.zero_grad()
        return sums[:2]

    def demand_finite(self, what: str, value: float) -> None:
        """What is no number must reach neither weights nor log."""
        if math.isfinite(value):
            return
        kept = checkpoint.steps(self.out / "checkpoints")
        last = f" (step {kept[-1]})" if kept else ""
        raise Diverged(
            f"{self.out}: the {what} is {value} at step {self.progress.step + 1}; what was saved "
            f"before is kept{last}: go on with a rate below {self.recipe.rate}"
        )

    def tell(self) -> None:
        """Log, judge and save, each where it is due."""
        recipe, step = self.recipe, self.progress.step
        last = step == recipe.steps
        if step % recipe.log_every == 0 or last:
            self.note()
        if (step % recipe.evaluate_every == 0 or last) and self.lead:
            self.evaluate()
            self.since = time.monotonic()
        if time.monotonic() - self.saved > recipe.checkpoint_minutes * 60:
            self.save()

    def note(self) -> None:
        """A row of the mean loss since the last one."""
        recipe, progress = self.recipe, self.progress
        loss = (self.total[0] / self.total[1].clamp(min=1e-6)).item()
        speed = self.counted / max(time.monotonic() - self.since, 1e-9)
        progress.seconds = self.earlier + time.monotonic() - self.begun
        progress.rows.append(
            {
                "step": progress.step,
                "seconds": round(progress.seconds, 1),
                "loss": round(loss, 6),
                "rate": schedule(recipe, progress.step - 1),
                "per_second": round(speed, 1),
            }
        )
        left = (recipe.steps - progress.step) * recipe.batch / max(speed, 1e-9) / 60
        self.say(
            f"step {progress.step}/{recipe.steps}  loss {loss:.4f}  {speed:.0f}/s  "
            f"{left:.0f} min left"
        )
        self.total, self.counted = torch.zeros(2, device=self.fabric.device), 0
        self.since = time.monotonic()

    def evaluate(self) -> None:
        """Score the averaged weights, keep them if none were better, draw the curves. Of equals the
        later are kept: where few are held back, scores are often the same, and these have learnt
        more.
        """
        progress, out = self.progress, self.out
        with torch.no_grad():
            scores = self.task.evaluate(self.first.ema)
        rounded = {name: round(value, 5) for name, value in scores.items()}
        progress.rows.append({"step": progress.step} | rounded)
        told = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.say(f"step {progress.step}  {told}")
        if (score := next(iter(scores.values()))) >= progress.best:
            progress.best = score
            about = describe(self.recipe, self.task, progress.step)
            about |= {"scores": json.dumps(scores)}
            checkpoint.save_weights(out / "best.safetensors", self.first.ema.state_dict(), about)
        log.write(out, progress.rows)
        curves.draw(progress.rows, out / "curves.png")

    def save(self) -> None:
        """A checkpoint of all players, and the log."""
        progress = self.progress
        progress.seconds = self.earlier + time.monotonic() - self.begun
        if self.lead:
            state = {
                "net": self.first.net.state_dict(),
                "ema": self.first.ema.state_dict(),
                "optimiser": self.first.optimiser.state_dict(),
                "others": {player.name: player.state() for player in self.players[1:]},
                "step": progress.step,
                "seconds": progress.seconds,
                "best": progress.best,
                "unlogged": self.total.cpu(),
            }
            folder, part = self.out / "checkpoints", self.recipe.checkpoint_part
            checkpoint.save(folder, progress.step, state, part=part)
            log.write(self.out, progress.rows)
        self.saved = time.monotonic()

    def end(self) -> None:
        """Save where the run is, and the averaged weights."""
        self.save()
        if self.lead:
            about = describe(self.recipe, self.task, self.progress.step)
            weights = self.first.ema.state_dict()
            checkpoint.save_weights(self.out / "last.safetensors", weights, about)


def on(recipe: Recipe, device: str = "auto") -> Fabric:
    """Where to train: this process's device, and, under torchrun, all processes together."""
    processes, here = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    strategy = "ddp" if processes > 1 else "auto"
    precision: Any = recipe.precision
    try:
        return Fabric(
            accelerator=device,
            precision=precision,
            devices=here,
            num_nodes=processes // here,
            strategy=strategy,
        )
    except (ValueError, RuntimeError) as error:
        raise OptionError(f"device '{device}' cannot be used for training: {error}") from error


def schedule(recipe: Recipe, step: int) -> float:
    """The learning rate of a step: linear to `rate`, then a cosine to a hundredth of it."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def batch_rows(count: int, recipe: Recipe, step: int) -> Tensor:
    """The rows of a step, over all processes: each epoch is a permutation of its own; a batch may
    span two.
    """
    first, rows = step * recipe.batch, []
    while len(rows) < recipe.batch:
        epoch, at = divmod(first + len(rows), count)
        seed = hash_seed(recipe.seed, epoch, -1)
        order = torch.randperm(count, generator=Generator().manual_seed(seed))
        rows += order[at : at + recipe.batch - len(rows)].tolist()
    return torch.tensor(rows)


def hash_seed(seed: int, step: int, rank: int) -> int:
    """One number from three: neighbours must not give alike streams, and Python's hash of a tuple
    of ints is stable.
    """
    return hash((seed, step, rank)) % 2**63


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """torch's own generators, which dropout draws from, start at the seed; afterwards they are as
    before.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set: the step in hand is finished and saved."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
