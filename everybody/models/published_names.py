"""Parameter names as others published them -> ours."""

from __future__ import annotations

import re

from torch import Tensor

from ..errors import ModelError


def renamed(state: dict[str, Tensor], *rules: tuple[str, str]) -> dict[str, Tensor]:
    """A state dict with every name rewritten by all rules in turn.

    A rule is a regular expression and its replacement, as of `re.sub`. Raises ModelError if two
    names become one.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        ours = name
        for pattern, replacement in rules:
            ours = re.sub(pattern, replacement, ours)
        if ours in found:
            raise ModelError(f"two published parameters are {ours!r} here, one of them {name!r}")
        found[ours] = value
    return found
