"""Starting from a network of other joints or categories: a detector of people becomes one of
animals, an SPPE of 17 joints one of 20 (fine-tuning; Girshick et al. 2014, Sec. 2.3).

Everything but the last layer is as it was. Of the last layer, a joint that both know by the same
name keeps its numbers. Each other joint starts as the mean of all: it answers where some joint is,
which is nearer to the truth than noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from ..models.model import Model

State = dict[str, Tensor]


def transferred(
    old: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    theirs: Sequence[str],
    own: Sequence[str],
) -> State:
    """The state of a network that speaks of `theirs`, and that of an untrained one of the same
    kind that speaks of `own` -> a state for the latter. Parameters that differ by more than one
    row per name stay untrained.
    """
    return {
        name: value
        if name not in old
        else old[name]
        if old[name].shape == value.shape
        else _rows(old[name], value, theirs, own)
        for name, value in fresh.items()
    }


def _rows(old: Tensor, fresh: Tensor, theirs: Sequence[str], own: Sequence[str]) -> Tensor:
    """A parameter with one row per name, for other names."""
    sizes = list(zip(old.shape, fresh.shape, strict=True)) if old.ndim == fresh.ndim else []
    axes = [axis for axis, (before, after) in enumerate(sizes) if before != after]
    if len(axes) != 1 or sizes[axes[0]] != (len(theirs), len(own)):
        return fresh
    rows, (axis,) = old.unbind(axes[0]), axes
    mean = old.mean(axis)
    found = [rows[theirs.index(name)] if name in theirs else mean for name in own]
    return torch.stack(found, axis)


def demand_joints(
    state: dict[str, Tensor], model: Model, wanted: int, codec: Any, path: Path
) -> None:
    """Raises DataError for weights of the very network, but of another number of joints, that do
    not say which joints they are.
    """
    found = model.joints_in(state, codec)
    if found < 1 or found == wanted:
        return
    with torch.device("meta"):
        theirs = model.build(found, codec).state_dict()
    if {k: v.shape for k, v in theirs.items()} != {k: v.shape for k, v in state.items()}:
        return
    raise DataError(
        f"{path}: has {found} joints, what is to be learnt has {wanted}: give it a new head: "
        f"everybody weights import {path} --as NETWORK --re-head --skeleton NAME "
        f"-o START.safetensors, then train with --set start=START.safetensors"
    )
