"""LiteRT (extra `tflite`): runs TFLite files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .session import Port, broken, failed, numbers, only_input


class LiteRt:
    """A `Session` on LiteRT, one interpreter per calling thread: an interpreter serves one call at
    a time. Sizes are as the file fixes them; quantised outputs come as the numbers they stand for.
    """

    engine = "litert"
    device = "cpu"

    def __init__(self, path: Path, threads: int) -> None:
        self.path, self._threads = path, threads
        self._local = threading.local()
        try:
            self._network = path.read_bytes()
            interpreter = self._interpreter()
        except Exception as error:  # ValueError and RuntimeError, as the damage may be
            raise broken(path, error, "TFLite") from error

        def port(details: dict[str, Any]) -> Port:
            return Port(details["name"], tuple(int(size) for size in details["shape"]))

        self.input = only_input(path, [port(one) for one in interpreter.get_input_details()])
        self.outputs = tuple(port(one) for one in interpreter.get_output_details())
        self.about: dict[str, str] = {}

    def _interpreter(self) -> Any:
        if not hasattr(self._local, "interpreter"):
            from ai_edge_litert.interpreter import Interpreter

            made = Interpreter(model_content=self._network, num_threads=self._threads)
            made.allocate_tensors()
            self._local.interpreter = made
        return self._local.interpreter

    def __call__(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        interpreter = self._interpreter()
        try:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], array)
            interpreter.invoke()
        except Exception as error:
            raise failed(self, array, error) from error
        outputs = [
            _dequantised(interpreter.get_tensor(one["index"]), *one["quantization"])
            for one in interpreter.get_output_details()
        ]
        return numbers(self, outputs)


def _dequantised(values: NDArray[Any], scale: float, zero: int) -> NDArray[Any]:
    """Whole numbers -> what they stand for; others as they are (their scale is 0)."""
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values
