"""Laws that every network of the project keeps: it learns everywhere, a batch is as one by one, and
its ONNX file says the same.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np


def flat(said: Any) -> list[Any]:
    """All tensors that a network says, in order."""
    if isinstance(said, list | tuple):
        return [tensor for part in said for tensor in flat(part)]
    return [said]


def every_parameter_learns(net: Any, *inputs: Any) -> None:
    """One step of training on `inputs` gives every parameter a gradient that is finite and, on the
    whole, not zero.
    """
    import torch

    net.train()
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(())
    for tensor in flat(net(*inputs)):
        target = torch.randn(tensor.shape, generator=generator)
        total = total + (tensor - target).square().sum()  # of no symmetry: nothing cancels
    total.backward()

    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, f"{name}: no gradient"
        assert torch.isfinite(parameter.grad).all(), f"{name}: gradient is not finite"
        assert parameter.grad.abs().max() > 0, f"{name}: gradient is zero"


def batched_is_single(net: Any, inputs: Any, *, close: float = 1e-4) -> None:
    """[B, …] at once gives what its rows give one by one; B = 0 is legal where torch allows it."""
    import torch

    net.eval()
    with torch.no_grad():
        together = flat(net(inputs))
        for index in range(len(inputs)):
            alone = flat(net(inputs[index : index + 1]))
            for batch, single in zip(together, alone, strict=True):
                unit = max(float(batch.abs().max()), 1e-6)
                assert (batch[index : index + 1] - single).abs().max() <= close * unit


def onnx_is_torch(net: Any, inputs: Any, folder: Path, *, close: float = 1e-4) -> None:
    """The exported graph of a dynamic batch says what torch says, for a batch of another size."""
    import onnxruntime
    import torch

    class Answer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, image: Any) -> Any:
            said = self.net(image)
            return tuple(flat(self.net.answer(said) if hasattr(self.net, "answer") else said))

    model = Answer().eval()
    path = folder / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own insides
        torch.onnx.export(
            model,
            (torch.cat([inputs, inputs])[: max(2, len(inputs))],),
            str(path),
            input_names=["image"],
            dynamo=True,
            dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
            external_data=False,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    batch = torch.cat([inputs, inputs.flip(-1)])[:3]
    with torch.no_grad():
        wanted = [np.asarray(tensor) for tensor in model(batch)]
    found: list[Any] = list(session.run(None, {"image": batch.numpy()}))
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= close * max(np.abs(theirs).max(), 1e-6)


def numbers_of(net: Any) -> int:
    """How many numbers training may change."""
    return sum(parameter.numel() for parameter in net.parameters())


def shapes_of(net: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def published_shapes(spec: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Of a golden file's `spec`."""
    return {name: tuple(shape) for name, (shape, _) in spec["state"].items()}
