"""Running networks: the only place that knows the inference engines, a file each.

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
from collections.abc import Sequence
from pathlib import Path

from ..errors import ModelError, OptionError
from .litert import LiteRt
from .ort import PROVIDERS, OnnxRuntime, bound, devices, keep_private, pinned
from .ov import OpenVino
from .session import ABOUT, Port, Session

__all__ = [
    "ABOUT", "ENGINES", "PROVIDERS", "TFLITE", "Port", "Session", "bound", "cores", "describe",
    "devices", "engines", "keep_private", "load", "pinned", "sha256",
]  # fmt: skip

TFLITE = ".tflite"
ENGINES = {  # what --engine takes, and the package of each
    "auto": "onnxruntime",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai_edge_litert",
}


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
