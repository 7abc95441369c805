"""Checkpoints of others -> a flat state of tensors. No code in a file is ever run.

A checkpoint is a state dict, or holds one under a usual key beside what its training needed
(optimiser, epoch); its names may all begin with what wrapped the network (`module.` of data
parallelism). What numpy left beside them, as the state of a draw, is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError

KEYS = ("state_dict", "model_state_dict", "model", "weights", "model_pos", "net", "network",
        "model_traj", "ema_state_dict", "model_ema", "ema")  # fmt: skip
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.")
STEPS = ("steps", "n_averaged")  # what averaging over training counts, beside the network


class _PassedOver:
    """Stands for an object of numpy, and knows nothing of it."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


# Data that training writes beside tensors: arrays, figures, what draws are at.
_NUMPY: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_PassedOver, name)
    for name in (
        "numpy.ndarray",
        "numpy.dtype",
        *(f"numpy.{core}.multiarray.{name}"
          for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        "numpy.random.__RandomState_ctor",
        *(f"numpy.random._pickle.{name}"
          for name in ("__randomstate_ctor", "__bit_generator_ctor")),
        "numpy.random._mt19937.MT19937",
    )
]  # fmt: skip


def read(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """A checkpoint of torch (.pth, .pt, .bin, .tar) -> its tensors by their names; key: of the
    state dict to take, where there are several. Raises DataError for a file that is none, is
    broken, holds code, or holds no tensors.
    """
    try:
        with torch.serialization.safe_globals(_NUMPY):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise _not_tensors(path, error) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = getattr(error, "strerror", None) or "truncated, or of another kind"
        raise DataError(
            f"{path}: not a checkpoint of torch ({reason}): fetch it again, or give a .pth or "
            ".safetensors file"
        ) from error
    return tensors(content if key is None else _part(content, key, path), path)


def is_safetensors(path: Path) -> bool:
    """Whether a file is of safetensors, whatever it is called: the length of a header in JSON, and
    the header.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
        return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size
    except OSError:  # whoever reads all of it will say why
        return False


def tensors(content: Any, path: Path) -> dict[str, Tensor]:
    """What a checkpoint holds -> its tensors by their names."""
    found = _state(content)
    if not found:
        held = ", ".join(map(str, list(content)[:8])) if isinstance(content, Mapping) else ""
        raise DataError(
            f"{path}: holds no state dict of tensors (found {held or type(content).__name__}); "
            f"expected one alone, or under one of {', '.join(KEYS)}"
        )
    return unwrapped(found)


def _part(content: Any, key: str, path: Path) -> Any:
    """What a checkpoint holds under a key."""
    held = content if isinstance(content, Mapping) else {}
    if not isinstance(held.get(key), Mapping):
        parts = [str(name) for name, value in held.items() if isinstance(value, Mapping)]
        raise DataError(
            f"{path}: holds no state dict '{key}'; expected one of: {', '.join(parts) or 'none'}"
        )
    return held[key]


def _state(content: Any) -> dict[str, Tensor]:
    """The state dict under the first usual key that has one, at any depth, else the tensors that
    stand there; figures of training may be tensors too, and stand beside it. {}: there are none.
    """
    if not isinstance(content, Mapping):
        return {}
    for key in KEYS:
        if found := _state(content.get(key)):
            return found
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state without the prefix that all of its names share with a wrapper."""
    inner = {name: value for name, value in state.items() if name not in STEPS}
    for prefix in WRAPPERS:
        if inner and all(name.startswith(prefix) for name in inner):
            return unwrapped({name.removeprefix(prefix): value for name, value in inner.items()})
    return inner


def _not_tensors(path: Path, error: UnpicklingError) -> DataError:
    """torch's refusal to unpickle, in a line: which code a file holds, or that it is broken."""
    code = re.search(r"GLOBAL ([\w.]+)", str(error))
    if code is None:
        return DataError(
            f"{path}: not a checkpoint of plain tensors (truncated, or of another kind): "
            "fetch it again, or give a .pth or .safetensors file"
        )
    return DataError(
        f"{path}: holds pickled code ({code[1]}), which is not run here; expected plain tensors. "
        "Where the file is trusted: torch.save(torch.load(FILE, weights_only=False)"
        '["state_dict"], "tensors.pth")'
    )
