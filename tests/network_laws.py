"""Laws that every network keeps: its parameters learn, a batch is its pictures, ONNX is torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def tensors(said: Any) -> tuple[Any, ...]:
    """What a network says, as a tuple of tensors."""
    return tuple(said) if isinstance(said, tuple | list) else (said,)


def every_parameter_learns(net: Any, image: Any, loss: Callable[[Any], Any]) -> None:
    """The gradient of `loss` (what the network says -> scalar) reaches every parameter."""
    net.train()
    loss(net(image)).backward()
    parameters = dict(net.named_parameters())
    silent = [
        name for name, p in parameters.items() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert parameters
    assert not silent, f"no gradient reaches {silent}"


def batched_equals_single(net: Any, images: Any, *, tolerance: float = 1e-5) -> None:
    """Each image alone gives what it gives in the batch."""
    import torch

    net.eval()
    with torch.no_grad():
        together = tensors(net(images))
        for i in range(len(images)):
            for whole, alone in zip(together, tensors(net(images[i : i + 1])), strict=True):
                torch.testing.assert_close(whole[i : i + 1], alone, rtol=0, atol=tolerance)


def onnx_equals_torch(net: Any, images: Any, path: Path, *, optimize: bool = True) -> None:
    """The exported graph takes any batch and answers as torch does (1e-4 of the largest value). It
    is answer(forward(image)) of networks that have an `answer`. Without the exporter's optimiser,
    which takes as long as all the rest, large graphs take half the time.
    """
    import onnxruntime
    import torch

    inner = net

    class Answer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, image: Any) -> Any:
            return self.inner.answer(self.inner(image))

    net = Answer().eval() if hasattr(net, "answer") else net.eval()
    dynamic = {0: torch.export.Dim("batch")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own insides
        torch.onnx.export(
            net, (images,), str(path), input_names=["image"], dynamo=True,
            dynamic_shapes=(dynamic,), external_data=False, verbose=False, optimize=optimize,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in (images, images[:1], torch.cat([images, images.flip(3)])):
        with torch.no_grad():
            wanted = tensors(net(batch))
        found = session.run(None, {"image": batch.numpy()})
        close(found, [value.numpy() for value in wanted])


def close(found: Sequence[Any], wanted: Sequence[Any], *, share: float = 1e-4) -> None:
    """Equal within a share of the largest value of each output."""
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= share * max(np.abs(theirs).max(), 1e-12)
