"""OpenVINO (extra `openvino`): runs in bfloat16 where the CPU computes that natively."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .. import onnx_part
from .session import ABOUT, Port, broken, failed, numbers, only_input


class OpenVino:
    """A `Session` on OpenVINO: one inference request per calling thread."""

    engine = "openvino"
    device = "cpu"

    def __init__(
        self, path: Path, threads: int, parallel: int, outputs: Sequence[str] = ()
    ) -> None:
        import openvino  # pyright: ignore[reportMissingImports] (an extra)

        content = onnx_part.read(path, outputs) if outputs else None
        try:
            core = openvino.Core()
            native = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            hints = {
                "INFERENCE_NUM_THREADS": threads * parallel,
                "NUM_STREAMS": parallel,
                "INFERENCE_PRECISION_HINT": "bf16" if "BF16" in native else "f32",
            }
            network = core.read_model(path if content is None else content)
            self._model = core.compile_model(network, "CPU", hints)
        except Exception as error:  # one RuntimeError for everything
            raise broken(path, error) from error

        def port(node: Any) -> Port:
            shape = node.get_partial_shape()
            return Port(
                node.get_any_name(), tuple(s.get_length() if s.is_static else None for s in shape)
            )

        self.path = path
        self.input = only_input(path, [port(node) for node in self._model.inputs])
        self.outputs = tuple(port(node) for node in self._model.outputs)
        place = ["framework", ABOUT]  # where OpenVINO keeps ONNX metadata
        self.about = (
            {ABOUT: str(network.get_rt_info(place).astype(str))}
            if network.has_rt_info(place)
            else {}
        )
        self._local = threading.local()

    def __call__(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        if not hasattr(self._local, "request"):
            self._local.request = self._model.create_infer_request()
        try:
            results = self._local.request.infer({0: array}, share_inputs=True)
        except Exception as error:
            raise failed(self, array, error) from error
        return numbers(self, [results[output] for output in self._model.outputs])
