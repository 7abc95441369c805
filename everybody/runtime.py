"""Running networks: the only place that knows the inference engines.

onnxruntime is the engine; OpenVINO (extra `openvino`), when asked for, is a second one, which runs
in bfloat16 where the CPU computes that natively. TFLite files run on LiteRT (extra `tflite`). All
give the same `Session`: called with one input array it returns the list of outputs, from any number
of threads at once.

`threads` is what one call may use, `parallel` how many calls come at the same time. On CPUs, N
calls of one thread each do more work per second than one call of N threads, so streams run the
former and single pictures the latter.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import onnx_part
from .errors import ModelError, OptionError

ABOUT = "everybody"  # the metadata in which our own files describe themselves (`manifest.told`)
TFLITE = ".tflite"
ENGINES = {  # what --engine takes, and the package of each
    "auto": "onnxruntime",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai_edge_litert",
}
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


def keep_private() -> None:
    """To be called before an engine is imported: nothing leaves the machine.

    onnxruntime (1.32 at least) writes a device id into the user's cache and sends usage data from
    the moment it is imported, unless this variable says no. A user's own value stays. OpenVINO
    sends nothing when it runs networks.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> list[str]:
    """The devices that the installed onnxruntime can use, best first."""
    keep_private()
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return [name for name, provider in PROVIDERS.items() if provider in available]


def engines() -> list[str]:
    """The engines that are installed."""
    return [
        n for n, package in ENGINES.items() if n != "auto" and importlib.util.find_spec(package)
    ]


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(task: str, session: Session) -> dict[str, str]:
    """What run.json says of a loaded model."""
    return {
        "task": task,
        "name": session.path.stem,
        "path": str(session.path),
        "sha256": sha256(session.path),
        "engine": session.engine,
        "device": session.device,
    }


def load(
    path: Path | str,
    *,
    device: str = "auto",
    engine: str = "auto",
    threads: int = 0,
    parallel: int = 1,
    outputs: Sequence[str] = (),
) -> Session:
    """Load an ONNX or TFLite file. `threads` 0 means all cores. outputs: those of an ONNX file that
    are wanted; what only others need is not computed (none: all). Raises ModelError for a file that
    is no such network, OptionError for a device or an engine that is not here.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    if engine not in ENGINES:
        raise OptionError(f"unknown engine '{engine}': known are {', '.join(ENGINES)}")
    if device != "auto" and device not in PROVIDERS:
        raise OptionError(f"unknown device '{device}': known are auto, {', '.join(PROVIDERS)}")
    threads = threads or cores()
    if path.suffix == TFLITE:
        return _load_tflite(path, device, engine, threads)
    if engine == "litert":
        raise OptionError(
            f"{path}: engine 'litert' runs .tflite files: choose --engine onnxruntime"
        )
    # OpenVINO's bfloat16 changes results by more than .002 AP (docs/models.md): only when asked.
    engine = "onnxruntime" if engine == "auto" else engine
    if engine == "openvino":
        if "openvino" not in engines():
            raise OptionError(
                "engine 'openvino' is not installed: pip install 'everybody[openvino]'"
            )
        if device not in ("auto", "cpu"):
            raise OptionError(
                f"engine 'openvino' runs on the CPU here, not on '{device}': "
                f"choose --engine onnxruntime"
            )
        return OpenVino(path, threads, parallel, outputs)
    return OnnxRuntime(path, device, threads, outputs)


def _load_tflite(path: Path, device: str, engine: str, threads: int) -> Session:
    if engine not in ("auto", "litert"):
        raise OptionError(f"{path}: a .tflite file runs on engine 'litert', not on '{engine}'")
    if "litert" not in engines():
        raise OptionError(
            f"{path}: a .tflite file needs LiteRT: pip install 'everybody[tflite]', or give the "
            f"model as ONNX"
        )
    if device not in ("auto", "cpu"):
        raise OptionError(f"{path}: engine 'litert' runs on the CPU here, not on '{device}'")
    return LiteRt(path, threads)


def _broken(path: Path, error: Exception, kind: str = "ONNX") -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(f"{path}: not a usable {kind} model ({reason[:200]})")


def _only_input(path: Path, ports: list[Port]) -> Port:
    if len(ports) != 1:
        found = ", ".join(map(str, ports)) or "none"
        raise ModelError(f"{path}: expected a network with one input, found {found}")
    return ports[0]


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
            raise _broken(path, error) from error

        def port(node: Any) -> Port:
            return Port(
                node.name, tuple(size if isinstance(size, int) else None for size in node.shape)
            )

        self.path = path
        self._staging = pinned(PROVIDERS[self.device]) if self.device in BOUND else None
        self.input = _only_input(path, [port(node) for node in self._session.get_inputs()])
        self.outputs = tuple(port(node) for node in self._session.get_outputs())
        self.about = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        try:
            if self.device in BOUND:
                memory = BOUND[self.device]
                return bound(self._session, self.input.name, array, memory, self._staging)
            return list(self._session.run(None, {self.input.name: array}))  # type: ignore[arg-type]
        except Exception as error:
            raise _failed(self, array, error) from error


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
            raise _broken(path, error) from error

        def port(node: Any) -> Port:
            shape = node.get_partial_shape()
            return Port(
                node.get_any_name(), tuple(s.get_length() if s.is_static else None for s in shape)
            )

        self.path = path
        self.input = _only_input(path, [port(node) for node in self._model.inputs])
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
            raise _failed(self, array, error) from error
        return [results[output] for output in self._model.outputs]


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
            raise _broken(path, error, "TFLite") from error

        def port(details: dict[str, Any]) -> Port:
            return Port(details["name"], tuple(int(size) for size in details["shape"]))

        self.input = _only_input(path, [port(one) for one in interpreter.get_input_details()])
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
            raise _failed(self, array, error) from error
        return [
            _dequantised(interpreter.get_tensor(one["index"]), *one["quantization"])
            for one in interpreter.get_output_details()
        ]


def _dequantised(values: NDArray[Any], scale: float, zero: int) -> NDArray[Any]:
    """Whole numbers -> what they stand for; others as they are (their scale is 0)."""
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values


def _failed(session: Session, array: NDArray[Any], error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0][:200]
    return ModelError(
        f"{session.path}: failed on an input of shape {list(array.shape)} {array.dtype}; "
        f"it takes {session.input} ({reason})"
    )
