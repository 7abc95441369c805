"""onnxruntime, the engine that is always there, on CPUs and accelerators."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import onnx_part
from ..errors import OptionError
from .session import Port, broken, failed, numbers, only_input

# What --device calls them, in the order in which `auto` prefers them.
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
# Preferred by `auto`: the others compile for minutes, or do not run every operator.
AUTO = ("cuda", "directml", "cpu")


# Devices with memory of their own, and what onnxruntime calls it: arrays are bound there.
BOUND = {"cuda": "cuda", "tensorrt": "cuda"}

# Shape and type -> an empty `onnxruntime.OrtValue` in the memory that a device copies from.
Staging = Callable[[list[int], Any], Any]


def keep_private() -> None:
    """To be called before an engine is imported: nothing leaves the machine.

    onnxruntime (1.32 at least) writes a device id into the user's cache and sends usage data from
    the moment it is imported, unless this variable says no. A user's own value stays. OpenVINO
    sends nothing when it runs networks.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def devices() -> list[str]:
    """The devices that the installed onnxruntime can use, best first."""
    keep_private()
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return [name for name, provider in PROVIDERS.items() if provider in available]


class OnnxRuntime:
    """A `Session` on onnxruntime."""

    engine = "onnxruntime"

    def __init__(self, path: Path, device: str, threads: int, outputs: Sequence[str] = ()) -> None:
        keep_private()
        import onnxruntime

        available = devices()
        self.device = (
            next(name for name in AUTO if name in available) if device == "auto" else device
        )
        if self.device not in available:
            nvidia = device in ("cuda", "tensorrt")
            hint = "; for NVIDIA, pip install onnxruntime-gpu" if nvidia else ""
            raise OptionError(
                f"device '{device}' is not available: "
                f"this onnxruntime has {', '.join(available)}{hint}"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors come as exceptions; the log would say them twice
        if threads > 1:
            # Threads spin while they wait for each other within a call, which makes it up to 1.5
            # times as fast; but not between calls, where they would take the cores from the decoder
            # and the other stages.
            options.add_session_config_entry("session.force_spinning_stop", "1")
        providers = [PROVIDERS[self.device]] + ["CPUExecutionProvider"] * (self.device != "cpu")
        network = onnx_part.read(path, outputs) if outputs else str(path)
        try:
            self._session = onnxruntime.InferenceSession(network, options, providers=providers)
        except Exception as error:  # onnxruntime's own classes have no common base
            raise broken(path, error) from error

        def port(node: Any) -> Port:
            return Port(
                node.name, tuple(size if isinstance(size, int) else None for size in node.shape)
            )

        self.path = path
        self._staging = pinned(PROVIDERS[self.device]) if self.device in BOUND else None
        self.input = only_input(path, [port(node) for node in self._session.get_inputs()])
        self.outputs = tuple(port(node) for node in self._session.get_outputs())
        self.about = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        return numbers(self, self._run(array))

    def _run(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        try:
            if self.device in BOUND:
                memory = BOUND[self.device]
                return bound(self._session, self.input.name, array, memory, self._staging)
            return list(self._session.run(None, {self.input.name: array}))  # type: ignore[arg-type]
        except Exception as error:
            raise failed(self, array, error) from error


def pinned(provider: str) -> Staging | None:
    """Page-locked memory, from which a device of this provider copies by itself; None where this
    onnxruntime offers none that numpy can write to.
    """
    import onnxruntime

    try:
        kind = onnxruntime.OrtDeviceMemoryType.HOST_ACCESSIBLE
        known = [d.memory_info(kind) for d in onnxruntime.get_ep_devices() if d.ep_name == provider]
        for place in filter(None, known):
            empty = partial(onnxruntime.OrtValue.ortvalue_from_shape_and_type, memory_info=place)
            tried = empty([1], np.float32)
            if tried.numpy().ctypes.data == tried.data_ptr():
                return empty
    except (AttributeError, TypeError, RuntimeError):  # an older one, or one without an allocator
        pass
    return None


def bound(
    session: Any, name: str, array: NDArray[Any], memory: str, staging: Staging | None = None
) -> list[NDArray[Any]]:
    """What an onnxruntime session says of one array, which is copied into the device's memory once,
    by way of `staging` if there is one; the answers stay there until all are known, and are copied
    back together.
    """
    import onnxruntime

    binding = session.io_binding()
    if staging:
        value = staging(list(array.shape), array.dtype)
        value.numpy()[...] = array
    else:
        array = np.ascontiguousarray(array)
        value = onnxruntime.OrtValue.ortvalue_from_numpy(array, memory, 0)
    binding.bind_ortvalue_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, memory)
    session.run_with_iobinding(binding)
    return list(binding.copy_outputs_to_cpu())
