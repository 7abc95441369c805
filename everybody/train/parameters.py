"""What a training step does with a network's parameters besides the loss: which of them learn and
decay, the sums of losses made means, and their moving average.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import OptionError


def freeze(net: nn.Module, parts: Sequence[str]) -> None:
    """The parts of these names learn nothing. Raises OptionError for a name that the network does
    not have.
    """
    for part in parts:
        named = [
            parameter for name, parameter in net.named_parameters() if name.startswith(f"{part}.")
        ]
        if not named:
            known = ", ".join(name for name, _ in net.named_children())
            raise OptionError(
                f"freeze={part}: {type(net).__name__} has no such part; it has {known}"
            )
        for parameter in named:
            parameter.requires_grad_(False)


def freeze_norm(net: nn.Module) -> None:
    """Batch normalisation stops to learn its statistics."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def groups(
    net: nn.Module, decay: float, *, fresh: Sequence[str] = (), factor: float = 1.0
) -> list[dict[str, Any]]:
    """Weights decay; biases and normalisation do not. Parts of the names `fresh` learn `factor`
    times as fast, and by absolute steps where others' are relative.
    """
    prefixes = tuple(f"{part}." for part in fresh)
    named = [(n, p) for n, p in net.named_parameters() if p.requires_grad]
    rows = []
    for new in (False, True) if prefixes else (False,):
        some = (
            [p for n, p in named if n.startswith(prefixes) == new]
            if prefixes
            else [p for _, p in named]
        )
        more = {"relative": not new, "factor": factor if new else 1.0}
        rows += [
            {"params": [p for p in some if p.ndim > 1], "weight_decay": decay} | more,
            {"params": [p for p in some if p.ndim <= 1], "weight_decay": 0.0} | more,
        ]
    return rows


def divide_gradients(net: nn.Module, weight: Tensor) -> None:
    """Losses are sums; their weight is known only after all parts and processes are done."""
    for parameter in net.parameters():
        if parameter.grad is not None:
            parameter.grad.div_(weight.clamp(min=1e-6))


@torch.no_grad()
def average(ema: nn.Module, net: nn.Module, decay: float) -> None:
    """One step of the moving average; counts are copied."""
    for mean, value in zip(ema.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value.to(mean.dtype), 1 - decay)
        else:
            mean.copy_(value)


def move(optimiser: Any, device: torch.device) -> None:
    """What a checkpoint brought for the optimiser, to where its parameters are (the step counts
    stay).
    """
    for state in optimiser.state.values():
        for key, value in state.items():
            if isinstance(value, Tensor) and key != "step":
                state[key] = value.to(device)
