"""Outputs of published architectures (../shared/golden), to prove that ours load what is published.

Not part of the project; tests that use them skip where they are absent.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared/golden"


def fill() -> ModuleType:
    """Their own reader. Skips the test where the folder is absent."""
    if not (FOLDER / "fill.py").is_file():
        pytest.skip("needs ../shared/golden (outputs of published architectures)")
    spec = importlib.util.spec_from_file_location("golden_fill", FOLDER / "fill.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def state(name: str) -> dict[str, Any]:
    """The published state dict as torch tensors, with its constants."""
    import torch

    reader = fill()
    tensors = {key: torch.from_numpy(value) for key, value in reader.weights(name).items()}
    constants = reader.spec(name).get("constants", {})
    return tensors | {key: torch.tensor(value) for key, value in constants.items()}


def image(name: str) -> Any:
    """The input as a torch tensor."""
    import torch

    return torch.from_numpy(fill().image(name))


def check(name: str, found: dict[str, Any]) -> None:
    """Every output of the published implementation that is named in `found` (all, if it names
    none else) is equal within the tolerance; indices, counts and labels exactly."""
    reader = fill()
    wanted = reader.outputs(name)
    assert found, f"{name}: nothing to compare"
    for key, value in found.items():
        ours = np.asarray(value.detach() if hasattr(value, "detach") else value)
        kept = reader.stored(name, key, ours)
        assert kept.shape == wanted[key].shape, f"{name}.{key}: {kept.shape}, {wanted[key].shape}"
        if np.issubdtype(wanted[key].dtype, np.integer):
            np.testing.assert_array_equal(kept, wanted[key], err_msg=f"{name}.{key}")
            continue
        worst = np.abs(kept.astype(np.float64) - wanted[key]).max()
        most = reader.tolerance(name, key)
        assert worst <= most, f"{name}.{key}: differs by {worst:.2e}, allowed {most:.2e}"
