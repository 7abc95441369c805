"""How far an ONNX file's answers are from those of the network that it was written from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .. import runtime
from ..errors import ModelError
from ..models.model import Model

CLOSE = 1e-4  # of the greatest output: a file that differs by more is not written
Answers = list[NDArray[Any]]  # an array for each output


def demand_close(difference: float, out: Path) -> None:
    """Raises ModelError, which names the file, for a difference above `CLOSE`."""
    if not difference <= CLOSE:
        raise ModelError(f"{out}: differs from torch by {difference:.1e}, more than {CLOSE}")


def difference_on_pictures(
    net: nn.Module, model: Model, size: tuple[int, int], path: Path
) -> float:
    """`difference` on three pictures, for networks whose inputs are of `size` (width, height)."""
    width, height = size
    other = (height + 32, max(64, width - 32)) if model.dynamic else (height, width)
    # Smooth, as pictures are: an SSTN finds no turn in noise, and there its smallest change moves
    # every sample.
    random = torch.Generator().manual_seed(1)
    coarse = torch.randn(3, model.channels(net), 8, 6, generator=random)
    batch = 2 * functional.interpolate(coarse, size=other, mode="bicubic")
    return difference(net, model, batch, path, scores=model.surest)


def difference(
    net: nn.Module, model: Model, batch: Tensor, path: Path, *, scores: int | None = None
) -> float:
    """The greatest difference between an ONNX file and the network on some input, relative to the
    greatest output. scores: as in `difference_of_people`, for networks that answer with people.
    """
    with torch.no_grad():
        wanted = [output.numpy() for output in model.exported(net, batch)]
    found = runtime.load(path, device="cpu", engine="onnxruntime")(batch.numpy())
    if scores is not None:
        return difference_of_people(found, wanted, scores=scores)
    return max(
        float(np.abs(f - w).max() / max(np.abs(w).max(), 1e-12))
        for f, w in zip(found, wanted, strict=True)
    )


def difference_of_people(found: Answers, wanted: Answers, *, scores: int) -> float:
    """The greatest difference of outputs [..., N, …] that are of N people each, the surest first:
    of each person to the nearest. People as sure as the last one may differ, and so may one in
    fifty, because rounding decides which of two suppresses the other. scores: the output [..., N]
    that says how sure. Infinite where one finds more people than the other.
    """
    axes = wanted[scores].ndim - 1

    def groups(answers: Answers) -> Answers:
        """[..., N, …] -> [G, N, …]"""
        return [a.reshape(int(np.prod(a.shape[:axes])), *a.shape[axes:]) for a in answers]

    found, wanted = groups(found), groups(wanted)
    sure = found[scores], wanted[scores]
    most = max(people.shape[1] for people in sure)
    if abs(sure[0].shape[1] - sure[1].shape[1]) > most // 50:
        return np.inf

    last = max((least.min() for least in sure if least.size), default=0.0)
    nearest: list[float] = []
    for group, person in np.argwhere(sure[0] > last + CLOSE):
        apart = np.zeros(sure[1].shape[1])
        for f, w in zip(found, wanted, strict=True):
            away = np.abs(w[group] - f[group, person]).reshape(len(apart), -1).max(1)
            apart = np.maximum(apart, away / max(np.abs(w).max(), 1e-12))
        nearest.append(float(apart.min(initial=np.inf)))
    kept = sorted(nearest)[: len(nearest) - len(nearest) // 50]
    return max(kept, default=0.0)
