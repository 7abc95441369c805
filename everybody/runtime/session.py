"""What a loaded network is, whichever engine runs it: `Session`, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

ABOUT = "everybody"  # the metadata in which our own files describe themselves (`manifest.told`)


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a network: sizes are numbers, or None where they may vary."""

    name: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return (
            f"{self.name} [{', '.join('?' if size is None else str(size) for size in self.shape)}]"
        )


class Session(Protocol):
    """A loaded network of one input."""

    path: Path
    engine: str
    device: str
    input: Port
    outputs: tuple[Port, ...]
    about: dict[str, str]  # what the file says of itself (ONNX metadata)

    def __call__(self, array: NDArray[Any]) -> list[NDArray[Any]]: ...


def broken(path: Path, error: Exception, kind: str = "ONNX") -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(f"{path}: not a usable {kind} model ({reason[:200]})")


def only_input(path: Path, ports: list[Port]) -> Port:
    if len(ports) != 1:
        found = ", ".join(map(str, ports)) or "none"
        raise ModelError(f"{path}: expected a network with one input, found {found}")
    return ports[0]


def failed(session: Session, array: NDArray[Any], error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0][:200]
    return ModelError(
        f"{session.path}: failed on an input of shape {list(array.shape)} {array.dtype}; "
        f"it takes {session.input} ({reason})"
    )


def numbers(session: Session, outputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """A network's outputs, as they are. Raises ModelError where one of them holds NaN, from which
    nothing can be read.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        for port, output in zip(session.outputs, outputs, strict=True):
            if output.dtype.kind == "f" and np.isnan(output.sum()) and np.isnan(output).any():
                raise ModelError(
                    f"{session.path}: its answer '{port}' holds NaN: the weights are broken, or "
                    "numbers of this precision do not suffice"
                )
    return outputs
