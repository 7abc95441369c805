"""The one training loop, for detectors and pose networks alike: on Lightning Fabric, so on any
devices and processes.

A `Task` brings the network, the loss of some rows of its data and a score; the loop does the rest:
schedule (linear warm-up, then a cosine; Loshchilov & Hutter 2017), AdamW (idem 2019), an
exponential moving average of the weights, mixed precision, accumulation, checkpoints, log. All
randomness of a step comes from the seed and the step's number, so a run that was stopped and
resumed is the run that was not.

    OUT/recipe.json, log.csv, curves.png, checkpoints/, best.safetensors, last.safetensors
"""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from lightning_fabric import Fabric
from torch import Generator, Tensor, nn

from ..atomic import replacing
from ..errors import DataError, EverybodyError, OptionError
from ..skeletons import Skeleton
from . import checkpoint, curves, log, parameters
from .losses import Loss
from .recipe import Recipe
from .relative import RelativeAdamW

Say = Callable[[str], None]


class Task(Protocol):
    """What is learnt."""

    net: nn.Module
    skeleton: Skeleton

    def __len__(self) -> int:
        """How many rows there are to train on."""
        ...

    def to(self, device: torch.device) -> None:
        """Bring the data to where the network will be."""
        ...

    def loss(self, net: nn.Module, rows: Tensor, rng: Generator) -> Loss:
        """(sum, weight) of the loss over some rows, augmented with this generator (which is on the
        data's device).
        """
        ...

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Scores of a network in eval mode on what was held back; the first one, where more is
        better, chooses.
        """
        ...


class Diverged(EverybodyError):
    """The loss, or its gradient, is no number any more."""


@dataclass(slots=True)
class Progress:
    """Where a run is."""

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    rows: list[dict[str, Any]] = field(default_factory=list)  # of the log


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
    lead = fabric.is_global_zero
    device = fabric.device
    parameters.freeze(task.net, recipe.freeze)
    net = task.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # 1.5 times as fast on CPUs
    ema = copy.deepcopy(net).eval().requires_grad_(False)
    kind = RelativeAdamW if recipe.relative else torch.optim.AdamW
    optimiser = kind(parameters.groups(net, recipe.decay), lr=recipe.rate)
    say = say if lead else lambda text: None
    progress, unlogged = _resume(recipe, out, net, ema, optimiser, say)
    if lead:
        _write_recipe(recipe, out / "recipe.json")  # settings may change on the way
    task.to(device)
    ema.to(device)
    wrapped, optimiser = fabric.setup(net, optimiser)
    parameters.move(optimiser, device)
    begun, earlier, saved = time.monotonic(), progress.seconds, time.monotonic()
    total, counted, since = unlogged.to(device), 0, time.monotonic()

    def finite(what: str, value: float) -> None:
        """What is no number must reach neither weights nor log."""
        if not math.isfinite(value):
            kept = checkpoint.steps(out / "checkpoints")
            raise Diverged(
                f"{out}: the {what} is {value} at step {progress.step + 1}; what was saved before is kept"
                f"{f' (step {kept[-1]})' if kept else ''}: go on with a rate below {recipe.rate}"
            )

    def save() -> None:
        nonlocal saved
        progress.seconds = earlier + time.monotonic() - begun
        if lead:
            state = {
                "net": net.state_dict(),
                "ema": ema.state_dict(),
                "optimiser": optimiser.state_dict(),
            }
            plain = {
                "step": progress.step,
                "seconds": progress.seconds,
                "best": progress.best,
                "unlogged": total.cpu(),
            }
            checkpoint.save(
                out / "checkpoints", progress.step, state | plain, part=recipe.checkpoint_part
            )
            log.write(out, progress.rows)
        saved = time.monotonic()

    with _stoppable() as stopped:
        if (recipe.start or recipe.sppe) and progress.step == 0 and lead:
            _evaluate(
                recipe, task, ema, out, progress, say
            )  # so that `best` is never worse than what it started from
        enough = minutes <= 0
        while progress.step < recipe.steps and not enough:
            step = progress.step
            wrapped.train()
            if recipe.freeze_norm:
                parameters.freeze_norm(net)
            for group in optimiser.param_groups:
                group["lr"] = schedule(recipe, step)
            rows = batch_rows(len(task), recipe, step)[fabric.global_rank :: fabric.world_size]
            rng = Generator(device).manual_seed(hash_seed(recipe.seed, step, fabric.global_rank))
            sums = torch.zeros(3, device=device)  # loss, weight, whether to stop
            parts = rows.to(device).chunk(recipe.accumulate)
            for number, part in enumerate(parts):
                with fabric.no_backward_sync(wrapped, enabled=number < len(parts) - 1):
                    loss, weight = task.loss(wrapped, part, rng)
                    fabric.backward(loss)
                sums[:2] += torch.stack([loss.detach(), weight.detach()])
            sums[2] = float(stopped.is_set() or time.monotonic() - begun >= minutes * 60)
            if fabric.world_size > 1:
                sums = cast(Tensor, fabric.all_reduce(sums, reduce_op="sum"))
            parameters.divide_gradients(net, sums[1] / fabric.world_size)
            norm = fabric.clip_gradients(
                wrapped, optimiser, max_norm=recipe.clip, error_if_nonfinite=False
            )
            value, length, enough = torch.stack(
                [sums[0], cast(Tensor, norm), sums[2]]
            ).tolist()  # the one wait
            finite("loss", value)
            if (
                recipe.precision != "16-mixed"
            ):  # there an infinite one means a smaller factor, and no step
                finite("gradient's norm", length)
            optimiser.step()
            optimiser.zero_grad()
            parameters.average(ema, net, min(recipe.ema, (1 + step) / (10 + step)))
            progress.step += 1
            total += sums[:2]
            counted += len(rows) * fabric.world_size

            last = progress.step == recipe.steps
            if progress.step % recipe.log_every == 0 or last:
                value = (total[0] / total[1].clamp(min=1e-6)).item()
                speed = counted / max(time.monotonic() - since, 1e-9)
                progress.seconds = earlier + time.monotonic() - begun
                progress.rows.append(
                    {
                        "step": progress.step,
                        "seconds": round(progress.seconds, 1),
                        "loss": round(value, 6),
                        "rate": schedule(recipe, step),
                        "per_second": round(speed, 1),
                    }
                )
                left = (recipe.steps - progress.step) * recipe.batch / max(speed, 1e-9) / 60
                say(
                    f"step {progress.step}/{recipe.steps}  loss {value:.4f}  {speed:.0f}/s  {left:.0f} min left"
                )
                total, counted, since = torch.zeros(2, device=device), 0, time.monotonic()
            if (progress.step % recipe.evaluate_every == 0 or last) and lead:
                _evaluate(recipe, task, ema, out, progress, say)
                since = time.monotonic()
            if time.monotonic() - saved > recipe.checkpoint_minutes * 60:
                save()
        save()
    if lead:
        about = describe(recipe, task, progress.step)
        checkpoint.save_weights(out / "last.safetensors", ema.state_dict(), about)
    return progress


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
        order = torch.randperm(
            count, generator=Generator().manual_seed(hash_seed(recipe.seed, epoch, -1))
        )
        rows += order[at : at + recipe.batch - len(rows)].tolist()
    return torch.tensor(rows)


def hash_seed(seed: int, step: int, rank: int) -> int:
    """One number from three: neighbours must not give alike streams, and Python's hash of a tuple
    of ints is stable.
    """
    return hash((seed, step, rank)) % 2**63


def _evaluate(
    recipe: Recipe, task: Task, ema: nn.Module, out: Path, progress: Progress, say: Say
) -> None:
    """Score the averaged weights, keep them if they are the best, draw the curves."""
    with torch.no_grad():
        scores = task.evaluate(ema)
    progress.rows.append(
        {"step": progress.step} | {name: round(value, 5) for name, value in scores.items()}
    )
    say(
        f"step {progress.step}  "
        + "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
    )
    if (score := next(iter(scores.values()))) > progress.best:
        progress.best = score
        about = describe(recipe, task, progress.step) | {"scores": json.dumps(scores)}
        checkpoint.save_weights(out / "best.safetensors", ema.state_dict(), about)
    log.write(out, progress.rows)
    curves.draw(progress.rows, out / "curves.png")


def describe(recipe: Recipe, task: Task, step: int) -> dict[str, str]:
    """What weights say of themselves."""
    return {"recipe": recipe.to_json(), "step": str(step), "skeleton": task.skeleton.name}


def _resume(
    recipe: Recipe,
    out: Path,
    net: nn.Module,
    ema: nn.Module,
    optimiser: torch.optim.Optimizer,
    say: Say,
) -> tuple[Progress, Tensor]:
    """Fill everything from OUT's last checkpoint, or begin; and the loss's (sum, weight) that is
    not yet in the log.
    """
    found = checkpoint.steps(out / "checkpoints")
    path = out / "recipe.json"
    if not found:
        if recipe.start:
            checkpoint.start(recipe.start, net)
            ema.load_state_dict(net.state_dict())
        return Progress(), torch.zeros(2)
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: does not say whose checkpoints these are ({error}): choose another folder"
        ) from error
    now = json.loads(recipe.to_json())
    if before["model"] != now["model"] or before["task"] != now["task"]:
        raise DataError(
            f"{out}: holds a run of {before['task']} '{before['model']}', not {now['model']}: choose another folder"
        )
    state = checkpoint.load(out / "checkpoints", found[-1])
    checkpoint.fit(net, state["net"], str(out / "checkpoints"))
    net.load_state_dict(state["net"])
    ema.load_state_dict(state["ema"])
    optimiser.load_state_dict(state["optimiser"])
    say(f"{out}: going on behind step {state['step']}")
    rows = [row for row in log.read(out) if row["step"] <= state["step"]]
    unlogged = state.get("unlogged", torch.zeros(2))
    return Progress(state["step"], state["seconds"], state["best"], rows), unlogged


def _write_recipe(recipe: Recipe, path: Path) -> None:
    with replacing(path) as part:
        part.write_text(recipe.to_json())


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
